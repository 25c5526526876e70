"""Read an image for scoring alone: its grid and HU, without judging whether it shows a heart."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Final

from cacseg.errors import UnreadableError, UsageError
from cacseg.study.evidence import rank
from cacseg.study.gather import gather
from cacseg.study.header import DicomFile
from cacseg.study.image import Image, images_of
from cacseg.study.nifti import is_nifti
from cacseg.study.pixels import read_pixels
from cacseg.study.read import listed, read_study
from cacseg.study.reading import SeriesReading
from cacseg.study.screening import Candidate, screen
from cacseg.study.stack import stacks_of

HARMLESS: Final = ("too-few-slices", "matrix-unsuitable", "not-axial")
"""Obstacles to reading a heart that do not keep a scorer from counting somebody's own labels."""


def read_image(path: str | Path, *, series_uid: str | None = None) -> SeriesReading:
    """Read one series whatever it shows: a phantom, a few slices, a small matrix.

    Parameters
    ----------
    path : folder, ``.zip``, DICOM file, ``.nii`` or ``.nii.gz``.
    series_uid : which series; needed where the path holds several volumes.

    Raises
    ------
    UsageError : nothing there, no such series, or several volumes to choose from.
    UnreadableError : no image, or one with a gap or without positions: no score is right on it.
    """
    source = Path(path)
    if not source.exists():
        raise UsageError(f"There is nothing at {source}. Give a DICOM series folder, .nii or .nii.gz.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if source.is_file() and is_nifti(source):
            chosen = read_study(source).chosen
            if chosen is None:
                raise UnreadableError(f"{source.name} holds no volume.")
            return chosen
        with listed(source, None) as listing:
            gathered = gather(listing, source.name or str(source))
            candidate = _only(_candidates(gathered.files), series_uid, source)
            reading = read_pixels(replace(candidate, obstacle=None))
    if reading.series is None:
        raise UnreadableError(f"{source.name}: {' '.join(f.message for f in reading.findings) or 'damaged pixels'}")
    return reading.series


def _candidates(files: tuple[DicomFile, ...]) -> list[Candidate]:
    images = [image for file in files for image in images_of(file)]
    by_series: dict[str | None, list[Image]] = {}
    for image in images:
        by_series.setdefault(image.text("SeriesInstanceUID"), []).append(image)
    return [screen(stack) for uid in sorted(by_series, key=str) for stack in stacks_of(uid, by_series[uid])]


def _only(candidates: list[Candidate], series_uid: str | None, source: Path) -> Candidate:
    """Give the one volume that can be meant."""
    asked = [c for c in candidates if series_uid is None or c.stack.series_instance_uid == series_uid]
    usable = [c for c in asked if c.obstacle is None or c.obstacle.code in HARMLESS]
    if not usable:
        why = "; ".join(sorted({c.obstacle.message for c in asked if c.obstacle})) or "no CT images"
        raise UnreadableError(f"{source.name}: no series can be scored: {why}.")
    whole = [c for c in usable if c.obstacle is None] or usable
    series = {c.stack.series_instance_uid for c in whole}
    if len(series) > 1:
        known = ", ".join(str(uid) for uid in sorted(series, key=str))
        raise UsageError(f"{source.name} holds {len(series)} series: {known}. Pass the folder of one.")
    return min(whole, key=rank)
