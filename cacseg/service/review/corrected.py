"""The result of corrected labels: every number made anew from them, and the record of what was changed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from cacseg.findings import Finding, Severity
from cacseg.report import Observer
from cacseg.report.verification import REVIEW
from cacseg.result import Interval, Result, scores_to_dict
from cacseg.risk import assess
from cacseg.scoring import rescan_interval, score
from cacseg.service.review.drafts import Draft
from cacseg.service.review.session import ReviewSession

CORRECTED: Final = "corrected-by-reader"


def corrected_result(session: ReviewSession, draft: Draft, number: int, signer: Observer, comment: str) -> Result:
    """Make the result of a signed review.

    Without a change it holds the numbers of the version under review, and the signature.

    Parameters
    ----------
    session : labels, and what they are a correction of.
    draft : the draft that is signed.
    number : version that the result becomes.
    signer : who signs.
    comment : what the signer wrote.
    """
    before = session.scan.result
    provenance = {**before.provenance, REVIEW: review_record(session, draft, number, signer, comment)}
    if not session.done:
        return replace(before, provenance=provenance)
    scan, scoring = session.scan, session.scoring
    chosen = before.provenance.get("settings") or {}
    interval = rescan_interval(
        scan.volume,
        scan.volume.with_voxels(session.labels),
        scan.rule,
        noise_sd_hu=scan.acquisition.noise_sd_hu,
        seed=int(chosen.get("interval_seed", 0)),
    )
    return replace(
        before,
        findings=(*(one for one in before.findings if one.code != CORRECTED), corrected_finding(session)),
        scoring=scoring,
        interval=Interval.of(interval),
        risk=assess(scoring, before.patient, chosen.get("risk_factors") or {}),
        other_rules=tuple(
            score(scan.volume, scan.volume.with_voxels(session.labels), other.rule, mass_factor=scan.mass_factor)
            for other in before.other_rules
            if other.rule.counted_volume_hu >= scan.rule.counted_volume_hu
        ),
        provenance=provenance,
    )


def corrected_finding(session: ReviewSession) -> Finding:
    """Say that a person changed the score."""
    first, now = session.scan.scoring.total.agatston, session.scoring.total.agatston
    count = len(session.done)
    return Finding(
        CORRECTED,
        Severity.INFO,
        f"A reader made {count} change{'s' if count > 1 else ''} to the labels; the Agatston score went from "
        f"{first:.1f} to {now:.1f}.",
        "The changes stand under provenance.review of result.json; the version before them is kept.",
    )


def review_record(
    session: ReviewSession, draft: Draft, number: int, signer: Observer, comment: str
) -> Mapping[str, Any]:
    """Describe the review for ``provenance.review``: who, when, what was changed, what the software said at first.

    ``changes`` and ``automatic`` go on through amendments.
    """
    earlier = session.scan.result.provenance.get(REVIEW) or {}
    changes = [{**edit.to_dict(), "version": number} for edit in session.done]
    return {
        "version": number,
        "base_version": draft.base_version,
        "amends": signer.amends,
        "verified_by": {"name": signer.name, "role": signer.role, "organisation": signer.organisation},
        "signed_at": signer.signed_at.isoformat(timespec="seconds"),
        "comment": comment,
        "automatic": earlier.get("automatic") or scores_to_dict(session.scan.scoring),
        "changes": [*earlier.get("changes", ()), *changes],
    }


def changes_for_training(session: ReviewSession) -> list[dict[str, Any]]:
    """Give the edits in the words of ``cacseg.data.readers.corrections``."""
    return [
        {"lesion": edit.lesion, "kind": edit.kind, "from": edit.before, "to": edit.label.name} for edit in session.done
    ]
