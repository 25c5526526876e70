"""orCaScore: gated scans from four vendors as MetaImage, with a label volume for the training set.

Layout: ``<name>CTI.mhd`` is the non-contrast scan, ``<name>R.mhd`` (or any other ending that is not a scan's)
its reference, in any folders below the root; ``<name>CTAI.mhd``, the contrast scan, is not used. Reference
labels: 1 LAD, 2 LCX, 3 RCA, the left main counted as LAD (http://orcascore.isi.uu.nl/data/).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from cacseg.data.readers.labelled_study import LabelledStudy
from cacseg.data.readers.metaimage import read_metaimage
from cacseg.data.readers.placing import only_calcium, placed_on
from cacseg.data.readers.source import StudySource
from cacseg.errors import UnreadableError
from cacseg.vessels import Label
from cacseg.volume import Volume

IMAGE_ENDING: Final = "CTI.mhd"
CONTRAST_ENDING: Final = "CTAI.mhd"
REFERENCE_ENDING: Final = "R.mhd"
LABELS: Final[Mapping[int, Label]] = {1: Label.LAD, 2: Label.LCX, 3: Label.RCA}


def orcascore_sources(root: Path) -> tuple[StudySource, ...]:
    """List the scans that have a reference, by the numbers in their names.

    Raises
    ------
    UnreadableError : no such pair below the folder.
    """
    volumes = sorted(root.rglob("*.mhd"))
    sources = []
    for image in volumes:
        if image.name.endswith(IMAGE_ENDING):
            name = image.name.removesuffix(IMAGE_ENDING)
            references = [path for path in volumes if _is_reference(path, name)]
            if len(references) > 1:
                raise UnreadableError(f"{image} has several references: {', '.join(map(str, references))}; keep one.")
            sources += [_source(name, image, reference) for reference in references]
    if not sources:
        raise UnreadableError(
            f"{root} holds no orCaScore pair: expected NAME{IMAGE_ENDING} with NAME{REFERENCE_ENDING}."
        )
    return tuple(sorted(sources, key=lambda source: [int(n) for n in re.findall(r"\d+", source.id)]))


def read_orcascore(study_id: str, image: Path, reference: Path) -> LabelledStudy:
    """Read one scan and its reference.

    Raises
    ------
    UnreadableError : a file is damaged, or the reference holds a value other than 0 to 3.
    UsageError : the two grids do not lie on each other.
    """
    volume = read_metaimage(image)
    marks = read_metaimage(reference)
    values = np.unique(marks.voxels)
    unknown = sorted(set(values.tolist()) - {0, *LABELS})
    if unknown:
        raise UnreadableError(f"{reference}: label values {unknown} are unknown; expected 0, 1 LAD, 2 LCX, 3 RCA.")
    lookup = np.zeros(4, np.uint8)
    for value, label in LABELS.items():
        lookup[value] = label
    placed, moved = placed_on(volume, Volume(lookup[marks.voxels.astype(np.uint8)], marks.affine))
    labels, cleared = only_calcium(volume, placed)
    return LabelledStudy(
        id=study_id,
        volume=volume,
        labels=labels,
        label_scope="coronary",
        repairs=(*moved, *cleared),
        merged={Label.LM: Label.LAD},
        facts={"gated": True, "slice_increment_mm": volume.spacing_mm[0]},
    )


def _is_reference(path: Path, name: str) -> bool:
    """Tell a reference by what follows the scan's name: not a digit (another scan), not a scan's ending."""
    rest = path.name.removeprefix(name)
    return path.name.startswith(name) and not rest[:1].isdigit() and rest not in (IMAGE_ENDING, CONTRAST_ENDING)


def _source(name: str, image: Path, reference: Path) -> StudySource:
    files = tuple(path for path in (image, reference) if path.is_file())
    data = tuple(
        path.with_suffix(ending) for path in files for ending in (".raw", ".zraw") if path.with_suffix(ending).is_file()
    )
    return StudySource(name, name, (*files, *data), lambda: read_orcascore(name, image, reference))
