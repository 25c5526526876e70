"""What the page asks for, in voxels and lesion numbers, and the edit that it means."""

from typing import Annotated, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cacseg.errors import UsageError
from cacseg.service.review.edit import Edit, Point
from cacseg.service.review.session import ReviewSession
from cacseg.vessels import Label

MOST: Final = 10**6
"""Numbers beyond this name no slice, row, column or lesion."""

Index = Annotated[int, Field(ge=-MOST, le=MOST)]
Pixel = Annotated[float, Field(ge=-MOST, le=MOST)]
Voxel = tuple[Index, Index, Index]


class AskedEdit(BaseModel):
    """One change as the page asks for it.

    ``assign`` and ``exclude`` name a ``lesion`` by its number or by a voxel ``at``; ``add`` gives a ``point``; ``cut``
    names a lesion, a ``line`` of two points ``[x, y]`` in pixels ((0, 0) is the outer corner of the first one) and the
    ``slice`` it is made in, or in all slices without one: the part to the right of the line, seen from its first
    point, gets the ``label``. Voxels are ``[slice, row, column]``; a label is its value or its name.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["assign", "exclude", "add", "cut", "undo", "redo"]
    lesion: int | None = Field(None, ge=1, le=MOST)
    at: Voxel | None = None
    point: Voxel | None = None
    label: int | str | None = None
    slice: int | None = Field(None, ge=0, le=MOST)
    line: tuple[tuple[Pixel, Pixel], tuple[Pixel, Pixel]] | None = None


def make_edit(session: ReviewSession, asked: AskedEdit) -> Edit | None:
    """Do what was asked on a session.

    Raises
    ------
    UsageError : a part is missing, or it does not fit the labels as they are.
    """
    if asked.kind == "undo":
        return session.undo()
    if asked.kind == "redo":
        return session.redo()
    return session.apply(edit_of(session, asked))


def edit_of(session: ReviewSession, asked: AskedEdit) -> Edit:
    """Say in patient coordinates what was asked.

    Raises
    ------
    UsageError : a part is missing or out of range.
    """
    if asked.kind == "add":
        if asked.point is None:
            raise UsageError("To add a lesion, give its point as [slice, row, column].")
        return Edit("add", _world(session, asked.point), _label(asked, "add a lesion"))
    if asked.kind == "cut":
        return _cut(session, asked)
    label = Label.BACKGROUND if asked.kind == "exclude" else _label(asked, "assign a lesion")
    kind: Literal["assign", "exclude"] = "exclude" if label is Label.BACKGROUND else "assign"
    return Edit(kind, _world(session, _voxel(session, asked)), label)


def _cut(session: ReviewSession, asked: AskedEdit) -> Edit:
    if asked.line is None or asked.line[0] == asked.line[1]:
        raise UsageError("To cut a lesion, give a line of two different points, [[x, y], [x, y]], in pixels.")
    at = _voxel(session, asked)
    first, second = (_world(session, (at[0], y - 0.5, x - 0.5)) for x, y in asked.line)
    label = _label(asked, "cut a lesion")
    return Edit("cut", _world(session, at), label, (first, second), one_slice=asked.slice is not None)


def _voxel(session: ReviewSession, asked: AskedEdit) -> Voxel:
    """Find a voxel of the lesion, in the slice where one is named."""
    number = asked.lesion
    if number is None:
        if asked.at is None:
            raise UsageError(f"To {asked.kind} a lesion, give its number as 'lesion' or a voxel of it as 'at'.")
        if any(not 0 <= index < size for index, size in zip(asked.at, session.scan.volume.shape, strict=True)):
            raise UsageError(f"Voxel {list(asked.at)} lies outside of the scan of {session.scan.volume.shape} voxels.")
        number = session.lesion_at(int(np.ravel_multi_index(asked.at, session.scan.volume.shape)))
    found = session.found
    mine = found.voxels.flat[found.lesion == (number or 0) - 1]
    if not mine.size:
        raise UsageError(f"There is no lesion {number or list(asked.at or ())} now. Choose one of the list.")
    index, row, column = np.unravel_index(mine, session.scan.volume.shape)
    inside = np.ones(mine.size, np.bool_) if asked.slice is None else index == asked.slice
    if not inside.any():
        raise UsageError(f"Lesion {number} does not reach slice {asked.slice}; it lies in {np.unique(index).tolist()}.")
    first = int(inside.argmax())
    return int(index[first]), int(row[first]), int(column[first])


def _world(session: ReviewSession, voxel: tuple[float, float, float]) -> Point:
    x, y, z = session.scan.volume.to_world([voxel])[0].tolist()
    return x, y, z


def _label(asked: AskedEdit, purpose: str) -> Label:
    """Read the label, a value or a name.

    Raises
    ------
    UsageError : none, or an unknown one.
    """
    try:
        return (
            Label[asked.label.upper()]
            if isinstance(asked.label, str)
            else Label(asked.label if asked.label is not None else -1)
        )
    except (KeyError, ValueError) as error:
        known = ", ".join(f"{int(label)} {label.name}" for label in Label)
        raise UsageError(f"To {purpose}, give a label; {asked.label!r} is none of {known}.") from error
