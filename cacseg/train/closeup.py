"""Training of the second network: patients seen by the first one, cut into components, and a loop that resumes.

The second network learns from scans that the first has not met, or it would trust it too much.
"""

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Literal
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cacseg.cli.streams import say
from cacseg.data.readers import LabelledStudy
from cacseg.errors import UsageError
from cacseg.infer import Release
from cacseg.infer.assign import sampled
from cacseg.infer.closeup import GROUP, OWNERS, Closeups, closeups_of
from cacseg.infer.decide import Decision, group_mean, voxel_weight
from cacseg.infer.grid import axial_array, axial_view
from cacseg.infer.heart import find_heart
from cacseg.models import CloseupNet
from cacseg.scoring import RULES, Rule, adapt
from cacseg.train.record import environment
from cacseg.train.sources import Family, samples_in

Patients = Literal["mixed", "stented", "heavy"]
FIRST_SEED: Final[Mapping[Patients, int]] = {"mixed": 800_000, "stented": 820_000, "heavy": 840_000}
"""Of the digital patients that are looked at closely: people with many of the rare findings, people who all have
stents, and people without stents but with much plaque."""

Kind = tuple[Family, Literal["training", "hard", "zeros"]]
HARD: Final[Kind] = ("gated", "hard")
USUAL: Final[Kind] = ("gated", "training")
CHEST: Final[Kind] = ("chest", "training")
HARD_CHEST: Final[Kind] = ("chest", "hard")
ZERO: Final[Kind] = ("gated", "zeros")
MIX: Final = 9 * (HARD,) + 6 * (USUAL,) + 2 * (CHEST,) + 2 * (HARD_CHEST,) + (ZERO,)
"""Family and findings of twenty mixed patients in a row; "zeros" have no coronary calcium."""

CHEST_EVERY: Final = 5
"""Every so many-th of the stented and of the heavy patients has a scan that is not gated."""

HEAVY_AGATSTON: Final = (300.0, 4000.0)

VALIDATION_EVERY: Final = 6
"""One patient in so many is kept for validation, by the name of the file: a cache may grow between runs."""

CLIPPED_WEIGHT: Final = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class CloseupSample:
    """The components of one scan.

    Parameters
    ----------
    hu : (n, 13, 64, 64) int16.
    share : (n, 13, 64, 64) uint8, share of the component times 255.
    facts, probability : (n, 11) and (n, 6) float32, see ``cacseg.infer.closeup.Closeups``.
    truth : (n, 6) float32, the true owners of its voxels, weighted by HU.
    agatston : (n,) float32, score of the component if it counted.
    known : (n,) bool; where False only the choice coronary or not is taught.
    healthy : whether the scan has no coronary calcium.
    """

    hu: NDArray[np.int16]
    share: NDArray[np.uint8]
    facts: NDArray[np.float32]
    probability: NDArray[np.float32]
    truth: NDArray[np.float32]
    agatston: NDArray[np.float32]
    known: NDArray[np.bool_]
    healthy: bool


@dataclass(frozen=True, slots=True)
class CloseupSettings:
    """How the second network is trained.

    Parameters
    ----------
    steps, batch_size, learning_rate, weight_decay, averaging : AdamW under a one-cycle schedule; what is kept is a
        moving average of the weights.
    score_weight : of a component grows with the root of its score over this, up to 3.
    healthy_weight : added where any coronary calcium would be false.
    certain_share : how often a component that the first network gets right is drawn against one that it gets wrong.
    """

    steps: int = 3000
    batch_size: int = 48
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    averaging: float = 0.99
    score_weight: float = 8.0
    healthy_weight: float = 0.5
    certain_share: float = 0.15
    seed: int = 0


