"""The exam's paperwork, for coding staff: which codes apply when, and what this report holds for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cacseg.errors import UsageError
from cacseg.report.blocks import Block, Cell, Heading, Notice, Paragraph, Table
from cacseg.report.figures import score_text
from cacseg.report.wording import Wording, load_table
from cacseg.result import Result

CAVEATS: Final = {
    "verified": "",
    "secondary": "from digests; check before use",
    "memory": "not checked; look it up before use",
}
"""What to print beside an entry, by how it was checked."""

NOT_HELD: Final = "not in this report"


@dataclass(frozen=True, slots=True)
class Paperwork:
    """A dated table of codes and what each needs (``configs/report/paperwork.yaml``)."""

    version: str
    notice: str
    procedures: tuple[Mapping[str, Any], ...]
    modifiers: tuple[Mapping[str, Any], ...]
    sites: tuple[Mapping[str, Any], ...]
    diagnoses: tuple[Mapping[str, Any], ...]
    sources: tuple[str, ...]


def load_paperwork(path: Path | None = None) -> Paperwork:
    """Read a paperwork table; without a path, the one that ships with cacseg.

    Raises
    ------
    UsageError : the file is missing, a part is missing, or it names evidence that no report has.
    """
    data = load_table("paperwork.yaml", path)
    try:
        table = Paperwork(
            version=str(data["version"]),
            notice=str(data["notice"]),
            procedures=tuple(data["procedures"]),
            modifiers=tuple(data["modifiers"]),
            sites=tuple(data["sites"]),
            diagnoses=tuple(data["diagnoses"]),
            sources=tuple(str(source) for source in data["sources"]),
        )
        named = {need["evidence"] for one in table.procedures for need in one["needs"] if "evidence" in need}
    except (KeyError, TypeError) as error:
        raise UsageError(
            f"The paperwork table {path or ''} lacks a part ({error!r}). Start from a copy of the shipped one."
        ) from error
    unknown = sorted(named - set(EVIDENCE))
    if unknown:
        raise UsageError(
            f"The paperwork table names unknown evidence {', '.join(unknown)}; known: {', '.join(EVIDENCE)}."
        )
    return table


def paperwork_blocks(result: Result, paperwork: Paperwork, say: Wording, *, signed: bool = False) -> list[Block]:
    """Write the part for coding staff; it points, it never chooses.

    Parameters
    ----------
    result : a scored result.
    paperwork : the table.
    say : the words.
    signed : whether a person has signed the report.
    """
    blocks: list[Block] = [
        Heading(say("For coding staff"), new_page=True),
        Notice("info", f"{say('Table of')} {paperwork.version}", say(paperwork.notice)),
    ]
    for procedure in paperwork.procedures:
        caveat = CAVEATS[str(procedure["confidence"])]
        note = f" ({say(caveat)})" if caveat else ""
        name = f"{procedure['system']} {procedure['code']}"
        blocks.append(Paragraph(f"{name}: {procedure['title']}{note}"))
        blocks.append(Paragraph(f"{procedure['applies']} {_pointer(result, procedure, say)}".strip()))
        rows = tuple(_need(result, need, say, signed=signed) for need in procedure["needs"])
        header = (say("Needed"), say("In this report"), say("Evidence"))
        blocks.append(Table(f"{name}: {say('documentation')}", header, rows))
    for title, entries in (
        (say("Modifiers and places of service"), (*paperwork.modifiers, *paperwork.sites)),
        (say("ICD-10-CM codes that payers ask for: a list to choose from, none is chosen"), paperwork.diagnoses),
    ):
        listed = tuple((str(e["code"]), str(e["text"]), say(CAVEATS[str(e["confidence"])]) or "") for e in entries)
        blocks += [Paragraph(title), Table(title, (say("Code"), say("Meaning"), say("Note")), listed)]
    return [*blocks, Paragraph(f"{say('Sources')}: {'; '.join(paperwork.sources)}", quiet=True)]


def _pointer(result: Result, procedure: Mapping[str, Any], say: Wording) -> str:
    """Say what the scan itself suggests about a code."""
    gated = result.series.gated if result.series else "unknown"
    if procedure["code"] == "75571" and gated == "yes":
        return say("This series was gated, as a dedicated calcium scan is.")
    if procedure["code"] == "G0680" and gated == "no":
        return say("This series was not gated, as a chest CT done for something else is not.")
    return ""


def _need(result: Result, need: Mapping[str, Any], say: Wording, *, signed: bool) -> tuple[Cell, ...]:
    if signed and need.get("evidence") == "signature":
        return say(str(need["text"])), say("yes"), say("signed; the name stands at the head of this report")
    held, evidence = EVIDENCE[need["evidence"]](result) if "evidence" in need else (False, "")
    return say(str(need["text"])), say("yes") if held else say("no"), say(evidence or NOT_HELD)


Evidence = tuple[bool, str]


def _no_contrast(result: Result) -> Evidence:
    contrast = result.series.contrast if result.series else "unknown"
    return contrast == "no", {"no": "no contrast medium was seen", "yes": "contrast medium was seen"}.get(contrast, "")


def _score(result: Result) -> Evidence:
    if result.scoring is None:
        return False, "no score: the study was refused"
    return True, f"Agatston {score_text(result.scoring.total.agatston)}, by artery and lesion"


def _technique(result: Result) -> Evidence:
    series = result.series
    if series is None or series.kvp is None or series.slice_thickness_mm is None:
        return False, "incomplete in the images"
    return True, f"{series.kvp:g} kVp, {series.slice_thickness_mm:g} mm, gated: {series.gated}"


def _signature(result: Result) -> Evidence:
    return False, "this report is preliminary; a physician has to sign"


def _not_gated(result: Result) -> Evidence:
    gated = result.series.gated if result.series else "unknown"
    return gated == "no", f"gated: {gated}"


def _algorithm(result: Result) -> Evidence:
    model = result.provenance.get("model") or {}
    return True, f"cacseg {result.provenance.get('cacseg', 'unknown')}, model {model.get('name', 'none')}"


EVIDENCE: Final[Mapping[str, Callable[[Result], Evidence]]] = {
    "no_contrast": _no_contrast,
    "score": _score,
    "technique": _technique,
    "signature": _signature,
    "not_gated": _not_gated,
    "algorithm": _algorithm,
}
"""What a report can show by itself, by the name that the table uses."""
