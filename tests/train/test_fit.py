import csv
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

import cacseg
from cacseg.errors import UsageError
from cacseg.evaluation.families import phantom_version
from cacseg.infer import load_release
from cacseg.train.augment import Augmentation
from cacseg.train.cli import main
from cacseg.train.data import SampleData, StepSampler, TrainingExamples
from cacseg.train.export import export, load_networks
from cacseg.train.loop import lightened
from cacseg.train.module import CalciumModule
from cacseg.train.sources import CachedSamples, samples_in, source_of

CONFIGS = Path(__file__).parents[2] / "configs" / "train"

pytestmark = pytest.mark.filterwarnings("ignore")


def configuration(run: Path, cache: Path, steps: int) -> Path:
    """Two tiny networks for a few steps, two steps an epoch, a checkpoint every step."""
    callbacks = [
        {
            "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
            "init_args": {
                "dirpath": str(run / "checkpoints"),
                "every_n_train_steps": 1,
                "save_last": True,
                "save_top_k": -1,
                "filename": "step{step}",
                "auto_insert_metric_name": False,
                "save_on_train_epoch_end": False,
            },
        },
        {"class_path": "lightning.pytorch.callbacks.EMAWeightAveraging", "init_args": {"decay": 0.5}},
        {"class_path": "cacseg.train.record.RunRecord"},
        {"class_path": "cacseg.train.record.ValidationPictures", "init_args": {"cases": 1}},
    ]
    logger = {
        "class_path": "cacseg.train.record.MetricsTable",
        "init_args": {"save_dir": str(run.parent), "name": run.name, "version": ""},
    }
    made = {
        "seed_everything": 3,
        "trainer": {"default_root_dir": str(run), "accelerator": "cpu", "devices": 1, "max_epochs": -1, "max_steps": steps,
                    "num_sanity_val_steps": 0, "reload_dataloaders_every_n_epochs": 1, "enable_progress_bar": False,
                    "enable_model_summary": False, "log_every_n_steps": 1, "gradient_clip_val": 1.0, "callbacks": callbacks,
                    "logger": logger},
        "model": {"channels": [4, 4], "strides": [2], "residual_units": 1, "feature_channels": 4, "head_channels": 4,
                  "warmup_steps": 1},
        "data": {"folders": {str(cache): 1.0}, "validation_folder": str(cache), "validation_limit": 1, "steps_per_epoch": 3,
                 "batch_size": 1, "workers": 0, "seed": 5},
    }  # fmt: skip
    path = run.parent / f"{run.name}.yaml"
    path.write_text(yaml.safe_dump(made))
    return path


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=False)["state_dict"]


