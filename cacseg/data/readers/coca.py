"""COCA, Stanford's gated calcium scans: DICOM folders and polygons that OsiriX wrote as property lists.

Layout: ``Gated_release_final/patient/ID/<any>/*.dcm`` and ``Gated_release_final/calcium_xml/ID.xml``. An XML
file lists images by ``ImageIndex``, which ascends with z from 0, and in each its ROIs: ``Name`` of the artery,
``Point_px`` as ``"(x, y)"`` strings, ``Point_mm`` in LPS. A patient without XML has no marked calcium.

A ROI's pixels are those whose centre lies in the polygon (``cacseg.data.readers.polygon``) and that reach 130 HU.
"""

import plistlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.parsers.expat import ExpatError

import numpy as np
from numpy.typing import NDArray

from cacseg.data.readers.dicom_image import ImageReading, SeriesFiles, ct_series, read_image
from cacseg.data.readers.labelled_study import LabelledStudy
from cacseg.data.readers.names import label_named
from cacseg.data.readers.placing import CALCIUM_HU
from cacseg.data.readers.polygon import fill_polygon
from cacseg.data.readers.source import StudySource
from cacseg.errors import CacsegError, UnreadableError
from cacseg.vessels import Label
from cacseg.volume import Volume

GATED: Final = "Gated_release_final"
NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
OTHER_SLICE: Final = 0.6
"""``Point_mm`` further from the indexed slice than this part of the increment names another slice."""
ON_SLICE: Final = 0.1
"""... which it must then hit within this part of the increment."""
MARKS_OF_OTHER_FILES: Final = (".DS_Store", "Thumbs.db")


@dataclass(frozen=True, slots=True, eq=False)
class Roi:
    """One polygon of the XML: image index, name, (n, 2) pixel points, z of its points in mm where given."""

    image_index: int
    name: str
    points_xy: NDArray[np.float64]
    z_mm: float | None
    where: str


def coca_sources(root: Path) -> tuple[StudySource, ...]:
    """List the gated patients, by number.

    Parameters
    ----------
    root : the downloaded folder, or ``Gated_release_final`` itself.

    Raises
    ------
    UnreadableError : the folder is not laid out as COCA.
    """
    base = root / GATED if (root / GATED).is_dir() else root
    patients, marks = base / "patient", base / "calcium_xml"
    if not patients.is_dir() or not marks.is_dir():
        raise UnreadableError(f"{root} is not COCA's gated release: expected {GATED}/patient and {GATED}/calcium_xml.")
    folders = sorted((path for path in patients.iterdir() if path.is_dir()), key=lambda path: _by_number(path.name))
    return tuple(_source(folder, marks / f"{folder.name}.xml") for folder in folders)


def coca_orphans(root: Path) -> tuple[Path, ...]:
    """List XML files without a patient's folder and files that lie among the patients' folders."""
    base = root / GATED if (root / GATED).is_dir() else root
    names = {path.name for path in (base / "patient").iterdir() if path.is_dir()}
    marks = [path for path in sorted((base / "calcium_xml").glob("*.xml")) if path.stem not in names]
    loose = [path for path in sorted((base / "patient").iterdir()) if path.is_file()]
    return (*marks, *loose)


def read_coca(folder: Path, xml: Path) -> LabelledStudy:
    """Read one patient.

    Parameters
    ----------
    folder : of the patient's DICOM files.
    xml : the polygons; a missing file means no marked calcium.

    Raises
    ------
    UnreadableError : no CT series, or an XML file that is not a property list of ROIs.
    """
    rois, repairs = read_rois(xml) if xml.is_file() else ((), (f"no {xml.name}: taken as no coronary calcium",))
    series, others = ct_series(folder)
    strays = [path.name for path in others if path.name not in MARKS_OF_OTHER_FILES]
    if strays:
        repairs = (*repairs, f"{len(strays)} files that are no CT image left out: {', '.join(strays[:5])}")
    image, chosen = _matching_series(folder, series, rois)
    labels, drawn = draw_rois(image.volume, rois)
    return LabelledStudy(
        id=folder.name,
        volume=image.volume,
        labels=labels,
        label_scope="coronary",
        repairs=(*repairs, *chosen, *image.repairs, *drawn),
        patient_id=folder.name,
        facts={"gated": True, **image.facts, "marked": xml.is_file()},
    )


