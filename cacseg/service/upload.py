"""A request that brings files: streamed part by part into the scratch folder, never held in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from cacseg.errors import UnreadableError, UsageError
from cacseg.service.errors import TooLargeError
from cacseg.study.archive import MAX_ENTRIES

HELD_BYTES: Final = 4 * 1024**2
"""What is gathered in memory before it is written."""


class _Parts:
    """Writes each part of a multipart body to a file of its own."""

    def __init__(self, folder: Path, boundary: bytes) -> None:
        self._folder = folder
        self._open: BinaryIO | None = None
        self._ended = False
        self.files: list[Path] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def feed(self, data: bytes) -> None:
        self._parser.write(data)

    def close(self) -> None:
        """Close the file in hand.

        Raises
        ------
        UnreadableError : the body ended before its last boundary.
        """
        if self._open is not None:
            self._open.close()
        if not self._ended:
            raise UnreadableError(
                "The upload is truncated: its last boundary is missing. Nothing was kept; send it again."
            )

    def abort(self) -> None:
        """Close the file in hand, whatever happened."""
        if self._open is not None:
            self._open.close()

    def _begin(self) -> None:
        if len(self.files) >= MAX_ENTRIES:
            raise TooLargeError(f"The upload has more than {MAX_ENTRIES} files; send a study at a time.")
        path = self._folder / f"part-{len(self.files):06d}"
        self.files.append(path)
        self._open = path.open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._open is not None:
            self._open.write(memoryview(data)[start:end])

    def _end_part(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _end(self) -> None:
        self._ended = True


@asynccontextmanager
async def uploaded_files(request: Request, scratch: Path) -> AsyncIterator[tuple[Path, ...]]:
    """Stream the body of a request to files, which are gone when the block ends.

    Parameters
    ----------
    request : ``multipart/form-data``, or one file as the whole body (``application/zip``, ``application/dicom``).

    Raises
    ------
    UnreadableError : the body is truncated or no multipart body.
    UsageError : it is empty.
    TooLargeError : too many files.
    """
    with TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        try:
            if kind in (b"multipart/form-data", b"multipart/related"):
                files = await _multipart(request, folder, options.get(b"boundary", b""))
            else:
                files = await _whole(request, folder)
        except ClientDisconnect as error:
            raise UnreadableError("The sender went away in the middle of the upload; nothing was kept.") from error
        if not files:
            raise UsageError(
                "The request brings no file. Send a zip or DICOM files, as multipart/form-data or one body."
            )
        yield tuple(files)


async def _multipart(request: Request, folder: Path, boundary: bytes) -> list[Path]:
    if not boundary:
        raise UsageError("The multipart request has no boundary in its Content-Type.")
    try:
        parts = _Parts(folder, boundary)
    except FormParserError as error:
        raise UsageError("The boundary of the multipart request cannot be used; choose another.") from error
    try:
        async for chunk in _gathered(request):
            await run_in_threadpool(parts.feed, chunk)
        parts.close()
    except FormParserError as error:
        raise UnreadableError("The body is no well-formed multipart/form-data; nothing was kept.") from error
    finally:
        parts.abort()
    return parts.files


async def _whole(request: Request, folder: Path) -> list[Path]:
    path = folder / "body"
    size = 0
    with path.open("xb") as sink:
        async for chunk in _gathered(request):
            size += await run_in_threadpool(sink.write, chunk)
    return [path] if size else []


async def _gathered(request: Request) -> AsyncIterator[bytes]:
    """Give the body in pieces large enough to be worth a write."""
    held = bytearray()
    async for chunk in request.stream():
        held += chunk
        if len(held) >= HELD_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)
