"""The path under test as the product runs it: release, assignment, refusals included."""

from collections.abc import Mapping
from typing import Any

from cacseg.engines import DEFAULT_ENGINE, DEFAULT_THREADS, Engine
from cacseg.errors import RefusedError
from cacseg.evaluation.case import AssignmentLike
from cacseg.evaluation.evaluate import Assign
from cacseg.findings import refused
from cacseg.scoring import Rule
from cacseg.volume import Volume


def product_path(
    release_name: str | None = None,
    threads: int = DEFAULT_THREADS,
    engine: Engine = DEFAULT_ENGINE,
) -> tuple[Assign, Mapping[str, Any]]:
    """Give the inference path of the product and what identifies it.

    Parameters
    ----------
    release_name : name or folder of a release; ``None`` takes the default one.
    threads, engine : what computes the network's answer.

    Raises
    ------
    ReleaseError : no such release, or a file of it was changed.
    """
    from cacseg.infer import assign, load_release

    release = load_release(release_name, threads=threads, engine=engine)

    def run(volume: Volume, rule: Rule) -> AssignmentLike:
        assignment = assign(volume, release, rule_threshold_hu=rule.threshold_hu)
        if refused(assignment.findings):
            raise RefusedError("; ".join(f"{finding.code}: {finding.message}" for finding in assignment.findings))
        return assignment

    model = {**release.describe(), "decision": dict(release.decision)}
    identity = {"model": model, "threads": release.threads, "engine": release.engine}
    return run, identity