def patient(number: int, patients: Patients = "mixed") -> LabelledStudy:
    """Make digital patient ``number`` of those that the second network learns from."""
    from cacseg.data.phantom import digital_patient
    from cacseg.evaluation.families import scan_without_coronary_calcium
    from cacseg.evaluation.scan_facts import study_of_scan

    seed = FIRST_SEED[patients] + number
    family, findings = MIX[number % len(MIX)]
    if patients != "mixed":
        family = "chest" if number % CHEST_EVERY == 0 else "gated"
        settings: dict[str, Any] = {"present": {"stents": patients == "stented"}}
        if patients == "heavy":
            low, high = np.log(HEAVY_AGATSTON)
            settings["target_agatston"] = float(np.exp(np.random.default_rng([seed, 401]).uniform(low, high)))
        scan = digital_patient(seed, family=family, **settings)
    elif findings == "zeros":
        scan = scan_without_coronary_calcium(seed, family)
    else:
        scan = digital_patient(seed, family=family, extracoronary=findings)
    return study_of_scan(scan, f"{family}-{seed}")


def closeup_sample(study: LabelledStudy, release: Release) -> CloseupSample | None:
    """Show a labelled study to the first network and cut out what the second one is to judge.

    Parameters
    ----------
    study : with labels down to the lowest HU that counts.
    release : its first network and decision settings are used.

    Returns
    -------
    ``None`` where no heart is found.
    """
    facts = study.facts
    kvp, tin = facts.get("kvp"), bool(facts.get("tin_filter", False))
    rule = adapt(RULES["literature"], kvp, tin)[0] if kvp else RULES["literature"]
    view = axial_view(study.volume)
    heart = find_heart(view, release.predict_heart, release.scout_grid)
    if heart is None or not heart.plausible:
        return None
    samples = sampled(view, heart, replace(release, closeup_session=None), rule.threshold_hu, {})
    truth = np.ascontiguousarray(axial_array(study.labels, study.volume.affine)).reshape(-1)
    closeups = closeups_of(samples, view, heart.centre_lps_mm, rule.threshold_hu, Decision(**release.decision))
    own = truth[samples.voxels[closeups.at]]
    count = closeups.probability.shape[0]
    owners = np.eye(len(OWNERS), dtype=np.float32)[GROUP[own]]
    weight = voxel_weight(samples.hu[closeups.at])
    shares = group_mean(owners, closeups.component, weight) if count else np.zeros((0, len(OWNERS)))
    index = np.stack(np.unravel_index(samples.voxels[closeups.at], view.shape), axis=1)
    return CloseupSample(
        hu=np.rint(closeups.patches[:, 0]).astype(np.int16),
        share=(closeups.patches[:, 1] * 255).astype(np.uint8),
        facts=closeups.facts,
        probability=closeups.probability,
        truth=shares.astype(np.float32),
        agatston=_agatston(closeups, index, samples.hu[closeups.at], view.spacing_mm, rule),
        known=np.full(count, study.label_scope != "coronary") | (shares[:, 1] > 0.5),
        healthy=not np.isin(truth[view.voxels.reshape(-1) >= rule.threshold_hu], np.flatnonzero(GROUP == 1)).any(),
    )


