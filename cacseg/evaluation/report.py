"""The evaluation as one HTML file: figures and pictures inside, nothing to load from elsewhere."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from cacseg.evaluation.case import ANY_CORONARY, UNITS, VESSEL_NAMES, CaseMeasures
from cacseg.evaluation.plots import (
    agreement_plot,
    bland_altman_plot,
    reader_plot,
    reliability_plot,
    strata_plot,
)
from cacseg.evaluation.text import number, with_interval
from cacseg.result import NOT_A_DEVICE
from cacseg.vessels import COLOUR_RGB, STRUCTURE, Label

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --soft: #f2f4f6; --rule: #c9ced4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --paper: #16181b; --soft: #22262b; --rule: #444b53; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 1080px; padding: 24px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 32px 0 8px; }
table { border-collapse: collapse; margin: 8px 0; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 10px; border-bottom: 1px solid var(--rule); text-align: right; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid var(--rule); }
.scroll { overflow-x: auto; } .met { color: #00734f; } .unmet { color: #c0392b; font-weight: 600; }
@media (prefers-color-scheme: dark) { .met { color: #4cc99a; } .unmet { color: #ff8a7a; } }
.plots { display: flex; flex-wrap: wrap; gap: 12px; } .plot { width: 440px; max-width: 100%; background: var(--soft); }
.plot text { fill: var(--ink); font: 11px system-ui, sans-serif; } .plot .title { font-size: 13px; font-weight: 600; }
.plot .middle { text-anchor: middle; } .plot .end { text-anchor: end; } .frame { fill: none; stroke: var(--rule); }
.grid { stroke: var(--rule); stroke-width: .5; } td.diagonal { background: var(--soft); font-weight: 600; }
figure { margin: 0 0 20px; } figure img { max-width: 100%; display: block; } figcaption { margin-bottom: 4px; }
.key span { display: inline-block; margin-right: 14px; } .key i { display: inline-block; width: 11px; height: 11px;
  margin-right: 5px; } .note { background: var(--soft); padding: 8px 12px; }
"""


