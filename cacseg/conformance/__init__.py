"""The conformance suite as files: written for other software, and its answers checked.

The cases themselves and their expected scores are in :mod:`cacseg.scoring.conformance`.
"""

from cacseg.conformance.answers import Report, check, read_answers
from cacseg.conformance.suite import write_suite

__all__ = ["Report", "check", "read_answers", "write_suite"]