def _agatston(
    closeups: Closeups,
    index: NDArray[np.int64],
    hu: NDArray[Any],
    spacing_mm: tuple[float, float, float],
    rule: Rule,
) -> NDArray[np.float32]:
    """Score each component as if it were one lesion in each slice; a weight, not a result."""
    score = np.zeros(closeups.probability.shape[0], np.float32)
    for number in range(score.size):
        own = closeups.component == number
        for slice_number in np.unique(index[own, 0]):
            piece = hu[own][index[own, 0] == slice_number]
            area_mm2 = piece.size * spacing_mm[1] * spacing_mm[2]
            if area_mm2 >= rule.min_area_mm2:
                score[number] += area_mm2 * min(max(int(piece.max()) // 100, 1), 4) * spacing_mm[0] / 3.0
    return score


def save_closeups(sample: CloseupSample, path: Path) -> None:
    """Write a sample; it appears whole or not at all."""
    part = path.with_suffix(".part")
    arrays: dict[str, Any] = {field.name: getattr(sample, field.name) for field in fields(sample)}
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    part.replace(path)


class CloseupData:
    """All components of a folder in memory.

    Parameters
    ----------
    folder : of ``save_closeups`` files; every ``VALIDATION_EVERY``-th of them is for validation.
    settings : say how much each component counts.

    Raises
    ------
    UsageError : the folder holds none, or too few to keep some for validation.
    """

    def __init__(self, folder: Path, settings: CloseupSettings) -> None:
        files = samples_in(folder)
        read = [dict(np.load(file)) for file in files]
        case = np.concatenate([np.full(len(one["agatston"]), number) for number, one in enumerate(read)])
        whole = {name: np.concatenate([one[name] for one in read]) for name in read[0] if name != "healthy"}
        healthy = np.array([bool(one["healthy"]) for one in read])[case] if case.size else np.zeros(0, bool)
        del read
        self.hu, self.share, self.facts, self.probability, self.truth, self.agatston, self.known = (
            torch.from_numpy(whole[name])
            for name in ("hu", "share", "facts", "probability", "truth", "agatston", "known")
        )
        score = np.minimum(np.sqrt(whole["agatston"]) / settings.score_weight, 3.0)
        self.weight = torch.from_numpy((0.3 + score + settings.healthy_weight * healthy).astype(np.float32))
        kept = kept_for_validation([file.name for file in files])[case]
        self.training, self.validation = np.flatnonzero(~kept), np.flatnonzero(kept)
        if not self.training.size or not self.validation.size:
            raise UsageError(f"{folder} holds {len(files)} scans; more are needed to train on and to validate on.")
        wrong = np.abs(whole["probability"] - whole["truth"]).max(axis=1)
        draw = (self.weight.numpy() * (settings.certain_share + wrong))[self.training].astype(np.float64)
        self.draw = draw / draw.sum()
        self.importance = np.minimum(
            self.weight.numpy()[self.training] / (self.draw * self.training.size), CLIPPED_WEIGHT
        ).astype(np.float32)

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw components and vary them; gives their places, patches and importance."""
        drawn = rng.choice(self.training.size, size, p=self.draw)
        places = torch.from_numpy(self.training[drawn])
        return places, varied(self.patches(places), rng), torch.from_numpy(self.importance[drawn])

    def patches(self, places: Tensor) -> Tensor:
        """(n, 2, 13, 64, 64) float32."""
        return torch.stack([self.hu[places].float(), self.share[places].float() / 255.0], 1)

    def loss(self, places: Tensor, change: Tensor) -> Tensor:
        """Cross-entropy of each component, (n,); where only coronary is labelled, of coronary against the rest."""
        logits = torch.log(self.probability[places].clamp_min(1e-4)) + change
        given = functional.log_softmax(logits, 1)
        truth = self.truth[places]
        whole = -(truth * given).sum(1)
        rest = torch.logsumexp(given[:, [0, 2, 3, 4, 5]], 1)
        either = -(truth[:, 1] * given[:, 1] + (1 - truth[:, 1]) * rest)
        return torch.where(self.known[places], whole, either)


def kept_for_validation(names: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which files are kept for validation: the same ones however many others there are, and always one.

    Examples
    --------
    >>> kept_for_validation(["0.npz", "1.npz", "5.npz"]).tolist()
    [True, False, True]
    >>> kept_for_validation(["2.npz", "1.npz"]).tolist()
    [True, False]
    """
    digests = np.array([crc32(name.encode()) for name in names])
    kept = digests % VALIDATION_EVERY == 0
    return kept if kept.any() else digests == digests.min()


def varied(patches: Tensor, rng: np.random.Generator) -> Tensor:
    """Flip, transpose, move and rescale HU: what a component is does not depend on how it lies."""
    patches = patches.clone()
    n = patches.shape[0]
    for axis in (2, 3, 4):
        chosen = torch.from_numpy(rng.random(n) < 0.5)
        patches[chosen] = patches[chosen].flip(axis)
    chosen = torch.from_numpy(rng.random(n) < 0.5)
    patches[chosen] = patches[chosen].transpose(3, 4)
    gain, offset = (torch.from_numpy(rng.normal(0, sd, (n, 1, 1, 1)).astype(np.float32)) for sd in (0.04, 5.0))
    patches[:, 0] = patches[:, 0] * (1 + gain) + offset
    return patches.roll(tuple(int(each) for each in rng.integers(-3, 4, 2)), (3, 4))


def fit(
    folder: Path, run: Path, settings: CloseupSettings, validate_every: int = 150, start_from: Path | None = None
) -> Path:
    """Train, going on where a stopped run left off.

    Parameters
    ----------
    folder : of samples.
    run : gets ``closeup.pt``, ``state.pt`` and ``metrics.csv``.
    start_from : ``closeup.pt`` of a release or of another run; nothing learned where None.

    Returns
    -------
    Path of ``closeup.pt``: averaged weights and how they were made.
    """
    torch.manual_seed(settings.seed)
    data = CloseupData(folder, settings)
    net = CloseupNet().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    if start_from is not None:
        net.load_state_dict(torch.load(start_from, weights_only=True)["state_dict"])
    averaged = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(settings.averaging), use_buffers=True)
    optimiser = torch.optim.AdamW(net.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=settings.steps, pct_start=0.1
    )
    parts = {"net": net, "averaged": averaged, "optimiser": optimiser, "schedule": schedule}
    state, first = run / "state.pt", 0
    run.mkdir(parents=True, exist_ok=True)
    if state.exists():
        stored = torch.load(state, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(stored[name])
        torch.set_rng_state(stored["chance"])
        first = stored["step"]
        say(f"Going on after step {first}.")
    start = perf_counter()
    for step in range(first, settings.steps):
        places, patches, importance = data.batch(np.random.default_rng([settings.seed, step]), settings.batch_size)
        loss = (data.loss(places, net(patches, data.facts[places])) * importance).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        averaged.update_parameters(net)
        done = step + 1
        if done % validate_every == 0 or done == settings.steps:
            found = {"step": done, "train_loss": round(float(loss.detach()), 4), **validated(averaged.module, data)}
            _log(run / "metrics.csv", found)
            say(f"{json.dumps(found)} after {perf_counter() - start:.0f} s")
            saved = {name: part.state_dict() for name, part in parts.items()}
            torch.save({**saved, "chance": torch.get_rng_state(), "step": done}, state.with_suffix(".part"))
            state.with_suffix(".part").replace(state)
    made = {
        "settings": asdict(settings),
        "start_from": None if start_from is None else hashlib.sha256(start_from.read_bytes()).hexdigest(),
        "components": int(data.training.size),
        "git_commit": environment()["git_commit"],
        "torch": str(torch.__version__),
    }
    torch.save({"state_dict": averaged.module.state_dict(), "made": made}, run / "closeup.pt")
    return run / "closeup.pt"


def validated(net: torch.nn.Module, data: CloseupData) -> dict[str, float]:
    """Measure the loss and the score that would be false or missed if each component got its likeliest owner."""
    net.eval()
    with torch.no_grad():
        changes = [net(data.patches(places), data.facts[places]) for places in _chunks(data.validation)]
    net.train()
    change, places = torch.cat(changes), torch.from_numpy(data.validation)
    weighted = float((data.loss(places, change) * data.weight[places]).mean())
    before = float((data.loss(places, torch.zeros_like(change)) * data.weight[places]).mean())
    logits = torch.log(data.probability[places].clamp_min(1e-4))
    agatston, coronary = data.agatston[places], data.truth[places][:, 1]
    measured = {"loss": weighted, "loss_before": before, "score": float(agatston @ coronary)}
    for name, given in (("", logits + change), ("_before", logits)):
        found = (given.argmax(1) == 1).float()
        measured[f"false{name}"] = float((agatston * found) @ (1 - coronary))
        measured[f"missed{name}"] = float((agatston * (1 - found)) @ coronary)
    return {name: round(value, 4) for name, value in measured.items()}


def _chunks(places: NDArray[np.int64], size: int = 64) -> Iterator[Tensor]:
    for first in range(0, places.size, size):
        yield torch.from_numpy(places[first : first + size])


def _log(path: Path, row: Mapping[str, float]) -> None:
    fresh = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, row.keys(), lineterminator="\n")
        if fresh:
            table.writeheader()
        table.writerow(row)
