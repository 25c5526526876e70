"""Read the headers of every file of a listing and account for each of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from cacseg.errors import UnreadableError
from cacseg.findings import Finding, Severity
from cacseg.study.decode import missing_bytes
from cacseg.study.duplicates import distinct
from cacseg.study.files import Listing, is_dicomdir
from cacseg.study.header import DamagedFileError, DicomFile, NotDicomError, read_header
from cacseg.study.reading import FileCounts

Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)``; stages are ``unpack``, ``headers``, ``pixels``."""

NAMED: Final = 5
"""How many file names a finding spells out."""


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Objects of a study, each once, with the account of every file and what is to be said about it."""

    files: tuple[DicomFile, ...]
    counts: FileCounts
    findings: tuple[Finding, ...]


def gather(listing: Listing, where: str, progress: Progress | None = None) -> Gathered:
    """Read headers, set stray and damaged files apart, drop copies.

    Raises
    ------
    UnreadableError : no DICOM object can be read.
    """
    objects: list[DicomFile] = []
    stray: list[str] = []
    damaged: list[tuple[str, str]] = []
    for index, found in enumerate(listing.files):
        try:
            file = read_header(found)
            short = 0 if is_dicomdir(file.header) else missing_bytes(file)
            if is_dicomdir(file.header):
                stray.append(found.name)
            elif short:
                damaged.append((found.name, f"cut off: {short} bytes of pixels are missing"))
            else:
                objects.append(file)
        except NotDicomError:
            stray.append(found.name)
        except DamagedFileError as error:
            damaged.append((found.name, str(error)))
        if progress is not None:
            progress("headers", index + 1, len(listing.files))
    if not objects:
        raise _nothing(where, listing, stray, damaged)
    unique = distinct(objects)
    counts = FileCounts(
        found=len(listing.files) + len(listing.skipped),
        read=len(unique.files),
        duplicates=len(unique.dropped),
        stray=len(stray),
        damaged=len(damaged),
        skipped=len(listing.skipped),
    )
    findings = (
        *_about_files(listing, stray, damaged),
        *_about_copies(unique.dropped, unique.contradicting),
    )
    return Gathered(unique.files, counts, findings)


def named(names: Sequence[str]) -> str:
    """Spell out the first names of a list.

    Examples
    --------
    >>> named(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def damaged_finding(name: str, reason: str) -> Finding:
    """Report a DICOM file that cannot be used."""
    return Finding(
        "damaged-file",
        Severity.WARNING,
        f"The file {name} is damaged ({reason}) and was left out.",
        "Send the study again from its source, and compare the number of images.",
    )


def _about_files(listing: Listing, stray: list[str], damaged: list[tuple[str, str]]) -> tuple[Finding, ...]:
    findings = [damaged_finding(name, reason) for name, reason in sorted(damaged)]
    if stray:
        findings.append(
            Finding(
                "stray-files",
                Severity.INFO,
                f"{len(stray)} files hold no images and were left out: {named(sorted(stray))}.",
                "Nothing is to be done.",
            )
        )
    if listing.skipped:
        findings.append(
            Finding(
                "skipped-files",
                Severity.WARNING,
                f"{len(listing.skipped)} entries were not opened (nested archives, links, devices, names that leave "
                f"the study): {named(sorted(listing.skipped))}.",
                "If images are inside them, unpack or copy them as plain files and read again.",
            )
        )
    if listing.missing:
        findings.append(
            Finding(
                "dicomdir-file-missing",
                Severity.WARNING,
                f"The DICOMDIR names {len(listing.missing)} files that are not there: "
                f"{named(sorted(listing.missing))}.",
                "Copy the whole medium again.",
            )
        )
    return tuple(findings)


def _about_copies(dropped: Sequence[str], contradicting: Sequence[str]) -> tuple[Finding, ...]:
    findings = []
    if dropped:
        findings.append(
            Finding(
                "duplicate-files",
                Severity.INFO,
                f"{len(dropped)} files repeat an object already read (same SOPInstanceUID) and were dropped: "
                f"{named(dropped)}.",
                "Nothing is to be done.",
            )
        )
    if contradicting:
        findings.append(
            Finding(
                "duplicates-differ",
                Severity.WARNING,
                f"{len(contradicting)} objects have copies with different pixels under one SOPInstanceUID: "
                f"{named(contradicting)}. The copy with the lowest SHA-256 was kept.",
                "Find out which copy is the original and pass only that.",
            )
        )
    return tuple(findings)


def _nothing(where: str, listing: Listing, stray: list[str], damaged: list[tuple[str, str]]) -> UnreadableError:
    if damaged:
        first = f"{damaged[0][0]}: {damaged[0][1]}"
        return UnreadableError(
            f"No image of {where} can be read: {len(damaged)} damaged DICOM files ({first}), {len(stray)} other files. "
            "Send the study again from its source."
        )
    if listing.skipped and not stray:
        return UnreadableError(
            f"{where} holds only {named(sorted(listing.skipped))}, which are not opened inside a study. Pass such an "
            "archive by itself, or unpack it."
        )
    if stray == [where]:
        what = "is no DICOM file"
    elif stray:
        what = f"holds {len(stray)} files, none of them a DICOM image ({named(sorted(stray))})"
    else:
        what = "holds no file"
    return UnreadableError(
        f"{where} {what}. Expected a folder, .zip or DICOMDIR of DICOM images, a DICOM file, .nii or .nii.gz."
    )
