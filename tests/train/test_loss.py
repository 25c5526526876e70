import math

import pytest
import torch

from cacseg.data.phantom.tissue import Tissue
from cacseg.train.loss import LossWeights, calcium_terms, dense_term, heart_term
from cacseg.train.sample import METAL, TISSUE_CLASS, UNKNOWN
from cacseg.vessels import Label

WEIGHTS = LossWeights()


def certain(target: torch.Tensor, classes: int) -> torch.Tensor:
    hot = torch.nn.functional.one_hot(target.long().clamp(max=classes - 1), classes)
    return 30.0 * hot.movedim(-1, 1).float()


def dense_unknown(target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Tissue and territory of a patient of whom only calcium is labelled."""
    unknown = torch.full_like(target, UNKNOWN)[..., ::2, ::2]
    return unknown, unknown


@pytest.fixture
def target() -> torch.Tensor:
    made = torch.full((2, 3, 4, 4), UNKNOWN, dtype=torch.uint8)
    made[0, 0] = 0
    made[0, 1, 0] = 2
    made[1, 2, 2] = 4
    return made


def test_a_certain_and_right_answer_costs_nothing(target: torch.Tensor) -> None:
    entropy, overlap = calcium_terms(
        certain(target, 10), target, torch.ones(target.shape), *dense_unknown(target), WEIGHTS
    )
    assert entropy < 1e-6
    assert overlap < 1e-6


def test_a_wrong_answer_costs_and_teaches(target: torch.Tensor) -> None:
    logits = torch.zeros(2, 10, 3, 4, 4, requires_grad=True)
    entropy, overlap = calcium_terms(logits, target, torch.ones(target.shape), *dense_unknown(target), WEIGHTS)
    (entropy + overlap).backward()
    assert float(entropy.detach()) == pytest.approx(2.303, abs=1e-3)
    assert overlap > 0.3
    unlabelled = (target == UNKNOWN)[:, None].expand_as(logits)
    assert (logits.grad[unlabelled] == 0).all()
    assert (logits.grad[~unlabelled] != 0).any()


def test_nothing_known_costs_nothing_but_keeps_the_graph() -> None:
    unknown = torch.full((1, 2, 4, 4), UNKNOWN, dtype=torch.uint8)
    logits = torch.ones(1, 10, 2, 4, 4, requires_grad=True)
    entropy, overlap = calcium_terms(logits, unknown, torch.ones(unknown.shape), *dense_unknown(unknown), WEIGHTS)
    dense = dense_term(logits, unknown, None)
    heart = heart_term(logits[:, :1], unknown)
    total = entropy + overlap + dense + heart
    total.backward()
    assert total == 0
    assert (logits.grad == 0).all()


def test_rare_classes_weigh_more() -> None:
    target = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    target[..., 1] = 1
    wrong_lm = torch.zeros(1, 10, 1, 2, 2)
    wrong_lm[:, 0] = 3.0
    wrong_background = torch.zeros(1, 10, 1, 2, 2)
    wrong_background[:, 1] = 3.0
    given = (target, torch.ones(target.shape), *dense_unknown(target), WEIGHTS)
    assert calcium_terms(wrong_lm, *given)[0] > calcium_terms(wrong_background, *given)[0]


def test_metal_is_told_from_other_calcium() -> None:
    target = torch.full((1, 1, 2, 2), METAL, dtype=torch.uint8)
    given = (target, torch.ones(target.shape), *dense_unknown(target), WEIGHTS)
    assert calcium_terms(certain(target, 10), *given)[0] < 1e-6
    assert calcium_terms(certain(torch.full_like(target, Label.OTHER), 10), *given)[0] > 10


def test_background_elsewhere_weighs_less_than_noise_in_the_heart() -> None:
    target = torch.zeros(1, 1, 2, 4, dtype=torch.uint8)
    tissue = torch.full((1, 1, 1, 2), TISSUE_CLASS[Tissue.BONE], dtype=torch.uint8)
    tissue[..., 1] = TISSUE_CLASS[Tissue.LEFT_ATRIUM]
    wrong_in_bone, wrong_in_noise = torch.zeros(1, 10, 1, 2, 4), torch.zeros(1, 10, 1, 2, 4)
    wrong_in_bone[:, 2, :, :, :2] = 3.0
    wrong_in_noise[:, 2, :, :, 2:] = 3.0
    given = (target, torch.ones(target.shape), tissue, torch.zeros_like(tissue), WEIGHTS)
    assert calcium_terms(wrong_in_noise, *given)[0] > calcium_terms(wrong_in_bone, *given)[0]


def cost_of_a_wrong_cell(tissue: Tissue, share: float, at: int) -> float:
    """Cost of calling the background cell ``at`` coronary; its tissue lies right of the left ventricle's two cells."""
    target = torch.zeros(1, 1, 2, 16, dtype=torch.uint8)
    classes = torch.full((1, 1, 1, 8), TISSUE_CLASS[tissue], dtype=torch.uint8)
    classes[..., :2] = TISSUE_CLASS[Tissue.LEFT_VENTRICLE]
    logits = torch.zeros(1, 10, 1, 2, 16)
    logits[:, 2, :, :, at] = 3.0
    fraction = torch.full((1, 1, 2, 16), 0.1)
    fraction[..., at] = share
    undecided = math.log(10)  # what every cell costs that nothing is said of
    return float(calcium_terms(logits, target, fraction, classes, torch.zeros_like(classes), WEIGHTS)[0]) - undecided


def test_a_bright_rim_or_airway_beside_the_heart_weighs_as_in_it_and_far_away_as_bone() -> None:
    beside, far = 5, 15
    assert cost_of_a_wrong_cell(Tissue.AIRWAY, 1.0, beside) > 1.5 * cost_of_a_wrong_cell(Tissue.AIRWAY, 1.0, far)
    assert cost_of_a_wrong_cell(Tissue.AIRWAY, 1.0, beside) > 1.5 * cost_of_a_wrong_cell(Tissue.BONE, 1.0, beside)


def test_a_solid_background_cell_weighs_more_than_noise() -> None:
    solid = cost_of_a_wrong_cell(Tissue.LEFT_VENTRICLE, 1.0, 1)
    assert solid > 1.5 * cost_of_a_wrong_cell(Tissue.LEFT_VENTRICLE, 0.1, 1)


@pytest.mark.parametrize("where", ["artery", "heart"])
def test_other_calcium_near_an_artery_weighs_more_than_elsewhere(where: str) -> None:
    target = torch.full((1, 1, 2, 4), Label.OTHER, dtype=torch.uint8)
    tissue = torch.full((1, 1, 1, 2), TISSUE_CLASS[Tissue.SOFT], dtype=torch.uint8)
    territory = torch.zeros_like(tissue)
    if where == "artery":
        territory[..., 1] = Label.LAD
    else:
        tissue[..., 1] = TISSUE_CLASS[Tissue.MYOCARDIUM]
    wrong_away, wrong_near = torch.zeros(1, 10, 1, 2, 4), torch.zeros(1, 10, 1, 2, 4)
    wrong_away[:, 2, :, :, :2] = 3.0
    wrong_near[:, 2, :, :, 2:] = 3.0
    given = (target, torch.ones(target.shape), tissue, territory, WEIGHTS)
    assert calcium_terms(wrong_near, *given)[0] > calcium_terms(wrong_away, *given)[0]


def test_heart_term_prefers_the_heart() -> None:
    target = torch.zeros(1, 4, 4, 4, dtype=torch.uint8)
    target[0, 1:3] = 1
    right = (target.float() * 20 - 10)[:, None]
    assert heart_term(right, target) < 0.01
    assert heart_term(-right, target) > 5
