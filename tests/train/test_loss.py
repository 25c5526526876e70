import math

import pytest
import torch

from cacseg.data.phantom.tissue import Tissue
from cacseg.train.loss import LossWeights, calcium_terms, dense_term, heart_term
from cacseg.train.module import CalciumModule
from cacseg.train.sample import LM_OR_LAD, METAL, NOT_CORONARY, OTHER_OR_METAL, TISSUE_CLASS, UNKNOWN
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


def calcium_cost(logits: torch.Tensor, target: torch.Tensor) -> float:
    entropy, overlap = calcium_terms(logits, target, torch.ones(target.shape), *dense_unknown(target), WEIGHTS)
    return float(entropy + overlap)


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        (NOT_CORONARY, {0, 5, 6, 7, 8, METAL}),
        (LM_OR_LAD, {Label.LM, Label.LAD}),
        (OTHER_OR_METAL, {Label.OTHER, METAL}),
    ],
)
def test_a_target_that_leaves_classes_open_teaches_their_sum_alone(code: int, allowed: set[int]) -> None:
    target = torch.full((1, 1, 2, 4), code, dtype=torch.uint8)
    cost = {label: calcium_cost(certain(torch.full_like(target, label), 10), target) for label in range(10)}
    assert all(cost[label] < 1e-3 for label in allowed)
    assert all(cost[label] > 10 for label in set(range(10)) - allowed)
    logits = torch.randn(1, 10, 1, 2, 4, generator=torch.Generator().manual_seed(1))
    exchanged = logits.clone()
    exchanged[:, sorted(allowed)] = logits[:, sorted(allowed, reverse=True)]
    assert calcium_cost(exchanged, target) == pytest.approx(calcium_cost(logits, target), rel=1e-6)


def test_what_is_wholly_labelled_costs_the_cross_entropy_and_dice_of_every_class() -> None:
    generator = torch.Generator().manual_seed(2)
    target = torch.randint(0, 10, (2, 2, 4, 4), generator=generator).to(torch.uint8)
    logits = torch.randn(2, 10, 2, 4, 4, generator=generator)
    entropy, overlap = calcium_terms(logits, target, torch.ones(target.shape), *dense_unknown(target), WEIGHTS)
    truth = target.long()
    weight = torch.tensor(WEIGHTS.calcium_classes)
    assert float(entropy) == pytest.approx(float(torch.nn.functional.cross_entropy(logits, truth, weight)), rel=1e-6)
    probability = logits.softmax(1)
    hot = torch.nn.functional.one_hot(truth, 10).movedim(-1, 1).float()
    shared, either = ((1.25 * each).sum((0, 2, 3, 4)) for each in (probability * hot, probability + hot))
    expected = (1 - (2 * shared + 1) / (either + 1))[1:].mean()
    assert float(overlap) == pytest.approx(float(expected), rel=1e-6)


@pytest.fixture
def mixed() -> tuple[CalciumModule, dict[str, torch.Tensor]]:
    """A batch of a dense patient and one with coronary labels only, of whom nothing else is known."""
    generator = torch.Generator().manual_seed(3)
    size = (2, 8, 16, 16)
    calcium = torch.full(size, UNKNOWN, dtype=torch.uint8)
    calcium[0, :4], calcium[0, 4, :4], calcium[0, 5, :4] = 0, int(Label.LAD), int(Label.AORTIC_VALVE)
    calcium[1, :4], calcium[1, 4, :4], calcium[1, 5, :4] = NOT_CORONARY, LM_OR_LAD, int(Label.RCA)
    coarse = torch.randint(0, 5, (2, 8, 8, 8), generator=generator).to(torch.uint8)
    heart = torch.randint(0, 2, (2, 16, 16, 16), generator=generator).to(torch.uint8)
    coarse[1], heart[1] = UNKNOWN, UNKNOWN
    batch = {
        "cells": torch.rand(2, 3, 8, 16, 16, generator=generator),
        "calcium": calcium,
        "territory": coarse,
        "tissue": coarse.clone(),
        "scout": torch.randn(2, 1, 16, 16, 16, generator=generator) * 100,
        "heart": heart,
    }
    torch.manual_seed(0)
    return CalciumModule([4, 4], [2], 1, 4, 4), batch


def test_dense_and_partly_labelled_patients_train_together(
    mixed: tuple[CalciumModule, dict[str, torch.Tensor]],
) -> None:
    module, batch = mixed
    answers: dict[str, torch.Tensor] = {}

    def keep(name: str):
        def hook(_module: torch.nn.Module, _given: object, answer: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
            parts = answer if isinstance(answer, tuple) else (answer,)
            for place, part in enumerate(parts):
                part.retain_grad()
                answers[f"{name}{place}"] = part

        return hook

    module.net.register_forward_hook(keep("net"))
    module.scout.register_forward_hook(keep("scout"))
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-2)
    costs = []
    for _ in range(8):
        terms, _logits = module.losses(batch)
        total = torch.stack(list(terms.values())).sum()
        optimiser.zero_grad()
        total.backward()
        assert all(torch.isfinite(term) for term in terms.values())
        assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)
        optimiser.step()
        costs.append(float(total.detach()))
    assert costs[-1] < costs[0]
    calcium, territory, tissue, scout = (answers[name].grad for name in ("net0", "net1", "net2", "scout0"))
    unknown = batch["calcium"] == UNKNOWN
    assert (calcium.movedim(1, -1)[unknown] == 0).all()
    assert (calcium.movedim(1, -1)[~unknown] != 0).any(dim=-1).all()
    for dense in (territory, tissue, scout):
        assert (dense[0] != 0).any()
        assert (dense[1] == 0).all()


def test_validation_counts_only_what_labels_decide(mixed: tuple[CalciumModule, dict[str, torch.Tensor]]) -> None:
    module, batch = mixed
    module.log_dict = lambda *_, **__: None
    module.log = lambda *_, **__: None
    logits = torch.zeros(2, 10, 8, 16, 16)
    logits[:, Label.LM] = 5.0
    module.losses = lambda _: ({"calcium": torch.zeros(())}, logits)
    module.on_validation_epoch_start()
    module.validation_step(batch, 0)
    share = batch["cells"][:, 1]
    calcium = batch["calcium"]
    known = calcium != UNKNOWN
    coronary = torch.isin(calcium, torch.tensor([Label.LAD, Label.RCA, LM_OR_LAD]))
    hit, false, missed = module.counts[0].tolist()
    assert hit == pytest.approx(float(share[coronary].sum()), rel=1e-5)
    assert false == pytest.approx(float(share[known & ~coronary].sum()), rel=1e-5)
    assert missed == 0
    hit, false, missed = module.counts[Label.LM].tolist()
    assert false == pytest.approx(float(share[known & (calcium != LM_OR_LAD)].sum()), rel=1e-5)
    assert hit == missed == 0
    assert module.counts[Label.AORTIC_VALVE].tolist() == pytest.approx(
        [0, 0, float(share[calcium == Label.AORTIC_VALVE].sum())]
    )
