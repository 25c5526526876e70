"""Train the third network, which tells LM, LAD and LCX apart around the bifurcation, and put it into a release.

    python train/bifurcation.py cache data/cache/bifurcation --release models/cacseg-unet-1 --count 1400
    python train/bifurcation.py cache data/cache/bifurcation --release models/hospital --dataset coca data/raw/coca
    python train/bifurcation.py fit data/cache/bifurcation runs/bifurcation
    python train/bifurcation.py put runs/bifurcation/bifurcation.pt models/cacseg-unet-1 --version 1.8.0

It learns from what the release's first network says of scans that this network was not trained on: digital patients,
or the validation part of a labelled dataset. Train it again whenever the first network changes. Every command goes on
where it was stopped.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch

from cacseg.data.readers import READERS, LabelledStudy
from cacseg.errors import CacsegError
from cacseg.train.beside import add_put_arguments, put_given
from cacseg.train.bifurcation import BifurcationSettings, fit
from cacseg.train.bifurcation_sample import Branches, bifurcation_patient, bifurcation_sample, save_bifurcation
from cacseg.train.caching import make_missing, single_threaded, studies_of

Study = Callable[[], tuple[LabelledStudy, Branches]]


def make(study: Study, release: str, path: Path) -> str | None:
    """Study to sample; says why there is none."""
    labelled, branches = study()
    sample = bifurcation_sample(labelled, single_threaded(release), branches)
    if sample is None:
        return "no heart or no left main artery was found."
    save_bifurcation(sample, path)
    return None


def of_dataset(load: Callable[[], LabelledStudy]) -> tuple[LabelledStudy, Branches]:
    """Load a study, of which no centre lines are known."""
    return load(), ()


def cache(given: argparse.Namespace) -> None:
    """Make the samples that are missing."""
    studies: Iterable[tuple[str, Study]] = (
        (f"patient-{number:05d}", partial(bifurcation_patient, number))
        for number in range(given.first, given.first + given.count)
    )
    if given.dataset is not None:
        every = studies_of(given.dataset, given.source, given.manifest)
        studies = ((name, partial(of_dataset, load)) for name, load in every)
    make_missing(given.folder, ((name, partial(make, study, given.release)) for name, study in studies), given.workers)


def parser() -> argparse.ArgumentParser:
    """Give the options of the three steps."""
    settings = BifurcationSettings()
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = made.add_subparsers(dest="command", required=True)
    caching = commands.add_parser("cache", help="blocks of digital patients or of a dataset")
    caching.add_argument("folder", type=Path)
    caching.add_argument("source", type=Path, nargs="?", help="folder of the dataset")
    caching.add_argument("--release", default="cacseg-unet-1", help="whose first network is asked")
    caching.add_argument("--first", type=int, default=0, help="number of the first digital patient")
    caching.add_argument("--count", type=int, default=1400, help="of them (default: %(default)s)")
    caching.add_argument("--dataset", choices=sorted(READERS))
    caching.add_argument("--manifest", type=Path, help="CSV of the parts of the dataset")
    caching.add_argument("--workers", type=int, default=2)
    fitting = commands.add_parser("fit", help="train")
    fitting.add_argument("folder", type=Path)
    fitting.add_argument("run", type=Path)
    fitting.add_argument("--steps", type=int, default=settings.steps)
    fitting.add_argument("--learning-rate", type=float, default=settings.learning_rate)
    fitting.add_argument("--batch-size", type=int, default=settings.batch_size)
    fitting.add_argument("--seed", type=int, default=0)
    fitting.add_argument("--validate-every", type=int, default=500, help="steps (default: %(default)s)")
    fitting.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cuda, or %(default)s")
    fitting.add_argument("--start-from", type=Path, help="bifurcation.pt of a release or of another run")
    putting = commands.add_parser("put", help="export into a release, beside its first network")
    add_put_arguments(putting, "bifurcation")
    return made


def main(argv: list[str] | None = None) -> int:
    """Cache, fit, or put into a release."""
    options = parser()
    given = options.parse_args(argv)
    try:
        if given.command == "cache":
            if (given.dataset is None) != (given.source is None):
                options.error("a dataset needs its folder, and a folder the name of its dataset: --dataset NAME FOLDER")
            cache(given)
        elif given.command == "fit":
            if given.start_from is not None and not given.start_from.is_file():
                options.error(f"no such weights: {given.start_from}")
            settings = BifurcationSettings(
                steps=given.steps, batch_size=given.batch_size, learning_rate=given.learning_rate, seed=given.seed
            )
            print(fit(given.folder, given.run, settings, given.validate_every, given.start_from, given.device))
        else:
            print(put_given("bifurcation", given))
    except CacsegError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return fault.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