@pytest.fixture(scope="module")
def finished(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "whole"
    assert main(["--config", str(configuration(run, cache_dir, 5))]) == 0
    return run


def test_a_run_folder_describes_itself(finished: Path) -> None:
    described = json.loads((finished / "environment.json").read_text())
    assert described["packages"]["torch"]
    assert next(iter(described["data"].values()))["samples"] == 4
    assert len(next(iter(described["data"].values()))["sha256"]) == 64
    assert described["validation"] == described["data"]
    assert described["git_commit"] is None or len(described["git_commit"].removesuffix("-dirty")) == 40
    metrics = (finished / "metrics.csv").read_text()
    assert "train/loss" in metrics
    assert "val/f1_coronary" in metrics
    assert "speed/steps_per_s" in metrics
    shares = [float(row["speed/waiting_share"]) for row in rows_of(finished) if row["speed/waiting_share"]]
    assert shares
    assert all(0 <= share < 1 for share in shares)
    assert list((finished / "pictures").glob("*.png"))
    assert list(finished.glob("**/config.yaml"))


@pytest.mark.parametrize("killed_after", [2, 3, 4])
def test_a_killed_run_ends_where_the_whole_one_did(
    finished: Path, cache_dir: Path, tmp_path: Path, killed_after: int
) -> None:
    run = tmp_path / "again"
    config = configuration(run, cache_dir, 5)
    checkpoint = finished / "checkpoints" / f"step{killed_after}.ckpt"
    assert main(["--config", str(config), "--ckpt_path", str(checkpoint)]) == 0
    expected, found = weights(finished / "checkpoints" / "last.ckpt"), weights(run / "checkpoints" / "last.ckpt")
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.allclose(value, found[name], atol=1e-6), name


def table(run: Path) -> list[dict[str, str]]:
    kept = ("step", "train/loss", "val/loss", "val/f1_coronary")
    return [{name: row[name] for name in kept} for row in rows_of(run) if row["train/loss"] or row["val/loss"]]


def test_a_resumed_run_continues_its_table_of_metrics(finished: Path, cache_dir: Path, tmp_path: Path) -> None:
    run = tmp_path / "resumed"
    assert main(["--config", str(configuration(run, cache_dir, 4))]) == 0
    checkpoint = run / "checkpoints" / "step2.ckpt"
    assert main(["--config", str(configuration(run, cache_dir, 5)), "--ckpt_path", str(checkpoint)]) == 0
    described = json.loads((run / "environment.json").read_text())
    assert described["resumed_from"]["data"] == described["data"]
    steps = [int(row["step"]) for row in table(run) if row["train/loss"]]
    assert steps == [0, 1, 2, 3, 4]
    early = [row for row in table(finished) if int(row["step"]) < 2]
    assert [row for row in table(run) if int(row["step"]) < 2] == early
    assert main(["--config", str(configuration(run, cache_dir, 1))]) == 0
    assert [int(row["step"]) for row in table(run) if row["train/loss"]] == [0]


def test_a_misspelt_key_fails(finished: Path, cache_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configuration(finished, cache_dir, 5)
    text = config.read_text().replace("warmup_steps", "warmup_stepz")
    wrong = config.with_name("wrong.yaml")
    wrong.write_text(text)
    with pytest.raises(SystemExit) as stopped:
        main(["--config", str(wrong)])
    assert stopped.value.code == 2
    assert "warmup_stepz" in capsys.readouterr().err


def test_export_gives_the_same_numbers_as_pytorch(finished: Path, cache_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    parity = export(
        finished / "checkpoints" / "last.ckpt", folder, name="tiny", samples=cache_dir, volumes=2, patients=1
    )
    assert parity["largest_relative_difference"] < 1e-4
    assert parity["candidate_cells"] > 1000
    assert parity["cells_changed"] == 0
    assert parity["largest_relative_territory_difference"] < 1e-4
    assert parity["arteries_changed"] == 0
    assert parity["scores_changed"] == 0
    release = load_release(folder)
    assert release.name == "tiny"
    assert sorted(path.name for path in folder.iterdir()) == [
        "calcium.onnx",
        "metadata.json",
        "scout.onnx",
        "weights.pt",
    ]
    here = str(Path(cacseg.__file__).parent).encode()
    assert not any(here in (folder / name).read_bytes() for name in ("calcium.onnx", "scout.onnx"))
    block = release.metadata["cacseg"]
    assert block["parity"] == parity
    assert block["run"]["step"] == 5


def test_a_release_can_be_fine_tuned(finished: Path, cache_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    export(finished / "checkpoints" / "last.ckpt", folder, name="tiny", volumes=1, patients=1)
    settings = {"channels": [4, 4], "strides": [2], "residual_units": 1, "feature_channels": 4, "head_channels": 4}
    module = CalciumModule(**settings, start_from=str(folder / "weights.pt"))
    trained = lightened(weights(finished / "checkpoints" / "last.ckpt"))
    assert all(torch.equal(value, trained[name].float()) for name, value in module.state_dict().items())
    assert any(value.dtype == torch.float16 for value in trained.values())


def test_a_release_holds_the_averaged_weights(finished: Path) -> None:
    net, scout, _ = load_networks(finished / "checkpoints" / "last.ckpt")
    stored = [torch.load(finished / "checkpoints" / f"step{step}.ckpt", weights_only=False) for step in (1, 2, 3, 4, 5)]
    last = stored[-1]["current_model_state"]
    for prefix, network in (("net", net), ("scout", scout)):
        for name, value in network.state_dict().items():
            average = stored[0]["state_dict"][f"{prefix}.{name}"]
            for each in stored[1:]:
                average = 0.5 * average + 0.5 * each["current_model_state"][f"{prefix}.{name}"]
            assert torch.allclose(value, average, rtol=1e-3, atol=1e-6), name
    assert any(
        not torch.allclose(value, last[f"net.{name}"], rtol=1e-2, atol=1e-6) for name, value in net.state_dict().items()
    )


def test_weights_without_a_class_of_metal_start_it_as_other_calcium(finished: Path, tmp_path: Path) -> None:
    stored = torch.load(finished / "checkpoints" / "last.ckpt", weights_only=False)
    for name in ("net.calcium.weight", "net.calcium.bias"):
        stored["state_dict"][name] = stored["state_dict"][name][:-4]
    torch.save({"state_dict": stored["state_dict"]}, tmp_path / "old.pt")
    settings = {"channels": [4, 4], "strides": [2], "residual_units": 1, "feature_channels": 4, "head_channels": 4}
    state = CalciumModule(**settings, start_from=str(tmp_path / "old.pt")).state_dict()
    for name in ("net.calcium.weight", "net.calcium.bias"):
        assert torch.equal(state[name][-4:], state[name][-8:-4])
        assert torch.equal(state[name][:-4], stored["state_dict"][name])


def test_export_needs_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No checkpoint"):
        load_networks(tmp_path / "none.ckpt")


def test_a_resumed_epoch_begins_at_its_step() -> None:
    assert [key[0][0] for key in StepSampler(2, 4, 1, 0)] == [8, 9, 10, 11]
    assert [key[0][0] for key in StepSampler(2, 4, 1, 10)] == [10, 11]
    assert next(iter(StepSampler(0, 4, 3, 0))) == [(0, 0), (0, 1), (0, 2)]
    assert len(StepSampler(2, 4, 1, 10)) == 4


def test_all_examples_of_a_step_have_one_width_and_steps_differ(cache_dir):
    drawn = TrainingExamples([source_of(str(cache_dir))], [1.0], Augmentation(), 3, {112: 1.0, 144: 1.0})
    widths = [{drawn[(step, place)]["cells"].shape[-1] for place in range(2)} for step in range(6)]
    assert all(len(each) == 1 for each in widths)
    assert set.union(*widths) == {112, 144}


@pytest.mark.parametrize("width", [100, 160, 0])
def test_widths_that_the_network_cannot_take_are_refused(width):
    with pytest.raises(UsageError, match="multiples of 16"):
        SampleData({"anywhere": 1.0}, widths={width: 1.0})


def test_two_devices_never_draw_the_same_example() -> None:
    first, second = (list(StepSampler(0, 2, 2, 0, rank)) for rank in (0, 1))
    assert first == [[(0, 0), (0, 1)], [(1, 0), (1, 1)]]
    assert second == [[(0, 2), (0, 3)], [(1, 2), (1, 3)]]


def test_an_empty_cache_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No cached samples"):
        samples_in(tmp_path)
    with pytest.raises(UsageError):
        SampleData({str(tmp_path): 1.0}).sources()


def test_patients_are_streamed_the_same_for_the_same_step(scan_of, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, str, object]] = []

    def patient(seed: int, *, family: str, extracoronary: str):
        made.append((seed, family, extracoronary))
        scan = scan_of(seed)
        scan.scoring = lambda: SimpleNamespace(vessels={})
        return scan

    monkeypatch.setattr("cacseg.data.phantom.digital_patient", patient)
    source = source_of("phantom:chest:hard")
    drawn = TrainingExamples([source], [1.0], Augmentation(), 3, {112: 1.0})
    first, second, again = drawn[(0, 0)], drawn[(1, 0)], drawn[(0, 0)]
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not torch.equal(first["cells"], second["cells"])
    assert all(family == "chest" and found == "hard" and 0 < seed < 900_000 for seed, family, found in made)
    assert source.validation(2).facts["seed"] == 900_003
    assert source.count(5) == 5
    assert source.fingerprint() == {
        "family": "chest", "settings": {"extracoronary": "hard"}, "phantom": phantom_version()
    }  # fmt: skip


@pytest.mark.parametrize("name", ["phantom:knee", "phantom:gated:strange", "phantom:"])
def test_a_source_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="There is no source"):
        source_of(name)


def test_samples_of_a_folder_come_in_a_fixed_order(cache_dir: Path) -> None:
    source = source_of(str(cache_dir))
    assert isinstance(source, CachedSamples)
    assert source.count(99) == 4
    assert [source.validation(number).facts["seed"] for number in range(4)] == [0, 1, 2, 3]
    assert {source.draw(np.random.default_rng(n)).facts["seed"] for n in range(30)} == {0, 1, 2, 3}


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_configuration_is_understood(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--config", str(config), "--print_config"])
    assert stopped.value.code == 0
    assert yaml.safe_load(capsys.readouterr().out)["trainer"]["max_steps"] > 0


@pytest.mark.slow
def test_the_fast_recipe_needs_nothing_prepared(tmp_path: Path) -> None:
    made = yaml.safe_load((CONFIGS / "fast.yaml").read_text())
    made["trainer"] |= {"max_steps": 2, "log_every_n_steps": 1, "accelerator": "cpu"}
    made["data"] |= {"steps_per_epoch": 2, "validation_limit": 1, "workers": 1}
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(made))
    command = [sys.executable, "-m", "cacseg.train.cli", "--config", "short.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [row["step"] for row in table(tmp_path / "runs" / "fast") if row["train/loss"]] == ["0", "1"]
    assert [row for row in table(tmp_path / "runs" / "fast") if row["val/loss"]]
