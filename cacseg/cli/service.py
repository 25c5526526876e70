"""The command of the service: it keeps its own arguments, so that they stand beside what they set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cacseg.cli.streams import say

if TYPE_CHECKING:
    import argparse


def add_serve(commands: Any) -> None:
    """Add ``serve``."""
    from cacseg.service.command import HELP, add_arguments

    parser = commands.add_parser("serve", help=HELP, description=HELP)
    parser.set_defaults(run=_serve, passes_on=False)
    add_arguments(parser)


def _serve(arguments: argparse.Namespace) -> int:
    from cacseg.service.command import run

    return run(arguments, print, say)
