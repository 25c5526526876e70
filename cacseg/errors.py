"""The one tree of errors.

A message says what happened, where (UIDs and file names, never patient names), the value found, what was
expected, and what to do next. ``exit_code`` is what the command line returns for it (CONTRACT: 1 our
fault, 2 wrong usage, 3 refused, 4 unreadable).
"""

from typing import ClassVar


class CacsegError(Exception):
    """Base of everything that cacseg raises on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(CacsegError):
    """The call itself is wrong: an unknown rule, a missing path, several studies where one is expected."""

    exit_code = 2


class RefusedError(CacsegError):
    """The input was read but must not be scored; carries no score, ever."""

    exit_code = 3


class UnreadableError(CacsegError):
    """The input cannot be read: no image in it, damaged, or in a form that needs something installed."""

    exit_code = 4


class MissingExtraError(UsageError):
    """A command needs packages that the light install leaves out."""


class ReleaseError(CacsegError):
    """A model release is absent, incomplete, or its checksum does not match."""
