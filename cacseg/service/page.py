"""The reading page: static files of ``web``, listed when the service starts, and no others."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse

from cacseg.service.errors import NotFoundError

MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
INDEX: Final = "index.html"
HEADERS: Final = {"Cache-Control": "no-cache"}
"""A browser asks each time whether its copy is still good, so that page and service never differ in version."""

router = APIRouter(include_in_schema=False)


def web_files() -> dict[str, Path]:
    """List the files of the page by name.

    Examples
    --------
    >>> INDEX in web_files()
    True
    """
    folder = Path(str(files("cacseg.service") / "web"))
    return {path.name: path for path in sorted(folder.iterdir()) if path.suffix in MEDIA_TYPES}


@router.get("/")
def index() -> FileResponse:
    """Give the page."""
    return _file(INDEX)


@router.get("/page/{name}")
def asset(name: str) -> FileResponse:
    """Give one file of the page.

    Raises
    ------
    NotFoundError : the name is not listed.
    """
    return _file(name)


def _file(name: str) -> FileResponse:
    path = web_files().get(name)
    if path is None:
        raise NotFoundError(f"The page has no file {name[:64]!r}.")
    return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], headers=HEADERS)
