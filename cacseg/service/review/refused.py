"""The images of a study that was refused: to be looked at, with nothing to correct."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cacseg.acquisition import Acquisition
from cacseg.errors import UnreadableError, UsageError
from cacseg.pipeline import DEFAULT_RULE
from cacseg.report import read_result
from cacseg.result import Result
from cacseg.scoring import rule_named
from cacseg.service.errors import ConflictError
from cacseg.service.review.scan import image_header
from cacseg.study import read_image
from cacseg.volume import Volume

MOST_TRIED: Final = 6
"""Series of a study that are tried, the largest first, where none was chosen."""


@dataclass(frozen=True, eq=False)
class RefusedImages:
    """HU of one series of a refused study, and the facts of its acquisition."""

    volume: Volume
    acquisition: Acquisition

    def header(self) -> dict[str, Any]:
        """Give grid and acquisition as JSON-ready data, for viewers of the voxels."""
        return image_header(self.volume, self.acquisition, rule_named(DEFAULT_RULE).threshold_hu)


def load_refused(incoming: Path, version_folder: Path) -> RefusedImages | None:
    """Read the series that was refused or, where none was chosen, the largest one that can be read.

    Parameters
    ----------
    incoming : folder of the study's instances.
    version_folder : folder with ``result.json``.

    Returns
    -------
    RefusedImages or None : nothing where the version was scored.

    Raises
    ------
    UsageError : there is no such version.
    ConflictError : no series can be read.
    """
    result, _ = read_result(version_folder)
    if result.status != "refused":
        return None
    reasons = []
    for uid in _series(result):
        try:
            reading = read_image(incoming, series_uid=uid)
        except (UnreadableError, UsageError) as error:
            reasons.append(str(error).removeprefix(f"{incoming.name}: "))
        else:
            return RefusedImages(reading.volume, reading.acquisition)
    why = f" ({'; '.join(dict.fromkeys(reasons))})" if reasons else ""
    raise ConflictError(f"No images of study {result.study_instance_uid} can be shown{why}.")


def _series(result: Result) -> list[str]:
    """Name the series to try, in order."""
    if result.series is not None and result.series.series_instance_uid is not None:
        return [result.series.series_instance_uid]
    largest = sorted(result.ledger, key=lambda entry: -int(entry.facts.get("slices") or 0))
    return [entry.series_instance_uid for entry in largest if entry.series_instance_uid is not None][:MOST_TRIED]
