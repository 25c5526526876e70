"""An evaluation as plain text: the table that a terminal shows."""

from collections.abc import Mapping
from typing import Any

from cacseg.evaluation.case import ANY_CORONARY, UNITS, VESSEL_NAMES


def summary_text(evaluation: Mapping[str, Any]) -> str:
    """Give the main figures of an evaluation as lines.

    Parameters
    ----------
    evaluation : the content of ``evaluation.json``.
    """
    summary = evaluation["summary"]
    lines = [
        f"{evaluation['name']}: {summary['cases']} cases, {summary['scored']} scored, {summary['refused']} refused, "
        f"{summary['failed']} failed"
    ]
    if summary["scored"]:
        lines += _agreement_lines(summary)
        lines += _overlap_lines(summary)
    lines += _verdict_lines(evaluation["acceptance"])
    return "\n".join(lines)


def number(value: float | None, digits: int = 3) -> str:
    """Print a number, or a dash for what is not known.

    Examples
    --------
    >>> number(0.98765), number(None)
    ('0.988', '-')
    """
    return "-" if value is None else f"{value:.{digits}f}"


def with_interval(estimate: Mapping[str, Any] | None, digits: int = 3) -> str:
    """Print an estimate with its interval.

    Examples
    --------
    >>> with_interval({"value": 0.9, "lower": 0.8, "upper": 0.95}, 2)
    '0.90 (0.80 to 0.95)'
    """
    if estimate is None or estimate["value"] is None:
        return "-"
    if estimate["lower"] is None:
        return number(estimate["value"], digits)
    return f"{estimate['value']:.{digits}f} ({estimate['lower']:.{digits}f} to {estimate['upper']:.{digits}f})"


def _agreement_lines(summary: Mapping[str, Any]) -> list[str]:
    agatston, categories = summary["agatston"], summary["categories"]
    limits = agatston.get("bland_altman")
    zeros = summary["zeros"]
    return [
        f"  Agatston ICC(2,1)        {with_interval(agatston.get('icc_2_1'), 4)}",
        f"  Agatston ICC(3,1)        {with_interval(agatston.get('icc_3_1'), 4)}",
        f"  category kappa, linear   {with_interval(categories['kappa_linear'])}",
        f"  category kappa, squared  {with_interval(categories['kappa_quadratic'])}",
        f"  category right           {with_interval(categories['accuracy'])}",
        "  bias, 95 % limits        "
        + ("-" if limits is None else f"{limits['bias']:.1f}, {limits['lower']:.1f} to {limits['upper']:.1f}"),
        f"  mean absolute error      {with_interval(agatston['mean_absolute_error'], 1)}",
        f"  false score a scan       {with_interval(summary['false_score']['mean'], 2)}",
        f"  true zeros scored 0      {zeros['scored_zero']} of {zeros['cases']}",
        f"  scores of 1-10 found     {summary['low_scores']['found']} of {summary['low_scores']['cases']}",
    ]


def _overlap_lines(summary: Mapping[str, Any]) -> list[str]:
    lines = ["", f"  {'':9}" + "".join(f"{unit + ' F1':>24}" for unit in UNITS) + f"{'ICC(2,1)':>12}"]
    for name in (*VESSEL_NAMES, ANY_CORONARY):
        entry = summary[ANY_CORONARY] if name == ANY_CORONARY else summary["vessels"][name]
        agreement = summary["agatston"] if name == ANY_CORONARY else entry["agatston"]
        cells = "".join(f"{with_interval(entry[unit]['f1']):>24}" for unit in UNITS)
        icc = (agreement.get("icc_2_1") or {"value": None})["value"]
        lines.append(f"  {name:9}{cells}{number(icc, 4):>12}")
    return lines


def _verdict_lines(acceptance: Mapping[str, Any]) -> list[str]:
    if not acceptance["criteria"]:
        return []
    word = {True: "met", False: "NOT met", None: "cannot be told"}
    sign = {"least": ">=", "below": "<"}
    return ["", "  Requirements"] + [
        f"  {verdict['text']:34}{sign[verdict['sense']]:>3} {verdict['limit']:<6g}{number(verdict['value'], 4):>10}  "
        f"{word[verdict['passed']]}"
        for verdict in acceptance["criteria"]
    ]
