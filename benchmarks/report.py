"""Time and size of every form of a report: ``python benchmarks/report.py [--repeats N]``.

A fresh process writes the reports of a study of 57 x 512 x 512 with 13 deposits; the time of the first
call includes the imports that the forms need. Wall and processor time are both printed: on a busy machine
only the latter says anything.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

SHAPE = (57, 512, 512)


def timed(work):
    wall, cpu = time.perf_counter(), time.process_time()
    answer = work()
    return answer, time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    from cacseg.report.specimen import specimen

    inputs = specimen("severe", SHAPE)
    modules = set(sys.modules)
    _, import_wall, import_cpu = timed(lambda: __import__("cacseg.report"))
    from cacseg.report import DEFAULT_FORMATS, FORMS, Stamp, Tables, write_all
    from cacseg.report.forms import Material

    figures = {"study": SHAPE, "import_s": {"wall": import_wall, "cpu": import_cpu}, "write_all_s": {}, "forms": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name, formats in (("default", DEFAULT_FORMATS), ("all", tuple(FORMS))):
            runs = [
                timed(lambda f=formats: write_all(inputs, Path(folder) / "out", f))[1:]
                for _ in range(arguments.repeats)
            ]
            first, best = runs[0], min(runs)
            figures["write_all_s"][name] = {
                "first_wall": first[0],
                "first_cpu": first[1],
                "best_wall": best[0],
                "best_cpu": min(run[1] for run in runs),
            }
    figures["imported"] = sorted({name.partition(".")[0] for name in set(sys.modules) - modules})[:40]
    tables = Tables.load()
    for name, form in FORMS.items():
        stamp = Stamp.of(inputs.result, datetime(2026, 3, 1))
        material = Material(inputs, stamp, tables.wording, tables.paperwork, with_segmentation=True)
        files, wall, cpu = timed(lambda f=form, m=material: f.make(m))
        figures["forms"][name] = {"wall_s": wall, "cpu_s": cpu, "bytes": sum(map(len, files.values()))}
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"study {SHAPE}, peak {figures['peak_mb']:.0f} MB (the specimen itself is most of it)")
    for name, one in figures["write_all_s"].items():
        print(
            f"write_all {name:8s} first {one['first_wall']:.3f} s wall, {one['first_cpu']:.3f} s cpu; "
            f"best {one['best_wall']:.3f} s wall, {one['best_cpu']:.3f} s cpu"
        )
    print("one form at a time, with what it shares with others (pictures, document):")
    for name, one in figures["forms"].items():
        wall_ms, cpu_ms = 1000 * one["wall_s"], 1000 * one["cpu_s"]
        print(f"  {name:13s} {wall_ms:7.1f} ms wall {cpu_ms:7.1f} ms cpu {one['bytes'] / 1000:9.1f} kB")


if __name__ == "__main__":
    main()
