"""Read a study in any of the accepted forms: the one door of this room."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cacseg.acquisition import Acquisition, Patient
from cacseg.errors import UnreadableError, UsageError
from cacseg.findings import Finding, Severity
from cacseg.result import LedgerEntry
from cacseg.study import tags
from cacseg.study.archive import is_zip, unpack
from cacseg.study.choice import choose
from cacseg.study.files import FoundFile, Listing, is_dicomdir, list_dicomdir, list_folder
from cacseg.study.gather import Gathered, Progress, gather
from cacseg.study.header import DamagedFileError, DicomFile, NotDicomError, read_header
from cacseg.study.image import images_of
from cacseg.study.nifti import is_nifti, read_nifti, shape_findings
from cacseg.study.patient import patient_of
from cacseg.study.pixels import judged
from cacseg.study.reading import FileCounts, SeriesReading, StudyReading
from cacseg.study.screening import Candidate, screen
from cacseg.study.stack import stacks_of


def read_study(path: str | Path, *, series_uid: str | None = None, progress: Progress | None = None) -> StudyReading:
    """Read one study: account for every file, list every series, choose one and read its pixels.

    Parameters
    ----------
    path : a folder in any nesting, a ``.zip``, a DICOMDIR, one DICOM file (single or multi-frame), or ``.nii`` /
        ``.nii.gz``.
    series_uid : score this series instead of the one the evidence speaks for.
    progress : called as ``progress(stage, done, total)``.

    Returns
    -------
    StudyReading
        Its findings hold a refusal where the study was read but must not be scored.

    Raises
    ------
    UsageError : no such path, several studies in it, or no such series.
    UnreadableError : no image in it, all damaged, or pixels that nothing installed decodes.
    """
    source = Path(path)
    if not source.exists():
        raise UsageError(f"There is nothing at {source}. Give a folder, .zip, DICOMDIR, DICOM file, .nii or .nii.gz.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if source.is_file() and is_nifti(source):
            return _read_nifti(source, series_uid)
        with listed(source, progress) as listing:
            return _read_dicom(gather(listing, source.name or str(source), progress), series_uid, progress)


@contextmanager
def listed(source: Path, progress: Progress | None) -> Iterator[Listing]:
    """List the files of a source; an archive's are unpacked for as long as they are needed."""
    if source.is_dir():
        yield list_folder(source)
        return
    if not source.is_file():
        raise UsageError(f"{source} is neither a file nor a folder.")
    try:
        with source.open("rb") as stream:
            first = stream.read(132)
    except OSError as error:
        raise UnreadableError(f"{source.name} cannot be opened ({type(error).__name__}). Give read access.") from error
    if is_zip(first[:4]) and first[128:] != b"DICM":
        report = None if progress is None else lambda done, total: progress("unpack", done, total)
        with tempfile.TemporaryDirectory(prefix="cacseg-") as folder:
            yield unpack(source, Path(folder), report)
        return
    found = FoundFile(source.name, source)
    try:
        directory = is_dicomdir(read_header(found).header)
    except (NotDicomError, DamagedFileError):
        directory = False
    yield list_dicomdir(source) if directory else Listing((found,))


def _read_dicom(gathered: Gathered, series_uid: str | None, progress: Progress | None) -> StudyReading:
    study_uid = _one_study(gathered.files)
    series: dict[str | None, list[DicomFile]] = {}
    for file in gathered.files:
        series.setdefault(tags.text(file.header, "SeriesInstanceUID"), []).append(file)
    if series_uid is not None:
        _check_series(series_uid, series)
    candidates: list[Candidate] = []
    documents: list[LedgerEntry] = []
    for uid in sorted(series, key=lambda uid: uid or ""):
        planes = [(file, images_of(file)) for file in series[uid]]
        images = [image for _, of_file in planes for image in of_file]
        if images:
            candidates.extend(screen(stack) for stack in stacks_of(uid, images))
        rest = [file for file, of_file in planes if not of_file]
        if rest:
            documents.append(_document(uid, rest))
    asked = [c for c in candidates if series_uid is None or c.stack.series_instance_uid == series_uid]
    others = [c for c in candidates if c not in asked]
    choice = choose(asked, (*(_not_asked(c, series_uid) for c in others), *documents))
    if progress is not None:
        progress("pixels", 1, 1)
    chosen = None if choice.reading is None else choice.reading.series
    patient = patient_of(gathered.files[0].header) if chosen is None else chosen.acquisition.patient
    return StudyReading(
        study_instance_uid=study_uid,
        patient=patient,
        ledger=choice.ledger,
        chosen=chosen,
        findings=(*gathered.findings, *choice.findings),
        files=gathered.counts,
    )


