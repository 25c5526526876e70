"""The fixed test families: digital patients with seeds that no training run may draw.

| family  | patients | what they test                                                              |
|---------|----------|-----------------------------------------------------------------------------|
| gated   | 400      | calcium-scoring scans like those of training                                |
| shifted | 200      | anatomy, fat, axis, noise, kernel, thickness, truncation beyond the training ranges |
| chest   | 200      | non-gated chest scans                                                       |
| zeros   | 200      | no coronary calcium, but valves, aorta, bone, nodes and devices             |
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from cacseg.data.readers.labelled_study import LabelledStudy
from cacseg.errors import UsageError
from cacseg.evaluation.scan_facts import study_of_scan
from cacseg.evaluation.shift import shift_overrides
from cacseg.vessels import CORONARY
from cacseg.volume import Volume

FIRST_TEST_SEED: Final = 10_000_000
"""Training draws seeds below this one only."""

AHEAD: Final = 2
"""Scans kept ready for each process beyond the one in use: bounds memory."""


@dataclass(frozen=True, slots=True)
class Family:
    """A fixed set of digital patients.

    Parameters
    ----------
    name : of the family.
    count : patients in the full family.
    first_seed : seeds run from here upwards.
    protocol_family : family of scanning protocols (``cacseg.data.phantom.draw_protocol``).
    shifted : anatomy beyond the training ranges too (``cacseg.evaluation.shift``).
    coronary_calcium : ``False`` takes every coronary deposit out and leaves the others.
    """

    name: str
    count: int
    first_seed: int
    protocol_family: Literal["gated", "shifted", "chest"]
    shifted: bool = False
    coronary_calcium: bool = True

    def seeds(self, count: int | None = None) -> range:
        """Give the first ``count`` seeds of the family; all of them by default.

        Raises
        ------
        UsageError : fewer than one, or more than the family has.
        """
        wanted = self.count if count is None else count
        if not 1 <= wanted <= self.count:
            raise UsageError(f"Family {self.name} has {self.count} patients; asked for {wanted}.")
        return range(self.first_seed, self.first_seed + wanted)

    def case_id(self, seed: int) -> str:
        """Give the id of a patient of this family."""
        return f"{self.name}-{seed}"


FAMILIES: Final[Mapping[str, Family]] = {
    family.name: family
    for family in (
        Family("gated", 400, FIRST_TEST_SEED, "gated"),
        Family("shifted", 200, FIRST_TEST_SEED + 100_000, "shifted", shifted=True),
        Family("chest", 200, FIRST_TEST_SEED + 200_000, "chest"),
        Family("zeros", 200, FIRST_TEST_SEED + 300_000, "gated", coronary_calcium=False),
    )
}


def family_named(name: str) -> Family:
    """Find a family.

    Raises
    ------
    UsageError : no family of that name.
    """
    if name not in FAMILIES:
        raise UsageError(f"Unknown test family {name!r}; expected one of {', '.join(FAMILIES)}.")
    return FAMILIES[name]


def make_case(family: Family, seed: int) -> LabelledStudy:
    """Scan one digital patient of a family."""
    from cacseg.data.phantom import digital_patient

    if not family.coronary_calcium:
        return study_of_scan(scan_without_coronary_calcium(seed, family.protocol_family), family.case_id(seed))
    overrides: dict[str, Any] = shift_overrides(seed) if family.shifted else {}
    return study_of_scan(digital_patient(seed, family.protocol_family, **overrides), family.case_id(seed))


def scan_without_coronary_calcium(seed: int, protocol_family: Any) -> Any:
    """Take the coronary deposits out of a patient before the scan; everything else is as disease left it."""
    from cacseg.data.phantom import acquire, anatomy_in_view, draw_protocol
    from cacseg.data.phantom.disease import add_disease
    from cacseg.data.phantom.population import draw_patient

    facts = draw_patient(seed)
    anatomy, disease, protocol, noise = (np.random.default_rng([seed, stream]) for stream in (301, 302, 303, 304))
    scanned_with = draw_protocol(protocol_family, facts, protocol)
    scene = add_disease(anatomy_in_view(facts, scanned_with, anatomy), disease)
    kept = tuple(deposit for deposit in scene.deposits if deposit.label not in CORONARY)
    return acquire(replace(scene, deposits=kept), scanned_with, noise)


def family_cases(
    family: Family,
    count: int | None = None,
    *,
    skip: Collection[str] = (),
    cache: Path | None = None,
    processes: int = 2,
    make: Callable[[Family, int], LabelledStudy] = make_case,
) -> Iterator[LabelledStudy]:
    """Yield the patients of a family in order, made ahead in other processes.

    Parameters
    ----------
    family : one of ``FAMILIES``.
    count : how many, from the first; all by default.
    skip : ids that are not needed, because they were measured before.
    cache : folder of compressed ``.npz`` files, read where present and written where not; ``None`` keeps none.
    processes : that make scans; 0 makes them here, one at a time.
    make : makes one patient; at module level, so that another process can call it.
    """
    seeds = [seed for seed in family.seeds(count) if family.case_id(seed) not in skip]
    if processes == 0:
        for seed in seeds:
            yield cached_case(family, seed, cache, make)
        return
    from multiprocessing import get_context

    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting: list[Future[LabelledStudy]] = []
        try:
            for seed in seeds:
                waiting.append(pool.submit(cached_case, family, seed, cache, make))
                if len(waiting) >= processes + AHEAD:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def cached_case(
    family: Family, seed: int, cache: Path | None, make: Callable[[Family, int], LabelledStudy]
) -> LabelledStudy:
    """Read a patient from the cache, or make it and put it there; one of another phantom's making is made anew.

    Raises
    ------
    UsageError : a file in the cache is damaged; the message names it.
    """
    if cache is None:
        return make(family, seed)
    path = cache / family.name / f"{seed}.npz"
    if path.is_file() and case_version(path) == phantom_version():
        return read_case(path)
    study = make(family, seed)
    write_case(study, path)
    return study


def write_case(study: LabelledStudy, path: Path) -> None:
    """Write a study as one compressed ``.npz``: voxels, affine, labels and facts.

    Noise does not compress further with more effort, so the fastest level of deflate is used.
    """
    facts = {"id": study.id, "label_scope": study.label_scope, "facts": dict(study.facts), "phantom": phantom_version()}
    arrays = {
        "voxels": study.volume.voxels,
        "affine": study.volume.affine,
        "labels": study.labels,
        "facts": np.array(json.dumps(facts)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.stem}.{os.getpid()}.part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)
    part.replace(path)


def case_version(path: Path) -> str | None:
    """Give the version of the phantom that made a cached patient.

    Raises
    ------
    UsageError : the file is damaged or is something else.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            version = json.loads(str(stored["facts"])).get("phantom")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as fault:
        raise UsageError(f"{path} is not a cached test patient ({fault}); remove it and run again.") from fault
    return None if version is None else str(version)


def phantom_version() -> str:
    """Give a checksum of the code that makes the patients: families are the same only where it is."""
    import cacseg.data.phantom
    from cacseg.evaluation import scan_facts, shift

    folder = Path(cacseg.data.phantom.__file__).parent
    digest = hashlib.sha256()
    sources = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    for source in [*sources, Path(shift.__file__), Path(scan_facts.__file__)]:
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def read_case(path: Path) -> LabelledStudy:
    """Read what ``write_case`` wrote.

    Raises
    ------
    UsageError : the file is damaged or is something else.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            volume = Volume(stored["voxels"], stored["affine"])
            return LabelledStudy(facts["id"], volume, stored["labels"], facts["label_scope"], facts=facts["facts"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as fault:
        raise UsageError(f"{path} is not a cached test patient ({fault}); remove it and run again.") from fault
