"""Whole-process time and peak memory of ``cacseg infer`` on a gated study of 57 x 512 x 512.

Run: ``.venv-dev/bin/python benchmarks/main_job.py [--repeats 7]``. The target is 2.0 s wall and 700 MB peak on two
cores with every default output. The peers' figures are those measured on a 2-core machine or published, as
marked; they are other machines' figures and only orders of magnitude.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cacseg.engines import DEFAULT_ENGINE, ENGINES

SLICES = 57
PEERS_S = {
    "SEGMENT-CACS, network alone, 45 slices (measured)": (34.0, 90.0),
    "AI-CAC, network alone, 60 slices (measured)": (257.0, 285.0),
    "AI-CAC, packaged, mean on CPU (its own claim)": (305.0, 305.0),
    "Eng 2021 on a GPU (published, from memory)": (3.5, 3.5),
}


def run_once(study: Path, out: Path, command: list[str]) -> tuple[float, float, int]:
    """Wall seconds, peak resident MB and exit code of one process."""
    begun = time.perf_counter()
    process = subprocess.Popen([*command, str(study), "-o", str(out)], stderr=subprocess.DEVNULL, stdout=-3)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - begun, usage.ru_maxrss / 1024, process.returncode


def make_study(folder: Path, seed: int) -> Path:
    """One gated digital patient with lesions, 57 slices, as DICOM."""
    from cacseg.data.phantom import digital_patient
    from cacseg.data.phantom.dicom import write_study

    scan = digital_patient(
        seed, "gated", slices=SLICES, increment_mm=3.0, slice_thickness_mm=3.0, target_agatston=350.0
    )
    return write_study(scan, folder, extras=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seed", type=int, default=11_000_007)
    parser.add_argument("--engine", choices=ENGINES, default=DEFAULT_ENGINE)
    arguments = parser.parse_args()
    command = [str(Path(sys.executable).with_name("cacseg")), "infer", "--engine", arguments.engine]
    with tempfile.TemporaryDirectory() as name:
        study, out = make_study(Path(name) / "study", arguments.seed), Path(name) / "out"
        runs = [run_once(study, out, command) for _ in range(arguments.repeats)]
        result = json.loads((out / "result.json").read_text())
        sizes = {path.name: path.stat().st_size for path in sorted(out.iterdir())}
    walls = [wall for wall, _, _ in runs]
    print(f"exit codes {[code for *_, code in runs]}, total Agatston {result['scores']['total']['agatston']:.1f}")
    print(f"series {result['series']['slices']} slices, {result['series']['spacing_mm']} mm")
    print(f"wall s: min {min(walls):.2f} median {statistics.median(walls):.2f} max {max(walls):.2f} (target 2.0)")
    print(f"peak MB: {max(peak for _, peak, _ in runs):.0f} (target 700)")
    print("share of each stage, s:", {k: round(v, 3) for k, v in result["provenance"]["timings_s"].items()})
    print("sizes, kB:", {name: round(size / 1000, 1) for name, size in sizes.items()})
    for peer, (low, high) in PEERS_S.items():
        median = statistics.median(walls)
        print(f"ratio to {peer}: {low / median:.1f} to {high / median:.1f}")


if __name__ == "__main__":
    main()
