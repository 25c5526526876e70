"""What a digital patient costs: seconds by stage, peak memory, seconds and bytes of a whole DICOM study.

Run from the repository root: ``OMP_NUM_THREADS=1 python benchmarks/phantom.py [--patients 6] [--family gated]``.
Each line is the median over the patients; "processor" leaves out waiting for other programs.
"""

import argparse
import resource
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from cacseg.data.phantom import acquire, draw_protocol, write_phantoms
from cacseg.data.phantom.anatomy import build_anatomy
from cacseg.data.phantom.disease import add_disease
from cacseg.data.phantom.population import draw_patient


class Clock:
    """Collects wall and processor seconds by stage."""

    def __init__(self):
        self.seconds = defaultdict(list)

    def run(self, stage, function, *arguments, **rest):
        """Call a function and remember how long it took."""
        wall, processor = time.perf_counter(), time.process_time()
        result = function(*arguments, **rest)
        self.seconds[stage].append((time.perf_counter() - wall, time.process_time() - processor))
        return result

    def report(self):
        """Print medians."""
        for stage, pairs in self.seconds.items():
            wall, processor = np.median(pairs, axis=0)
            print(f"{stage:28s} {wall:6.2f} s wall {processor:6.2f} s processor   (n = {len(pairs)})")


def one_patient(seed, family, clock):
    facts = clock.run("draw the patient", draw_patient, seed)
    protocol = draw_protocol(family, facts, np.random.default_rng([seed, 203]))
    extent = "chest" if protocol.field_of_view_mm > 262.0 else "heart"
    scene = clock.run("anatomy", build_anatomy, facts, np.random.default_rng([seed, 201]), extent=extent)
    scene = clock.run("disease", add_disease, scene, np.random.default_rng([seed, 202]))
    scan = clock.run("scanner", acquire, scene, protocol, np.random.default_rng([seed, 204]))
    clock.run("truth scores", lambda: scan.truth)
    print(
        f"seed {seed}: {scan.volume.shape}, {len(scene.deposits)} deposits, motion {protocol.motion_mm:.1f} mm, "
        f"scanner {clock.seconds['scanner'][-1][1]:.2f} s processor"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=6)
    parser.add_argument("--family", default="gated", choices=("gated", "shifted", "chest", "contrast"))
    options = parser.parse_args()
    clock = Clock()
    for seed in range(options.patients):
        one_patient(seed, options.family, clock)
    clock.report()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    print(f"peak memory in memory only {peak_mb:.0f} MB")
    writing = Clock()
    for extras in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            name = "DICOM study, " + ("whole" if extras else "scored series alone")
            writing.run(name, write_phantoms, folder, seed=0, count=1, family=options.family, extras=extras)
            size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
            print(f"{name}: {size / 1e6:.0f} MB")
    writing.report()
    print(f"peak memory with DICOM {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0:.0f} MB")


if __name__ == "__main__":
    main()
