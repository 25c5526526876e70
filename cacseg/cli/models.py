"""Commands that make and measure what the toolkit runs on: digital patients, training, export, evaluation."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cacseg.cli.options import command, positive
from cacseg.cli.streams import progress, say, show
from cacseg.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable


def add_phantom(commands: Any) -> None:
    """Add ``phantom``."""
    parser = command(commands, "phantom", _phantom, "make synthetic studies as DICOM, with their truth")
    parser.add_argument("output", type=Path, metavar="OUT")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same pixels (default: %(default)s)"
    )
    parser.add_argument("--count", type=positive, default=1, help="how many (default: %(default)s)")
    parser.add_argument("--family", choices=("gated", "chest", "shifted", "contrast"), default="gated")
    parser.add_argument("--plain", action="store_true", help="the calcium-scoring series alone")


def _phantom(arguments: argparse.Namespace) -> int:
    from cacseg.data.phantom import write_phantoms

    written = write_phantoms(
        arguments.output,
        seed=arguments.seed,
        count=arguments.count,
        family=arguments.family,
        extras=not arguments.plain,
        progress=progress,
    )
    if arguments.json:
        show([str(folder) for folder in written])
    else:
        print("\n".join(str(folder) for folder in written))
    return 0


def add_train(commands: Any) -> None:
    """Add ``train``."""
    _passing_on(commands, "train", _train, "train a model (needs the train extra)")


def add_export(commands: Any) -> None:
    """Add ``export``."""
    _passing_on(commands, "export", _export, "export a checkpoint as an ONNX release (needs the train extra)")


def add_evaluate(commands: Any) -> None:
    """Add ``evaluate``."""
    _passing_on(commands, "evaluate", _evaluate, "measure a release on digital patients or a labelled dataset")


def _passing_on(commands: Any, name: str, run: Callable[[argparse.Namespace], int], summary: str) -> None:
    """Add a command whose own parser reads what follows its name."""
    parser = commands.add_parser(name, help=summary, description=summary, add_help=False)
    parser.set_defaults(run=run, passes_on=True)


def _evaluate(arguments: argparse.Namespace) -> int:
    from cacseg.evaluation.command import HELP, add_arguments, run

    parser = argparse.ArgumentParser(prog="cacseg evaluate", description=HELP)
    add_arguments(parser)
    return run(parser.parse_args(arguments.rest), print, say)


def _train(arguments: argparse.Namespace) -> int:
    _need_training_stack()
    from cacseg.train.cli import main as train

    return train(arguments.rest)


def _export(arguments: argparse.Namespace) -> int:
    _need_training_stack()
    from cacseg.train.export import main as export

    return export(arguments.rest)


def _need_training_stack() -> None:
    """Say how to get what the light install leaves out.

    Raises
    ------
    MissingExtraError : torch, monai or lightning is absent.
    """
    from importlib.util import find_spec

    absent = [name for name in ("torch", "monai", "lightning") if find_spec(name) is None]
    if absent:
        raise MissingExtraError(
            f"This command needs {', '.join(absent)}, which the light install leaves out. Install the train extra: "
            "pip install 'cacseg[train]' (for a CPU build of torch, install that first)."
        )
