"""Give a patient disease: coronary plaque up to a target score, and what else is dense in a chest."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np

from cacseg.data.phantom.disease.burden import Burden, Mode, burden_of, draw_burden, split_by_artery
from cacseg.data.phantom.disease.coronary import grow_plaques
from cacseg.data.phantom.disease.occurrence import DEVICES, OCCURRENCES, Findings, draw_present
from cacseg.data.phantom.scene import Deposit, Scene
from cacseg.errors import UsageError
from cacseg.vessels import CORONARY, Label


@dataclass(frozen=True, slots=True)
class DiseaseSettings:
    """What may be asked of a patient's disease; the defaults draw a training patient.

    Parameters
    ----------
    burden : "mesa" draws the coronary score by age, sex and race; "training" balances zeros, scores of 1-10
        and all categories, and involves LM and LCX more often.
    target_agatston : a coronary score instead of a drawn one.
    vessel_targets : Agatston score by artery name ("LM", "LAD", "LCX", "RCA") instead of a drawn division.
    extracoronary : "mesa" or "training" shares of findings outside the arteries, "hard" for many of the rare ones
        that are taken for coronary calcium, or "none".
    devices : whether metal, or contrast medium left from before, may be drawn.
    present : findings forced to be there or not, by name (keys of ``OCCURRENCES``); a number above one makes a
        finding so many times.
    """

    burden: Mode = "training"
    target_agatston: float | None = None
    vessel_targets: Mapping[str, float] | None = None
    extracoronary: Findings | Literal["none"] = "training"
    devices: bool = True
    present: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, overrides: Mapping[str, Any]) -> "DiseaseSettings":
        """Check names and values of overrides.

        Raises
        ------
        UsageError : an unknown name or value, or a negative score.
        """
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(overrides) - known):
            raise UsageError(f"Unknown disease settings {unknown}; known are {sorted(known)}.")
        made = cls(**overrides)
        if made.burden not in ("mesa", "training"):
            raise UsageError(f'burden is "mesa" or "training"; got {made.burden!r}.')
        if made.extracoronary not in ("mesa", "training", "hard", "none"):
            raise UsageError(f'extracoronary is "mesa", "training", "hard" or "none"; got {made.extracoronary!r}.')
        if made.target_agatston is not None and not 0 <= made.target_agatston <= 10000:
            raise UsageError(f"target_agatston is 0 to 10000; got {made.target_agatston}.")
        names = {label.name for label in CORONARY}
        if wrong := sorted(set(made.vessel_targets or {}) - names):
            raise UsageError(f"vessel_targets are for {sorted(names)}; got {wrong}.")
        if wrong := sorted(set(made.present) - set(OCCURRENCES)):
            raise UsageError(f"Unknown findings {wrong} in present; known are {sorted(OCCURRENCES)}.")
        return made


def add_disease(scene: Scene, rng: np.random.Generator, **overrides: Any) -> Scene:
    """Put calcium and devices into a patient.

    Parameters
    ----------
    scene : the patient; left as it is.
    rng : source of chance; the same state gives the same deposits.
    **overrides : settings by name, see ``DiseaseSettings``.

    Returns
    -------
    A new scene with deposits behind any it had, and ``patient["disease"]``: target and estimated score in
    total and by artery, the settings' modes, and which findings are present with how many deposits each.

    Raises
    ------
    UsageError : an unknown setting or value.
    """
    settings = DiseaseSettings.of(overrides)
    age, sex, race = _who(scene)
    seed = int(rng.integers(2**63))
    burden = _burden(settings, age, sex, race, _stream(seed, "burden"))
    targets = _targets(settings, burden, scene, _stream(seed, "split"))
    grown = grow_plaques(scene, targets, _stream(seed, "plaques"))
    found = _extracoronary(settings, scene, age, sex, burden, seed)
    facts = {
        "burden": "given" if settings.target_agatston is not None or settings.vessel_targets else settings.burden,
        "extracoronary": settings.extracoronary,
        "target_agatston": round(sum(targets.values()), 2),
        "target_agatston_by_vessel": {label.name: round(targets[label], 2) for label in CORONARY},
        "estimated_agatston": round(sum(grown.agatston.values()), 2),
        "estimated_agatston_by_vessel": {label.name: round(grown.agatston[label], 2) for label in CORONARY},
        "plaques": len(grown.deposits),
        "findings": {name: len(deposits) for name, deposits in found.items()},
    }
    others = tuple(deposit for deposits in found.values() for deposit in deposits)
    return replace(
        scene,
        deposits=(*scene.deposits, *grown.deposits, *others),
        patient={**scene.patient, "disease": facts},
    )


def _stream(seed: int, name: str) -> np.random.Generator:
    """Chance of one part of the disease, untouched by how much the other parts draw."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _who(scene: Scene) -> tuple[float, str, str | None]:
    """Age, sex and race of the patient; 60, "M" and unknown where they are not given."""
    age = scene.patient.get("age_years")
    sex = scene.patient.get("sex")
    race = scene.patient.get("race")
    return (60.0 if age is None else float(age)), ("F" if sex == "F" else "M"), (None if race is None else str(race))


def _burden(settings: DiseaseSettings, age: float, sex: str, race: str | None, rng: np.random.Generator) -> Burden:
    """The coronary score asked for or drawn."""
    if settings.vessel_targets is not None:
        return burden_of(sum(settings.vessel_targets.values()))
    if settings.target_agatston is not None:
        return burden_of(settings.target_agatston)
    return draw_burden(age, sex, race, rng, settings.burden)


def _targets(settings: DiseaseSettings, burden: Burden, scene: Scene, rng: np.random.Generator) -> dict[Label, float]:
    """The score of every artery."""
    if settings.vessel_targets is not None:
        return {label: float(settings.vessel_targets.get(label.name, 0.0)) for label in CORONARY}
    lm = [branch for branch in scene.branches if branch.name == "LM"]
    length = sum(float(np.linalg.norm(np.diff(branch.points_lps_mm, axis=0), axis=1).sum()) for branch in lm)
    return split_by_artery(burden.agatston, length, rng, settings.burden)


def _extracoronary(
    settings: DiseaseSettings, scene: Scene, age: float, sex: str, burden: Burden, seed: int
) -> dict[str, list[Deposit]]:
    """Deposits of every finding that is there; an aortic prosthesis takes the place of the native valve."""
    severity: dict[str, float] = {}
    if settings.extracoronary != "none":
        severity = draw_present(age, sex, burden.propensity, _stream(seed, "findings"), settings.extracoronary)
    if not settings.devices:
        severity = {name: value for name, value in severity.items() if name not in DEVICES}
    for name, wanted in settings.present.items():
        if wanted:
            severity.setdefault(name, float(_stream(seed, f"severity of {name}").standard_normal()))
        else:
            severity.pop(name, None)
    if "prosthesis" in severity and "aortic_valve" not in settings.present:
        severity.pop("aortic_valve", None)
    made = {}
    for name, value in severity.items():
        streams = (name, *(f"{name} {again}" for again in range(1, settings.present.get(name, 1))))
        built = [OCCURRENCES[name].build(scene, value, _stream(seed, stream)) for stream in streams]
        made[name] = [deposit for deposits in built for deposit in deposits]
    return {name: deposits for name, deposits in made.items() if deposits}
