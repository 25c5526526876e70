"""The review of a score by a person: correct labels, see the score follow, sign.

version -> Scan -> ReviewSession (edits) -> scores and outlines -> signature -> next version
"""

from cacseg.service.review.routes import router

__all__ = ["router"]
