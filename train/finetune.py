"""Fine-tune the release on labelled studies: cache them, train, then compare before with after.

    python train/finetune.py cache --dataset coca data/raw/coca data/cache/coca
    train/fit_cpu.sh --config configs/train/finetune.yaml
    cacseg export runs/finetune/checkpoints/last.ckpt models/hospital
    python train/finetune.py guard --dataset coca data/raw/coca models/hospital --before cacseg-unet-1

A dataset's samples go to OUT/train and OUT/validation by patient; the guard takes its test part. Without --dataset
the first argument is a CSV of one's own choice, all of it used, its samples straight in OUT. Columns: image (DICOM
study or NIfTI), labels (NIfTI or DICOM SEG on the same voxels); optionally label_scope (coronary: what is not marked
may be calcium elsewhere; calcium, the default: all calcium was marked) and group (what the guard sums up by).

Run again, caching goes on where it stopped. A study that cannot be used is named and left out. The guard exits with
1 when anything became worse.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cacseg.data.readers import READERS, LabelledStudy, UnreadStudy, labelled_studies
from cacseg.errors import CacsegError, UnreadableError
from cacseg.infer import load_release
from cacseg.train.finetune import guard
from cacseg.train.labelled import cache_studies, dataset_samples, table_samples, table_sources


def cache(given: argparse.Namespace) -> int:
    """Make the samples that are missing; fails where not one could be made."""
    if given.dataset is None:
        samples = table_samples(given.source, given.folder)
    else:
        samples = dataset_samples(given.dataset, given.source, given.folder, given.manifest)
    outcomes: Counter[str] = Counter()
    for number, study in enumerate(cache_studies(samples, load_release(given.release)), start=1):
        outcomes[study.outcome] += 1
        print(f"{number} of {len(samples)}: {study.id} {study.outcome}", study.reason, flush=True)
    print(", ".join(f"{outcomes[outcome]} {outcome}" for outcome in ("made", "kept", "left out")))
    if not outcomes["made"] + outcomes["kept"]:
        raise UnreadableError(f"{given.source}: none of {len(samples)} studies can be trained on.")
    return 0


def compare(given: argparse.Namespace) -> int:
    """Print the guard's figures; 1 when anything became worse."""
    studies = table_studies(given.source) if given.dataset is None else test_part(given)
    found = guard(_read_ones(studies), load_release(given.before), load_release(given.after))
    print(json.dumps(found, indent=2))
    return 1 if found["worse"] or found["lost"] else 0


def table_studies(table: Path) -> Iterator[LabelledStudy | UnreadStudy]:
    """Read the studies of a CSV one by one."""
    for source in table_sources(table):
        try:
            yield source.load()
        except CacsegError as fault:
            yield UnreadStudy(source.id, str(fault))


def test_part(given: argparse.Namespace) -> Iterator[LabelledStudy | UnreadStudy]:
    """Read the studies of a dataset that neither training nor validation has."""
    return labelled_studies(given.dataset, given.source, split="test", manifest=given.manifest)


def _read_ones(studies: Iterator[LabelledStudy | UnreadStudy]) -> Iterator[LabelledStudy]:
    for study in studies:
        if isinstance(study, UnreadStudy):
            print(f"{study.id} left out {study.message}", file=sys.stderr)
        else:
            yield study


def parser() -> argparse.ArgumentParser:
    """Give the arguments of both steps."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = made.add_subparsers(dest="step", required=True)
    for name, run, purpose in (
        ("cache", cache, "make training samples of labelled studies"),
        ("guard", compare, "compare two releases on labelled studies"),
    ):
        step = steps.add_parser(name, help=purpose)
        step.set_defaults(run=run)
        step.add_argument("source", type=Path, help="folder of the dataset, or a CSV")
        step.add_argument("--dataset", choices=READERS, help="form of the dataset; without it, source is a CSV")
        step.add_argument("--manifest", type=Path, help="split manifest of the dataset (CSV); default: by hash")
        if name == "cache":
            step.add_argument("folder", type=Path, help="where the samples go")
            step.add_argument("--release", help="whose scout finds the heart; default: the one that infer runs")
        else:
            step.add_argument("after", help="name or folder of the fine-tuned release")
            step.add_argument("--before", help="what it is compared with; default: the one that infer runs")
    return made


def main(argv: list[str] | None = None) -> int:
    """Run one of the two steps."""
    given = parser().parse_args(argv)
    try:
        code: int = given.run(given)
    except CacsegError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return fault.exit_code
    return code


if __name__ == "__main__":
    raise SystemExit(main())
