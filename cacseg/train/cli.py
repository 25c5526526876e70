"""``cacseg train``: Lightning's command line over one YAML; a misspelt key fails."""

import sys
import warnings
from collections.abc import Sequence
from typing import Any, Final

from cacseg.errors import MissingExtraError

INSTALL: Final = "pip install 'cacseg[train]'"
STAGES: Final = ("fit", "validate")


def main(argv: Sequence[str] | None = None) -> int:
    """Train as a configuration says.

    Parameters
    ----------
    argv : e.g. ``["--config", "configs/train/release.yaml", "--trainer.max_steps", "100"]``; ``fit`` is assumed
        unless the first word is ``fit`` or ``validate``. ``--ckpt_path last`` continues a killed run.

    Returns
    -------
    0; jsonargparse itself exits with 2 when a key is unknown or a value does not fit.

    Raises
    ------
    MissingExtraError : torch, monai or lightning is not installed.
    """
    words = list(argv or [])
    try:
        cli_class = _cli_class()
    except ImportError as error:
        raise MissingExtraError(f"`cacseg train` needs the training packages ({error.name}): {INSTALL}") from error
    if not words or words[0] not in (*STAGES, "-h", "--help"):
        words.insert(0, "fit")
    from cacseg.train.data import SampleData
    from cacseg.train.module import CalciumModule

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
        cli_class(
            CalciumModule, SampleData, args=words, save_config_kwargs={"overwrite": True}, seed_everything_default=0
        )
    return 0


def _cli_class() -> Any:
    from lightning.pytorch.cli import LightningCLI

    return LightningCLI


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
