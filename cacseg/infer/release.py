"""A model release: a folder with two to four ONNX files, their metadata in MONAI-bundle form, and checksums.

``load_release`` is the only way to a release. It looks where the wheel ships them (``cacseg/_releases``) and,
in a checkout, in the top-level ``models/`` folder. A network whose SHA-256 differs from the metadata is refused.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.engines import DEFAULT_ENGINE, DEFAULT_THREADS, Engine
from cacseg.errors import ReleaseError
from cacseg.infer.bifurcation import describe as bifurcation_form
from cacseg.infer.closeup import describe as closeup_form
from cacseg.infer.engine import Session, open_session
from cacseg.infer.grid import CHANNELS, GridSpec
from cacseg.vessels import Label

DEFAULT_RELEASE: Final = "cacseg-unet-1"
"""The release that ``cacseg infer`` runs unless told otherwise."""

METADATA: Final = "metadata.json"
FORMAT_VERSION: Final = "1"
"""Version of the ``cacseg`` block in the metadata that this code reads."""


AROUND_HEART_MM: Final = 9.0
"""Fat and arteries on the heart, and what the coarse grid of the scout leaves uncertain."""


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """A checked release, ready to run.

    Parameters
    ----------
    name, version : of the release.
    sha256 : of the calcium network's file; the networks beside it are named by ``describe``.
    grids : of the calcium network, narrowest first; it takes any of them.
    scout_grid : of the network that finds the heart.
    shifts_mm : where the grid is put, along slice, row and column from the middle of the heart; what the network says
        at each place is averaged.
    classes : label of each calcium output channel.
    decision : settings of the assignment (``cacseg.infer.decide.Decision`` fields), recorded with the weights.
    threads : that compute one answer.
    engine : what runs the networks.
    closeup_session : of the network that looks at each component again; None in a release without one.
    bifurcation_session : of the network that tells LM, LAD and LCX apart; None in a release without one.
    """

    name: str
    version: str
    folder: Path
    sha256: str
    grids: tuple[GridSpec, ...]
    scout_grid: GridSpec
    shifts_mm: tuple[tuple[float, float, float], ...]
    classes: tuple[Label, ...]
    decision: Mapping[str, float]
    threads: int
    engine: Engine
    metadata: Mapping[str, Any]
    calcium_session: Session
    scout_session: Session
    closeup_session: Session | None = None
    bifurcation_session: Session | None = None

    @property
    def sessions(self) -> dict[str, Session]:
        """The networks that this release has, by name."""
        every = {
            "calcium": self.calcium_session,
            "scout": self.scout_session,
            "closeup": self.closeup_session,
            "bifurcation": self.bifurcation_session,
        }
        return {network: session for network, session in every.items() if session is not None}

    def predict(self, cells: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the calcium network.

        Parameters
        ----------
        cells : (n, 3, slice, row, column) float32, see ``cacseg.infer.grid.CHANNELS``.

        Returns
        -------
        calcium : (n, 9, slice, row, column) float32 logits per ``classes``.
        territory : (n, 5, slice, row / 2, column / 2) float32 logits: away from any artery, LM, LAD, LCX, RCA.
        """
        calcium, territory = self.calcium_session.run(["calcium", "territory"], {"cells": cells})
        return calcium, territory

    def grid_for(self, size_mm: tuple[float, float, float]) -> GridSpec:
        """Narrowest grid that holds a heart of this size along slice, row and column, and ``AROUND_HEART_MM``."""
        needed = max(size_mm[1:]) + 2 * AROUND_HEART_MM
        return next((grid for grid in self.grids if min(grid.extent_mm[1:]) >= needed), self.grids[-1])

    def predict_heart(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the scout network: (1, 1, slice, row, column) HU to the probability of heart."""
        probability: NDArray[np.float32] = self.scout_session.run(["heart"], {"cells": cells})[0]
        return probability

    def describe(self) -> dict[str, Any]:
        """Give what a result records about the model; ``networks`` holds the SHA-256 of each."""
        block = self.metadata["cacseg"]
        networks = {network: block["sha256"][file] for network, file in block["files"].items()}
        return {"name": self.name, "version": self.version, "sha256": self.sha256, "networks": networks}


def releases_dir(package: Path | None = None) -> Path:
    """Folder that holds the releases: inside the installed package, else the checkout's ``models/``.

    Parameters
    ----------
    package : folder of the ``cacseg`` package; the one this code runs from where None.

    Raises
    ------
    ReleaseError : neither exists.
    """
    package = Path(__file__).resolve().parents[1] if package is None else package
    for folder in (package / "_releases", package.parent / "models"):
        if folder.is_dir():
            return folder
    raise ReleaseError(
        f"No model releases beside the package {package}: expected {package / '_releases'} (installed wheel) or "
        f"{package.parent / 'models'} (checkout). Install cacseg again."
    )


def load_release(
    name_or_path: str | Path | None = None, *, threads: int = DEFAULT_THREADS, engine: Engine = DEFAULT_ENGINE
) -> Release:
    """Load a release by its name or folder and check every network against its checksum.

    Parameters
    ----------
    name_or_path : a release name (``DEFAULT_RELEASE`` when None) or the path of a release folder.
    threads : that compute one answer.
    engine : what runs the networks.

    Raises
    ------
    ReleaseError : no such release, a file is missing or altered, or its metadata is of another form.
    UsageError : no such engine, or it is not installed.
    """
    folder = _folder(DEFAULT_RELEASE if name_or_path is None else name_or_path)
    metadata = _read_metadata(folder)
    block = metadata["cacseg"]
    contents = {name: _checked(folder, name, block["sha256"][name]) for name in block["files"].values()}
    sessions = {network: open_session(contents[file], threads, engine) for network, file in block["files"].items()}
    return Release(
        name=metadata["name"],
        version=metadata["version"],
        folder=folder,
        sha256=block["sha256"][block["files"]["calcium"]],
        grids=tuple(_grid(each) for each in (*block.get("narrow_grids", ()), block["grid"])),
        scout_grid=_grid(block["scout_grid"]),
        shifts_mm=tuple((float(z), float(y), float(x)) for z, y, x in block.get("shifts_mm", [(0, 0, 0)])),
        classes=tuple(Label[name] for name in block["classes"]),
        decision=block["decision"],
        threads=threads,
        engine=engine,
        metadata=metadata,
        calcium_session=sessions["calcium"],
        scout_session=sessions["scout"],
        closeup_session=sessions.get("closeup"),
        bifurcation_session=sessions.get("bifurcation"),
    )


def _folder(name_or_path: str | Path) -> Path:
    as_path = Path(name_or_path)
    if (as_path / METADATA).is_file():
        return as_path
    named = releases_dir() / str(name_or_path)
    if as_path.name == str(name_or_path) and (named / METADATA).is_file():
        return named
    present = sorted(child.parent.name for child in releases_dir().glob(f"*/{METADATA}"))
    raise ReleaseError(
        f"No release {str(name_or_path)!r}: neither a folder with {METADATA} nor one of {present} in "
        f"{releases_dir()}. Give one of these names, or the path of a release folder."
    )


def _read_metadata(folder: Path) -> dict[str, Any]:
    path = folder / METADATA
    try:
        metadata: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        block = metadata["cacseg"]
        found = block["format_version"]
        missing = {"files", "sha256", "grid", "scout_grid", "classes", "channels", "decision"} - set(block)
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ReleaseError(f"{path} is not the metadata of a cacseg release ({error!r}). Copy it again.") from error
    if found != FORMAT_VERSION or missing:
        raise ReleaseError(
            f"{path} has format_version {found!r} and lacks {sorted(missing)}; this cacseg reads version "
            f"{FORMAT_VERSION!r}. Use the cacseg the release was made with, or export it again."
        )
    if tuple(block["channels"]) != CHANNELS:
        raise ReleaseError(
            f"{path}: the network expects channels {block['channels']}, this cacseg makes {list(CHANNELS)}. Use the "
            "cacseg the release was made with."
        )
    for network, ordinal, form in (("closeup", "second", closeup_form()), ("bifurcation", "third", bifurcation_form())):
        differ = [name for name, value in form.items() if block.get(network, {}).get(name) != value]
        if network in block["files"] and differ:
            raise ReleaseError(
                f"{path}: the {ordinal} network was trained on cells of another form ({', '.join(differ)} differ). Use "
                "the cacseg the release was made with, or take it out of cacseg.files there and train it again."
            )
    return metadata


def _checked(folder: Path, name: str, expected: str) -> bytes:
    path = folder / name
    if not path.is_file():
        raise ReleaseError(f"{path} is missing from release {folder.name}. Copy the whole release folder again.")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ReleaseError(
            f"{path} is not the released file: SHA-256 {found}, expected {expected}. Copy the release again; a "
            "retrained model needs `cacseg export`, which writes new checksums."
        )
    return content


def _grid(block: Mapping[str, Any]) -> GridSpec:
    slices, rows, columns = (int(n) for n in block["shape"])
    slice_mm, row_mm, column_mm = (float(mm) for mm in block["spacing_mm"])
    return GridSpec((slices, rows, columns), (slice_mm, row_mm, column_mm))
