"""The sections of a report, each made from the result alone."""

from collections.abc import Mapping
from typing import Any

from cacseg.findings import Severity
from cacseg.report.blocks import (
    Block,
    Cell,
    Facts,
    Gallery,
    Heading,
    KeyFigures,
    Notice,
    Paragraph,
    Picture,
    Swatch,
    Table,
)
from cacseg.report.curve import reference_curve
from cacseg.report.figures import number, ordinal, percent, percentile_text, score_text
from cacseg.report.identity import Identity
from cacseg.report.pictures import MOST_LESIONS, Pictures, picture_name
from cacseg.report.wording import Wording
from cacseg.result import NOT_A_DEVICE, Result
from cacseg.scoring.score import Lesion, Score
from cacseg.vessels import CORONARY, FULL_NAME, Label


def opening(result: Result, identity: Identity, say: Wording) -> list[Block]:
    """Say who, which examination, and what this is not."""
    age = number(result.patient.age_years, 0)
    sex = {"M": say("male"), "F": say("female")}.get(result.patient.sex or "")
    person = ", ".join(part for part in (sex, f"{age} {say('years')}" if age else None, result.patient.race) if part)
    rows = [
        (say("Patient"), identity.name),
        (say("Patient ID"), identity.patient_id),
        (say("Born"), identity.birth_date),
        (say("Age, sex, race"), person or None),
        (say("Examination"), identity.study_description),
        (say("Date"), identity.study_date),
        (say("Accession number"), identity.accession_number),
        (say("Referring physician"), identity.referring),
        (say("Institution"), say.department.get("name") or identity.institution),
    ]
    blocks: list[Block] = [Facts(tuple((label, value) for label, value in rows if value))]
    if say.department.get("text"):
        blocks.append(Paragraph(say.department["text"]))
    return [*blocks, Notice("notice", say("Research use only"), say(NOT_A_DEVICE))]


def refusal(result: Result, say: Wording) -> list[Block]:
    """Say that there is no score, and why."""
    reasons = [finding for finding in result.findings if finding.severity is Severity.REFUSAL]
    blocks: list[Block] = [
        KeyFigures(say("No score"), say("This study must not be scored"), "", ()),
        *(Notice("refusal", finding.message, f"{say('What to do')}: {finding.action}") for finding in reasons),
    ]
    return blocks


def score(result: Result, say: Wording) -> list[Block]:
    """Give the score, what it means in a line, warnings, and the score of every artery."""
    scoring = result.scoring
    if scoring is None:
        return []
    risk = result.risk or {}
    blocks: list[Block] = [_key_figures(result, risk, say)]
    blocks += [
        Notice("warning", finding.message, finding.action)
        for finding in result.findings
        if finding.severity is Severity.WARNING
    ]
    rows: list[tuple[Cell, ...]] = [
        (Swatch(vessel, vessel.name, say(FULL_NAME[vessel])), *_score_cells(scoring.vessels[vessel]))
        for vessel in CORONARY
    ]
    rows.append((say("Total"), *_score_cells(scoring.total)))
    header = (say("Artery"), say("Agatston"), say("Volume, mm³"), say("Mass, mg"), say("Lesions"))
    caption = say("Score of each coronary artery")
    blocks += [
        Heading(say("Score by artery")),
        Table(caption, header, tuple(rows), frozenset({1, 2, 3, 4}), total=True),
    ]
    blocks.append(Paragraph(_rule_sentence(result, say), quiet=True))
    return blocks


def _key_figures(result: Result, risk: Mapping[str, Any], say: Wording) -> KeyFigures:
    scoring = result.scoring
    agatston = scoring.total.agatston if scoring else 0.0
    category = str(risk.get("agatston_category", ""))
    others: list[tuple[str, str, str]] = []
    if result.interval is not None:
        low, high = (score_text(value) for value in result.interval.agatston)
        stable = say("same category throughout") if result.interval.category_stable else say("category could change")
        level = f"{result.interval.level * 100:.0f} %"
        others.append((f"{low} – {high}", say("on a rescan") + f" ({level})", stable))
    percentile = percentile_text(risk)
    absent = (risk.get("percentile") or {}).get("absent_because") or ""
    patient = result.patient
    who = f"MESA, {patient.age_years:.0f} {patient.sex} {patient.race}" if percentile and patient.age_years else "MESA"
    others.append((percentile or "–", say("percentile"), who if percentile else say(absent)))
    if "cac_drs" in risk:
        others.append((str(risk["cac_drs"]), "CAC-DRS", say("amount / arteries")))
    if risk.get("arterial_age_years") is not None:
        others.append((f"{risk['arterial_age_years']:.0f}", say("arterial age, years"), "MESA"))
    severity = say.severity.get(category, "")
    detail = f"{say('category')} {_dash(category)}" + (f", {severity}" if severity else "")
    return KeyFigures(score_text(agatston), say("Agatston score"), detail, tuple(others))


