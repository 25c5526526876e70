"""Making samples ahead, each in a file, by several processes; what is there already is kept."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache, partial
from pathlib import Path

from tqdm import tqdm

from cacseg.data.readers import LabelledStudy, parts_of, sources_of
from cacseg.infer import Release, load_release

LEARNT_PART = "validation"
"""Of a dataset: its training part has taught the first network, its test part is for ``evaluate``."""

Make = Callable[[Path], str | None]
"""Writes a sample to a path, or says why there is none."""


@cache
def single_threaded(release: str) -> Release:
    """Load a release once in each process."""
    return load_release(release, threads=1)


def studies_of(dataset: str, folder: Path, manifest: Path | None) -> Iterator[tuple[str, Callable[[], LabelledStudy]]]:
    """Give the studies of a dataset that networks beside the first one learn from, with names for their files."""
    sources = sources_of(dataset, folder)
    parts = parts_of(dataset, sources, manifest)
    chosen = (source for source in sources if parts[source.id] == LEARNT_PART)
    for number, source in enumerate(chosen):
        yield f"{dataset}-{number:05d}", source.load


def make_missing(folder: Path, jobs: Iterable[tuple[str, Make]], workers: int) -> None:
    """Make the samples that are missing; what fails is named and left out.

    Parameters
    ----------
    folder : gets NAME.npz of each.
    jobs : name of each sample, and what makes it.
    workers : processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    todo = {name: make for name, make in jobs if not (folder / f"{name}.npz").exists()}
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
    with ProcessPoolExecutor(workers) as pool, tqdm(total=len(todo), mininterval=5) as bar:
        running = {pool.submit(partial(make, folder / f"{name}.npz")): name for name, make in todo.items()}
        for job in as_completed(running):
            if (reason := job.exception() or job.result()) is not None:
                bar.write(f"{running[job]} is left out: {reason}")
            bar.update()
