"""Evaluation: how well a path from volume to labels does, over test families and labelled datasets.

    cases -> assignment of each -> measures of each -> summary with intervals -> tables, report, verdicts

Needs the light install only: numpy, scipy and Pillow.
"""

from cacseg.evaluation.case import CaseMeasures, PredictedLesion, measure
from cacseg.evaluation.compare import ablation_table, compare_evaluations
from cacseg.evaluation.evaluate import Evaluation, evaluate, finished_ids
from cacseg.evaluation.families import FAMILIES, FIRST_TEST_SEED, Family, family_cases, family_named
from cacseg.evaluation.product import product_path

__all__ = [
    "FAMILIES",
    "FIRST_TEST_SEED",
    "CaseMeasures",
    "Evaluation",
    "Family",
    "PredictedLesion",
    "ablation_table",
    "compare_evaluations",
    "evaluate",
    "family_cases",
    "family_named",
    "finished_ids",
    "measure",
    "product_path",
]
