"""What the page is told about a review: scores before and now, every lesion with its outlines, what was done."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cacseg.result import NOT_A_DEVICE, lesion_to_dict, rule_to_dict, scoring_to_dict
from cacseg.scoring import Scoring, category_of
from cacseg.scoring.components import slice_components
from cacseg.scoring.lesions import VoxelList
from cacseg.service.review.edit import Edit
from cacseg.service.review.outlines import Outline, Outlines
from cacseg.service.review.session import ReviewSession
from cacseg.vessels import CORONARY, STRUCTURE


def review_state(session: ReviewSession, outlines: Outlines) -> dict[str, Any]:
    """Describe a review as JSON-ready data.

    Outlines are ``[slice, [x0, y0, x1, y1, ...]]`` in pixels, (0, 0) being the outer corner of the first one.
    ``anchor`` is the brightest voxel of a lesion, ``[slice, row, column]``.
    """
    return {
        "rule": rule_to_dict(session.scan.rule),
        "scores": {"original": _scores(session.scan.scoring), "current": _scores(session.scoring)},
        "lesions": _lesions(session, outlines),
        "excluded": _excluded(session, outlines),
        "can_undo": bool(session.done),
        "can_redo": bool(session.undone),
        "history": [_told(edit) for edit in session.done],
        "skipped": [{**_told(one.edit), "reason": one.reason} for one in session.skipped],
        "notice": NOT_A_DEVICE,
    }


def _scores(scoring: Scoring) -> dict[str, Any]:
    whole = scoring_to_dict(scoring)
    return {
        **whole["scores"],
        "extracoronary": whole["extracoronary"],
        "category": category_of(scoring.total.agatston).name,
    }


def _lesions(session: ReviewSession, outlines: Outlines) -> list[dict[str, Any]]:
    found, shape = session.found, session.scan.volume.shape
    lines = outlines.of(found.voxels.flat, found.component, found.lesion)
    anchors = _anchors(found.voxels, found.lesion, shape)
    changed = _changed(session)
    return [
        {
            **lesion_to_dict(lesion),
            "label": int(lesion.label),
            "owner": lesion.label.name if lesion.label in CORONARY else STRUCTURE[lesion.label],
            "anchor": anchors[lesion.id - 1],
            "changed": lesion.id - 1 in changed,
            "outlines": _plain(lines.get(lesion.id - 1, ())),
        }
        for lesion in (*session.scoring.lesions, *session.scoring.extracoronary)
    ]


def _anchors(voxels: VoxelList, owner: Any, shape: tuple[int, int, int]) -> list[list[int]]:
    """Position of the brightest voxel of each owner."""
    if not owner.size:
        return []
    order = np.lexsort((-voxels.hu.astype(np.float64), owner))
    first = order[np.searchsorted(owner[order], np.arange(int(owner.max()) + 1))]
    return np.stack(np.unravel_index(voxels.flat[first], shape), axis=1).tolist()  # type: ignore[no-any-return]


def _changed(session: ReviewSession) -> set[int]:
    """Numbers of the lesions in which a label differs from the version under review."""
    found = session.found
    differs = session.scan.labels.reshape(-1)[found.voxels.flat] != found.voxels.label
    return set(found.lesion[differs].tolist())


def _excluded(session: ReviewSession, outlines: Outlines) -> list[dict[str, Any]]:
    """Slice components that carried a label and carry none now."""
    before = session.scan.labels.reshape(-1)
    flat = session.scan.labelled
    gone = flat[session.labels.reshape(-1)[flat] == 0]
    if not gone.size:
        return []
    hu = session.scan.volume.voxels.reshape(-1)[gone]
    gone = gone[hu >= session.scan.rule.threshold_hu]
    label = before[gone]
    component = slice_components(gone, session.scan.volume.shape, label, session.scan.rule.connectivity)
    lines = outlines.of(gone, component, component)
    voxels = VoxelList(gone, label, session.scan.volume.voxels.reshape(-1)[gone])
    anchors = _anchors(voxels, component, session.scan.volume.shape)
    first = {int(number): int(label[position]) for position, number in reversed(list(enumerate(component)))}
    return [
        {"anchor": anchors[number], "before": first[number], "outlines": _plain(some)}
        for number, some in sorted(lines.items())
    ]


def _plain(lines: Sequence[Outline]) -> list[list[Any]]:
    return [[index, list(points)] for index, points in lines]


def _told(edit: Edit) -> dict[str, Any]:
    return {
        "kind": edit.kind,
        "label": int(edit.label),
        "label_name": edit.label.name,
        "lesion": edit.lesion,
        "before": edit.before,
        "actor": edit.actor,
        "time": edit.time,
    }
