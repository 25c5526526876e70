"""Contrast agent, judged by the pixels: tags name an agent that was not given and leave out one that was."""

from typing import Final

from cacseg.acquisition import Known
from cacseg.findings import Finding, Severity
from cacseg.study.thorax import Thorax

ENHANCED_HU: Final = 95.0
"""Median of blood and muscle between the lungs: 35-55 HU without contrast at any tube voltage, over 110 HU with
contrast in the venous phase and over 200 HU in an angiography."""

ENHANCED_ML: Final = 40.0
"""Solid pools over 130 HU in front: a right heart or a pulmonary trunk alone has more; without contrast there are
none, whatever the calcium (LIDC chest: 0 mL)."""

_NO_AGENT: Final = ("", "NONE", "NO", "N", "0", "WITHOUT", "NO CONTRAST", "NATIVE")


def names_agent(agent: str | None) -> bool:
    """Say whether ContrastBolusAgent (0018,0010) names an agent; an empty tag means nothing.

    Examples
    --------
    >>> names_agent(""), names_agent("NONE"), names_agent("ULTRAVIST 370")
    (False, False, True)
    """
    return agent is not None and agent.strip().upper() not in _NO_AGENT


def contrast_of(thorax: Thorax, agent: str | None) -> tuple[Known, tuple[Finding, ...]]:
    """Judge whether blood is enhanced; where pixels cannot tell, a named agent leaves it unknown."""
    median = thorax.blood_median_hu
    if median is None:
        return "unknown", (_unsure(),) if names_agent(agent) else ()
    pool_ml = thorax.enhanced_ml
    if median > ENHANCED_HU or pool_ml > ENHANCED_ML:
        message = (
            f"The blood is enhanced: median {median:.0f} HU between the lungs (expected about 45, at most "
            f"{ENHANCED_HU:.0f}), {pool_ml:.0f} mL of solid pools over 130 HU (expected at most {ENHANCED_ML:.0f})."
        )
        action = "Score the series without contrast; contrast agent above 130 HU would be counted as calcium."
        return "yes", (Finding("contrast", Severity.REFUSAL, message, action),)
    if names_agent(agent):
        message = (
            f"ContrastBolusAgent names an agent, but the blood is not enhanced (median {median:.0f} HU between the "
            "lungs): taken as a scan without contrast."
        )
        return "no", (Finding("contrast-tag-contradicted", Severity.INFO, message, "Check the series if in doubt."),)
    return "no", ()


def _unsure() -> Finding:
    return Finding(
        "contrast-unknown",
        Severity.WARNING,
        "ContrastBolusAgent names an agent, and too little blood is seen between the lungs to check it.",
        "Look at the images: with contrast in the heart the score means nothing.",
    )
