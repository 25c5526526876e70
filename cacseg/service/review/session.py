"""A review in memory: the labels after every edit so far, what they score, and how to take an edit back."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cacseg.errors import UsageError
from cacseg.scoring import Lesion, Scoring, score
from cacseg.scoring.components import BETWEEN_SLICES, IN_SLICE, IndexArray, connected, neighbour_pairs, nonzero_flat
from cacseg.scoring.lesions import FoundLesions, VoxelList, find_lesions, labelled_voxels
from cacseg.service.review.edit import Edit, Patch, Skipped
from cacseg.service.review.growing import grow
from cacseg.service.review.scan import Scan
from cacseg.vessels import Label


class ReviewSession:
    """Labels of a scan under correction.

    Parameters
    ----------
    scan : what the review begins from.
    done : edits to make at once, in their order; those that do not fit are left out and listed in ``skipped``.
    undone : edits taken back, the last one first to be made again.
    skipped : edits left out before.
    """

    def __init__(
        self, scan: Scan, done: Sequence[Edit] = (), undone: Sequence[Edit] = (), skipped: Sequence[Skipped] = ()
    ) -> None:
        self.scan = scan
        self.labels: NDArray[np.uint8] = scan.labels.copy()
        self.done: list[Edit] = []
        self.undone: list[Edit] = list(undone)
        self.skipped: list[Skipped] = list(skipped)
        self._patches: list[Patch] = []
        for edit in done:
            try:
                self._make(edit)
            except UsageError as error:
                self.skipped.append(Skipped(edit, str(error)))

    def apply(self, edit: Edit) -> Edit:
        """Make an edit; what was taken back before can no longer be made again.

        Returns
        -------
        Edit : with the lesion and the label that it met.

        Raises
        ------
        UsageError : it points at nothing, or would change nothing.
        """
        made = self._make(edit)
        self.undone.clear()
        return made

    def undo(self) -> Edit:
        """Take the last edit back.

        Raises
        ------
        UsageError : there is none.
        """
        if not self.done:
            raise UsageError("There is no edit to take back.")
        edit = self.done.pop()
        self._patches.pop().revert(self.labels)
        self.undone.append(edit)
        self._forget()
        return edit

    def redo(self) -> Edit:
        """Make the edit again that was taken back last.

        Raises
        ------
        UsageError : there is none.
        """
        if not self.undone:
            raise UsageError("There is no edit to make again.")
        return self._make(self.undone.pop())

    @cached_property
    def listed(self) -> VoxelList:
        """Labelled voxels that could count."""
        marked = self.scan.volume.with_voxels(self.labels)
        return labelled_voxels(self.scan.volume, marked, self.scan.rule.counted_volume_hu)

    @cached_property
    def found(self) -> FoundLesions:
        """Lesions as lists of voxels; lesion ``n`` of the scores is number ``n - 1`` here."""
        return find_lesions(self.listed, self.scan.volume, self.scan.rule)

    @cached_property
    def scoring(self) -> Scoring:
        """Scores of the labels as they are now, by the one scorer there is."""
        if not self.done:
            return self.scan.scoring
        scored = score(
            self.scan.volume,
            self.scan.volume.with_voxels(self.labels),
            self.scan.rule,
            mass_factor=self.scan.mass_factor,
            confidence=self._confidence(),
        )
        return replace(scored, lesions=_known(scored.lesions), extracoronary=_known(scored.extracoronary))

    def lesion_at(self, flat_index: int) -> int | None:
        """Give the number of the lesion that holds a voxel, from 1; ``None`` where there is none."""
        for voxels, lesion in ((self.found.voxels, self.found.lesion), (self.found.counted, self.found.counted_lesion)):
            position = int(np.searchsorted(voxels.flat, flat_index))
            if position < voxels.flat.size and voxels.flat[position] == flat_index:
                return int(lesion[position]) + 1
        return None

    def _confidence(self) -> NDArray[np.float64] | None:
        """Confidence of each labelled voxel, NaN where a person has a hand in the label."""
        known = self.scan.confidence
        if known is None:
            return None
        flat = nonzero_flat(self.labels)
        values = np.full(flat.size, np.nan)
        before = self.scan.labels.reshape(-1)[flat]
        same = before == self.labels.reshape(-1)[flat]
        values[same] = known[np.searchsorted(self.scan.labelled, flat[same])]
        return values

    def _make(self, edit: Edit) -> Edit:
        volume = self.scan.volume
        at = edit.voxel(volume)
        if edit.kind == "add":
            flat, made = self._grown(edit, at)
        else:
            number = self.lesion_at(int(np.ravel_multi_index(at, volume.shape)))
            if number is None:
                raise UsageError(f"No lesion holds voxel {list(at)}. Choose one of the lesions as they are now.")
            flat = self._cut(edit, number, at) if edit.kind == "cut" else self._belongings(number)
            made = replace(edit, lesion=number, before=self._label_of(number).name)
        before = self.labels.reshape(-1)[flat]
        if (before == edit.label).all():
            raise UsageError(f"That is {edit.label.name} already; there is nothing to change.")
        patch = Patch(flat, before, np.full(flat.size, edit.label, np.uint8))
        patch.apply(self.labels)
        self.done.append(made)
        self._patches.append(patch)
        self._forget()
        return made

    def _grown(self, edit: Edit, at: tuple[int, int, int]) -> tuple[IndexArray, Edit]:
        if edit.label is Label.BACKGROUND:
            raise UsageError("A new lesion needs a label other than background; choose an artery or a structure.")
        once_labelled = self.scan.labels != 0 if self.scan.labels[at] else None
        return grow(self.scan.volume, once_labelled, self.labels, self.scan.rule, at), edit

    def _belongings(self, number: int) -> IndexArray:
        """Voxels of a lesion, with the specks too small to count that hang on it alone."""
        listed, shape = self.listed, self.scan.volume.shape
        steps = IN_SLICE[self.scan.rule.connectivity] + BETWEEN_SLICES[self.scan.rule.connectivity]
        whole = connected(listed.flat.size, *neighbour_pairs(listed.flat, shape, listed.label, steps))
        owner = np.zeros(listed.flat.size, np.intp)
        owner[np.searchsorted(listed.flat, self.found.counted.flat)] = self.found.counted_lesion + 1
        owner[np.searchsorted(listed.flat, self.found.voxels.flat)] = self.found.lesion + 1
        mine = owner == number
        roots = np.unique(whole[mine])
        shared = np.unique(whole[(owner > 0) & ~mine])
        alone = np.isin(whole, np.setdiff1d(roots, shared))
        return np.asarray(listed.flat[mine | (alone & (owner == 0))], np.intp)

    def _cut(self, edit: Edit, number: int, at: tuple[int, int, int]) -> IndexArray:
        if edit.line_lps_mm is None:
            raise UsageError("A cut needs a line of two points.")
        (_, y0, x0), (_, y1, x1) = self.scan.volume.to_index(edit.line_lps_mm).tolist()
        flat = self._belongings(number)
        index, row, column = np.unravel_index(flat, self.scan.volume.shape)
        right = (x1 - x0) * (row - y0) - (y1 - y0) * (column - x0) > 0
        if edit.one_slice:
            right &= index == at[0]
        if not right.any() or right.all():
            raise UsageError(
                f"The line does not divide lesion {number}: {int(right.sum())} of its {flat.size} voxels lie to the "
                "right of it. Draw it across the lesion."
            )
        return np.asarray(flat[right], np.intp)

    def _label_of(self, number: int) -> Label:
        first = int(np.argmax(self.found.lesion == number - 1))
        return Label(int(self.found.voxels.label[first]))

    def _forget(self) -> None:
        for name in ("listed", "found", "scoring"):
            self.__dict__.pop(name, None)


def _known(lesions: tuple[Lesion, ...]) -> tuple[Lesion, ...]:
    """Say that the confidence of a label is unknown where a person set it."""
    return tuple(
        replace(one, confidence=None) if one.confidence is not None and np.isnan(one.confidence) else one
        for one in lesions
    )
