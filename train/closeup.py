"""Train the second network, which looks at calcium closely, piece by piece, and put it into a release.

    python train/closeup.py cache data/cache/closeup --release models/cacseg-unet-1 --patients mixed --count 900
    python train/closeup.py cache data/cache/closeup --release models/hospital --dataset coca data/raw/coca
    python train/closeup.py fit data/cache/closeup runs/closeup
    python train/closeup.py put runs/closeup/closeup.pt models/cacseg-unet-1 --version 1.7.0

It learns from what the release's first network says of scans that this network was not trained on: digital patients,
or the validation part of a labelled dataset. Train it again whenever the first network or its decision settings
change. Every command goes on where it was stopped.
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
from cacseg.train.caching import make_missing, single_threaded, studies_of
from cacseg.train.closeup import CloseupSettings, fit
from cacseg.train.closeup_sample import FIRST_SEED, closeup_sample, patient, save_closeups


def make(study: Callable[[], LabelledStudy], release: str, path: Path) -> str | None:
    """Study to sample; says why there is none."""
    sample = closeup_sample(study(), single_threaded(release))
    if sample is None:
        return "no heart was found."
    save_closeups(sample, path)
    return None


def cache(given: argparse.Namespace) -> None:
    """Make the samples that are missing."""
    studies: Iterable[tuple[str, Callable[[], LabelledStudy]]] = (
        (f"{given.patients}-{number:05d}", partial(patient, number, given.patients))
        for number in range(given.first, given.first + given.count)
    )
    if given.dataset is not None:
        studies = studies_of(given.dataset, given.source, given.manifest)
    make_missing(given.folder, ((name, partial(make, study, given.release)) for name, study in studies), given.workers)


def weight(text: str) -> tuple[str, float]:
    """Read KIND=W."""
    kind, _, value = text.partition("=")
    return kind, float(value)


def parser() -> argparse.ArgumentParser:
    """Give the options of the three steps."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = made.add_subparsers(dest="command", required=True)
    caching = commands.add_parser("cache", help="pieces of digital patients or of a dataset")
    caching.add_argument("folder", type=Path)
    caching.add_argument("source", type=Path, nargs="?", help="folder of the dataset")
    caching.add_argument("--release", default="cacseg-unet-1", help="whose first network is asked")
    caching.add_argument("--patients", choices=sorted(FIRST_SEED), default="mixed", help="which digital ones")
    caching.add_argument("--first", type=int, default=0, help="number of the first of them")
    caching.add_argument("--count", type=int, default=1000, help="of them (default: %(default)s)")
    caching.add_argument("--dataset", choices=sorted(READERS))
    caching.add_argument("--manifest", type=Path, help="CSV of the parts of the dataset")
    caching.add_argument("--workers", type=int, default=2)
    fitting = commands.add_parser("fit", help="train")
    fitting.add_argument("folder", type=Path)
    fitting.add_argument("run", type=Path)
    fitting.add_argument("--steps", type=int, default=CloseupSettings().steps)
    fitting.add_argument("--learning-rate", type=float, default=CloseupSettings().learning_rate)
    fitting.add_argument(
        "--weight",
        action="append",
        default=[],
        type=weight,
        metavar="KIND=W",
        help="of scans of a kind, e.g. crowded=0.2",
    )
    fitting.add_argument("--batch-size", type=int, default=CloseupSettings().batch_size)
    fitting.add_argument("--seed", type=int, default=0)
    fitting.add_argument("--validate-every", type=int, default=150, help="steps (default: %(default)s)")
    fitting.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cuda, or %(default)s")
    fitting.add_argument("--start-from", type=Path, help="closeup.pt of a release or of another run")
    putting = commands.add_parser("put", help="export into a release, beside its first network")
    add_put_arguments(putting, "closeup")
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
            settings = CloseupSettings(
                steps=given.steps,
                batch_size=given.batch_size,
                learning_rate=given.learning_rate,
                seed=given.seed,
                weights=dict(given.weight),
            )
            made = fit(given.folder, given.run, settings, given.validate_every, given.start_from, given.device)
            print(made)
        else:
            print(put_given("closeup", given))
    except CacsegError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return fault.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
