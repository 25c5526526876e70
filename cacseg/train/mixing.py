"""Weights between what a run ended with and what it started from: they keep more of what was learned before."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cacseg.errors import UsageError


def mixed(state: Mapping[str, Tensor], path: Path, share: float) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Mix the weights of a network with those that its training started from.

    Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022.

    Parameters
    ----------
    state : weights that training ended with.
    path : file with those of the release, under "state_dict".
    share : of these, 0 to 1.

    Returns
    -------
    The weights between both, and what a release records of it.

    Raises
    ------
    UsageError : there is no such file, or it holds the weights of a network of another form.
    """
    if not path.is_file():
        raise UsageError(f"No weights {path} to mix with; give the ones of the release that training started from.")
    other = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    if {name: value.shape for name, value in state.items()} != {name: value.shape for name, value in other.items()}:
        raise UsageError(f"{path} holds weights of networks of another form; give those that training started from.")
    between = {
        name: torch.lerp(value, other[name].to(value.dtype), share) if value.is_floating_point() else value
        for name, value in state.items()
    }
    return between, {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "share": share}