def write_report(
    evaluation: Mapping[str, Any], cases: Sequence[CaseMeasures], pictures: Mapping[str, Path], path: Path
) -> None:
    """Write the report.

    Parameters
    ----------
    evaluation : the content of ``evaluation.json``.
    cases : all cases with their lesions.
    pictures : id of each of the worst cases, worst first, and its PNG where there is one.
    path : the HTML file.
    """
    summary = evaluation["summary"]
    sections = [_head(evaluation), _acceptance(evaluation["acceptance"])]
    scored = [case for case in cases if case.status == "scored"]
    if scored:
        sections += [
            _agreement(summary),
            _plots(scored, summary),
            _confusion(summary["categories"]),
            _vessels(summary),
            _calibration(summary["calibration"]),
            _strata(evaluation["strata"]),
            _worst(scored, pictures),
        ]
    sections.append(_unscored(cases))
    name = escape(str(evaluation["name"]))
    html = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>cacseg evaluation: {name}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n<body>'
        + "\n".join(section for section in sections if section)
        + "\n</body></html>\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(html, encoding="utf-8")
    part.replace(path)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Give an HTML table; cells are escaped."""
    first = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{first}</tr></thead><tbody>{body}</tbody></table></div>'


def _head(evaluation: Mapping[str, Any]) -> str:
    summary, provenance = evaluation["summary"], evaluation["provenance"]
    model = provenance.get("model", {})
    facts = (
        f"{summary['cases']} cases: {summary['scored']} scored, {summary['refused']} refused, "
        f"{summary['failed']} failed. "
        f"Model {model.get('name', 'unnamed')} ({str(model.get('sha256', 'no checksum'))[:16]}), rule "
        f"{provenance['rule']['name']}, cacseg {provenance['cacseg']}."
    )
    return (
        f"<h1>Evaluation: {escape(str(evaluation['name']))}</h1><p>{escape(facts)}</p>"
        f'<p class="note">{escape(NOT_A_DEVICE)}</p>'
    )


def _acceptance(acceptance: Mapping[str, Any]) -> str:
    if not acceptance["criteria"]:
        return ""
    word = {True: ("met", "met"), False: ("unmet", "not met"), None: ("", "cannot be told")}
    sign = {"least": "at least", "below": "below"}
    rows = "".join(
        f"<tr><td>{escape(entry['text'])}</td><td>{sign[entry['sense']]} {entry['limit']:g}</td>"
        f"<td>{number(entry['value'], 4)}</td>"
        f"<td class='{word[entry['passed']][0]}'>{word[entry['passed']][1]}</td></tr>"
        for entry in acceptance["criteria"]
    )
    return (
        "<h2>Requirements</h2><table><thead><tr><th>what</th><th>wanted</th><th>found</th><th></th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _agreement(summary: Mapping[str, Any]) -> str:
    agatston, categories, zeros, low = (summary[key] for key in ("agatston", "categories", "zeros", "low_scores"))
    limits = agatston.get("bland_altman")
    rows = [
        ("Agatston ICC(2,1), absolute agreement", with_interval(agatston.get("icc_2_1"), 4)),
        ("Agatston ICC(3,1), consistency", with_interval(agatston.get("icc_3_1"), 4)),
        ("ICC(2,1) of log(1 + Agatston)", with_interval(agatston.get("icc_2_1_log"), 4)),
        ("category kappa, linear weights", with_interval(categories["kappa_linear"])),
        ("category kappa, quadratic weights", with_interval(categories["kappa_quadratic"])),
        ("category right", with_interval(categories["accuracy"])),
        ("mean absolute error", with_interval(agatston["mean_absolute_error"], 2)),
        ("within 10 units or 10 %", number(agatston["within_10_units_or_10_percent"])),
        ("bias (95 % limits)", "-" if limits is None else with_interval({**limits, "value": limits["bias"]}, 1)),
        ("false score a scan, mean", with_interval(summary["false_score"]["mean"], 2)),
        ("missed score a scan, mean", with_interval(summary["missed_score"]["mean"], 2)),
        ("true zeros scored exactly 0", f"{zeros['scored_zero']} of {zeros['cases']}"),
        ("scores of 1-10 found", f"{low['found']} of {low['cases']}"),
        ("seconds a scan, median", number(summary["seconds"]["median"], 2)),
    ]
    return "<h2>Agreement</h2>" + table(("measure", "value (95 % interval)"), rows)


def _plots(cases: Sequence[CaseMeasures], summary: Mapping[str, Any]) -> str:
    plots = [agreement_plot(cases), bland_altman_plot(cases, summary["agatston"].get("bland_altman"))]
    plots += [agreement_plot(cases, name) for name in VESSEL_NAMES]
    return f'<div class="plots">{"".join(plots)}</div>'


def _confusion(categories: Mapping[str, Any]) -> str:
    names = categories["names"]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(f"<td{' class=diagonal' if i == j else ''}>{count}</td>" for j, count in enumerate(row))
        + "</tr>"
        for i, (name, row) in enumerate(zip(names, categories["table"], strict=True))
    )
    return (
        "<h2>Categories</h2><p>Rows: reference. Columns: prediction.</p>"
        f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _vessels(summary: Mapping[str, Any]) -> str:
    rows = []
    for name in (*VESSEL_NAMES, ANY_CORONARY):
        entry = summary[ANY_CORONARY] if name == ANY_CORONARY else summary["vessels"][name]
        agatston = summary["agatston"] if name == ANY_CORONARY else entry["agatston"]
        for unit in UNITS:
            amounts = [f"{entry[unit][key]:.0f}" for key in ("right", "false", "missed")]
            rates = [
                number(entry[unit]["sensitivity"]),
                number(entry[unit]["precision"]),
                with_interval(entry[unit]["f1"]),
            ]
            icc = with_interval(agatston.get("icc_2_1"), 3) if unit == "volume" else ""
            rows.append((name, "volume, mm3" if unit == "volume" else unit, *amounts, *rates, icc))
    head = ("artery", "counted by", "right", "false", "missed", "sensitivity", "precision", "F1", "Agatston ICC(2,1)")
    return (
        "<h2>Per artery</h2><p>Volume and lesions are those that the rule counts; a lesion is found when at least half "
        "of its voxels have its label on the other side.</p>" + table(head, rows)
    )


def _calibration(calibration: Mapping[str, Any]) -> str:
    if not calibration["lesions"]:
        return ""
    rows = [
        (
            f"{entry['below']:g}",
            f"{entry['lesions_sent']} ({entry['share_sent']:.1%})",
            f"{entry['scans_touched']:.1%}",
            number(entry["mean_absolute_error"], 2),
            number(entry["icc_2_1"], 4),
        )
        for entry in calibration["reader"]
    ]
    head = ("lesions below", "sent to a reader", "scans touched", "mean absolute error left", "ICC(2,1) then")
    error = number(calibration["expected_calibration_error"])
    plots = reliability_plot(calibration) + (reader_plot(calibration) if rows else "")
    return (
        f"<h2>Confidence</h2><p>Expected calibration error {error} over {calibration['lesions']} lesions.</p>"
        f'<div class="plots">{plots}</div>' + (table(head, rows) if rows else "")
    )


def _strata(strata: Mapping[str, Any]) -> str:
    head = (
        "fact",
        "band",
        "cases",
        "ICC(2,1)",
        "kappa",
        "category right",
        "bias",
        "false score",
        "volume F1",
        *VESSEL_NAMES,
    )
    rows = []
    plots = []
    for fact, bands in strata.items():
        plots.append(strata_plot(fact, bands, "volume_f1", "coronary volume F1"))
        for band, short in bands.items():
            if "volume_f1" not in short:
                rows.append((fact, band, str(short["cases"]), *["-"] * 10))
                continue
            rows.append(
                (
                    fact,
                    band,
                    str(short["cases"]),
                    with_interval(short["icc_2_1"]),
                    number(short["kappa_linear"]),
                    number(short["category_accuracy"]),
                    number(short["bias"], 1),
                    number(short["false_score"], 2),
                    with_interval(short["volume_f1"]),
                    *(number(short["vessel_volume_f1"][name]) for name in VESSEL_NAMES),
                )
            )
    drawn = "".join(plot for plot in plots if plot)
    return f'<h2>By kind of scan</h2><div class="plots">{drawn}</div>' + table(head, rows)


def _worst(cases: Sequence[CaseMeasures], pictures: Mapping[str, Path]) -> str:
    by_id = {case.id: case for case in cases}
    figures = []
    for case_id, picture in pictures.items():
        case = by_id[case_id]
        parts = ", ".join(
            f"{name} {case.truth[name]:.1f} -> {case.predicted[name]:.1f}" for name in ("total", *VESSEL_NAMES)
        )
        caption = f"{case_id}: {parts}; false {case.false_agatston:.1f}, missed {case.missed_agatston:.1f}"
        if picture.is_file():
            data = base64.b64encode(picture.read_bytes()).decode("ascii")
            image = f'<img src="data:image/png;base64,{data}" alt="{escape(caption, quote=True)}">'
        else:
            image = "<p>no picture</p>"
        figures.append(f"<figure><figcaption>{escape(caption)}</figcaption>{image}</figure>")
    if not figures:
        return "<h2>Worst cases</h2><p>No case had anything on the wrong side.</p>"
    key = "".join(
        f'<span><i style="background:rgb{COLOUR_RGB[label]}"></i>{escape(_title(label))}</span>' for label in COLOUR_RGB
    )
    return (
        "<h2>Worst cases</h2><p>Reference above, prediction below; the slices that differ most, reference Agatston -> "
        f'predicted.</p><p class="key">{key}</p>' + "".join(figures)
    )


def _unscored(cases: Sequence[CaseMeasures]) -> str:
    rows = [(case.id, case.status, case.message) for case in cases if case.status != "scored"]
    return "<h2>Not scored</h2>" + table(("case", "", "reason"), rows) if rows else ""


def _title(label: Label) -> str:
    return STRUCTURE[label].replace("_", " ") if label in STRUCTURE else label.name