def _dash(category: str) -> str:
    return category.replace("-", "–")


def _score_cells(part: Score) -> tuple[Cell, ...]:
    return score_text(part.agatston), number(part.volume_mm3), number(part.mass_mg), str(part.lesions)


def _rule_sentence(result: Result, say: Wording) -> str:
    if result.scoring is None:
        return ""
    rule = result.scoring.rule
    return (
        f"{say('Rule')} “{rule.name}”: ≥ {rule.threshold_hu:g} HU, {rule.connectivity}-{say('connected')}, "
        f"≥ {rule.min_area_mm2:g} mm² {say('per slice')}, "
        f"{say('weights from')} {', '.join(f'{edge:g}' for edge in rule.weight_edges_hu)} HU, "
        f"{say('scaled to')} {rule.reference_increment_mm:g} mm."
    )


def percentiles(result: Result, say: Wording) -> list[Block]:
    """Show where the score stands among people of the same age and sex."""
    risk = result.risk or {}
    blocks: list[Block] = [Heading(say("Among people of the same age and sex"))]
    curve = reference_curve(result, say)
    if curve is not None:
        blocks.append(curve)
    mesa, hoff = risk.get("percentile") or {}, risk.get("percentile_hoff") or {}
    rows: list[tuple[Cell, ...]] = []
    for name, entry, stands in (
        (say("MESA (age, sex, race)"), mesa, None if mesa.get("value") is None else percentile_text(risk)),
        (say("Hoff (age, sex)"), hoff, _range_text(hoff)),
    ):
        if entry.get("reference"):
            rows.append((name, stands, *(str(entry["reference"][key]) for key in ("25", "50", "75", "90"))))
    if rows:
        header = (say("Reference"), say("This score"), *(say(ordinal(value)) for value in (25, 50, 75, 90)))
        caption = say("Agatston scores at reference percentiles")
        blocks.append(Table(caption, header, tuple(rows), frozenset({2, 3, 4, 5})))
    if mesa.get("nonzero_percent") is not None:
        blocks.append(Paragraph(f"{say('Share of this group with a score above 0')}: {mesa['nonzero_percent']} %."))
    blocks += [Paragraph(say(entry["absent_because"])) for entry in (mesa, hoff) if entry.get("absent_because")]
    cited = [entry["citation"] for entry in (mesa, hoff) if entry.get("reference")]
    return [*blocks, *(Paragraph(f"{say('Source')}: {citation}", quiet=True) for citation in cited)]


def _range_text(hoff: Mapping[str, Any]) -> str | None:
    if not hoff.get("range"):
        return None
    low, high = hoff["range"]
    if high == 100:
        return f"≥ {ordinal(low)}"
    return f"< {ordinal(high)}" if low == 0 else f"{ordinal(low)} – {ordinal(high)}"


def guidance(result: Result, say: Wording) -> list[Block]:
    """Quote what guidelines say about the category, for the physician."""
    category = str((result.risk or {}).get("agatston_category", ""))
    statements = say.statements.get(category, ())
    if not statements:
        return []
    caveat = {
        "secondary": say("read in a digest, not in the guideline itself"),
        "memory": say("not checked against the guideline"),
    }
    blocks: list[Block] = [
        Heading(say("Information for the physician")),
        Paragraph(say("Quoted from guidelines; no recommendation for this patient.")),
    ]
    for statement in statements:
        note = caveat.get(statement.confidence)
        blocks.append(Paragraph(statement.text))
        blocks.append(Paragraph(statement.source + (f" ({note})" if note else ""), quiet=True))
    return blocks


