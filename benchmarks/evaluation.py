"""What an evaluation costs beside the path under test: making, caching, measuring, drawing, summing up.

Run: ``.venv-dev/bin/python benchmarks/evaluation.py [--patients 3]``. Everything on one core.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cacseg.evaluation.case import measure
from cacseg.evaluation.evaluate import conclude, provenance_of
from cacseg.evaluation.families import FAMILIES, make_case, read_case, write_case
from cacseg.evaluation.picture import draw_case
from cacseg.scoring import RULES
from cacseg.vessels import Label

CASES = 400


@dataclass(frozen=True)
class Spoilt:
    """Truth with the LCX called LAD."""

    labels: NDArray[np.uint8]
    confidence: None = None


def timed(times: dict[str, list[float]], name: str, call: Callable[..., Any], *arguments: object) -> Any:
    begun = time.perf_counter()
    result = call(*arguments)
    times.setdefault(name, []).append(time.perf_counter() - begun)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=3)
    arguments = parser.parse_args()
    family, times, measured = FAMILIES["gated"], {}, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in family.seeds(arguments.patients):
            study = timed(times, "make a digital patient", make_case, family, seed)
            path = folder / f"{seed}.npz"
            timed(times, "write it to the cache", write_case, study, path)
            timed(times, "read it back", read_case, path)
            labels = np.where(study.labels == Label.LCX, Label.LAD, study.labels).astype(np.uint8)
            case = timed(times, "measure a case", measure, study, Spoilt(labels), RULES["literature"])
            timed(times, "draw its picture", draw_case, study, labels, folder / "a.png")
            measured.append(case)
        many = [replace(measured[k % len(measured)], id=f"case-{k:03d}") for k in range(CASES)]
        known = provenance_of(RULES["literature"], {})
        timed(times, f"aggregates, tables and report of {CASES} cases", conclude, "gated", many, known, folder)
    for what, seconds in times.items():
        print(f"{what:50} {statistics.median(seconds):7.3f} s")
    print(json.dumps({"peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)}))


if __name__ == "__main__":
    main()
