"""Where samples come from: a folder of cached ones, or digital patients made while training runs.

A source is named by a folder, or as ``phantom:FAMILY`` or ``phantom:FAMILY:FINDINGS``, e.g. ``phantom:gated`` and
``phantom:gated:hard``. A patient takes about 1.5 s of a core: streaming pays where there are many loading processes
for each device, a cache elsewhere.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray

from cacseg.errors import UsageError
from cacseg.train.sample import Sample, load, sample_from_scan

PREFIX: Final = "phantom:"
FIRST_VALIDATION_SEED: Final = 900_000
"""Seeds below are for training, those from here on for validation."""
LAST_SEED: Final = 999_999
"""The last seed of validation; test families use seeds from 10,000,000."""

Family = Literal["gated", "chest", "shifted"]
FAMILIES: Final = get_args(Family)
FINDINGS: Final = ("training", "hard", "none")
"""What is drawn outside the arteries; "hard": many stents, clips, plates and other rare ones."""


class Source(Protocol):
    """Something that samples are drawn from."""

    def draw(self, rng: np.random.Generator) -> Sample:
        """Give a sample for training, the same for the same state of the generator."""

    def validation(self, number: int) -> Sample:
        """Give sample ``number`` of a fixed order, for validation."""

    def count(self, limit: int) -> int:
        """Tell how many samples there are for validation, ``limit`` at most."""

    def fingerprint(self) -> dict[str, Any]:
        """Tell the samples from others; JSON-ready."""


def source_of(name: str) -> Source:
    """Give the source that a name stands for.

    Raises
    ------
    UsageError : an empty folder, an unknown family or unknown findings.
    """
    if not name.startswith(PREFIX):
        return CachedSamples(tuple(samples_in(Path(name))))
    family, _, findings = name.removeprefix(PREFIX).partition(":")
    findings = findings or "training"
    if family not in FAMILIES or findings not in FINDINGS:
        raise UsageError(
            f"There is no source {name!r}; give a folder of samples, or {PREFIX}FAMILY[:FINDINGS] with "
            f"{', '.join(FAMILIES)} and {', '.join(FINDINGS)}."
        )
    return StreamedPatients(cast(Family, family), {"extracoronary": findings})


@dataclass(frozen=True, slots=True)
class CachedSamples:
    """Samples that ``train/make_cache.py`` or ``train/finetune.py`` wrote."""

    files: tuple[Path, ...]

    def draw(self, rng: np.random.Generator) -> Sample:
        """Load any."""
        return load(self.files[int(rng.integers(len(self.files)))])

    def validation(self, number: int) -> Sample:
        """Load one of them, in the order of their names."""
        return load(self.files[number])

    def count(self, limit: int) -> int:
        """As many as there are files."""
        return min(limit, len(self.files))

    def fingerprint(self) -> dict[str, Any]:
        """Count of the files and a SHA-256 over their names and sizes."""
        listed = "\n".join(f"{file.name} {file.stat().st_size}" for file in self.files)
        return {"samples": len(self.files), "sha256": hashlib.sha256(listed.encode()).hexdigest()}


@dataclass(frozen=True, slots=True)
class StreamedPatients:
    """Digital patients of a family, each made when it is asked for.

    Parameters
    ----------
    settings : of ``cacseg.data.phantom.digital_patient``.
    """

    family: Family
    settings: Mapping[str, Any]

    def draw(self, rng: np.random.Generator) -> Sample:
        """Make a patient whose seed is one for training."""
        return patient_sample(self.family, int(rng.integers(1, FIRST_VALIDATION_SEED)), self.settings)

    def validation(self, number: int) -> Sample:
        """Make a patient whose seed is one for validation."""
        return patient_sample(self.family, FIRST_VALIDATION_SEED + 1 + number, self.settings)

    def count(self, limit: int) -> int:
        """As many as are asked for."""
        return limit

    def fingerprint(self) -> dict[str, Any]:
        """Family, settings and the checksum of the code that makes them."""
        from cacseg.evaluation.families import phantom_version

        return {"family": self.family, "settings": dict(self.settings), "phantom": phantom_version()}


def patient_sample(family: Family, seed: int, settings: Mapping[str, Any]) -> Sample:
    """Scan a digital patient and make a sample of the scan.

    Parameters
    ----------
    family : "gated", "chest" or "shifted".
    settings : of ``cacseg.data.phantom.digital_patient``.
    """
    from cacseg.data.phantom import digital_patient

    scan = digital_patient(seed, family=family, **settings)
    facts = {
        "family": family,
        "settings": dict(settings),
        "seed": seed,
        "spacing_mm": scan.volume.spacing_mm,
        "agatston": {vessel.name: score.agatston for vessel, score in scan.scoring().vessels.items()},
    }
    return sample_from_scan(scan, facts)


def samples_in(folder: Path) -> list[Path]:
    """List the cached samples of a folder in a fixed order.

    Raises
    ------
    UsageError : there is none.
    """
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise UsageError(f"No cached samples (*.npz) in {folder}. Make them with train/make_cache.py.")
    return files


def arrays_in(file: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of a cached sample.

    Not to be called from several threads at once: NumPy parses each header with ``ast``, which fails now and then with
    "AST constructor recursion depth mismatch" where two threads of Python 3.11 do so together.
    """
    with np.load(file, allow_pickle=False) as stored:
        return dict(stored)
