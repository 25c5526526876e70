"""What makes a run folder describe itself: versions, machine, commit, data fingerprint, speed, pictures."""

import csv
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from numpy.typing import NDArray
from PIL import Image

from cacseg.train.data import SampleData
from cacseg.train.sample import UNKNOWN, likeliest_class
from cacseg.train.sources import source_of
from cacseg.vessels import COLOUR_RGB, Label

PACKAGES: Final = ("cacseg", "torch", "monai", "lightning", "numpy", "scipy", "onnx", "onnxruntime")


class MetricsTable(CSVLogger):
    """``metrics.csv`` that a resumed run continues; Lightning's own logger deletes what was logged before."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """Writer that begins with the rows of the run so far."""
        if self._experiment is None:
            earlier = self._rows()
            CSVLogger.experiment.fget(self)  # type: ignore[attr-defined]
            self._put(earlier)
        return self._experiment

    def forget_from(self, step: int) -> None:
        """Drop the rows from a step on: those that a resumed run will log again, all of them for a new run."""
        writer = self.experiment
        rows = [row for row in self._rows() if int(row["step"]) < step]
        Path(writer.metrics_file_path).unlink(missing_ok=True)
        self._put(rows)

    def _rows(self) -> list[dict[str, Any]]:
        path = Path(self.log_dir) / "metrics.csv"
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]

    def _put(self, rows: list[dict[str, Any]]) -> None:
        self._experiment.metrics = rows  # type: ignore[union-attr]
        self._experiment.save()  # type: ignore[union-attr]


class RunRecord(Callback):
    """Write ``environment.json`` at the start and after every epoch how fast it went."""

    def __init__(self) -> None:
        self.started = 0.0
        self.first_step = 0
        self.busy = 0.0
        self.waited = 0.0
        self.stepped: float | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Describe the machine, the code and the data."""
        folder = run_folder(trainer)
        folder.mkdir(parents=True, exist_ok=True)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        described = environment()
        if isinstance(data, SampleData):
            described["data"] = {name: source_of(name).fingerprint() for name in data.folders}
            if data.validation_folder is not None:
                described["validation"] = {data.validation_folder: source_of(data.validation_folder).fingerprint()}
        described["parameters"] = sum(p.numel() for p in pl_module.parameters())
        written = folder / "environment.json"
        if trainer.ckpt_path is not None and written.exists():
            described["resumed_from"] = json.loads(written.read_text(encoding="utf-8"))
        written.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin the table of metrics anew, or at the step that training is resumed from."""
        for logger in trainer.loggers:
            if isinstance(logger, MetricsTable) and trainer.is_global_zero:
                logger.forget_from(trainer.global_step)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clocks."""
        self.started, self.first_step = perf_counter(), trainer.global_step
        self.busy = sum(os.times()[:2])
        self.waited, self.stepped = 0.0, None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Count the time since the last step: the network waited for its batch."""
        if self.stepped is not None:
            self.waited += perf_counter() - self.stepped

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note when a step ends."""
        self.stepped = perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log steps a second, the share of time that went into waiting for data, and cores kept busy here."""
        seconds = max(perf_counter() - self.started, 1e-6)
        pl_module.log("speed/steps_per_s", (trainer.global_step - self.first_step) / seconds)
        pl_module.log("speed/waiting_share", self.waited / seconds)
        pl_module.log("speed/cores_busy", (sum(os.times()[:2]) - self.busy) / seconds)
        if torch.cuda.is_available():
            pl_module.log("speed/gpu_memory_gb", torch.cuda.max_memory_allocated() / 1e9)


class ValidationPictures(Callback):
    """Save maximum projections of the first validation cases every epoch: image, truth, prediction."""

    def __init__(self, cases: int = 4) -> None:
        self.cases = cases

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Picture one case."""
        if batch_idx >= self.cases or trainer.sanity_checking:
            return
        with torch.no_grad():
            guess = pl_module.net(batch["cells"].float())[0].argmax(dim=1)[0].cpu().numpy()  # type: ignore[union-attr,operator]
        known = (batch["calcium"][0] != UNKNOWN).cpu().numpy()
        truth, guess = (
            np.where(known, np.minimum(likeliest_class()[labels], int(Label.OTHER)), 0)
            for labels in (batch["calcium"][0].cpu().numpy(), guess)
        )
        picture = projection(batch["cells"][0, 0].float().cpu().numpy(), truth, guess)
        folder = run_folder(trainer) / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"step{trainer.global_step:06d}_case{batch_idx}.png")


def projection(hu: NDArray[np.float32], truth: NDArray[np.uint8], guess: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Side by side: maximum HU along the slices, with the true and with the predicted labels over it."""
    grey = np.clip((hu.max(axis=0) + 100.0) / 500.0, 0, 1)
    base = np.repeat((grey * 255).astype(np.uint8)[..., None], 3, axis=2)
    panels = [base]
    for labels in (truth, guess):
        panel = base.copy()
        for label in list(Label)[:0:-1]:
            panel[(labels == label).any(axis=0)] = COLOUR_RGB[label]
        panels.append(panel)
    return np.repeat(np.repeat(np.concatenate(panels, axis=1), 2, axis=0), 2, axis=1)


def run_folder(trainer: Trainer) -> Path:
    """Folder of this run."""
    return Path(trainer.log_dir or trainer.default_root_dir)


def environment() -> dict[str, Any]:
    """Versions, machine and commit."""
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu_count": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: _version(name) for name in PACKAGES},
        "git_commit": git_commit(),
    }


def git_commit() -> str | None:
    """Commit of the checkout that this code lies in, ``-dirty`` behind it where files differ; None outside one."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError

    try:
        return version(name)
    except PackageNotFoundError:
        return None
