"""The path under test as the product runs it: release, assignment, refusals included."""

from collections.abc import Mapping
from typing import Any

from cacseg.errors import RefusedError
from cacseg.evaluation.case import AssignmentLike
from cacseg.evaluation.evaluate import Assign
from cacseg.findings import refused
from cacseg.scoring import RULES, Rule
from cacseg.volume import Volume


def product_path(
    release_name: str | None = None, rule: Rule = RULES["literature"], threads: int | None = None
) -> tuple[Assign, Mapping[str, Any]]:
    """Give the inference path of the product and what identifies it.

    Parameters
    ----------
    release_name : name or folder of a release; ``None`` takes the default one.
    rule : its threshold decides which voxels are candidates.
    threads : of ONNX Runtime; ``None`` takes the default.

    Raises
    ------
    ReleaseError : no such release, or a file of it was changed.
    """
    from cacseg.infer import assign, load_release

    release = load_release(release_name) if threads is None else load_release(release_name, threads=threads)

    def run(volume: Volume) -> AssignmentLike:
        assignment = assign(volume, release, rule_threshold_hu=rule.threshold_hu)
        if refused(assignment.findings):
            raise RefusedError("; ".join(f"{finding.code}: {finding.message}" for finding in assignment.findings))
        return assignment

    identity = {"model": {"name": release.name, "sha256": release.sha256}, "threads": release.threads}
    return run, identity
