"""The parser of all commands, and what becomes of an error."""

from __future__ import annotations

import argparse
import os
import traceback
from typing import TYPE_CHECKING, Final

from cacseg import __version__
from cacseg.cli.models import add_evaluate, add_export, add_phantom, add_train
from cacseg.cli.scores import add_compare, add_conformance, add_score
from cacseg.cli.service import add_serve
from cacseg.cli.streams import say
from cacseg.cli.studies import add_batch, add_infer, add_report, add_series
from cacseg.errors import CacsegError

if TYPE_CHECKING:
    from collections.abc import Sequence

ONE_BLAS_THREAD: Final = ("OPENBLAS_NUM_THREADS", "1")
"""Set before numpy is imported, and inherited by workers: idle threads of its BLAS spin, which takes the cores from
the network and from other processes. Nothing here multiplies matrices large enough to gain from more."""

COMMANDS: Final = (
    add_infer,
    add_series,
    add_score,
    add_report,
    add_batch,
    add_serve,
    add_compare,
    add_phantom,
    add_conformance,
    add_train,
    add_export,
    add_evaluate,
)
"""Every command, in the order in which ``--help`` lists them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    os.environ.setdefault(*ONE_BLAS_THREAD)
    parser = build_parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and not arguments.passes_on:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    try:
        code: int = arguments.run(arguments)
    except CacsegError as error:
        say(f"cacseg: {error}")
        return error.exit_code
    except BrokenPipeError:
        return CacsegError.exit_code
    except KeyboardInterrupt:
        say("cacseg: interrupted; nothing was replaced")
        return CacsegError.exit_code
    except Exception:
        say(traceback.format_exc())
        say("cacseg: this is a fault of cacseg, not of your input. Please report the lines above (no patient data).")
        return CacsegError.exit_code
    return code


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="cacseg",
        description="Coronary calcium scoring from non-contrast CT of the heart.",
        epilog="The released model has seen synthetic data only. Not a medical device.",
    )
    parser.add_argument("--version", action="version", version=f"cacseg {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    return parser
