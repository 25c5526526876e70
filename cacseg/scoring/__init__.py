"""The deterministic scorer: rules, lesions, Agatston, volume, mass, interval.

numpy only: no I/O, no clock, no configuration, no module state. ``score`` turns a volume and a label map
into every number of a result, under a rule that is data.
"""

from cacseg.scoring.category import Category, category_of, format_agatston
from cacseg.scoring.compare import Change, Comparison, compare, repeatability_limit
from cacseg.scoring.interval import RescanInterval, rescan_interval
from cacseg.scoring.rule import Rule
from cacseg.scoring.rule_file import load_rules
from cacseg.scoring.rules import RULES, rule_named, rules_from_mapping
from cacseg.scoring.score import Lesion, Score, Scoring
from cacseg.scoring.scorer import LITERATURE_MASS_FACTOR, candidates, score, score_all
from cacseg.scoring.voltage import adapt

__all__ = [
    "LITERATURE_MASS_FACTOR",
    "RULES",
    "Category",
    "Change",
    "Comparison",
    "Lesion",
    "RescanInterval",
    "Rule",
    "Score",
    "Scoring",
    "adapt",
    "candidates",
    "category_of",
    "compare",
    "format_agatston",
    "load_rules",
    "repeatability_limit",
    "rescan_interval",
    "rule_named",
    "rules_from_mapping",
    "score",
    "score_all",
]
