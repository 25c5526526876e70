"""Small volumes with exact expected scores under every rule, each isolating one thing.

Expected values are worked out by hand from pixel counts, weights and spacings and stand beside each case;
no scorer is run to get them.
"""

from cacseg.scoring.conformance.case import Case, Expected
from cacseg.scoring.conformance.cases import cases
from cacseg.scoring.conformance.check import Answer, Verdict, check_answers

__all__ = ["Answer", "Case", "Expected", "Verdict", "cases", "check_answers"]
