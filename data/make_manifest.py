"""Write the split manifest of a downloaded dataset, and say what its reader had to repair.

Run: ``python data/make_manifest.py DATASET PATH -o MANIFEST.csv [--repairs REPAIRS.csv]``
"""

import argparse
import csv
import sys
from collections import Counter
from pathlib import Path

from cacseg.data.readers import READERS, UnreadStudy, labelled_studies, make_manifest, write_manifest
from cacseg.errors import CacsegError


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=sorted(READERS))
    parser.add_argument("path", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--repairs", type=Path, help="also read every study and write one row for each repair")
    arguments = parser.parse_args()
    try:
        entries = make_manifest(arguments.dataset, arguments.path)
        write_manifest(entries, arguments.out)
        parts = Counter(entry.split for entry in entries)
        sys.stderr.write(f"{len(entries)} studies: {', '.join(f'{n} {part}' for part, n in sorted(parts.items()))}\n")
        if arguments.repairs is not None:
            write_repairs(arguments.dataset, arguments.path, arguments.repairs)
    except CacsegError as fault:
        sys.stderr.write(f"{fault}\n")
        return fault.exit_code
    return 0


def write_repairs(dataset: str, path: Path, out: Path) -> None:
    """Read every study and write what was repaired, and what could not be read."""
    with out.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["study_id", "repair"])
        for study in labelled_studies(dataset, path):
            lines = [f"not read: {study.message}"] if isinstance(study, UnreadStudy) else study.repairs
            writer.writerows([study.id, line] for line in lines)


if __name__ == "__main__":
    raise SystemExit(main())
