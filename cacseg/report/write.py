"""Writing the chosen forms of a report into one folder, all of them or none."""

import re
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cacseg.errors import UsageError
from cacseg.findings import Finding, Severity
from cacseg.report.deidentify import NO_TIME, deidentified
from cacseg.report.folder import replace_folder
from cacseg.report.forms import DEFAULT_FORMATS, FORMS, Files, Material
from cacseg.report.inputs import ReportInput, Stamp
from cacseg.report.json_form import result_from_json
from cacseg.report.paperwork import Paperwork, load_paperwork
from cacseg.report.pictures import Pictures
from cacseg.report.slice_sources import slice_sources
from cacseg.report.wording import Wording, load_wording
from cacseg.result import Result

PICTURES_FOLDER: Final = "pictures"
CAPTURE_NAME: Final = re.compile(r"capture-\d+\.dcm")


@dataclass(frozen=True, slots=True)
class Tables:
    """The replaceable tables: words, and codes for the paperwork (``None`` leaves that part out)."""

    wording: Wording
    paperwork: Paperwork | None

    @staticmethod
    def load(wording: Path | None = None, paperwork: Path | None = None) -> "Tables":
        """Read somebody's own tables, or those that ship with cacseg where no path is given."""
        return Tables(load_wording(wording), load_paperwork(paperwork))


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the result as it stands in ``result.json``, the files, what was left out and why."""

    result: Result
    files: tuple[Path, ...]
    findings: tuple[Finding, ...]


def write_all(
    inputs: ReportInput,
    out_dir: Path,
    formats: Collection[str] = DEFAULT_FORMATS,
    *,
    deidentify: bool = False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    tables: Tables | None = None,
    keep_labels: bool = False,
) -> Written:
    """Write the chosen forms into ``out_dir``; an existing one of ours is replaced as a whole.

    ``result.json`` is always written. Forms that need what is not at hand (DICOM headers, a label map) are
    left out with a finding, which also stands in ``result.json``. A refused study gets ``result.json``,
    HTML, PDF and the cohort row only. The same input, tables and clock give the same bytes.

    Parameters
    ----------
    inputs : the result and what is at hand of the study.
    out_dir : folder to make or to replace.
    formats : keys of ``FORMS``.
    deidentify : take the person out of every form (``cacseg.report.deidentify``).
    clock : gives the time of writing.
    tables : words and codes; by default those that ship with cacseg.
    keep_labels : take over ``labels.nii.gz``, and ``segmentation.dcm`` unless de-identifying, from the folder that
        is replaced where they are not written anew and its result holds the same lesions.

    Raises
    ------
    UsageError : a format is unknown, or ``out_dir`` holds what cacseg did not write.
    """
    wanted = _checked(formats)
    left_out = _left_out(inputs, wanted)
    result = replace(inputs.result, findings=(*inputs.result.findings, *left_out.values()))
    inputs = replace(inputs, result=result)
    time = clock()
    if deidentify:
        inputs, time = deidentified(inputs), NO_TIME
    writable = [name for name in wanted if name not in left_out]
    if inputs.result.status == "refused":
        writable = [name for name in writable if FORMS[name].refused]
    chosen = tables or Tables.load()
    material = Material(
        inputs,
        Stamp.of(inputs.result, time),
        chosen.wording,
        chosen.paperwork,
        with_segmentation="seg" in writable,
    )
    made = {**(_kept(inputs, out_dir, deidentify=deidentify) if keep_labels else {}), **_made(material, writable)}
    replace_folder(out_dir, lambda folder: _fill(folder, made), _ours)
    return Written(inputs.result, tuple(out_dir / name for name in made), tuple(left_out.values()))


def write_refused(
    inputs: ReportInput,
    out_dir: Path,
    formats: Collection[str] = DEFAULT_FORMATS,
    *,
    deidentify: bool = False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    tables: Tables | None = None,
) -> Written:
    """Write what a refused study gets: why there is no score, in the forms that can say so.

    Raises
    ------
    UsageError : the study was scored.
    """
    if inputs.result.status != "refused":
        raise UsageError("This study was scored; use write_all.")
    return write_all(inputs, out_dir, formats, deidentify=deidentify, clock=clock, tables=tables)


def _checked(formats: Collection[str]) -> list[str]:
    unknown = sorted(set(formats) - set(FORMS))
    if unknown:
        raise UsageError(f"Unknown format {', '.join(unknown)}; known are {', '.join(FORMS)}.")
    return [name for name in FORMS if name in formats or name == "json"]


def _left_out(inputs: ReportInput, wanted: list[str]) -> dict[str, Finding]:
    """Find the formats that cannot be written of a scored study, each with the finding that says so."""
    if inputs.result.status == "refused":
        return {}
    left_out = {}
    for name in wanted:
        form = FORMS[name]
        if form.labels and (inputs.labels is None or inputs.volume is None):
            left_out[name] = _skipped(name, "the images and the label map are not at hand")
        elif form.dicom and not inputs.sources:
            left_out[name] = _skipped(name, "the source is not DICOM")
        elif form.labels and form.dicom and not _slices_match(inputs):
            left_out[name] = _skipped(name, f"the {len(inputs.sources)} source instances do not match the slices")
    return left_out


def _slices_match(inputs: ReportInput) -> bool:
    volume = inputs.volume
    return volume is not None and slice_sources(inputs.sources, volume, inputs.frame_numbers) is not None


def _skipped(name: str, why: str) -> Finding:
    return Finding(
        f"not-written-{name}",
        Severity.INFO,
        f"{FORMS[name].file} was not written: {why}.",
        "Nothing, unless that form is needed; then score the DICOM study itself.",
    )


def _kept(inputs: ReportInput, out_dir: Path, *, deidentify: bool) -> Files:
    """Read the label forms of an earlier report of the same lesions."""
    earlier = out_dir / FORMS["json"].file
    if not earlier.is_file() or result_from_json(earlier.read_bytes()).scoring != inputs.result.scoring:
        return {}
    names = [FORMS[name].file for name in (("nifti",) if deidentify else ("nifti", "seg"))]
    return {name: (out_dir / name).read_bytes() for name in names if (out_dir / name).is_file()}


def _made(material: Material, names: list[str]) -> Files:
    """Make the forms on two threads: what leans on the pictures on one, the others beside it."""
    leaning = [name for name in names if name in ("html", "pdf", "encapsulated", "capture")]
    others = [name for name in names if name not in leaning]
    files: dict[str, bytes] = {}
    with ThreadPoolExecutor(max_workers=1) as pool:
        beside = pool.submit(lambda: [FORMS[name].make(material) for name in others])
        for name in leaning:
            files |= FORMS[name].make(material)
        for made in beside.result():
            files |= made
    if leaning:
        files |= {f"{PICTURES_FOLDER}/{name}.png": png for name, png in material.pictures.images.items()}
    return files


def _fill(folder: Path, files: Files) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def _ours(name: str) -> bool:
    known = {form.file for form in FORMS.values()} | {PICTURES_FOLDER}
    return name in known or CAPTURE_NAME.fullmatch(name) is not None


def read_result(path: Path) -> tuple[Result, Pictures]:
    """Read a result and the pictures beside it.

    Parameters
    ----------
    path : ``result.json``, or the folder that holds it.

    Raises
    ------
    UsageError : it is missing, or is no result of this schema version.
    """
    file = path / FORMS["json"].file if path.is_dir() else path
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"Cannot read {file}: {error.strerror}. Give a result.json or the folder that holds it."
        ) from error
    return result_from_json(content), Pictures.read(file.parent / PICTURES_FOLDER)
