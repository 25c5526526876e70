"""Samples as batches, every one determined by the seed and the step it belongs to.

A training that was killed therefore continues with the very batches it would have seen. Folders are listed anew each
epoch, so a cache may grow while training runs; then the batches of a resumed run are others.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from cacseg.errors import UsageError
from cacseg.infer.grid import HEART_GRID, WIDTH_STEP, GridSpec, heart_grid
from cacseg.train.augment import Augmentation, Example, example
from cacseg.train.sources import Source, source_of

Batch = dict[str, torch.Tensor]


class TrainingExamples(Dataset[Batch]):
    """Example number (step, place in the batch), drawn from sources in given proportions."""

    def __init__(
        self,
        sources: Sequence[Source],
        proportions: list[float],
        augmentation: Augmentation,
        seed: int,
        widths: Mapping[int, float],
    ) -> None:
        self.sources = sources
        self.proportions = np.array(proportions) / np.sum(proportions)
        self.augmentation = augmentation
        self.seed = seed
        self.widths = dict(widths)

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        """Load and vary the example of a step."""
        rng = np.random.default_rng([self.seed, *key])
        source = self.sources[int(rng.choice(len(self.sources), p=self.proportions))]
        return as_tensors(example(source.draw(rng), self.augmentation, rng, self._grid(key[0])))

    def _grid(self, step: int) -> GridSpec:
        """Grid of all examples of a step."""
        share = np.array(list(self.widths.values()))
        width = int(np.random.default_rng([self.seed, step, 1]).choice(list(self.widths), p=share / share.sum()))
        return heart_grid(width)


class ValidationExamples(Dataset[Batch]):
    """The samples of a source once, centred and unvaried."""

    def __init__(self, source: Source, limit: int, grid: GridSpec = HEART_GRID) -> None:
        self.source = source
        self.limit = limit
        self.grid = grid

    def __len__(self) -> int:
        return self.source.count(self.limit)

    def __getitem__(self, index: int) -> Batch:
        """Load an example."""
        return as_tensors(example(self.source.validation(index), None, np.random.default_rng(0), self.grid))


class StepSampler(Sampler[list[tuple[int, int]]]):
    """Keys of the batches of one epoch, from the given step on; every device draws its own places of a step."""

    def __init__(self, epoch: int, steps_per_epoch: int, batch_size: int, first_step: int, rank: int = 0) -> None:
        self.epoch = epoch
        self.steps_per_epoch = steps_per_epoch
        self.batch_size = batch_size
        self.first_step = first_step
        self.rank = rank

    def __len__(self) -> int:
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        start = self.epoch * self.steps_per_epoch
        for step in range(max(start, self.first_step), start + self.steps_per_epoch):
            yield [(step, self.rank * self.batch_size + place) for place in range(self.batch_size)]


class SampleData(LightningDataModule):
    """Batches from cached samples and from patients made meanwhile.

    Parameters
    ----------
    folders : source of samples, as ``cacseg.train.sources`` names them, and how often it is drawn from, e.g.
        ``{"data/cache/gated": 3, "phantom:chest": 1}``.
    validation_folder : source of the samples to validate on; None skips validation.
    steps_per_epoch : optimiser steps between validations.
    batch_size : patients a step.
    workers : processes that load and augment beside the training itself.
    augmentation : what is varied.
    seed : of every draw.
    widths : cells across the grid and how often a step has it; multiples of 16, at most those of ``HEART_GRID``.
        Validation has the commonest.
    validation_limit : samples to validate on, at most.
    """

    def __init__(
        self,
        folders: dict[str, float],
        validation_folder: str | None = None,
        steps_per_epoch: int = 250,
        batch_size: int = 1,
        workers: int = 1,
        augmentation: Augmentation = Augmentation(),  # noqa: B008  frozen
        seed: int = 0,
        validation_limit: int = 24,
        widths: dict[int, float] | None = None,
    ) -> None:
        super().__init__()
        self.folders = folders
        self.validation_folder = validation_folder
        self.steps_per_epoch = steps_per_epoch
        self.batch_size = batch_size
        self.workers = workers
        self.augmentation = augmentation
        self.seed = seed
        self.validation_limit = validation_limit
        self.widths = {HEART_GRID.shape[1]: 1.0} if widths is None else widths
        widest = HEART_GRID.shape[1]
        if wrong := sorted(set(self.widths) - set(range(WIDTH_STEP, widest + 1, WIDTH_STEP))):
            raise UsageError(f"Grid widths {wrong}: expected multiples of {WIDTH_STEP} up to {widest}.")

    def sources(self) -> list[Source]:
        """Give the sources that training draws from.

        Raises
        ------
        UsageError : a folder holds no samples, or a name stands for nothing.
        """
        return [source_of(name) for name in self.folders]

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of the current epoch."""
        trainer: Any = self.trainer
        shares = list(self.folders.values())
        dataset = TrainingExamples(self.sources(), shares, self.augmentation, self.seed, self.widths)
        sampler = StepSampler(
            trainer.current_epoch, self.steps_per_epoch, self.batch_size, trainer.global_step, trainer.global_rank
        )
        return DataLoader(
            dataset, batch_sampler=sampler, num_workers=self.workers, prefetch_factor=3 if self.workers else None
        )

    def val_dataloader(self) -> DataLoader[Batch] | list[Any]:
        """Validation samples one by one."""
        if self.validation_folder is None:
            return []
        usual = max(self.widths, key=self.widths.__getitem__)
        dataset = ValidationExamples(source_of(self.validation_folder), self.validation_limit, heart_grid(usual))
        return DataLoader(dataset, batch_size=1, num_workers=min(self.workers, 1))


def as_tensors(made: Example) -> Batch:
    """Give an example as a dictionary of tensors."""
    return {name: torch.from_numpy(np.ascontiguousarray(getattr(made, name))) for name in Example.__slots__}
