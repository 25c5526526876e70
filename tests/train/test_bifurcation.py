import json
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

from cacseg.data.readers import LabelledStudy
from cacseg.errors import UsageError
from cacseg.infer import Release, load_release
from cacseg.infer.bifurcation import BLOCK, PRIOR
from cacseg.models import BifurcationNet
from cacseg.train import bifurcation as module
from cacseg.train.beside import put
from cacseg.train.bifurcation import BifurcationData, BifurcationSettings, allowed, fit, said, varied
from cacseg.train.bifurcation_sample import (
    CACHED_BLOCK,
    LEFT_MAIN_OR_LAD,
    MARGIN_CELLS,
    BifurcationSample,
    Branches,
    bifurcation_patient,
    bifurcation_sample,
    save_bifurcation,
)
from cacseg.vessels import Label

pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "models" / "cacseg-unet-1"
SHORT = BifurcationSettings(steps=3, batch_size=2)
LM, LAD, LCX = 0b001, 0b010, 0b100


def made_up(seed: int) -> BifurcationSample:
    """A soft rod through the block, LM before its bend and LAD behind it; the first network cannot tell."""
    rng = np.random.default_rng(seed)
    slices, rows, columns = CACHED_BLOCK.shape
    bend = int(rng.integers(35, 61))
    hu = rng.normal(-90, 10, CACHED_BLOCK.shape)
    artery = np.zeros(CACHED_BLOCK.shape, np.uint8)
    hu[8:12, 44:52, :bend] = 50
    artery[8:12, 44:52, :bend] = LM
    hu[8:12, 44:52, bend:] = 400
    artery[8:12, 44:52, bend:] = LAD
    at = np.flatnonzero(hu >= 130).astype(np.int32)
    prior = np.zeros((len(PRIOR), slices, rows // 2, columns // 2))
    prior[0], prior[1:4] = 0.1, 0.3
    return BifurcationSample(
        hu=hu.astype(np.int16),
        at=at,
        fraction=np.ones(at.size, np.float32),
        excess=np.full(at.size, 270, np.float32),
        prior=prior.astype(np.float16),
        calcium=artery.reshape(-1)[at],
        artery=artery,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blocks")
    for seed in range(6):
        save_bifurcation(made_up(seed), path / f"{seed}.npz")
    return path


@pytest.fixture(scope="module")
def shipped() -> Release:
    return load_release(SHIPPED, threads=1)


@pytest.fixture(scope="module")
def patient() -> tuple[LabelledStudy, Branches]:
    return bifurcation_patient(2)


@pytest.fixture(scope="module")
def sample(patient: tuple[LabelledStudy, Branches], shipped: Release) -> BifurcationSample:
    found = bifurcation_sample(patient[0], shipped, patient[1])
    assert found is not None
    return found


def test_every_other_patient_has_much_plaque(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple] = []

    class Scan:
        branches = ()

    monkeypatch.setattr(
        "cacseg.data.phantom.digital_patient", lambda seed, **given: calls.append((seed, given)) or Scan()
    )
    monkeypatch.setattr("cacseg.evaluation.scan_facts.study_of_scan", lambda scan, name: name)
    names = [bifurcation_patient(number)[0] for number in range(71)]
    assert names[:3] == ["chest-700000", "gated-700001", "gated-700002"]
    assert calls[3] == (700_003, {"family": "gated"})  # every third heart is a usual one
    targets = [given.get("target_agatston") for _, given in calls]
    assert all(target is None for target in targets[1::2])
    assert min(targets[::2]) >= 100
    assert max(targets[::2]) <= 4000
    assert sum(given["family"] == "chest" for _, given in calls) == 11
    assert sum("extracoronary" in given for _, given in calls) == 15


def test_the_block_of_a_patient_lies_around_the_left_main_artery(
    sample: BifurcationSample, patient: tuple[LabelledStudy, Branches]
) -> None:
    assert sample.hu.shape == sample.artery.shape == CACHED_BLOCK.shape
    assert set(np.unique(sample.artery)) <= {0, LM, LAD, LCX}
    middle = np.argwhere(sample.artery == LM).mean(axis=0)
    assert np.abs((middle - (np.array(CACHED_BLOCK.shape) - 1) / 2) * CACHED_BLOCK.spacing_mm).max() < 8
    lumen = sample.hu[sample.artery > 0]
    assert -90 < np.median(lumen) < 80
    near = np.repeat(np.repeat(sample.prior[:5].astype(float).argmax(axis=0), 2, axis=1), 2, axis=2)
    for bit, label in ((LM, Label.LM), (LAD, Label.LAD), (LCX, Label.LCX)):
        assert (near[sample.artery == bit] == label).mean() > 0.6


def test_calcified_cells_are_of_the_artery_that_holds_them(
    sample: BifurcationSample, patient: tuple[LabelledStudy, Branches]
) -> None:
    held = patient[0].labels[(patient[0].labels >= Label.LM) & (patient[0].labels <= Label.LCX)]
    assert held.size > 100
    known = sample.calcium > 0
    assert known.sum() > 20
    along = sample.artery.reshape(-1)[sample.at]
    both = known & (along > 0)
    assert both.sum() > 10
    assert (sample.calcium[both] == along[both]).mean() > 0.85
    assert (sample.fraction[known] > 0).all()


def test_labels_of_calcium_alone_teach_calcium_alone(
    patient: tuple[LabelledStudy, Branches], shipped: Release, sample: BifurcationSample
) -> None:
    study = replace(patient[0], label_scope="coronary", merged={Label.LM: Label.LAD})
    alone = bifurcation_sample(study, shipped)
    assert alone is not None
    assert not alone.artery.any()
    assert np.array_equal(alone.calcium > 0, sample.calcium > 0)
    assert np.array_equal(alone.calcium == LCX, sample.calcium == LCX)
    left = (sample.calcium == LM) | (sample.calcium == LAD)
    assert (alone.calcium[left] == LEFT_MAIN_OR_LAD).all()


def test_a_scan_without_a_heart_gives_no_sample(patient: tuple[LabelledStudy, Branches], shipped: Release) -> None:
    air = replace(patient[0], volume=patient[0].volume.with_voxels(np.full(patient[0].volume.shape, -1000, np.int16)))
    assert bifurcation_sample(air, shipped) is None


def test_untrained_it_says_what_the_first_network_says() -> None:
    prior = torch.rand(2, len(PRIOR), BLOCK.shape[0], BLOCK.shape[1] // 2, BLOCK.shape[2] // 2)
    with torch.no_grad():
        logits = BifurcationNet().eval()(torch.randn(2, 3, *BLOCK.shape) * 100, prior)
    assert logits.shape == (2, 3, *BLOCK.shape)
    first = prior[:, 1:4].argmax(1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(logits.argmax(1), first)


def test_a_block_is_cut_where_it_is_asked_for(folder: Path) -> None:
    data = BifurcationData(folder, SHORT)
    cells, prior, calcium, artery = data.block(0, (1, 4, 10))
    stored = data.blocks[0]
    assert np.array_equal(cells[0].numpy(), stored["hu"][1:17, 4:84, 10:90])
    assert np.array_equal(artery.numpy(), stored["artery"][1:17, 4:84, 10:90])
    assert np.array_equal(prior.numpy(), stored["prior"][:, 1:17, 2:42, 5:45].astype(np.float32))
    assert torch.equal(calcium > 0, cells[1] > 0)
    assert torch.equal(calcium > 0, cells[0] >= 130)
    assert torch.equal(calcium[calcium > 0], artery[calcium > 0])
    assert float(cells[2].max()) == 270


def test_what_is_not_labelled_teaches_nothing_and_a_set_allows_its_members(folder: Path) -> None:
    data = BifurcationData(folder, SHORT)
    cells = torch.ones(1, 3, 1, 1, 4)
    logits = torch.tensor([[9.0, 0, 0, 0], [0, 9.0, 0, 0], [0, 0, 9.0, 9.0]]).reshape(1, 3, 1, 1, 4)

    def loss(calcium: list[int], artery: list[int]) -> float:
        given = (torch.tensor(each, dtype=torch.uint8).reshape(1, 1, 1, 4) for each in (calcium, artery))
        return float(data.loss(logits, cells, *given))

    assert loss([0] * 4, [0] * 4) == 0.0
    assert loss([0] * 4, [LM, LAD, LCX, 0]) < 0.001
    assert loss([LEFT_MAIN_OR_LAD, LEFT_MAIN_OR_LAD, 0, 0], [0] * 4) < 0.001
    assert loss([LM, LM, 0, 0], [0] * 4) == pytest.approx(2 * 9.0 / 2, abs=0.01)
    assert loss([0] * 4, [LM, LM, 0, 0]) == pytest.approx(9.0 / 2, abs=0.01)
    assert allowed(torch.tensor([[LEFT_MAIN_OR_LAD]], dtype=torch.uint8))[0, :, 0].tolist() == [True, True, False]


def test_calcium_is_measured_where_its_artery_is_known_alone(folder: Path) -> None:
    class Says(torch.nn.Module):
        """LAD everywhere."""

        def forward(self, cells: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
            return torch.tensor([0.0, 5.0, 0.0]).reshape(1, 3, 1, 1, 1).expand(len(cells), 3, *BLOCK.shape)

    data = BifurcationData(folder, SHORT)
    stored = data.blocks[int(data.validation[0])]
    stored["calcium"] = stored["calcium"].copy()
    whole = data.validated(Says())
    assert (whole["calcium"], whole["f1_LAD"], whole["f1_LM"]) == (1.0, 1.0, 0.0)
    stored["calcium"][: stored["calcium"].size // 2] = LM
    half = data.validated(Says())
    assert 0.2 < half["calcium"] < 0.8
    assert half["f1_LAD"] == pytest.approx(2 * half["calcium"] / (1 + half["calcium"]), abs=1e-3)
    assert half["f1_LM"] == 0.0
    stored["calcium"][stored["calcium"] == LM] = LEFT_MAIN_OR_LAD
    assert data.validated(Says())["f1_LAD"] == 1.0


def test_variation_moves_targets_with_what_they_are_of(folder: Path) -> None:
    data = BifurcationData(folder, SHORT)
    rng = np.random.default_rng(3)
    whole = [torch.stack(each) for each in zip(*[data.block(k, MARGIN_CELLS) for k in range(6)] * 8, strict=True)]
    cells, prior, calcium, artery = varied(*(each.clone() for each in whole), rng)
    assert not torch.equal(artery, whole[3])
    bright, dark = cells[:, 0][artery == LAD], cells[:, 0][artery == 0]
    assert float((bright > 150).float().mean()) > 0.9
    assert float((dark < 0).float().mean()) > 0.95
    assert set(torch.unique(calcium).tolist()) <= {0, LAD}
    untold = (prior == 0).flatten(1).all(1)
    assert 0 < int(untold.sum()) < 16
    column = torch.arange(BLOCK.shape[2], dtype=torch.float32)
    left, right = ((artery == bit).float().sum((1, 2)) @ column / (artery == bit).sum((1, 2, 3)) for bit in (LM, LAD))
    assert (left < right).all()  # never mirrored
    slices = torch.arange(BLOCK.shape[0], dtype=torch.float32)
    before, after = (
        (each == LAD).float().sum((2, 3)) @ slices / (each == LAD).sum((1, 2, 3)) for each in (whole[3], artery)
    )
    assert 0.5 < float((after - before).abs().max()) < 4  # out of the slices, too


def test_what_the_first_network_says_is_mislaid_against_the_image(folder: Path) -> None:
    data = BifurcationData(folder, SHORT)
    whole = [torch.stack(each) for each in zip(*[data.block(k, MARGIN_CELLS) for k in range(6)] * 8, strict=True)]
    whole[1] = 0.1 + 0.8 * (whole[3] > 0).float()[:, None, :, ::2, ::2].expand_as(whole[1])  # where the arteries are
    _, prior, _, artery = varied(*(each.clone() for each in whole), np.random.default_rng(3))
    told = prior.flatten(1).amax(1) > 0
    rows = torch.arange(BLOCK.shape[1] // 2, dtype=torch.float32)

    def row_mm(shown: torch.Tensor) -> torch.Tensor:
        return 2 * BLOCK.spacing_mm[1] * (shown.sum((1, 3)) @ rows) / shown.sum((1, 2, 3))

    off_mm = (row_mm((prior[:, 0] > 0.5).float()) - row_mm((artery[:, :, ::2, ::2] > 0).float()))[told].abs()
    assert float((off_mm < 0.5).float().mean()) > 0.3
    assert float((off_mm > 1.5).float().mean()) > 0.2
    assert float(off_mm.max()) < 12


def test_what_is_learned_tells_the_bend(folder: Path, tmp_path: Path) -> None:
    settings = BifurcationSettings(steps=40, batch_size=2, learning_rate=3e-3, averaging=0.8)
    made = fit(folder, tmp_path, settings, validate_every=40)
    net = BifurcationNet()
    net.load_state_dict(torch.load(made, weights_only=True)["state_dict"])
    (tmp_path / "new").mkdir()
    for seed in range(2):
        save_bifurcation(made_up(99 + seed), tmp_path / "new" / f"{seed}.npz")
    data = BifurcationData(tmp_path / "new", SHORT)
    cells, prior, _, artery = (each[None] for each in data.block(0, MARGIN_CELLS))
    with torch.no_grad():
        says = said(net.eval(), cells, prior, torch.device("cpu")).argmax(1)
    truth = artery > 0
    assert float((allowed(artery).gather(1, says[:, None])[:, 0] & truth).sum() / truth.sum()) > 0.9
    (header, row) = (tmp_path / "metrics.csv").read_text().splitlines()
    measured = dict(zip(header.split(","), map(float, row.split(",")), strict=True))
    assert measured["along_centre_lines"] > 0.9
    assert measured["calcium"] > 0.9 > measured["calcium_before"]
    assert measured["f1_LAD"] > 0.9


def test_a_stopped_run_ends_as_one_that_was_left_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = torch.load(fit(folder, tmp_path / "whole", SHORT, validate_every=1), weights_only=True)["state_dict"]
    calls = []

    def stopping(self: BifurcationData, net: torch.nn.Module, rng: np.random.Generator, size: int) -> torch.Tensor:
        calls.append(size)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return lesson(self, net, rng, size)

    lesson = BifurcationData.loss_of_batch
    with monkeypatch.context() as patched:
        patched.setattr(module.BifurcationData, "loss_of_batch", stopping)
        with pytest.raises(KeyboardInterrupt):
            fit(folder, tmp_path / "stopped", SHORT, validate_every=1)
    again = torch.load(fit(folder, tmp_path / "stopped", SHORT, validate_every=1), weights_only=True)["state_dict"]
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    with pytest.raises(UsageError, match="a run of 3 steps"):
        fit(folder, tmp_path / "stopped", replace(SHORT, steps=9))


def test_too_few_scans_are_refused(tmp_path: Path) -> None:
    save_bifurcation(made_up(0), tmp_path / "0.npz")
    with pytest.raises(UsageError, match="more are needed"):
        BifurcationData(tmp_path, SHORT)


@pytest.fixture(scope="module")
def release_with_one(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("releases") / "three"
    shutil.copytree(SHIPPED, path)
    weights = fit(folder, tmp_path_factory.mktemp("run"), SHORT)
    put("bifurcation", weights, path, "9.2.0", patients=1)
    return path


def test_a_release_gets_a_third_network(release_with_one: Path) -> None:
    metadata = json.loads((release_with_one / "metadata.json").read_text())
    block = metadata["cacseg"]
    assert metadata["version"] == "9.2.0"
    assert metadata["bifurcation_data_format"]["outputs"]["artery"]["channel_def"] == {
        "0": "LM",
        "1": "LAD",
        "2": "LCX",
    }
    for name in ("bifurcation.onnx", "bifurcation.pt"):
        assert block["sha256"][name] == sha256((release_with_one / name).read_bytes()).hexdigest()
    assert block["bifurcation"]["made"]["settings"]["steps"] == SHORT.steps
    assert block["bifurcation"]["prior"] == list(PRIOR)
    assert block["bifurcation"]["parity"]["scores_changed"] == 0
    release = load_release(release_with_one)
    assert release.describe()["networks"]["bifurcation"] == block["sha256"]["bifurcation.onnx"]
    given = {
        "cells": np.zeros((3, 3, *BLOCK.shape), np.float32),
        "prior": np.zeros((3, len(PRIOR), BLOCK.shape[0], BLOCK.shape[1] // 2, BLOCK.shape[2] // 2), np.float32),
    }
    assert release.sessions["bifurcation"].run(["artery"], given)[0].shape == (3, 3, *BLOCK.shape)


def test_its_weights_are_stored_in_half_precision_and_lose_nothing(release_with_one: Path) -> None:
    graph = onnx.load(release_with_one / "bifurcation.onnx").graph
    halved = [weight for weight in graph.initializer if weight.data_type == TensorProto.FLOAT16]
    assert sum(int(np.prod(weight.dims)) for weight in halved) > 400_000
    assert (release_with_one / "bifurcation.onnx").stat().st_size < 1_300_000
    parity = json.loads((release_with_one / "metadata.json").read_text())["cacseg"]["bifurcation"]["parity"]
    assert parity["largest_difference"] < 1e-4


def test_the_script_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(ROOT / "train" / "bifurcation.py"))["main"]
    assert main(["fit", str(tmp_path), str(tmp_path / "run")]) == UsageError("").exit_code
    assert "No cached samples" in capsys.readouterr().err
    assert main(["put", str(tmp_path / "bifurcation.pt"), str(SHIPPED), "--version", "1"]) == UsageError("").exit_code
    assert "one is not there" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["cache", str(tmp_path), "--dataset", "coca"])
    assert "a dataset needs its folder" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["fit", str(tmp_path), str(tmp_path / "run"), "--start-from", str(tmp_path / "none.pt")])
    assert "no such weights" in capsys.readouterr().err


def test_the_script_caches_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "patient-00005.npz").write_bytes(b"made before")
    script = [sys.executable, "train/bifurcation.py", "cache", str(tmp_path)]
    subprocess.run([*script, "--release", str(SHIPPED), "--first", "5", "--count", "2"], cwd=ROOT, check=True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["patient-00005.npz", "patient-00006.npz"]
    assert (tmp_path / "patient-00005.npz").read_bytes() == b"made before"
    with np.load(tmp_path / "patient-00006.npz") as made:
        assert made["artery"].any()