def read_rois(xml: Path) -> tuple[tuple[Roi, ...], tuple[str, ...]]:
    """Read the polygons of an XML file; those that cannot be used are left out and reported.

    Raises
    ------
    UnreadableError : not a property list with ``Images``.
    """
    try:
        with xml.open("rb") as stream:
            images = plistlib.load(stream)["Images"]
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ExpatError,
        plistlib.InvalidFileException,
    ) as fault:
        raise UnreadableError(f"{xml} is not a property list with Images ({type(fault).__name__}: {fault}).") from fault
    rois: list[Roi] = []
    repairs: list[str] = []
    for image in images:
        entries = image.get("ROIs", [])
        if image.get("NumberOfROIs", len(entries)) != len(entries):
            repairs.append(
                f"image {image.get('ImageIndex')}: NumberOfROIs {image['NumberOfROIs']}, found {len(entries)}"
            )
        for number, entry in enumerate(entries):
            where = f"image {image.get('ImageIndex')}, ROI {number}"
            points = _points(entry.get("Point_px", []), 2)
            if "ImageIndex" not in image or len(points) < 3:
                repairs.append(f"{where} ({entry.get('Name')!r}): {len(points)} usable points, dropped")
                continue
            depths = _points(entry.get("Point_mm", []), 3)
            z_mm = float(np.median(depths[:, 2])) if len(depths) else None
            rois.append(Roi(int(image["ImageIndex"]), str(entry.get("Name", "")), points, z_mm, where))
    return tuple(rois), tuple(repairs)


