"""The network on another machine: a client of the KServe v2 (Open Inference Protocol) HTTP interface.

Triton and other servers speak it; tensors travel in the binary tensor data extension. The release stays here with
its grid and its decision, only the networks run elsewhere. A served model is named after the checksum of its
ONNX file, so that a server with other weights is refused before the first study.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol and
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import numpy as np
from numpy.typing import NDArray

from cacseg.errors import ReleaseError, UsageError
from cacseg.infer.release import Release

TIMEOUT_S: Final = 60.0
"""Longest wait for one answer; a network without an accelerator takes about 0.2 s on two cores."""

DIGEST_LETTERS: Final = 12
"""Letters of the SHA-256 in the name of a served model."""

HEADER_LENGTH: Final = "Inference-Header-Content-Length"
"""Bytes of JSON before the tensors (binary tensor data extension)."""

DATATYPE: Final = "FP32"
CONNECTIONS: Final = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


def served_name(release: str, network: str, sha256: str) -> str:
    """Name under which a server holds one network of a release.

    Parameters
    ----------
    release : name of the release.
    network : ``calcium`` or ``scout``.
    sha256 : of its ONNX file, hexadecimal.

    Examples
    --------
    >>> served_name("cacseg-unet-1", "scout", "ddfde1752c7db15b" + "0" * 48)
    'cacseg-unet-1-scout-ddfde1752c7d'
    """
    return f"{release}-{network}-{sha256[:DIGEST_LETTERS]}"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One network on a server, called as an ONNX Runtime session is.

    Parameters
    ----------
    url : of the server, such as ``http://triton:8000``.
    name : of the model there.
    timeout_s : longest wait for the connection and for each answer.
    """

    url: str
    name: str
    timeout_s: float = TIMEOUT_S

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Run the network.

        Parameters
        ----------
        outputs : names of the tensors to give back, in this order.
        inputs : float32 arrays by name.

        Raises
        ------
        ReleaseError : the server does not answer, refuses, or answers with something else than asked for.
        """
        arrays = {name: np.ascontiguousarray(array, "<f4") for name, array in inputs.items()}
        asked = {
            "inputs": [
                _tensor(name, {"shape": list(array.shape), "datatype": DATATYPE}, binary_data_size=array.nbytes)
                for name, array in arrays.items()
            ],
            "outputs": [_tensor(name, {}, binary_data=True) for name in outputs],
        }
        header = json.dumps(asked).encode()
        body = b"".join([header, *(array.tobytes() for array in arrays.values())])
        sent = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(header))}
        fields, content = self._ask("POST", f"/v2/models/{self.name}/infer", body, sent)
        try:
            return _tensors(fields, content, outputs)
        except (ValueError, KeyError, TypeError) as error:
            raise ReleaseError(
                f"The model server {self.url} answered for {self.name} with something else than {list(outputs)} as "
                f"{DATATYPE} ({type(error).__name__}: {error}). Serve what infer/triton/make_repository.py writes."
            ) from error

    def check(self) -> None:
        """See whether the server is there and holds this network.

        Raises
        ------
        ReleaseError : it is not there or does not.
        """
        self._ask("GET", f"/v2/models/{self.name}/ready")

    def _ask(
        self, method: str, path: str, body: bytes | None = None, sent: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, str], bytes]:
        parts = _address(self.url)
        connection = CONNECTIONS[parts.scheme](parts.hostname or "", parts.port, timeout=self.timeout_s)
        try:
            connection.request(method, parts.path.rstrip("/") + path, body, dict(sent or {}))
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ReleaseError(
                f"The model server {self.url} does not answer ({type(error).__name__}: {error}). Start it, or take its "
                "address out of the settings so that the network runs here."
            ) from error
        finally:
            connection.close()
        if answer.status != http.client.OK:
            said = content[:200].decode("utf-8", "replace").strip()
            raise ReleaseError(
                f"The model server {self.url} answered {answer.status} for the model {self.name} ({said}); expected "
                "200. Serve the repository that infer/triton/make_repository.py writes from this same release."
            )
        return answer.headers, content


def serve_elsewhere(release: Release, url: str, *, timeout_s: float = TIMEOUT_S) -> Release:
    """Give the same release with its networks on a server.

    Parameters
    ----------
    release : from ``load_release``; its checksums say which models the server must hold.
    url : of the server.

    Raises
    ------
    ReleaseError : the server does not answer or holds other weights.
    UsageError : the address is no http or https address.
    """
    block: Mapping[str, Any] = release.metadata["cacseg"]
    models = {
        network: ServedModel(url, served_name(release.name, network, block["sha256"][file]), timeout_s)
        for network, file in block["files"].items()
    }
    for model in models.values():
        model.check()
    sessions: dict[str, Any] = {f"{network}_session": model for network, model in models.items()}
    return replace(release, **sessions)


def _address(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in CONNECTIONS or not parts.hostname:
        raise UsageError(f"{url!r} is no address of a model server; expected such as http://triton:8000.")
    return parts


def _tensor(name: str, described: Mapping[str, Any], **parameters: Any) -> dict[str, Any]:
    return {"name": name, **described, "parameters": parameters}


def _tensors(fields: Mapping[str, str], content: bytes, outputs: Sequence[str]) -> list[NDArray[np.float32]]:
    """Cut the arrays out of an answer."""
    length = int(fields[HEADER_LENGTH]) if fields.get(HEADER_LENGTH) else len(content)
    found: dict[str, NDArray[np.float32]] = {}
    at = length
    for each in json.loads(content[:length])["outputs"]:
        if each["datatype"] != DATATYPE:
            raise ValueError(f"{each['name']} is {each['datatype']}")
        size = each.get("parameters", {}).get("binary_data_size")
        if size is None:
            flat = np.array(each["data"], np.float32)
        else:
            flat = np.frombuffer(content[at : at + size], "<f4").astype(np.float32)
            at += size
        found[each["name"]] = flat.reshape(each["shape"])
    return [found[name] for name in outputs]
