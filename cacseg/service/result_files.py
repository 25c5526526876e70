"""The files of a version of a result, by names that are listed and by no others."""

from pathlib import Path
from typing import Final

from cacseg.service.database import Study
from cacseg.service.errors import NotFoundError
from cacseg.service.settings import Settings

MEDIA_TYPES: Final = {
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".csv": "text/csv; charset=utf-8",
    ".dcm": "application/dicom",
    ".gz": "application/gzip",
    ".hl7": "application/hl7-v2",
}

REPORT_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'self'"
"""Content-Security-Policy of a report opened in a browser: its own styles and pictures, no script whatever it says."""


def version_folder(settings: Settings, study: Study, version: int | None) -> Path:
    """Give the folder of a version, the newest where ``None``.

    Raises
    ------
    NotFoundError : there is no result yet, or not this version.
    """
    number = study.result_version if version is None else version
    folder = settings.version_folder(study.id, number)
    if not 0 < number <= study.result_version or not (folder / "result.json").is_file():
        raise NotFoundError(
            f"Study {study.id} has no result {'yet' if version is None else f'of version {version}'}; its state is "
            f"{study.state}."
        )
    return folder


def names_in(folder: Path) -> dict[str, Path]:
    """List the files of a version by the names that requests use, such as ``pictures/overview.png``."""
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def read_named(folder: Path, name: str) -> bytes:
    """Read one listed file.

    Raises
    ------
    NotFoundError : the name is not listed.
    """
    path = names_in(folder).get(name)
    if path is None:
        raise NotFoundError(f"There is no such file in this version; it has {', '.join(names_in(folder))}.")
    return path.read_bytes()


def headers_of(name: str) -> dict[str, str]:
    """Give the headers that a file is sent with."""
    shown = Path(name).suffix in (".html", ".pdf", ".png", ".json")
    headers = {"Content-Disposition": f'{"inline" if shown else "attachment"}; filename="{Path(name).name}"'}
    if name.endswith(".html"):
        headers |= {"Content-Security-Policy": REPORT_POLICY, "X-Frame-Options": "SAMEORIGIN"}
    return headers


def media_type_of(name: str) -> str:
    """Give the media type of a file.

    Examples
    --------
    >>> media_type_of("report.pdf"), media_type_of("other")
    ('application/pdf', 'application/octet-stream')
    """
    return MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream")
