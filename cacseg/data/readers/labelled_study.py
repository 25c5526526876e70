"""A CT volume with the calcium that somebody labelled in it: what every dataset reader yields."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from cacseg.errors import UsageError
from cacseg.vessels import Label
from cacseg.volume import Volume

LabelScope = Literal["coronary", "calcium", "dense"]
Split = Literal["train", "validation", "test"]
HIGHEST_LABEL: Final = max(Label)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledStudy:
    """One study with its reference labels and with all that was repaired to get them.

    Parameters
    ----------
    id : unique within the dataset; never a patient's name.
    volume : HU.
    labels : (slice, row, column) uint8 on the grid of ``volume``, values of ``Label``.
    label_scope : how far the labels reach. ``"coronary"``: only coronary calcium was marked, 0 says "not
        coronary" and nothing else; ``"calcium"``: extra-coronary calcium was marked too (5 to 8); ``"dense"``:
        as before, and a tissue map exists beside.
    repairs : everything that was changed, dropped or doubted on the way, in words.
    split : part of the dataset, by patient; ``None`` outside a manifest.
    patient_id : pseudonym by which the split is made; the study's id where nothing else is known.
    merged : arteries that this dataset does not tell apart, e.g. ``{Label.LM: Label.LAD}`` in orCaScore.
    facts : JSON-ready facts for stratification, keys as in ``cacseg.evaluation.strata``.

    Raises
    ------
    UsageError : labels of another shape or type than the volume needs, or values that are no ``Label``.
    """

    id: str
    volume: Volume
    labels: NDArray[np.uint8]
    label_scope: LabelScope
    repairs: tuple[str, ...] = ()
    split: Split | None = None
    patient_id: str | None = None
    merged: Mapping[Label, Label] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that labels and volume fit together."""
        if self.labels.shape != self.volume.shape or self.labels.dtype != np.uint8:
            raise UsageError(
                f"Study {self.id}: expected uint8 labels of shape {self.volume.shape}; got {self.labels.dtype} "
                f"of shape {self.labels.shape}. Bring the labels onto the image's grid first."
            )
        highest = int(self.labels.max(initial=0))
        if highest > HIGHEST_LABEL:
            raise UsageError(
                f"Study {self.id}: label value {highest}; expected 0 to {int(HIGHEST_LABEL)} as in cacseg.vessels."
            )

    @property
    def patient(self) -> str:
        """Pseudonym of the patient; falls back on the study's id."""
        return self.patient_id or self.id


def merge_labels(labels: NDArray[np.uint8], merged: Mapping[Label, Label]) -> NDArray[np.uint8]:
    """Give a copy of a label map in which arteries that a dataset does not tell apart are one.

    Examples
    --------
    >>> merge_labels(np.array([1, 2, 3], np.uint8), {Label.LM: Label.LAD})
    array([2, 2, 3], dtype=uint8)
    """
    if not merged:
        return labels.copy()
    lookup = np.arange(256, dtype=np.uint8)
    for source, target in merged.items():
        lookup[source] = target
    return np.asarray(lookup[labels], np.uint8)
