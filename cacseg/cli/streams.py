"""What is said to people on standard error and to programs on standard output."""

from __future__ import annotations

import json
import sys
from typing import Any


def say(message: str) -> None:
    """Tell a person something."""
    print(message, file=sys.stderr, flush=True)


def show(data: Any) -> None:
    """Give a program its answer."""
    print(json.dumps(data, indent=1, allow_nan=False))


def progress(message: str) -> None:
    """Tell a person what is being done now."""
    say(f"... {message}")