def draw_rois(volume: Volume, rois: Sequence[Roi]) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Turn polygons into labels; a pixel that two arteries claim stays with the first.

    Parameters
    ----------
    volume : slices ascending along its normal.
    rois : in the order of the file.

    Returns
    -------
    labels : uint8 on the volume's grid.
    repairs : in words.
    """
    labels = np.zeros(volume.shape, np.uint8)
    repairs: list[str] = []
    for roi in rois:
        label, renamed = label_named(roi.name)
        index, moved = _slice_of(volume, roi)
        repairs += [f"{roi.where}: {repair}" for repair in (renamed, moved) if repair]
        if label is None or index is None:
            repairs.append(f"{roi.where}: dropped")
            continue
        rows, columns = volume.shape[1:]
        x, y = roi.points_xy.T
        if x.min() < 0 or y.min() < 0 or x.max() > columns or y.max() > rows:
            repairs.append(f"{roi.where}: points outside the image of {columns} x {rows} pixels cut off")
        repairs += _draw(labels, volume, index, roi, label)
    return labels, tuple(repairs)


def _draw(labels: NDArray[np.uint8], volume: Volume, index: int, roi: Roi, label: Label) -> list[str]:
    """Draw one polygon into the labels given."""
    filled = fill_polygon(roi.points_xy, volume.shape[1:]) & (volume.voxels[index] >= CALCIUM_HU)
    if not filled.any():
        return [f"{roi.where} ({label.name}): no pixel reaches {CALCIUM_HU} HU"]
    taken = filled & (labels[index] != Label.BACKGROUND) & (labels[index] != label)
    labels[index][filled & (labels[index] == Label.BACKGROUND)] = label
    if not taken.any():
        return []
    return [f"{roi.where}: {int(taken.sum())} pixels of {label.name} already belong to another artery and stay there"]


def _slice_of(volume: Volume, roi: Roi) -> tuple[int | None, str | None]:
    """Give the slice of a ROI: its index from the lowest z, unless its points lie on another slice."""
    z_mm = volume.to_world([[k, 0, 0] for k in range(volume.shape[0])])[:, 2]
    from_below = np.argsort(z_mm, kind="stable")
    indexed = int(from_below[roi.image_index]) if 0 <= roi.image_index < len(z_mm) else None
    increment = volume.spacing_mm[0]
    if roi.z_mm is not None:
        nearest = int(np.abs(z_mm - roi.z_mm).argmin())
        off = indexed is None or abs(z_mm[indexed] - roi.z_mm) > OTHER_SLICE * increment
        if off and abs(z_mm[nearest] - roi.z_mm) <= ON_SLICE * increment:
            return nearest, f"index {roi.image_index} disagrees with z {roi.z_mm:g} mm; put on the slice at that z"
        if off and indexed is not None:
            return indexed, f"z {roi.z_mm:g} mm lies on no slice; the index {roi.image_index} was believed"
    if indexed is None:
        return None, f"image index {roi.image_index} is outside the {len(z_mm)} slices"
    return indexed, None


def _matching_series(
    folder: Path, series: Sequence[SeriesFiles], rois: Sequence[Roi]
) -> tuple[ImageReading, tuple[str, ...]]:
    """Of several series take the one whose pixels under the polygons reach 130 HU most often."""
    if not series:
        raise UnreadableError(f"{folder}: no CT image found.")
    if len(series) == 1:
        return read_image(series[0].folder, series[0].uid), ()
    readings: list[tuple[SeriesFiles, ImageReading]] = []
    faults: list[str] = []
    for each in series:
        try:
            readings.append((each, read_image(each.folder, each.uid)))
        except CacsegError as fault:
            faults.append(f"series {each.uid} cannot be used: {fault}")
    if not readings:
        raise UnreadableError(f"{folder}: none of its {len(series)} series can be used. {' '.join(faults)}")
    best = max(readings, key=lambda pair: (_share_on_calcium(pair[1].volume, rois), len(pair[0].files)))
    share = _share_on_calcium(best[1].volume, rois)
    word = f"{len(series)} series in the folder; took {best[0].uid}, on which {share:.0%} of the polygons hold calcium"
    return best[1], (word, *faults)


def _share_on_calcium(volume: Volume, rois: Sequence[Roi]) -> float:
    if not rois:
        return 0.0
    hits = 0
    for roi in rois:
        index, _ = _slice_of(volume, roi)
        if index is not None:
            inside = fill_polygon(roi.points_xy, volume.shape[1:])
            hits += bool((volume.voxels[index][inside] >= CALCIUM_HU).any())
    return hits / len(rois)


def _points(texts: Sequence[Any], count: int) -> NDArray[np.float64]:
    """Read "(x, y)" strings; points with another number of finite coordinates are left out."""
    rows = [[float(word) for word in NUMBER.findall(text)] for text in texts if isinstance(text, str)]
    kept = [row for row in rows if len(row) == count and np.isfinite(row).all()]
    return np.array(kept, np.float64).reshape(-1, count)


def _by_number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (1 << 62, name)


def _source(folder: Path, xml: Path) -> StudySource:
    files = tuple(sorted(path for path in folder.rglob("*") if path.is_file()))
    marks = (xml,) if xml.is_file() else ()
    return StudySource(folder.name, folder.name, (*files, *marks), lambda: read_coca(folder, xml))


def roi_names(xml_folder: Path) -> Mapping[str, int]:
    """Count the ROI names of a folder of XML files, for the data card; unreadable files count as ``"?"``."""
    counts: dict[str, int] = {}
    for xml in sorted(xml_folder.glob("*.xml")):
        try:
            names = [roi.name for roi in read_rois(xml)[0]]
        except UnreadableError:
            names = ["?"]
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    return counts