def lesions(result: Result, pictures: Pictures, say: Wording) -> list[Block]:
    """List every coronary lesion with its picture."""
    if result.scoring is None:
        return []
    found = result.scoring.lesions
    blocks: list[Block] = [Heading(say("Coronary lesions"))]
    if not found:
        return [*blocks, Paragraph(say("No calcified coronary lesion was found."))]
    blocks.append(_lesion_table(say("Calcified coronary lesions"), found, pictures, say))
    blocks.append(Paragraph(_picture_note(len(found), say), quiet=True))
    return blocks


def _picture_note(count: int, say: Wording) -> str:
    note = say("Pictures: window 350/50 HU, 36 mm wide, bar 10 mm; the outline lies just outside the counted pixels.")
    return note + (f" {say('Only the largest have a picture')}: {MOST_LESIONS}." if count > MOST_LESIONS else "")


def _lesion_table(caption: str, found: tuple[Lesion, ...], pictures: Pictures, say: Wording) -> Table:
    header = (
        *(say("No."), say("Picture"), say("Site"), say("Agatston"), say("Volume, mm³"), say("Mass, mg")),
        *(say("Peak, HU"), say("Slices"), say("Certainty")),
    )
    return Table(caption, header, tuple(_lesion_row(one, pictures, say) for one in found), frozenset({3, 4, 5, 6, 8}))


def _lesion_row(lesion: Lesion, pictures: Pictures, say: Wording) -> tuple[Cell, ...]:
    name = picture_name(lesion)
    site = lesion.label.name if lesion.label in CORONARY else say(FULL_NAME[lesion.label])
    alt = f"{say('Lesion')} {lesion.id}, {site}, {score_text(lesion.agatston)}"
    first, last = lesion.slices[0] + 1, lesion.slices[-1] + 1
    return (
        str(lesion.id),
        Picture(name, alt) if name in pictures.images else "",
        Swatch(lesion.label, site),
        score_text(lesion.agatston),
        number(lesion.volume_mm3),
        number(lesion.mass_mg),
        number(lesion.peak_hu, 0),
        str(first) if first == last else f"{first}–{last}",
        percent(None if lesion.confidence is None else 100 * lesion.confidence, 0),
    )


def maps(pictures: Pictures, say: Wording) -> list[Block]:
    """Show the whole heart with every deposit in its colour."""
    views = (
        ("map-axial", say("Seen from the feet: highest values through all slices, patient's right on the left")),
        ("map-coronal", say("Seen from the front: highest values from front to back, head up")),
    )
    shown = tuple((Picture(name, text), text) for name, text in views if name in pictures.images)
    if not shown:
        return []
    legend = tuple(
        Swatch(label, label.name if label in CORONARY else say(FULL_NAME[label])) for label in Label if label
    )
    return [Heading(say("Map of the calcium")), Gallery(shown, legend)]


def extracoronary(result: Result, pictures: Pictures, say: Wording) -> list[Block]:
    """List calcium outside the coronary arteries, which is not part of the score."""
    if result.scoring is None:
        return []
    blocks: list[Block] = [Heading(say("Calcium outside the coronary arteries"))]
    present = [(label, part) for label, part in result.scoring.structures.items() if part.lesions]
    if not present:
        return [*blocks, Paragraph(say("None was found."))]
    rows = tuple((Swatch(label, say(FULL_NAME[label])), *_score_cells(part)) for label, part in present)
    header = (say("Structure"), say("Agatston"), say("Volume, mm³"), say("Mass, mg"), say("Deposits"))
    blocks.append(Paragraph(say("Not part of the coronary score.")))
    blocks.append(Table(say("Calcium outside the coronary arteries"), header, rows, frozenset({1, 2, 3, 4})))
    if result.scoring.extracoronary:
        blocks.append(_lesion_table(say("Deposits"), result.scoring.extracoronary, pictures, say))
    return blocks


