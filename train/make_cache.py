"""Make cached training samples from digital patients, ahead of training.

    python train/make_cache.py data/cache/gated --family gated --first-seed 1 --count 600 --workers 2
    python train/make_cache.py data/cache/hard --findings hard --first-seed 1001 --count 300
    python train/make_cache.py data/cache/unusual --unusual --first-seed 2001 --count 300

One file a seed; a seed whose file exists is skipped, so the command continues where it was stopped. Training
seeds lie below 900,000, validation seeds from 900,000 to 999,999; test families use seeds from 10,000,000.
"""

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from time import perf_counter
from typing import Any

from tqdm import tqdm

HIGHEST_SEED = 999_999


def make(family: Any, settings: dict[str, Any], unusual: bool, seed: int, folder: Path) -> float:
    """Digital patient to cached sample; gives the seconds it took."""
    from cacseg.train.sample import save
    from cacseg.train.sources import patient_sample
    from cacseg.train.unusual import unusual_facts

    start = perf_counter()
    facts = unusual_facts(seed) if unusual else {}
    save(patient_sample(family, seed, {**facts, **settings}), folder / f"{family}-{seed:07d}.npz")
    return perf_counter() - start


def main() -> None:
    """Make the samples that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--family", default="gated")
    parser.add_argument(
        "--findings",
        choices=("training", "hard", "none"),
        default="training",
        help="outside the arteries; hard: many stents, clips, plates and other rare ones (default: %(default)s)",
    )
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a fact of the patient, setting of its disease or field of the protocol for all, e.g. motion_mm=0",
    )
    parser.add_argument(
        "--unusual",
        action="store_true",
        help="hearts unlike the mean one, each in its own way; what --set names is not drawn",
    )
    parser.add_argument("--first-seed", "--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.first_seed + given.count - 1 > HIGHEST_SEED:
        parser.error(f"seeds above {HIGHEST_SEED} belong to the test families; lower --first-seed or --count")
    chosen = {name: json.loads(value) for name, value in (pair.split("=", 1) for pair in given.settings)}
    settings = {"extracoronary": given.findings, **chosen}
    given.folder.mkdir(parents=True, exist_ok=True)
    seeds = range(given.first_seed, given.first_seed + given.count)
    todo = [seed for seed in seeds if not (given.folder / f"{given.family}-{seed:07d}.npz").exists()]
    failed = {}
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
    with ProcessPoolExecutor(given.workers) as pool, tqdm(total=len(todo), mininterval=5) as bar:
        jobs = {pool.submit(make, given.family, settings, given.unusual, seed, given.folder): seed for seed in todo}
        for job in as_completed(jobs):
            if (error := job.exception()) is not None:
                failed[jobs[job]] = repr(error)
            bar.update()
    (given.folder / "cache.json").write_text(
        json.dumps(
            {
                "family": given.family,
                "settings": settings,
                "unusual": given.unusual,
                "first_seed": given.first_seed,
                "count": given.count,
                "failed": failed,
            },
            indent=2,
        )
    )
    if failed:
        raise SystemExit(f"{len(failed)} of {len(todo)} seeds failed; see {given.folder / 'cache.json'}")


if __name__ == "__main__":
    main()
