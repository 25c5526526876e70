"""Writing the suite: a folder a case with NIfTI and DICOM, the expected scores, and a form for answers."""

import csv
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cacseg.conformance.answers import COLUMNS
from cacseg.conformance.dicom_series import write_dicom_series
from cacseg.conformance.nifti_pair import write_nifti_pair
from cacseg.errors import UsageError
from cacseg.scoring.conformance import Case, cases

README: Final = """\
# Conformance suite for coronary calcium scoring

Each folder below `cases/` is one small scan that isolates one thing. It holds

- `image.nii.gz`, `labels.nii.gz`: HU and labels on the same grid (0 background, 1 LM, 2 LAD, 3 LCX, 4 RCA,
  5 aortic valve, 6 mitral annulus, 7 aorta, 8 other calcium);
- `dicom/`: the same image as a CT series. The labels lie on it in world coordinates (NIfTI is RAS, DICOM LPS).

To check a program: load the image, take the labels as given, score the coronary arteries (labels 1 to 4), and
write the total into `answers.csv` with the name of the rule that the program follows: `agatston`, `volume_mm3`
and the number of `lesions`. Leave empty what it does not give, give at least two decimals, delete the rows of
rules it does not follow. Then

    cacseg conformance --check answers.csv

`expected.csv` holds the expected numbers with how they come about; `rules.csv` spells the rules out. The scans
are painted by a program, hold no patient, and are free to use (Apache-2.0 with the rest of cacseg).
"""


def write_suite(out: Path | str, made: tuple[Case, ...] | None = None) -> Path:
    """Write the suite to a new folder.

    Parameters
    ----------
    out : folder to make; it appears only when it is complete.
    made : cases to write; all of them by default.

    Returns
    -------
    The folder.

    Raises
    ------
    UsageError : the folder exists and is not empty, or cannot be made.
    """
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target.name} exists already and is not an empty folder; give the name of a new one.")
    chosen = cases() if made is None else made
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
            folder = Path(scratch) / "suite"
            _write(folder, chosen)
            if target.exists():
                target.rmdir()
            shutil.move(folder, target)
    except OSError as error:
        raise UsageError(f"The suite cannot be written to {target.name}: {error}.") from error
    return target


def _write(folder: Path, made: tuple[Case, ...]) -> None:
    for case in made:
        place = folder / "cases" / case.name
        place.mkdir(parents=True)
        write_nifti_pair(case, place)
        write_dicom_series(case, place / "dicom")
    (folder / "README.md").write_text(README, encoding="utf-8")
    expected = [
        (case.name, rule, repr(one.agatston), repr(one.volume_mm3), one.lesions, case.isolates, case.why)
        for case in made
        for rule, one in case.expected.items()
    ]
    _table(folder / "expected.csv", (*COLUMNS, "isolates", "why"), expected)
    _table(folder / "answers.csv", COLUMNS, [(row[0], row[1], "", "", "") for row in expected])
    _rules(folder / "rules.csv")


def _rules(path: Path) -> None:
    from dataclasses import asdict, fields

    from cacseg.scoring import RULES, Rule

    _table(path, [field.name for field in fields(Rule)], [tuple(asdict(rule).values()) for rule in RULES.values()])


def _table(path: Path, header: Iterable[str], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
