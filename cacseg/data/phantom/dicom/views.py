"""Pictures around the scan: two projections of the patient, and a page of dose figures."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.scanner.grid import lattice_axes
from cacseg.data.phantom.scanner.protocol import Protocol
from cacseg.data.phantom.scene import Scene

WATER_PER_MM: Final = 0.0192
"""Attenuation of water at about 70 keV."""

PROJECTED_MM: Final = 1.5
"""Pixel spacing of localizers."""

View = tuple[NDArray[np.int16], tuple[float, float, float], tuple[int, int, int, int, int, int]]


def projections(scene: Scene) -> list[View]:
    """Project the patient from the front and from the side, head up.

    Returns
    -------
    For each view the image in HU of a localizer (pixels of ``PROJECTED_MM``), the position of its first pixel in
    LPS mm, and its ImageOrientationPatient.
    """
    axes = lattice_axes(scene.hu)
    water = np.maximum(scene.hu.voxels[::-1] + np.float32(1000.0), 0) * np.float32(1e-3 * WATER_PER_MM)
    corner = (float(axes.x_mm[0]), float(axes.y_mm[0]), float(axes.z_mm[-1]))
    z_mm, y_mm, x_mm = scene.hu.spacing_mm
    front = _grey(_square(water.sum(axis=1) * np.float32(y_mm), z_mm, x_mm))
    side = _grey(_square(water.sum(axis=2) * np.float32(x_mm), z_mm, y_mm))
    return [(front, corner, (1, 0, 0, 0, 0, -1)), (side, corner, (0, 1, 0, 0, 0, -1))]


def _square(path: NDArray[np.float32], row_mm: float, column_mm: float) -> NDArray[np.float32]:
    """Interpolate to square pixels."""
    for axis, step in ((0, row_mm), (1, column_mm)):
        count = int((path.shape[axis] - 1) * step / PROJECTED_MM) + 1
        position = np.arange(count) * PROJECTED_MM / step
        first = np.minimum(position.astype(int), path.shape[axis] - 2)
        part = np.expand_dims((position - first).astype(np.float32), 1 - axis)
        near, far = path.take(first, axis), path.take(first + 1, axis)
        path = near + part * (far - near)
    return path


def _grey(path: NDArray[np.float32]) -> NDArray[np.int16]:
    scaled = path / max(float(np.percentile(path, 99.5)), 1e-3)
    grey: NDArray[np.int16] = np.rint(np.clip(scaled * 1500.0 - 1000.0, -1000.0, 1000.0)).astype(np.int16)
    return grey


def dose_page(protocol: Protocol, slices: int, patient_id: str) -> NDArray[np.uint8]:
    """Draw a page of text such as scanners file as the last image of a study, (row, column) uint8."""
    from PIL import Image, ImageDraw

    page = Image.new("L", (512, 512), 0)
    pen = ImageDraw.Draw(page)
    dose = 2.5 * (20.0 / max(protocol.noise_sd_hu, 4.0)) ** 2
    length_cm = slices * protocol.increment_mm / 10.0
    beam = f"{'Sn' if protocol.tin_filter else ''}{protocol.kvp}"
    lines = (
        "SYNTHETIC DIGITAL PHANTOM - NOT A PATIENT",
        f"Patient ID {patient_id}",
        f"{protocol.vendor} {protocol.model_name}",
        "",
        "Series   kV    Slice   CTDIvol   DLP",
        f"Topogram 120   0.6     0.1       {0.1 * length_cm:.1f}",
        f"Heart    {beam:<6}{protocol.slice_thickness_mm:<8.1f}{dose:<10.2f}{dose * length_cm:.1f}",
        "",
        f"Total DLP {dose * length_cm + 0.1 * length_cm:.1f} mGycm",
    )
    for number, line in enumerate(lines):
        pen.text((24, 24 + 22 * number), line, fill=255)
    return np.asarray(page, np.uint8)
