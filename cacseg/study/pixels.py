"""Read the pixels of one candidate and judge them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cacseg.acquisition import Acquisition
from cacseg.findings import Finding, Severity
from cacseg.study.contrast import contrast_of
from cacseg.study.decode import stored_values
from cacseg.study.departures import departures
from cacseg.study.gather import damaged_finding
from cacseg.study.heart import heart_findings
from cacseg.study.hounsfield import to_hounsfield
from cacseg.study.metal import metal_mm3
from cacseg.study.noise import noise_sd_hu
from cacseg.study.reading import SeriesReading
from cacseg.study.remarks import air_finding, remark_findings
from cacseg.study.screening import Candidate, screen
from cacseg.study.thorax import thorax_of
from cacseg.volume import Volume


@dataclass(frozen=True, slots=True, eq=False)
class PixelReading:
    """A candidate with its pixels: ``series`` is ``None`` if damage left a stack that must not be scored."""

    candidate: Candidate
    series: SeriesReading | None
    findings: tuple[Finding, ...]


def read_pixels(candidate: Candidate) -> PixelReading:
    """Decode a candidate, convert to HU and add what only pixels tell.

    Raises
    ------
    UnreadableError : no installed package decodes its transfer syntax.
    """
    geometry = candidate.geometry
    if geometry is None:
        return PixelReading(candidate, None, ())
    images = [candidate.stack.images[index] for index in geometry.order]
    stored = stored_values(images)
    if stored.damaged:
        lost = {id(item.image) for item in stored.damaged}
        rest = tuple(image for image in images if id(image) not in lost)
        findings = tuple(
            damaged_finding(item.image.file.found.name, item.reason)
            for item in sorted(stored.damaged, key=lambda item: (item.image.file.found.name, item.image.frame))
        )
        if not rest:
            return PixelReading(candidate, None, findings)
        smaller = screen(replace(candidate.stack, images=rest))
        if smaller.obstacle is not None:
            return PixelReading(smaller, None, findings)
        again = read_pixels(smaller)
        return replace(again, findings=(*findings, *again.findings))
    hounsfield = to_hounsfield(stored.values, images)
    volume = Volume(hounsfield.voxels, geometry.affine)
    agent = images[0].text("ContrastBolusAgent")
    acquisition, findings = judged(volume, candidate.acquisition, agent, hounsfield.remarks)
    multi = images[0].file.header.get("NumberOfFrames") is not None and len({id(image.file) for image in images}) == 1
    sources = (images[0].file.header,) if multi else tuple(image.file.header for image in images)
    frames = tuple(image.frame + 1 for image in images) if multi else None
    repeated = _repeated(candidate.stack.repeated)
    return PixelReading(candidate, SeriesReading(volume, acquisition, sources, frames), (*repeated, *findings))


def judged(
    volume: Volume, acquisition: Acquisition, agent: str | None, remarks: Sequence[str]
) -> tuple[Acquisition, tuple[Finding, ...]]:
    """Add noise and contrast to the facts and list every finding about a volume."""
    scale = (*remark_findings(remarks), *air_finding(volume))
    thorax = thorax_of(volume)
    contrast, about_contrast = contrast_of(thorax, agent)
    acquisition = replace(acquisition, noise_sd_hu=noise_sd_hu(volume), contrast=contrast)
    return acquisition, (
        *scale,
        *about_contrast,
        *heart_findings(volume, thorax),
        *departures(acquisition, volume.spacing_mm[0], metal_mm3(volume)),
    )


def _repeated(names: Sequence[str]) -> tuple[Finding, ...]:
    if not names:
        return ()
    return (
        Finding(
            "repeated-slices",
            Severity.INFO,
            f"{len(names)} slices of the series repeat another's position and pixels and were dropped.",
            "Nothing is to be done.",
        ),
    )