def risk_models(result: Result, say: Wording) -> list[Block]:
    """Give risk equations where their inputs are known, else say what is missing; and how the calcium is spread."""
    risk = result.risk or {}
    chd, prevent, burden = (risk.get(key) or {} for key in ("chd_10y_mesa", "ascvd_prevent", "burden"))
    rows: list[tuple[Cell, ...]] = []
    for name, value, entry in (
        (say("Coronary disease in 10 years, with calcium (MESA)"), chd.get("with_calcium_percent"), chd),
        (say("Coronary disease in 10 years, without calcium (MESA)"), chd.get("without_calcium_percent"), chd),
        (say("Cardiovascular disease in 10 years (PREVENT, no calcium)"), prevent.get("ten_year_percent"), prevent),
        (say("Cardiovascular disease in 30 years (PREVENT, no calcium)"), prevent.get("thirty_year_percent"), prevent),
    ):
        if value is not None:
            rows.append((name, percent(value), entry["source"]))
    if burden.get("density") is not None:
        rows.append((say("Density, 1 to 4"), number(burden["density"], 2), burden["density_source"]))
    if burden.get("diffusivity") is not None:
        rows.append((say("Diffusivity, 0 to 0.75"), number(burden["diffusivity"], 2), burden["diffusivity_source"]))
    blocks: list[Block] = [Heading(say("Risk and spread"))]
    if rows:
        header = (say("Measure"), say("Value"), say("Source"))
        blocks.append(Table(say("Risk and spread"), header, tuple(rows), frozenset({1})))
    reasons = [entry["absent_because"] for entry in (chd, prevent) if entry.get("absent_because")]
    return [*blocks, *(Paragraph(say(reason), quiet=True) for reason in reasons)]


def technique(result: Result, say: Wording) -> list[Block]:
    """Say how the scan was made and which series was taken."""
    blocks: list[Block] = [Heading(say("Examination and technique"))]
    series = result.series
    if series is not None:
        slice_mm, row_mm, column_mm = series.spacing_mm
        rows = (
            (say("Series"), series.description),
            (say("Slices"), f"{series.slices}, {slice_mm:g} mm {say('apart')}"),
            (
                say("Slice thickness"),
                None if series.slice_thickness_mm is None else f"{series.slice_thickness_mm:g} mm",
            ),
            (say("Pixel"), f"{row_mm:.3f} × {column_mm:.3f} mm"),
            (say("Tube voltage"), None if series.kvp is None else f"{series.kvp:g} kVp"),
            (say("Kernel"), series.kernel),
            (say("Gated"), say(series.gated)),
            (say("Contrast medium"), say(series.contrast)),
        )
        blocks.append(Facts(tuple((label, value or say("not known")) for label, value in rows)))
    if result.ledger:
        listed = tuple(
            (entry.description or "–", say("chosen") if entry.chosen else say("not chosen"), "; ".join(entry.reasons))
            for entry in result.ledger
        )
        header = (say("Series"), say("Use"), say("Why"))
        blocks.append(Table(say("Series of this study"), header, listed))
    return blocks


def limits(result: Result, say: Wording) -> list[Block]:
    """List every finding with what to do about it."""
    blocks: list[Block] = [Heading(say("Findings and limits"))]
    if not result.findings:
        return [*blocks, Paragraph(say("Nothing about this examination departs from the standard protocol."))]
    rows = tuple(
        (say(finding.severity.value), finding.message, finding.action, finding.code) for finding in result.findings
    )
    header = (say("Weight"), say("What was seen"), say("What to do"), say("Code"))
    return [*blocks, Table(say("Findings"), header, rows)]


def other_rules(result: Result, say: Wording) -> list[Block]:
    """Give the total under every other counting rule."""
    if not result.other_rules:
        return []
    rows = tuple((other.rule.name, *_score_cells(other.total)) for other in result.other_rules)
    header = (say("Rule"), say("Agatston"), say("Volume, mm³"), say("Mass, mg"), say("Lesions"))
    caption = say("Total under other counting rules")
    return [Heading(say("Other counting rules")), Table(caption, header, rows, frozenset({1, 2, 3, 4}))]


def provenance(result: Result, say: Wording) -> list[Block]:
    """Say what computed this, exactly."""
    facts = result.provenance
    model = facts.get("model") or {}
    rows = [
        ("cacseg", facts.get("cacseg")),
        (say("Model"), model.get("name")),
        (say("Model checksum (SHA-256)"), model.get("sha256")),
        (say("Threads"), facts.get("threads")),
        (say("Study"), result.study_instance_uid),
        (say("Series"), result.series.series_instance_uid if result.series else None),
    ]
    if result.interval is not None:
        rows.append((say("Method of the interval"), result.interval.method))
    packages = facts.get("packages") or {}
    if packages:
        rows.append((say("Packages"), ", ".join(f"{name} {version}" for name, version in packages.items())))
    known = tuple((label, str(value)) for label, value in rows if value not in (None, ""))
    return [Heading(say("Provenance")), Facts(known)]