def _one_study(files: tuple[DicomFile, ...]) -> str | None:
    """Give the one StudyInstanceUID; objects without any belong to it."""
    studies: dict[str, list[DicomFile]] = {}
    for file in files:
        uid = tags.text(file.header, "StudyInstanceUID")
        if uid is not None:
            studies.setdefault(uid, []).append(file)
    if len(studies) <= 1:
        return next(iter(studies), None)
    lines = []
    for uid in sorted(studies):
        series = {tags.text(file.header, "SeriesInstanceUID") for file in studies[uid]}
        dates = sorted({date for file in studies[uid] if (date := tags.text(file.header, "StudyDate"))})
        lines.append(
            f"  {uid}, date {dates[0] if dates else 'unknown'}, {len(series)} series, {len(studies[uid])} objects"
        )
    raise UsageError(
        f"There are {len(studies)} studies here, expected one:\n" + "\n".join(lines) + "\n"
        "Pass the folder of one study, or score them all with 'cacseg batch ROOT -o OUT'."
    )


def _check_series(series_uid: str, series: dict[str | None, list[DicomFile]]) -> None:
    if series_uid not in series:
        known = ", ".join(sorted(uid for uid in series if uid is not None))
        raise UsageError(f"The study has no series {series_uid}. It has: {known}. See 'cacseg series STUDY'.")


def _not_asked(candidate: Candidate, series_uid: str | None) -> LedgerEntry:
    return LedgerEntry(
        series_instance_uid=candidate.stack.series_instance_uid,
        description=candidate.acquisition.description,
        chosen=False,
        reasons=(f"not looked at: series {series_uid} was asked for",),
        facts={"slices": len(candidate.stack.images)},
    )


def _document(uid: str | None, files: list[DicomFile]) -> LedgerEntry:
    header = files[0].header
    modality = tags.text(header, "Modality") or "unknown"
    sop_class = tags.raw(header, "SOPClassUID")
    kind = getattr(sop_class, "name", None) or "unknown kind"
    return LedgerEntry(
        series_instance_uid=uid,
        description=tags.text(header, "SeriesDescription"),
        chosen=False,
        reasons=(f"not suitable: {len(files)} objects without readable image planes ({kind}, modality {modality})",),
        facts={"modality": modality, "objects": len(files)},
    )


def _read_nifti(path: Path, series_uid: str | None) -> StudyReading:
    """Read a NIfTI file as a study of one series about whose acquisition nothing is known."""
    if series_uid is not None:
        raise UsageError(f"{path.name} is NIfTI and has no series; leave the series {series_uid} out.")
    volume, located = read_nifti(path)
    _, row_mm, column_mm = volume.spacing_mm
    field_mm = max(volume.shape[1] * row_mm, volume.shape[2] * column_mm)
    acquisition, findings = judged(volume, Acquisition(field_of_view_mm=field_mm), None, ())
    unknown = [
        Finding(
            "acquisition-unknown",
            Severity.WARNING,
            "A NIfTI file says nothing about voltage, thickness, kernel, synchronisation or the patient.",
            "Pass the DICOM study if there is one.",
        )
    ]
    if not located:
        unknown.append(
            Finding(
                "orientation-unknown",
                Severity.WARNING,
                "The NIfTI file has neither sform nor qform: which way the patient lies is a guess.",
                "Write the file again with its orientation.",
            )
        )
    entry = LedgerEntry(None, None, True, ("the only volume of a NIfTI file",), {"slices": volume.shape[0]})
    return StudyReading(
        study_instance_uid=None,
        patient=Patient(),
        ledger=(entry,),
        chosen=SeriesReading(volume, acquisition),
        findings=(*unknown, *shape_findings(volume), *findings),
        files=FileCounts(found=1, read=1),
    )
