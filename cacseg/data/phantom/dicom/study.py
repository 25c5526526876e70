"""Whole synthetic studies as they come from a scanner, each with its truth."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from cacseg.data.phantom.dicom import plan
from cacseg.data.phantom.dicom.identity import Identity
from cacseg.data.phantom.dicom.objects import ct_slices, localizer, save, secondary_capture
from cacseg.data.phantom.dicom.truth import segmentation, write_json, write_labels
from cacseg.data.phantom.dicom.views import PROJECTED_MM, dose_page, projections
from cacseg.data.phantom.scanner import Protocol, Scan, acquire
from cacseg.data.phantom.scanner.protocol import Family
from cacseg.data.phantom.scene import Scene

LUNG_SERIES, THIN_SERIES, MAIN_SERIES, DOSE_SERIES = 4, 5, 3, 501


def write_study(scan: Scan, out_dir: Path | str, *, extras: bool = True, wide: Scene | None = None) -> Path:
    """Write one scan as a DICOM study with its truth.

    Parameters
    ----------
    scan : the scan to be scored.
    out_dir : folder to make; it comes to hold ``SE00n/`` with the images, ``truth.json``, and ``truth/`` with
        ``labels.nii.gz`` and, where anything is labelled, ``segmentation.dcm``.
    extras : also write what surrounds such a series: two localizers, a wide reconstruction with a lung
        kernel, a thin series, and a dose page.
    wide : the same patient over the whole chest, for localizers and lung reconstruction.

    Returns
    -------
    The folder.
    """
    folder = Path(out_dir)
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    identity = Identity.of(scan)
    rng = np.random.default_rng([0 if scan.seed is None else scan.seed, 301])
    description = plan.main_description(scan.protocol, rng)
    main = ct_slices(scan.volume, scan.protocol, identity, MAIN_SERIES, description)
    series = {"scoring": main}
    if extras:
        chest = scan.scene if wide is None else wide
        series = {**_localizers(scan, chest, identity), **series, **_other_scans(scan, chest, identity, rng)}
        page = dose_page(scan.protocol, scan.volume.shape[0], identity.patient_id)
        name = plan.DOSE_NAMES[scan.protocol.vendor]
        series["dose page"] = [secondary_capture(page, scan.protocol, identity, DOSE_SERIES, name)]
    for objects in series.values():
        place = folder / f"SE{int(objects[0].SeriesNumber):03d}"
        place.mkdir(exist_ok=True)
        for number, each in enumerate(objects, start=1):
            save(each, place / f"IM{number:04d}")
    _write_truth(scan, folder, identity, main, series)
    return folder


def write_phantoms(
    out: Path | str,
    seed: int = 0,
    count: int = 1,
    family: Family = "gated",
    extras: bool = True,
    progress: Callable[[str], None] | None = None,
    **overrides: Any,
) -> list[Path]:
    """Write synthetic studies, one folder each.

    Parameters
    ----------
    out : folder that comes to hold ``phantom-<seed>`` for seeds ``seed`` to ``seed + count - 1``.
    family : of protocols, see ``draw_protocol``.
    extras : whole studies, or the scored series alone.
    progress : told in words what was written.
    overrides : as of ``digital_patient``.

    Returns
    -------
    The folders, in order of their seeds.
    """
    from cacseg.data.phantom.patient import digital_patient, whole_chest

    folders = []
    for number in range(count):
        scan = digital_patient(seed + number, family, **overrides)
        chest = whole_chest(scan) if extras else None
        folders.append(write_study(scan, Path(out) / f"phantom-{seed + number:06d}", extras=extras, wide=chest))
        if progress is not None:
            progress(f"phantom {number + 1} of {count}: {folders[-1]}")
    return folders


def _localizers(scan: Scan, chest: Scene, identity: Identity) -> dict[str, list[Dataset]]:

    name = plan.LOCALIZER_NAMES[scan.protocol.vendor]
    views = projections(chest)
    made = {}
    for number, (title, (image, corner, direction)) in enumerate(zip(("front", "side"), views, strict=True), start=1):
        one = localizer(image, corner, direction, PROJECTED_MM, scan.protocol, identity, number, name, 0)
        made[f"localizer, {title}"] = [one]
    return made


def _other_scans(scan: Scan, chest: Scene, identity: Identity, rng: np.random.Generator) -> dict[str, list[Dataset]]:
    """Reconstruct the same patient twice more: wide with a lung kernel, and thin."""
    wide = acquire(chest, lung_protocol(scan.protocol), rng)
    thin = acquire(scan.scene, thin_protocol(scan.protocol), rng)
    vendor = scan.protocol.vendor
    return {
        "lung": ct_slices(wide.volume, wide.protocol, identity, LUNG_SERIES, plan.LUNG_NAMES[vendor]),
        "thin": ct_slices(thin.volume, thin.protocol, identity, THIN_SERIES, plan.THIN_NAMES[vendor]),
    }


def lung_protocol(protocol: Protocol) -> Protocol:
    """The same exposure over the whole chest, coarse and sharp."""
    kernel = {"Siemens": "B60f", "GE": "LUNG", "Philips": "L", "Canon": "FC51"}[protocol.vendor]
    return replace(
        protocol,
        slice_thickness_mm=5.0,
        increment_mm=5.0,
        field_of_view_mm=360.0,
        matrix=256,
        shift_mm=(-25.0, 10.0),
        sigma_mm=0.5,
        edge_enhancement=0.7,
        texture="sharp",
        noise_cutoff_lpmm=0.33,
        noise_sd_hu=protocol.noise_sd_hu * 1.6,
        kernel_name=kernel,
    )


def thin_protocol(protocol: Protocol) -> Protocol:
    """The same exposure in slices half as thick, overlapping a little."""
    thickness = min(1.5, protocol.slice_thickness_mm / 2)
    noise = protocol.noise_sd_hu * (protocol.slice_thickness_mm / thickness) ** 0.5
    return replace(protocol, slice_thickness_mm=thickness, increment_mm=0.8 * thickness, matrix=256, noise_sd_hu=noise)


def _write_truth(
    scan: Scan, folder: Path, identity: Identity, main: list[Dataset], series: dict[str, list[Dataset]]
) -> None:
    write_labels(scan, folder / "truth" / "labels.nii.gz")
    mask = segmentation(scan, main, identity)
    if mask is not None:
        save(mask, folder / "truth" / "segmentation.dcm")
    write_json(
        {
            **scan.truth,
            "study_instance_uid": identity.uid("study"),
            "series_instance_uid": main[0].SeriesInstanceUID,
            "series": {
                name: {
                    "series_instance_uid": str(objects[0].SeriesInstanceUID),
                    "folder": f"SE{int(objects[0].SeriesNumber):03d}",
                    "description": str(objects[0].get("SeriesDescription", "")),
                    "objects": len(objects),
                }
                for name, objects in series.items()
            },
            "labels": "truth/labels.nii.gz",
            "segmentation": None if mask is None else "truth/segmentation.dcm",
        },
        folder / "truth.json",
    )
