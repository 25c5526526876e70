"""Score a cohort: every study below a folder, one after another or a few at a time, nothing lost on the way.

Each study gets a folder of its own below OUT; ``cohort.csv`` has one row a study. A study that was done before
with the same settings is not done again, and one that cannot be read costs its own row only.
"""

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from cacseg import __version__
from cacseg.errors import CacsegError, UsageError
from cacseg.pipeline import Settings
from cacseg.report import Tables

COLUMNS: Final = (
    "study",
    "status",
    "study_instance_uid",
    "agatston",
    "volume_mm3",
    "mass_mg",
    "LM",
    "LAD",
    "LCX",
    "RCA",
    "category",
    "findings",
    "message",
)
ALONE: Final = (".zip", ".nii", ".nii.gz")
"""Endings of files that are a study each."""

PEEKED: Final = 5
"""Files of a folder that are looked at to tell which study it holds."""

DONE: Final = "batch.json"
"""Written beside a study's results last: what it was scored with."""


def studies_below(root: Path) -> tuple[Path, ...]:
    """List what is taken as one study: archives and NIfTI files, and folders.

    A folder with files of its own is one study with all below it; a folder of folders is one where all of them hold
    the same StudyInstanceUID (series folders), else it is looked into (patients, visits).

    Raises
    ------
    UsageError : no such folder, or nothing in it.
    """
    if not root.is_dir():
        raise UsageError(f"There is no folder {root}; give the folder of the cohort.")
    found = tuple(_studies(root, root))
    if not found:
        raise UsageError(f"{root} holds no folder, archive or NIfTI file; give the folder of the cohort.")
    return found


def _studies(folder: Path, root: Path) -> Iterator[Path]:
    entries = sorted(folder.iterdir())
    files = [entry for entry in entries if entry.is_file()]
    alone = [entry for entry in files if entry.name.lower().endswith(ALONE)]
    if folder != root and len(files) > len(alone):
        yield folder
        return
    if folder != root and not alone and _same_study(folder):
        yield folder
        return
    yield from alone
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            yield from _studies(entry, root)


def _same_study(folder: Path) -> bool:
    """Say whether every folder with files below holds one and the same study, by a file of each."""
    uids = {_study_uid(where, names) for where, _, names in os.walk(folder) if names}
    return len(uids) == 1 and None not in uids


def _study_uid(where: str, names: list[str]) -> str | None:
    """Read the study of a folder off its first files; ``None`` where they do not tell."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    for name in sorted(names)[:PEEKED]:
        try:
            header = dcmread(Path(where, name), specific_tags=["StudyInstanceUID"], stop_before_pixels=True)
        except (InvalidDicomError, OSError, EOFError, ValueError):
            continue
        if header.get("StudyInstanceUID"):
            return str(header.StudyInstanceUID)
    return None


def score_cohort(
    root: Path,
    out: Path,
    settings: Settings,
    formats: tuple[str, ...],
    *,
    processes: int = 1,
    deidentify: bool = False,
    tables: Tables | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Score every study below a folder.

    Parameters
    ----------
    root : studies as subfolders, ``.zip`` or NIfTI files.
    out : one folder a study and ``cohort.csv``; an interrupted run goes on where it stopped.
    processes : studies at a time.
    progress : called with a line after each study.

    Returns
    -------
    list of dict
        One row a study in order of name, keys ``COLUMNS``; status scored, refused or failed.
    """
    studies = studies_below(root)
    out.mkdir(parents=True, exist_ok=True)
    tasks = [(study, out / _name(study, root), settings, formats, deidentify, tables) for study in studies]
    rows: dict[Path, dict[str, Any]] = {}
    with ProcessPoolExecutor(max_workers=processes) as pool:
        running = {pool.submit(_one, *task): task[0] for task in tasks}
        for finished in as_completed(running):
            study = running[finished]
            rows[study] = {"study": str(study.relative_to(root)), **finished.result()}
            progress(f"{len(rows)} of {len(tasks)}: {rows[study]['study']} {rows[study]['status']}")
    ordered = [rows[study] for study in studies]
    _write(out / "cohort.csv", ordered)
    return ordered


def _name(study: Path, root: Path) -> str:
    """Folder name of a study's results: readable, and unique below OUT."""
    relative = str(study.relative_to(root))
    plain = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in relative)
    return plain if plain == relative else f"{plain}-{hashlib.sha256(relative.encode()).hexdigest()[:8]}"


def _one(
    study: Path,
    out: Path,
    settings: Settings,
    formats: tuple[str, ...],
    deidentify: bool,
    tables: Tables | None,
) -> dict[str, Any]:
    """Score one study in a worker process; every outcome is a row."""
    from cacseg.pipeline import report_input, score_study
    from cacseg.report import write_all

    mark = out.with_name(f"{out.name}.{DONE}")
    wanted = {"cacseg": __version__, "formats": sorted(formats), "deidentify": deidentify, **_plain(settings)}
    if mark.is_file() and (out / "result.json").is_file() and json.loads(mark.read_text()) == wanted:
        return _row(json.loads((out / "result.json").read_text()))
    try:
        written = write_all(
            report_input(score_study(study, settings)), out, formats, deidentify=deidentify, tables=tables
        )
    except CacsegError as error:
        return {**dict.fromkeys(COLUMNS[1:]), "status": "failed", "message": str(error)}
    except Exception as error:
        return {**dict.fromkeys(COLUMNS[1:]), "status": "failed", "message": f"fault: {type(error).__name__}: {error}"}
    mark.write_text(json.dumps(wanted))
    return _row(written.result.to_dict())


def _plain(settings: Settings) -> dict[str, Any]:
    return dict(json.loads(json.dumps(asdict(settings), default=str)))


def _row(data: dict[str, Any]) -> dict[str, Any]:
    scores = data["scores"]
    total = scores["total"] if scores else {}
    refusals = [f["message"] for f in data["findings"] if f["severity"] == "refusal"]
    return {
        "status": data["status"],
        "study_instance_uid": data["study"]["study_instance_uid"],
        "agatston": total.get("agatston"),
        "volume_mm3": total.get("volume_mm3"),
        "mass_mg": total.get("mass_mg"),
        **{name: scores["vessels"][name]["agatston"] if scores else None for name in ("LM", "LAD", "LCX", "RCA")},
        "category": (data["risk"] or {}).get("agatston_category"),
        "findings": " ".join(f["code"] for f in data["findings"]),
        "message": " ".join(refusals) or None,
    }


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the table, complete or not at all."""
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    os.replace(partial, path)  # noqa: PTH105
