import csv
import json
from pathlib import Path

import pytest
import torch
import yaml

import cacseg
from cacseg.errors import UsageError
from cacseg.infer import load_release
from cacseg.train.augment import Augmentation
from cacseg.train.cli import main
from cacseg.train.data import CachedData, StepSampler, TrainingExamples, samples_in
from cacseg.train.export import export, load_networks
from cacseg.train.module import CalciumModule

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
    metrics = (finished / "metrics.csv").read_text()
    assert "train/loss" in metrics
    assert "val/f1_coronary" in metrics
    assert "speed/steps_per_s" in metrics
    assert list((finished / "pictures").glob("*.png"))
    assert list(finished.glob("**/config.yaml"))


@pytest.mark.parametrize("killed_after", [2, 4])
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
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    kept = ("step", "train/loss", "val/loss", "val/f1_coronary")
    return [{name: row[name] for name in kept} for row in rows if row["train/loss"] or row["val/loss"]]


def test_a_resumed_run_continues_its_table_of_metrics(finished: Path, cache_dir: Path, tmp_path: Path) -> None:
    run = tmp_path / "resumed"
    assert main(["--config", str(configuration(run, cache_dir, 4))]) == 0
    checkpoint = run / "checkpoints" / "step2.ckpt"
    assert main(["--config", str(configuration(run, cache_dir, 5)), "--ckpt_path", str(checkpoint)]) == 0
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
    parity = export(finished / "checkpoints" / "last.ckpt", folder, name="tiny", samples=cache_dir, volumes=2)
    assert parity["largest_relative_difference"] < 1e-4
    assert parity["candidate_cells"] > 1000
    assert parity["cells_changed"] == 0
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
    export(finished / "checkpoints" / "last.ckpt", folder, name="tiny", volumes=1)
    settings = {"channels": [4, 4], "strides": [2], "residual_units": 1, "feature_channels": 4, "head_channels": 4}
    module = CalciumModule(**settings, start_from=str(folder / "weights.pt"))
    trained = weights(finished / "checkpoints" / "last.ckpt")
    assert all(torch.equal(value, trained[name]) for name, value in module.state_dict().items())


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
    drawn = TrainingExamples([samples_in(cache_dir)], [1.0], Augmentation(), 3, {112: 1.0, 144: 1.0})
    widths = [{drawn[(step, place)]["cells"].shape[-1] for place in range(2)} for step in range(6)]
    assert all(len(each) == 1 for each in widths)
    assert set.union(*widths) == {112, 144}


@pytest.mark.parametrize("width", [100, 160, 0])
def test_widths_that_the_network_cannot_take_are_refused(width):
    with pytest.raises(UsageError, match="multiples of 16"):
        CachedData({"anywhere": 1.0}, widths={width: 1.0})


def test_two_devices_never_draw_the_same_example() -> None:
    first, second = (list(StepSampler(0, 2, 2, 0, rank)) for rank in (0, 1))
    assert first == [[(0, 0), (0, 1)], [(1, 0), (1, 1)]]
    assert second == [[(0, 2), (0, 3)], [(1, 2), (1, 3)]]


def test_an_empty_cache_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No cached samples"):
        samples_in(tmp_path)
    with pytest.raises(UsageError):
        CachedData({str(tmp_path): 1.0}).files()
