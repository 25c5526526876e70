"""A result in a few lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def summary(data: dict[str, Any], output: Path) -> list[str]:
    """Say in a few lines what a result holds and where its report lies."""
    from cacseg.result import NOT_A_DEVICE
    from cacseg.scoring import format_agatston

    lines = [f"{f['severity']:8} {f['code']}: {f['message']} {f['action']}" for f in data["findings"]]
    if data["status"] == "refused":
        lines.append("REFUSED: no score is given.")
    else:
        lines += score_lines(data, format_agatston)
    return [*lines, f"Results: {output}", NOT_A_DEVICE]


def score_lines(data: dict[str, Any], form: Callable[[float], str]) -> list[str]:
    """Lay the scores out as a table."""
    rows = [*data["scores"]["vessels"].items(), ("total", data["scores"]["total"])]
    lines = [f"{'':6}{'Agatston':>10}{'mm3':>10}{'mg':>9}{'lesions':>9}   (rule {data['rule']['name']})"]
    for name, score in rows:
        mass = "-" if score["mass_mg"] is None else f"{score['mass_mg']:.1f}"
        agatston, volume = form(score["agatston"]), f"{score['volume_mm3']:.1f}"
        lines.append(f"{name:6}{agatston:>10}{volume:>10}{mass:>9}{score['lesions']:>9}")
    if data["interval"]:
        low, high = data["interval"]["agatston"]
        stable = "" if data["interval"]["category_stable"] else "; a rescan may move the category"
        lines.append(f"{data['interval']['level']:.0%} interval of a rescan: {form(low)} to {form(high)}{stable}")
    risk = data["risk"] or {}
    if risk.get("cac_drs"):
        lines.append(f"Category {risk['agatston_category']}, CAC-DRS {risk['cac_drs']}")
    for other in data["other_rules"]:
        lines.append(f"{other['rule']['name']:14}{form(other['scores']['total']['agatston']):>10}")
    return lines
