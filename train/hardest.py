"""Choose, of cached samples, those that a release gets most wrong, and put them into a folder of their own.

    python train/hardest.py data/cache/hardest data/cache/gated data/cache/heavy --share 0.3

Train on that folder beside the ones that it was chosen from, or what is common is forgotten. The folder's hardest.csv
ranks all samples by what is wrong in them: of a hospital's own studies the first may be labelled wrongly, so look at
them. Samples are linked, not copied, where the file system can.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

from tqdm import tqdm

from cacseg.errors import CacsegError
from cacseg.infer import load_release
from cacseg.train.hardest import RANKING, Mistakes, files_of, mistakes_of, take_hardest

single_threaded = cache(partial(load_release, threads=1))
"""Load a release, once in each process."""


def judged(path: Path, release: str) -> tuple[Path, Mistakes]:
    """Give a sample and what is wrong in it."""
    return path, mistakes_of(path, single_threaded(release))


def each_judged(files: Sequence[Path], release: str, workers: int) -> Iterator[tuple[Path, Mistakes]]:
    """Judge samples in parallel, in order; nothing starts before the first is asked for."""
    with ProcessPoolExecutor(workers) as pool, tqdm(total=len(files), mininterval=5) as bar:
        for answer in pool.map(partial(judged, release=release), files, chunksize=4):
            bar.update()
            yield answer


def parser() -> argparse.ArgumentParser:
    """Give the options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("hardest", type=Path, help="new folder for the samples chosen")
    made.add_argument("folders", type=Path, nargs="+", help="cached samples, best of patients it has not learned from")
    made.add_argument("--release", default="cacseg-unet-1", help="whose first network is asked (default: %(default)s)")
    made.add_argument("--share", type=float, default=0.3, help="of the samples that is chosen (default: %(default)s)")
    made.add_argument("--workers", type=int, default=2)
    return made


def main(argv: list[str] | None = None) -> int:
    """Rank and choose."""
    given = parser().parse_args(argv)
    try:
        single_threaded(given.release)
        files = files_of(given.folders)
        taken = take_hardest(each_judged(files, given.release, given.workers), given.hardest, given.share)
    except CacsegError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return fault.exit_code
    print(f"{len(taken)} of {len(files)} samples in {given.hardest}; all are ranked in {given.hardest / RANKING}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
