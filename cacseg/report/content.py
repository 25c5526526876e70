"""The whole report as a list of blocks: what stands where, once, for every form that people read."""

from cacseg.report import sections
from cacseg.report.blocks import Block, Document, Notice
from cacseg.report.identity import Identity
from cacseg.report.paperwork import Paperwork, paperwork_blocks
from cacseg.report.pictures import Pictures
from cacseg.report.verification import Observer, reader_comment, status_text
from cacseg.report.wording import Wording
from cacseg.result import Result


def document(
    result: Result,
    identity: Identity,
    pictures: Pictures,
    say: Wording,
    paperwork: Paperwork | None = None,
    verified_by: Observer | None = None,
) -> Document:
    """Put a report together.

    Parameters
    ----------
    result : scored or refused.
    identity : who; an empty one for a de-identified report.
    pictures : those that exist; sections leave out the others.
    say : the words.
    paperwork : table for the coding staff; without it, or without a score, that part is left out.
    verified_by : who signed; ``None`` while nobody has.
    """
    blocks: list[Block] = [*sections.opening(result, identity, say)]
    if result.scoring is None:
        blocks += sections.refusal(result, say)
    else:
        blocks += sections.score(result, say)
        comment = reader_comment(result)
        blocks += [Notice("info", say("Comment of the reader"), comment)] if comment else []
        blocks += sections.percentiles(result, say)
        blocks += sections.guidance(result, say)
        blocks += sections.lesions(result, pictures, say)
        blocks += sections.maps(pictures, say)
        blocks += sections.extracoronary(result, pictures, say)
        blocks += sections.risk_models(result, say)
    blocks += sections.technique(result, say)
    blocks += sections.limits(result, say)
    blocks += sections.other_rules(result, say)
    blocks += sections.provenance(result, say)
    if paperwork is not None and result.scoring is not None:
        blocks += paperwork_blocks(result, paperwork, say, signed=verified_by is not None)
    status = say(status_text(result, verified_by))
    return Document(
        say("Coronary calcium score"), say.language, status, tuple(blocks), verified=verified_by is not None
    )
