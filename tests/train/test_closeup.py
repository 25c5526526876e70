import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from cacseg.data.readers import LabelledStudy
from cacseg.errors import UsageError
from cacseg.infer import Release, load_release
from cacseg.infer.closeup import CHANNELS, FACTS, OWNERS, PATCH
from cacseg.infer.grid import axial_view
from cacseg.models import CloseupNet
from cacseg.models.closeup import LARGEST_CHANGE
from cacseg.train import closeup as module
from cacseg.train.beside import add_put_arguments, put, put_given
from cacseg.train.closeup import CloseupData, CloseupSettings, fit, varied
from cacseg.train.closeup_sample import MIX, CloseupSample, closeup_sample, patient, save_closeups
from cacseg.train.export import decision_source, export
from cacseg.vessels import Label

pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "models" / "cacseg-unet-1"
SHORT = CloseupSettings(steps=6, batch_size=8)


def made_up(seed: int, count: int = 6) -> CloseupSample:
    """Bright components are other calcium, dim ones coronary; the first network cannot tell."""
    rng = np.random.default_rng(seed)
    bright = rng.random(count) < 0.5
    hu = rng.normal(40, 10, (count, *PATCH.shape))
    shares = np.zeros((count, len(CHANNELS) - 1, *PATCH.shape))
    shares[..., 5:8, 28:36, 28:36] = 255
    hu[:, 5:8, 28:36, 28:36] = np.where(bright, 1200, 350)[:, None, None, None]
    truth = np.zeros((count, len(OWNERS)), np.float32)
    truth[np.arange(count), np.where(bright, 5, 1)] = 1
    probability = np.tile(np.array([0.02, 0.49, 0, 0, 0, 0.49], np.float32), (count, 1))
    return CloseupSample(
        hu=hu.astype(np.int16),
        shares=shares.astype(np.uint8),
        facts=np.zeros((count, len(FACTS)), np.float32),
        probability=probability,
        truth=truth,
        agatston=np.full(count, 80, np.float32),
        known=np.ones(count, bool),
        healthy=not (truth[:, 1] > 0).any(),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("closeups")
    for seed in range(12):
        save_closeups(made_up(seed), path / f"{seed}.npz")
    return path


@pytest.fixture(scope="module")
def shipped() -> Release:
    return replace(load_release(SHIPPED, threads=1), closeup_session=None)


@pytest.fixture(scope="module")
def study() -> LabelledStudy:
    """Much plaque: pieces to look at, whichever network a release has."""
    return patient(1, "heavy")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What the simulator was asked for, instead of a scan."""
    calls: list[tuple] = []
    monkeypatch.setattr("cacseg.data.phantom.digital_patient", lambda seed, **given: calls.append((seed, given)))
    monkeypatch.setattr("cacseg.evaluation.scan_facts.study_of_scan", lambda scan, name: name)
    monkeypatch.setattr("cacseg.evaluation.families.scan_without_coronary_calcium", lambda *given: calls.append(given))
    return calls


def test_the_patients_are_those_of_the_mix(asked: list[tuple]) -> None:
    assert len(MIX) == 20
    # Every third heart is a usual one.
    assert [patient(number) for number in (3, 39)] == ["gated-800003", "gated-800039"]
    assert asked == [(800_003, {"family": "gated", "extracoronary": "hard"}), (800_039, "gated")]


def test_every_other_mixed_patient_has_bright_spots_that_are_no_calcium(monkeypatch: pytest.MonkeyPatch) -> None:
    bright = patient(4)
    monkeypatch.setattr("cacseg.train.closeup_sample.SPOTS_EVERY", 1000)
    plain = patient(4)
    hu = bright.volume.voxels
    assert np.array_equal(bright.labels, plain.labels)
    added = hu.astype(int) - axial_view(plain.volume).voxels
    assert added.min() >= 0
    assert added.max() > 90
    assert not bright.labels[added > 90].any()


def test_patients_with_stents_with_much_plaque_and_with_both_are_asked_for(asked: list[tuple]) -> None:
    assert [patient(number, "stented") for number in (0, 3)] == ["chest-820000", "gated-820003"]
    heavy = [patient(number, "heavy") for number in range(1, 60)]
    assert len(set(heavy)) == 59
    assert asked[:2] == [
        (820_000, {"family": "chest", "present": {"stents": 1}}),
        (820_003, {"family": "gated", "present": {"stents": 1}}),
    ]
    assert all(given["present"] == {"stents": 0} for _, given in asked[2:])
    targets = np.array([given["target_agatston"] for _, given in asked[2:]])
    assert targets.min() >= 300
    assert targets.max() <= 4000
    assert 700 < np.median(targets) < 1700
    assert patient(1, "crowded") == "gated-860001"
    assert asked[-1][1]["present"] == {"stents": 3}
    assert asked[-1][1]["target_agatston"] >= 300
    assert [patient(number, "plated") for number in (1, 3, 5)] == ["gated-880001", "gated-880003", "chest-880005"]
    assert [given["target_agatston"] > 0 for _, given in asked[-3:]] == [True, False, True]
    assert all(given["present"]["pericardium"] == 3 for _, given in asked[-3:])


def test_the_components_of_a_patient_have_their_true_owners(study: LabelledStudy, shipped: Release) -> None:
    sample = closeup_sample(study, shipped)
    assert sample is not None
    count = len(sample.agatston)
    assert count > 5
    assert sample.hu.shape == (count, *PATCH.shape)
    assert sample.shares.shape == (count, 2, *PATCH.shape)
    assert (sample.shares[:, 0] <= sample.shares[:, 1]).all()
    assert np.allclose(sample.truth.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(sample.probability.sum(axis=1), 1, atol=1e-5)
    assert (sample.probability[:, 1] >= 0.02).all()
    assert sample.known.all()
    coronary = np.isin(study.labels, (Label.LM, Label.LAD, Label.LCX, Label.RCA)).any()
    assert sample.healthy == (not coronary)
    right = sample.truth.argmax(axis=1) == sample.probability.argmax(axis=1)
    assert right.mean() > 0.5


def test_where_only_coronary_calcium_is_labelled_the_rest_is_not_known(study: LabelledStudy, shipped: Release) -> None:
    labels = np.where(study.labels <= Label.RCA, study.labels, 0)
    sample = closeup_sample(replace(study, labels=labels, label_scope="coronary"), shipped)
    assert sample is not None
    assert np.array_equal(sample.known, sample.truth[:, 1] > 0.5)


def test_a_scan_without_coronary_calcium_is_healthy(study: LabelledStudy, shipped: Release) -> None:
    labels = np.where(study.labels <= Label.RCA, 0, study.labels)
    sample = closeup_sample(replace(study, labels=labels), shipped)
    assert sample is not None
    assert sample.healthy
    assert not sample.truth[:, 1].any()


def test_what_is_not_known_teaches_coronary_or_not(tmp_path: Path) -> None:
    for seed in range(12):
        save_closeups(replace(made_up(seed), known=np.zeros(6, bool)), tmp_path / f"{seed}.npz")
    data = CloseupData(tmp_path, SHORT)
    other = int(data.training[(data.truth[:, 5] == 1)[data.training]][0])
    place = torch.tensor([other])
    to_aorta = torch.zeros(1, 6)
    to_aorta[0, 4] = 9.0
    to_other = torch.zeros(1, 6)
    to_other[0, 5] = 9.0
    to_coronary = torch.zeros(1, 6)
    to_coronary[0, 1] = 9.0
    none, bone = float(data.loss(place, torch.zeros(1, 6))), float(data.loss(place, to_other))
    assert none == pytest.approx(-np.log(0.51), abs=1e-3)
    assert bone < 0.01
    assert float(data.loss(place, to_aorta)) < none
    assert float(data.loss(place, to_coronary)) > 5


def test_the_second_network_begins_by_changing_nothing_and_changes_within_limits() -> None:
    net = CloseupNet().eval()
    patches, facts = torch.randn(2, len(CHANNELS), *PATCH.shape) * 300, torch.randn(2, len(FACTS))
    assert torch.equal(net(patches, facts), torch.zeros(2, len(OWNERS)))
    with torch.no_grad():
        net.head[-1].bias.fill_(1e4)
    assert torch.allclose(net(patches, facts), torch.full((2, len(OWNERS)), LARGEST_CHANGE))


def test_what_is_learned_tells_bright_from_dim(folder: Path, tmp_path: Path) -> None:
    made = fit(folder, tmp_path, CloseupSettings(steps=60, batch_size=8, averaging=0.8))
    net = CloseupNet()
    net.load_state_dict(torch.load(made, weights_only=True)["state_dict"])
    sample = made_up(99, 12)
    patches = torch.from_numpy(
        np.concatenate([sample.hu[:, None].astype(np.float32), sample.shares / np.float32(255)], 1)
    )
    with torch.no_grad():
        change = net.eval()(patches, torch.from_numpy(sample.facts)).numpy()
    says_other = change[:, 5] > change[:, 1]
    assert np.array_equal(says_other, sample.truth[:, 5] == 1)
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert rows[0].startswith("step,train_loss,loss,loss_before,score,false,missed")
    assert len(rows) == 2


def test_a_stopped_run_ends_as_one_that_was_left_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = torch.load(fit(folder, tmp_path / "whole", SHORT, validate_every=3), weights_only=True)["state_dict"]
    calls = []

    def stopping(self: CloseupData, rng: np.random.Generator, size: int):
        calls.append(size)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return batch(self, rng, size)

    batch = CloseupData.batch
    with monkeypatch.context() as patched:
        patched.setattr(module.CloseupData, "batch", stopping)
        with pytest.raises(KeyboardInterrupt):
            fit(folder, tmp_path / "stopped", SHORT, validate_every=3)
    assert not (tmp_path / "stopped" / "closeup.pt").exists()
    again = torch.load(fit(folder, tmp_path / "stopped", SHORT, validate_every=3), weights_only=True)["state_dict"]
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_scans_of_a_kind_may_count_less(tmp_path: Path) -> None:
    for seed in range(12):
        save_closeups(made_up(seed), tmp_path / f"{'crowded' if seed < 6 else 'mixed'}-{seed}.npz")
    plain = CloseupData(tmp_path, SHORT)
    light = CloseupData(tmp_path, replace(SHORT, weights={"crowded": 0.25}))
    factor = light.weight / plain.weight
    assert sorted(set(factor.tolist())) == [0.25, 1.0]
    assert int((factor == 0.25).sum()) == 36
    assert light.draw[factor.numpy()[light.training] == 1].sum() > 0.7
    assert np.allclose((light.importance * light.draw).sum() * light.training.size, light.weight[light.training].sum())


def test_a_weight_of_a_kind_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for seed in range(12):
        save_closeups(made_up(seed), tmp_path / f"crowded-{seed}.npz")
    fitting = [
        sys.executable,
        "train/closeup.py",
        "fit",
        str(tmp_path),
        str(tmp_path / "run"),
        "--weight",
        "crowdde=.2",
    ]
    ran = subprocess.run(fitting, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == UsageError("").exit_code
    assert "is crowdde; there are crowded" in ran.stderr


def test_a_run_of_another_length_is_not_gone_on_with(folder: Path, tmp_path: Path) -> None:
    fit(folder, tmp_path, SHORT)
    with pytest.raises(UsageError, match="a run of 6 steps"):
        fit(folder, tmp_path, replace(SHORT, steps=9))


def test_training_starts_from_what_was_learned_before(folder: Path, tmp_path: Path) -> None:
    first = fit(folder, tmp_path / "first", SHORT)
    still = replace(SHORT, learning_rate=1e-9, weight_decay=0.0, seed=5)
    second = torch.load(fit(folder, tmp_path / "second", still, start_from=first), weights_only=True)
    learned = torch.load(first, weights_only=True)["state_dict"]
    weights = [name for name in learned if "running" not in name and "tracked" not in name]
    assert len(weights) > 8
    assert all(torch.allclose(second["state_dict"][name], learned[name], atol=1e-6) for name in weights)
    assert second["made"]["start_from"] == sha256(first.read_bytes()).hexdigest()


def test_variation_leaves_a_component_whole() -> None:
    patches = torch.zeros(12, len(CHANNELS), *PATCH.shape)
    patches[:, 1:, 4:8, 20:30, 25:40] = 1.0
    patches[:, 0] = 40.0 + 400 * patches[:, 1]
    changed = varied(patches, np.random.default_rng(0))
    size = changed[:, 1].sum((1, 2, 3)) / patches[:, 1].sum((1, 2, 3))
    assert ((size > 0.5) & (size < 2.0)).all()
    assert size.unique().numel() > 6
    assert torch.allclose(changed[:, 1], changed[:, 2], atol=1e-5)
    for hu, share in zip(changed[:, 0].flatten(1), changed[:, 1].flatten(1), strict=True):
        inside, outside = hu[share > 0.999].mean(), hu[share < 0.001].mean()
        assert inside > 350 > 80 > outside
        assert torch.allclose(hu, outside + (inside - outside) * share, atol=1.0)


def test_variation_never_mirrors() -> None:
    patches = torch.zeros(40, len(CHANNELS), *PATCH.shape)
    patches[:, 1, 2:5, 44:52, 10:18] = 1.0  # below, towards the back, to the right
    changed = varied(patches, np.random.default_rng(1))[:, 1]
    for axis, (size, side) in enumerate(zip(PATCH.shape, (-1, 1, -1), strict=True)):
        others = tuple(other for other in (1, 2, 3) if other != axis + 1)
        place = torch.arange(size) - (size - 1) / 2
        middle = (changed.sum(others) * place).sum(1) / changed.sum((1, 2, 3))
        assert (side * middle > 0).all()


def test_too_few_scans_are_refused(tmp_path: Path) -> None:
    save_closeups(made_up(0), tmp_path / "0.npz")
    with pytest.raises(UsageError, match="more are needed"):
        CloseupData(tmp_path, SHORT)
    with pytest.raises(UsageError, match="No cached samples"):
        CloseupData(tmp_path / "none", SHORT)


@pytest.fixture(scope="module")
def release_with_one(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("releases") / "two"
    shutil.copytree(SHIPPED, path)
    weights = fit(folder, tmp_path_factory.mktemp("run"), SHORT)
    put("closeup", weights, path, "9.1.0", patients=1)
    return path


def test_a_release_gets_a_second_network(release_with_one: Path) -> None:
    metadata = json.loads((release_with_one / "metadata.json").read_text())
    block = metadata["cacseg"]
    assert metadata["version"] == "9.1.0"
    assert "9.1.0" in metadata["changelog"]
    assert block["files"]["closeup"] == "closeup.onnx"
    for name in ("closeup.onnx", "closeup.pt"):
        assert block["sha256"][name] == sha256((release_with_one / name).read_bytes()).hexdigest()
    assert block["closeup"]["made"]["settings"]["steps"] == SHORT.steps
    assert block["closeup"]["facts"] == list(FACTS)
    assert block["closeup"]["owners"] == list(OWNERS)
    assert block["closeup"]["parity"]["scores_changed"] == 0
    release = load_release(release_with_one)
    assert release.closeup_session is not None
    given = {
        "patches": np.zeros((3, len(CHANNELS), *PATCH.shape), np.float32),
        "facts": np.zeros((3, len(FACTS)), np.float32),
    }
    assert release.closeup_session.run(["change"], given)[0].shape == (3, len(OWNERS))


def test_weights_between_two_trainings_are_put(folder: Path, release_with_one: Path, tmp_path: Path) -> None:
    first = release_with_one / "closeup.pt"
    second = fit(folder, tmp_path / "run", replace(SHORT, learning_rate=1e-2, seed=5), start_from=first)
    path = shutil.copytree(release_with_one, tmp_path / "between")
    parser = argparse.ArgumentParser()
    add_put_arguments(parser, "closeup")
    typed = [str(second), str(path), "--version", "9.2.0", "--mixed-with", str(first), "--share", "0.25"]
    assert json.loads(put_given("closeup", parser.parse_args(typed)))["scores_changed"] == 0
    before, after = (torch.load(each, weights_only=True)["state_dict"] for each in (first, second))
    written = torch.load(path / "closeup.pt", weights_only=True)
    assert written["made"]["mixed_with"] == {"sha256": sha256(first.read_bytes()).hexdigest(), "share": 0.25}
    assert json.loads((path / "metadata.json").read_text())["cacseg"]["closeup"]["made"] == written["made"]
    for name, value in after.items():
        expected = 0.25 * before[name].float() + 0.75 * value.float() if value.is_floating_point() else value
        assert torch.allclose(written["state_dict"][name].float(), expected.float(), atol=1e-3), name
    moved = max(float((after[name].float() - before[name].float()).abs().max()) for name in after if "head" in name)
    assert moved > 0.01
    given = {"patches": np.ones((1, len(CHANNELS), *PATCH.shape), np.float32), "facts": np.ones((1, 12), np.float32)}
    said = [load_release(each).closeup_session.run(["change"], given)[0] for each in (release_with_one, path)]
    assert not np.allclose(*said, atol=1e-4)
    with pytest.raises(UsageError, match="No weights"):
        put("closeup", second, path, "9.3.0", mixed_with=tmp_path / "none.pt")


def test_an_export_keeps_the_second_network_of_its_source(release_with_one: Path, tmp_path: Path) -> None:
    from cacseg.train.module import CalciumModule

    tiny = {"channels": [4, 4], "strides": [2], "residual_units": 1, "feature_channels": 4, "head_channels": 4}
    weights = CalciumModule(**tiny).state_dict()
    weights["net.calcium.bias"][:4] += 20.0  # background everywhere: an untrained network gives thousands of pieces
    stored = {"hyper_parameters": tiny, "state_dict": weights, "global_step": 1, "epoch": 0}
    torch.save(stored, tmp_path / "last.ckpt")
    assert decision_source(tmp_path / "new", release_with_one) == release_with_one
    export(tmp_path / "last.ckpt", tmp_path / "new", name="new", decision=release_with_one, volumes=1, patients=1)
    before, after = (json.loads((each / "metadata.json").read_text()) for each in (release_with_one, tmp_path / "new"))
    assert after["cacseg"]["closeup"] == before["cacseg"]["closeup"]
    assert after["cacseg"]["sha256"]["closeup.onnx"] == before["cacseg"]["sha256"]["closeup.onnx"]
    assert load_release(tmp_path / "new").closeup_session is not None


def test_weights_or_a_release_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one is not there"):
        put("closeup", tmp_path / "closeup.pt", SHIPPED, "1.0.0")
