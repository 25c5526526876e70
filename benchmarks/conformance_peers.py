"""Run the conformance suite against independent scorers, and print who differs, where.

    python benchmarks/conformance_peers.py            # a Markdown table, as in docs/conformance.md

Every scorer here is written from a definition, not from cacseg: on scipy.ndimage, on SimpleITK (where it is
installed), and with each defect that programs in the field were found to have, one at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from cacseg.scoring.conformance import Answer, Case, cases, check_answers

Slices = Iterator[tuple[int, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Habits:
    """How a scorer counts; the defaults are the literature's."""

    above: Callable[[np.ndarray], np.ndarray] = lambda hu: hu >= 130
    edges: tuple[float, ...] = (130, 200, 300, 400)
    corners: bool = False
    area_rounding: Callable[[float], float] = np.ceil
    min_area_mm2: float = 1.0
    by_label: bool = True
    lesion_peak: bool = False
    mask_counts: bool = False
    increment: str = "increment"
    ends: bool = True
    crop: int | None = None
    whole_numbers: bool = False
    coronary_only: bool = True


def ndimage_score(case: Case, habits: Habits) -> Answer:
    """Score a case slice by slice with scipy.ndimage."""
    hu, labels = case.volume.voxels.astype(float), case.labels.voxels
    increment, row_mm, column_mm = case.volume.spacing_mm
    if habits.crop:
        hu, labels = hu[:, : habits.crop, : habits.crop], labels[:, : habits.crop, : habits.crop]
    pixel_mm2 = row_mm * column_mm
    factor = {"increment": increment / 3, "thickness": case.slice_thickness_mm / 3, "none": 1.0}[habits.increment]
    wanted = range(1, 5) if habits.coronary_only else range(1, 9)
    masks = [labels == label for label in wanted] if habits.by_label else [np.isin(labels, list(wanted))]
    agatston, volume, lesions = 0.0, 0.0, 0
    plane = ndimage.generate_binary_structure(2, 2 if habits.corners else 1)
    solid = ndimage.generate_binary_structure(3, 3 if habits.corners else 1)
    needed = max(habits.area_rounding(habits.min_area_mm2 / pixel_mm2 - 1e-6), 1)
    for mask in masks:
        calcium = mask & habits.above(hu)
        kept = np.zeros(calcium.shape, bool)
        found = []
        for index in range(0 if habits.ends else 1, hu.shape[0] - (0 if habits.ends else 1)):
            components, count = ndimage.label(mask[index] & calcium[index], plane)
            for number in range(1, count + 1):
                pixels = components == number
                if pixels.sum() >= needed:
                    kept[index] |= pixels
                    found.append((index, pixels))
        blobs, count = ndimage.label(kept, solid)
        lesions += count
        for index, pixels in found:
            where = blobs == blobs[index][pixels][0]
            peak = hu[where].max() if habits.lesion_peak else hu[index][pixels].max()
            area = ndimage.label(mask[index])[0]
            area = area == area[pixels][0] if habits.mask_counts else pixels
            agatston += area.sum() * pixel_mm2 * np.searchsorted(habits.edges, peak, side="right") * factor
            volume += area.sum() * pixel_mm2 * increment
    if habits.whole_numbers:
        agatston = float(int(agatston))
    return Answer(case.name, "literature", f"{agatston:.6f}", f"{volume:.6f}", str(lesions))


def simpleitk_score(case: Case) -> Answer:
    """Score a case slice by slice with SimpleITK."""
    import SimpleITK as sitk  # noqa: N813

    pixel_mm2, increment = case.volume.pixel_area_mm2, case.volume.spacing_mm[0]
    agatston, volume, lesions = 0.0, 0.0, 0
    for label in range(1, 5):
        kept = []
        for hu, labels in zip(case.volume.voxels, case.labels.voxels, strict=True):
            image = sitk.GetImageFromArray(hu.astype(np.float64))
            calcium = sitk.GetImageFromArray(((labels == label) & (hu >= 130)).astype(np.uint8))
            components = sitk.ConnectedComponent(calcium)
            statistics = sitk.LabelIntensityStatisticsImageFilter()
            statistics.Execute(components, image)
            large = {n for n in statistics.GetLabels() if statistics.GetNumberOfPixels(n) * pixel_mm2 >= 1 - 1e-6}
            for number in large:
                peak = statistics.GetMaximum(number)
                weight = 1 + (peak >= 200) + (peak >= 300) + (peak >= 400)
                agatston += statistics.GetNumberOfPixels(number) * pixel_mm2 * weight * increment / 3
                volume += statistics.GetNumberOfPixels(number) * pixel_mm2 * increment
            kept.append(np.isin(sitk.GetArrayFromImage(components), list(large)))
        solid = sitk.ConnectedComponent(sitk.GetImageFromArray(np.stack(kept).astype(np.uint8)))
        lesions += int(sitk.GetArrayFromImage(solid).max())
    return Answer(case.name, "literature", f"{agatston:.6f}", f"{volume:.6f}", str(lesions))


LITERATURE = Habits()
SCORERS: dict[str, Habits] = {
    "scipy.ndimage, from the definition": LITERATURE,
    "scipy.ndimage, joined across corners": replace(LITERATURE, corners=True),
    "threshold `> 128`, edges 199/299/399 (CalciumScoring.jl and its Python port)": replace(
        LITERATURE,
        above=lambda hu: hu > 128,
        edges=(130, 199, 299, 399),
        corners=True,
        area_rounding=np.round,
        by_label=False,
        increment="none",
    ),
    "threshold `> 130`": replace(LITERATURE, above=lambda hu: hu > 130),
    "HU rounded before the threshold": replace(LITERATURE, above=lambda hu: np.rint(hu) >= 130),
    "no minimum area": replace(LITERATURE, min_area_mm2=0.0),
    "weight by the peak of the 3-D lesion": replace(LITERATURE, lesion_peak=True),
    "mask pixels below 130 HU counted": replace(LITERATURE, mask_counts=True),
    "no increment correction": replace(LITERATURE, increment="none"),
    "increment from the thickness tag": replace(LITERATURE, increment="thickness"),
    "first and last slice skipped": replace(LITERATURE, ends=False),
    "matrix cropped to 512": replace(LITERATURE, crop=512),
    "scores cut to whole numbers": replace(LITERATURE, whole_numbers=True),
    "components across artery borders": replace(LITERATURE, by_label=False),
    "every label counted as coronary": replace(LITERATURE, coronary_only=False),
}


def differing(answers: list[Answer]) -> tuple[int, int, list[str]]:
    """Numbers that agree and differ, and the cases in which any differs."""
    verdicts = check_answers(answers, cases())
    wrong = [verdict for verdict in verdicts if verdict.agrees is False]
    return len(verdicts) - len(wrong), len(wrong), list(dict.fromkeys(verdict.case for verdict in wrong))


def main() -> None:
    rows = {name: [ndimage_score(case, habits) for case in cases()] for name, habits in SCORERS.items()}
    try:
        rows = {"SimpleITK, from the definition": [simpleitk_score(case) for case in cases()], **rows}
    except ImportError:
        print("(SimpleITK is not installed: pip install simpleitk)\n")
    print("| scorer (rule `literature`) | agree | differ | in cases |\n|---|---:|---:|---|")
    for name, answers in rows.items():
        agree, differ, names = differing(answers)
        print(f"| {name} | {agree} | {differ} | {', '.join(f'`{each}`' for each in names) or 'none'} |")


if __name__ == "__main__":
    main()
