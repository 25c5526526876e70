"""``result.json``: the result itself."""

import json
from typing import Any

import numpy as np

from cacseg.errors import UsageError
from cacseg.result import SCHEMA_VERSION, Result


def json_bytes(result: Result) -> bytes:
    """Write a result in the form of the contract: UTF-8, two spaces, every key present."""
    return (json.dumps(result.to_dict(), indent=2, ensure_ascii=False, allow_nan=False, default=_plain) + "\n").encode()


def result_from_json(content: bytes) -> Result:
    """Read ``result.json`` back.

    Raises
    ------
    UsageError : it is not a ``result.json`` of this schema version.
    """
    try:
        data = json.loads(content)
        version = data["schema_version"]
        if version != SCHEMA_VERSION:
            raise UsageError(
                f"This result.json has schema_version {version!r}; this cacseg reads {SCHEMA_VERSION!r}. "
                "Score the study again, or use the cacseg that wrote it."
            )
        return Result.from_dict(data)
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"This is not a result.json that cacseg wrote ({type(error).__name__}: {error}). "
            "Give the result.json of an OUT folder."
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | tuple):
        return list(value)
    if hasattr(value, "keys"):
        return dict(value)
    raise TypeError(f"A result holds a {type(value).__name__}, which JSON has no form for.")
