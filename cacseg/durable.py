"""Putting files on the disk for good."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

SYNC_THREADS: Final = 8


def sync(paths: Sequence[Path]) -> None:
    """Put the content of files or folders on the disk."""
    if len(paths) == 1:
        _sync_one(paths[0])
        return
    with ThreadPoolExecutor(SYNC_THREADS) as pool:
        list(pool.map(_sync_one, paths))


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
