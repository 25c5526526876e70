import numpy as np
import pytest
import torch

from cacseg.models import TISSUE_CLASSES, CalciumNet, ScoutNet
from cacseg.models.unet import HU_WINDOWS, Windows, fold, unfold
from cacseg.train.module import CalciumModule


def small(checkpointing: bool = False) -> CalciumNet:
    torch.manual_seed(0)
    return CalciumNet((4, 8), (2,), 1, 4, 8, checkpointing)


def cells(n: int = 1) -> torch.Tensor:
    made = torch.rand(n, 3, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    made[:, 0] = made[:, 0] * 800 - 500
    return made


def test_unfold_undoes_fold() -> None:
    made = cells(2)
    assert torch.equal(unfold(fold(made)), made)


def test_fold_puts_neighbours_into_channels() -> None:
    made = torch.arange(16.0).reshape(1, 1, 1, 4, 4)
    assert fold(made)[0, :, 0, 0, 0].tolist() == [0.0, 1.0, 4.0, 5.0]


def test_windows_reach_from_minus_one_to_one() -> None:
    shown = Windows()(torch.tensor([-5000.0, 0.0, 5000.0]).reshape(1, 1, 1, 1, 3))[0, :, 0, 0]
    assert shown.shape == (len(HU_WINDOWS), 3)
    assert torch.equal(shown[:, 0], torch.full((len(HU_WINDOWS),), -1.0))
    assert torch.equal(shown[:, 2], torch.full((len(HU_WINDOWS),), 1.0))
    assert shown[0, 1] == pytest.approx(0.0, abs=1e-6)


def test_every_head_has_its_shape() -> None:
    calcium, territory, tissue = small()(cells(2))
    assert calcium.shape == (2, 10, 4, 16, 16)
    assert territory.shape == (2, 5, 4, 8, 8)
    assert tissue.shape == (2, TISSUE_CLASSES, 4, 8, 8)


def test_patients_of_a_batch_do_not_meet() -> None:
    net = small().eval()
    both = cells(2)
    with torch.no_grad():
        together = net(both)[0]
        alone = net(both[:1])[0]
    assert torch.allclose(together[:1], alone, atol=1e-5)


def test_checkpointing_changes_memory_not_gradients() -> None:
    gradients, kept = [], []
    for checkpointing in (False, True):
        net, held = small(checkpointing).train(), []

        def keep(tensor: torch.Tensor, held: list[int] = held) -> torch.Tensor:
            held.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            answer = net(cells())[0]
        kept.append(sum(held))
        answer.square().mean().backward()
        gradients.append(np.concatenate([p.grad.flatten().numpy() for p in net.parameters() if p.grad is not None]))
    assert np.allclose(*gradients, atol=1e-6)
    assert kept[1] < 0.7 * kept[0]


def test_channels_last_changes_the_order_in_memory_only() -> None:
    module = CalciumModule((4, 8), (2,), 1, 4, 8, channels_last=True)
    weights = [p for p in module.net.parameters() if p.dim() == 5 and min(p.shape[1:3]) > 1]
    assert weights
    assert all(p.is_contiguous(memory_format=torch.channels_last_3d) for p in weights)
    plain = CalciumModule((4, 8), (2,), 1, 4, 8)
    plain.load_state_dict(module.state_dict())
    with torch.no_grad():
        for mine, theirs in zip(module.eval().net(cells()), plain.eval().net(cells()), strict=True):
            assert torch.allclose(mine, theirs, atol=1e-5)


def test_scout_answers_on_its_grid() -> None:
    assert ScoutNet((2, 4), (2,))(torch.zeros(1, 1, 8, 8, 8)).shape == (1, 1, 8, 8, 8)
