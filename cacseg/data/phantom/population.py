"""Who lies on the table: the drawn facts of one digital patient."""

from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal

import numpy as np

from cacseg.errors import UsageError

Sex = Literal["F", "M"]
Dominance = Literal["right", "left", "balanced"]

RACES: Final = ("white", "black", "hispanic", "chinese")
"""Groups of the MESA reference, so that a drawn patient has a percentile (McClelland et al. 2006)."""

RACE_SHARE: Final = (0.38, 0.28, 0.22, 0.12)
"""Make-up of the MESA cohort (Bild et al., Am J Epidemiol 2002;156:871)."""

DOMINANCE_SHARE: Final = {"right": 0.82, "left": 0.09, "balanced": 0.09}
"""Right 72-90 %, left 8-12 %, balanced 3-20 % in CT angiography series (Cademartiri et al. 2008)."""

RAMUS_SHARE: Final = 0.24
"""An intermediate branch in a fifth to a third of hearts (Cademartiri et al. 2008: 21.9 %)."""

COUCH_SHARE: Final = 0.92
"""Some reconstructions leave the couch out."""

PRONE_SHARE: Final = 0.02
"""An assumption: prone chest scans are rare (interstitial lung disease, great discomfort)."""

LEFT_MAIN_MM: Final = (10.5, 3.8, 3.0, 16.0)
"""Mean, SD, least, greatest length of the left main artery."""


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """Everything about a patient that anatomy is built from; JSON-ready through ``dataclasses.asdict``.

    Parameters
    ----------
    seed : the seed it was drawn from.
    age_years, sex, race, height_cm, weight_kg : the person.
    chest_width_mm : inner width of the rib cage at heart level.
    chest_squareness : exponent of its superelliptic outline.
    heart_scale : size relative to the mean adult heart.
    heart_rotation_deg : about the head-foot axis; positive turns the apex to the left.
    heart_tilt_deg : about the front-back axis; positive lifts the apex (horizontal heart).
    heart_pitch_deg : about the left-right axis; positive lifts the apex towards the sternum and head.
    heart_roll_deg : about the heart's own long axis.
    heart_shift_left_mm : of the heart against the spine.
    respiration : 0 expiration to 1 full inspiration; the domes and the heart come down with it.
    epicardial_fat_mm, paracardial_fat_mm, subcutaneous_fat_mm : thickness away from the grooves.
    groove_fat : how much of the grooves between the chambers fat fills, 0 to 1.
    sternum_gap_mm, spine_gap_mm : free distance before and behind the heart.
    root_diameter_mm : at the sinuses; ``annulus_diameter_mm`` at the hinge plane.
    root_height_mm : annulus to sinotubular junction.
    root_tilt_deg, root_turn_deg : of the root against its mean direction.
    aorta_diameter_mm, pulmonary_diameter_mm : tubular ascending aorta, pulmonary trunk.
    left_ostium_height_mm, right_ostium_height_mm : above the annulus.
    left_ostium_turn_deg, right_ostium_turn_deg : around the root, against the mean.
    mitral_diameter_mm : between the commissures.
    mitral_shift_mm, mitral_drop_mm : of the annulus away from the aortic valve, and towards the apex.
    left_atrium_scale, right_atrium_scale, right_ventricle_scale, left_ventricle_scale : of linear size.
    wall_mm : thickness of the left ventricle.
    appendage_rise_mm, appendage_reach, appendage_scale : of the left atrial appendage: how much higher its tip lies
        than over the circumflex, which part of its full length and size it has.
    left_main_mm, bifurcation_deg : length of the left main and angle between its two branches.
    dominance, ramus, diagonals, marginals : pattern of the coronary tree.
    circumflex_reach : 0 ends at the obtuse margin, 1 at the crux.
    lad_wrap : 0 ends before the apex, 1 turns round it.
    tortuosity_mm : amplitude of windings.
    branch_spread_mm : SD of the displacement of the ends of side branches from their mean course.
    coronary_scale : of lumen diameters.
    blood_hu, myocardium_hu, fat_hu, lung_hu, liver_hu, muscle_hu, marrow_hu, cortex_hu : at 120 kVp.
    scoliosis_mm : sideways swing of the spine over the chest's height.
    kyphosis_mm : how far the spine has come forward 80 mm above the middle of the heart.
    sternum_slope : how far the breast bone goes to the back on the way up, a share of the height.
    fork_drop_mm : of the bifurcation of the pulmonary trunk against its mean height.
    airway_gap_mm : free distance between the right pulmonary artery and the carina behind it.
    nodes : how many lymph nodes there are in the mediastinum and the hila, about.
    node_mm : their mean short radius.
    cartilage_calcium : 0 none to 1 heavy.
    breast_ml, implants, arms_down, oesophageal_air : what else shows.
    deformation_mm : SD of the smooth random deformation.
    couch : whether the couch is on the image where the field of view reaches it.
    ventricle_roll_deg : of the ventricles with the arteries on them about the long axis, against the base of the heart.
    prone : lies face down: the couch is in front, the heart nearer the sternum, the front of the lungs denser.
    """

    seed: int
    age_years: int
    sex: Sex
    race: str
    height_cm: float
    weight_kg: float
    chest_width_mm: float
    chest_squareness: float
    heart_scale: float
    heart_rotation_deg: float
    heart_tilt_deg: float
    heart_pitch_deg: float
    heart_roll_deg: float
    heart_shift_left_mm: float
    respiration: float
    epicardial_fat_mm: float
    paracardial_fat_mm: float
    subcutaneous_fat_mm: float
    groove_fat: float
    sternum_gap_mm: float
    spine_gap_mm: float
    root_diameter_mm: float
    annulus_diameter_mm: float
    root_height_mm: float
    root_tilt_deg: float
    root_turn_deg: float
    aorta_diameter_mm: float
    pulmonary_diameter_mm: float
    left_ostium_height_mm: float
    right_ostium_height_mm: float
    left_ostium_turn_deg: float
    right_ostium_turn_deg: float
    mitral_diameter_mm: float
    mitral_shift_mm: float
    mitral_drop_mm: float
    left_atrium_scale: float
    right_atrium_scale: float
    right_ventricle_scale: float
    left_ventricle_scale: float
    wall_mm: float
    appendage_rise_mm: float
    appendage_reach: float
    appendage_scale: float
    left_main_mm: float
    bifurcation_deg: float
    dominance: Dominance
    ramus: bool
    diagonals: int
    marginals: int
    circumflex_reach: float
    lad_wrap: float
    tortuosity_mm: float
    coronary_scale: float
    blood_hu: float
    myocardium_hu: float
    fat_hu: float
    lung_hu: float
    liver_hu: float
    muscle_hu: float
    marrow_hu: float
    cortex_hu: float
    scoliosis_mm: float
    kyphosis_mm: float
    sternum_slope: float
    fork_drop_mm: float
    airway_gap_mm: float
    nodes: float
    node_mm: float
    cartilage_calcium: float
    breast_ml: float
    implants: bool
    arms_down: bool
    oesophageal_air: bool
    deformation_mm: float
    couch: bool = True
    prone: bool = False
    branch_spread_mm: float = 3.5
    ventricle_roll_deg: float = 0.0

    @property
    def bmi(self) -> float:
        """Body mass index in kg/m2."""
        return self.weight_kg / (self.height_cm / 100.0) ** 2

    @property
    def body_surface_m2(self) -> float:
        """Body surface area (Mosteller 1987)."""
        return float(np.sqrt(self.height_cm * self.weight_kg / 3600.0))


def draw_patient(seed: int, **overrides: Any) -> PatientFacts:
    """Draw a patient; facts that depend on each other are drawn together.

    Parameters
    ----------
    seed : non-negative; the same seed gives the same patient.
    overrides : facts to set instead of drawing them; the other facts keep the values the seed gives them,
        except those of body and heart size, which follow an overridden age, sex, race, height or weight.

    Raises
    ------
    UsageError : an override names no fact.

    Examples
    --------
    >>> draw_patient(7) == draw_patient(7)
    True
    >>> draw_patient(7, sex="F", dominance="left").dominance
    'left'
    """
    unknown = sorted(set(overrides) - {each.name for each in fields(PatientFacts)})
    if unknown:
        raise UsageError(f"No such fact of a patient: {', '.join(unknown)}. See PatientFacts for the names.")
    rng = np.random.default_rng([seed, 101])
    person = _draw_person(rng, overrides)
    facts = PatientFacts(
        seed=seed,
        **person,
        **_draw_body(rng, person),
        **_draw_heart(rng, person),
        **_draw_coronaries(rng, person),
        **_draw_hu(rng, person),
        **_draw_position(np.random.default_rng([seed, 102])),
        **_draw_upper(np.random.default_rng([seed, 103]), person),
        **_draw_appendage(np.random.default_rng([seed, 106])),
    )
    return replace(facts, **overrides)


def _normal(rng: np.random.Generator, mean: float, sd: float, least: float, greatest: float) -> float:
    return float(np.clip(rng.normal(mean, sd), least, greatest))


def _draw_person(rng: np.random.Generator, overrides: dict[str, Any]) -> dict[str, Any]:
    age = round(float(np.clip(rng.normal(61.0, 10.5), 38.0, 88.0)))
    sex: Sex = "F" if rng.random() < 0.47 else "M"
    race = str(rng.choice(RACES, p=RACE_SHARE))
    sex = overrides.get("sex", sex)
    race = overrides.get("race", race)
    shorter_cm = {"chinese": 5.0, "hispanic": 4.0}.get(race, 0.0)
    stature = _normal(rng, 0.0, 1.0, -2.4, 2.4)
    height = (162.5 + 6.4 * stature if sex == "F" else 176.0 + 7.0 * stature) - shorter_cm
    bmi_shift = {"chinese": -3.6}.get(race, 0.0)
    bmi = float(np.clip((27.6 + bmi_shift) * np.exp(rng.normal(0.0, 0.17)), 17.5, 47.0))
    height = float(overrides.get("height_cm", round(height, 1)))
    person = {"age_years": age, "sex": sex, "race": race, "height_cm": height}
    person["weight_kg"] = round(bmi * (height / 100.0) ** 2, 1)
    return person | {name: overrides[name] for name in person if name in overrides}


def _draw_body(rng: np.random.Generator, person: dict[str, Any]) -> dict[str, Any]:
    female = person["sex"] == "F"
    bmi = person["weight_kg"] / (person["height_cm"] / 100.0) ** 2
    relative_height = (person["height_cm"] - (162.0 if female else 175.0)) / 7.0
    width = (234.0 if female else 260.0) + 4.0 * relative_height + 1.2 * (bmi - 27.0) + rng.normal(0.0, 10.0)
    fat = 4.0 + max(0.0, bmi - 18.0) * (1.15 if female else 0.75)
    age = person["age_years"]
    return {
        "chest_width_mm": float(np.clip(width, 200.0, 320.0)),
        "chest_squareness": _normal(rng, 2.35, 0.15, 2.0, 2.8),
        "respiration": _normal(rng, 0.7, 0.22, 0.0, 1.0),
        "subcutaneous_fat_mm": float(np.clip(fat * np.exp(rng.normal(0.0, 0.25)), 3.0, 50.0)),
        "sternum_gap_mm": _normal(rng, 8.0, 4.5, 2.0, 24.0),
        "spine_gap_mm": _normal(rng, 18.0, 5.0, 7.0, 32.0),
        "scoliosis_mm": rng.normal(0.0, 4.0),
        "kyphosis_mm": _normal(rng, 16.0 + 0.25 * (age - 60.0), 8.0, 0.0, 44.0),
        "cartilage_calcium": float(np.clip((age - 35.0) / 60.0 + rng.normal(0.0, 0.25), 0.0, 1.0)),
        "breast_ml": float(np.clip(rng.normal(420.0 + 28.0 * (bmi - 26.0), 200.0), 60.0, 1800.0))
        if female
        else float(np.clip(12.0 * (bmi - 26.0), 0.0, 300.0)),
        "implants": bool(female and rng.random() < 0.03),
        "arms_down": bool(rng.random() < 0.06),
        "oesophageal_air": bool(rng.random() < 0.55),
        "deformation_mm": _normal(rng, 2.0, 0.7, 0.6, 3.6),
    }


def _draw_heart(rng: np.random.Generator, person: dict[str, Any]) -> dict[str, Any]:
    female = person["sex"] == "F"
    height, weight, age = person["height_cm"], person["weight_kg"], person["age_years"]
    surface = float(np.sqrt(height * weight / 3600.0))
    bmi = weight / (height / 100.0) ** 2
    scale = (surface / 1.9) ** 0.35 * (0.955 if female else 1.025) * np.exp(rng.normal(0.0, 0.06))
    # Stout people have horizontal hearts, tall thin ones vertical hearts.
    lying = float(np.clip((bmi - 27.0) / 5.0, -1.6, 2.2))
    obesity = float(np.clip((bmi - 20.0) / 12.0, 0.05, 1.8))
    fat = float(np.clip(3.1 * obesity**0.6 * np.exp(rng.normal(0.012 * (age - 60.0), 0.55)), 0.6, 10.0))
    width = (surface / 1.9) ** 0.3 * (0.94 if female else 1.03) * np.exp(0.004 * (age - 60.0))
    return {
        "heart_scale": float(np.clip(scale, 0.78, 1.2)),
        "heart_rotation_deg": _normal(rng, 3.5 + 2.0 * lying, 8.5, -17.0, 30.0),
        "heart_tilt_deg": _normal(rng, 1.0 + 3.5 * lying, 7.0, -20.0, 22.0),
        "heart_pitch_deg": _normal(rng, 0.0, 4.5, -12.0, 12.0),
        "heart_roll_deg": _normal(rng, 0.0, 6.0, -15.0, 15.0),
        "heart_shift_left_mm": _normal(rng, 0.0, 6.0, -16.0, 16.0),
        "epicardial_fat_mm": fat,
        "paracardial_fat_mm": float(np.clip(fat * np.exp(rng.normal(0.0, 0.4)), 0.8, 16.0)),
        "groove_fat": _normal(rng, 0.55 + 0.12 * lying, 0.24, 0.05, 1.0),
        "root_diameter_mm": float(np.clip(34.0 * width * np.exp(rng.normal(0.0, 0.07)), 26.0, 46.0)),
        "annulus_diameter_mm": float(np.clip(24.3 * width * np.exp(rng.normal(0.0, 0.06)), 19.0, 30.0)),
        "root_height_mm": _normal(rng, 21.5 * width, 2.4, 15.0, 29.0),
        "root_tilt_deg": _normal(rng, 0.0, 6.0, -15.0, 15.0),
        "root_turn_deg": _normal(rng, 0.0, 8.0, -20.0, 20.0),
        "aorta_diameter_mm": float(np.clip(32.0 * width * np.exp(rng.normal(0.0, 0.09)), 24.0, 46.0)),
        "pulmonary_diameter_mm": float(np.clip(27.0 * width * np.exp(rng.normal(0.0, 0.09)), 20.0, 38.0)),
        "mitral_diameter_mm": float(np.clip(36.5 * width * np.exp(rng.normal(0.0, 0.07)), 29.0, 46.0)),
        "mitral_shift_mm": _normal(rng, 0.0, 1.8, -4.0, 4.5),
        "mitral_drop_mm": _normal(rng, 0.0, 4.5, -8.0, 9.0),
        "left_atrium_scale": float(np.exp(_normal(rng, 0.002 * (age - 60.0), 0.08, -0.16, 0.25))),
        "right_atrium_scale": float(np.exp(_normal(rng, 0.0, 0.07, -0.16, 0.18))),
        "right_ventricle_scale": float(np.exp(_normal(rng, 0.02, 0.06, -0.09, 0.16))),
        "left_ventricle_scale": float(np.exp(_normal(rng, 0.0, 0.04, -0.09, 0.11))),
        "wall_mm": _normal(rng, 9.0 if female else 10.0, 1.3, 6.5, 15.0),
    }


def _draw_appendage(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "appendage_rise_mm": _normal(rng, 4.0, 6.0, -4.0, 18.0),
        "appendage_reach": float(rng.uniform(0.45, 1.0)),
        "appendage_scale": float(np.exp(_normal(rng, -0.08, 0.17, -0.45, 0.25))),
    }


def _draw_coronaries(rng: np.random.Generator, person: dict[str, Any]) -> dict[str, Any]:
    names = tuple(DOMINANCE_SHARE)
    dominance = str(rng.choice(names, p=tuple(DOMINANCE_SHARE.values())))
    mean, sd, least, greatest = LEFT_MAIN_MM
    reach = {"right": 0.75, "balanced": 0.9, "left": 1.0}[dominance] + rng.normal(0.0, 0.2)
    lumen = (0.93 if person["sex"] == "F" else 1.02) * np.exp(rng.normal(0.0, 0.09))
    return {
        "left_ostium_height_mm": _normal(rng, 13.3, 2.4, 7.0, 20.0),
        "right_ostium_height_mm": _normal(rng, 14.5, 2.8, 7.0, 22.0),
        "left_ostium_turn_deg": _normal(rng, 0.0, 10.0, -25.0, 25.0),
        "right_ostium_turn_deg": _normal(rng, 0.0, 11.0, -28.0, 28.0),
        "left_main_mm": _normal(rng, mean, sd, least, greatest),
        "bifurcation_deg": _normal(rng, 78.0, 23.0, 35.0, 140.0),
        "dominance": dominance,
        "ramus": bool(rng.random() < RAMUS_SHARE),
        "diagonals": int(rng.choice((1, 2, 3), p=(0.2, 0.55, 0.25))),
        "marginals": int(rng.choice((1, 2, 3), p=(0.3, 0.5, 0.2))),
        "circumflex_reach": float(np.clip(reach, 0.1 if dominance == "right" else 0.7, 1.0)),
        "lad_wrap": _normal(rng, 0.55, 0.3, 0.0, 1.0),
        "tortuosity_mm": _normal(rng, 1.2 + 0.02 * (person["age_years"] - 60.0), 0.6, 0.2, 3.2),
        "coronary_scale": float(lumen),
    }


def _draw_hu(rng: np.random.Generator, person: dict[str, Any]) -> dict[str, Any]:
    blood = _normal(rng, 40.0 if person["sex"] == "F" else 43.0, 3.5, 30.0, 52.0)
    steatosis = rng.random() < 0.25
    return {
        "blood_hu": blood,
        "myocardium_hu": float(np.clip(blood + rng.normal(3.0, 2.5), 36.0, 56.0)),
        "fat_hu": _normal(rng, -100.0, 6.0, -114.0, -82.0),
        "lung_hu": _normal(rng, -865.0, 38.0, -960.0, -770.0),
        "liver_hu": _normal(rng, 30.0, 14.0, -5.0, 48.0) if steatosis else _normal(rng, 57.0, 4.5, 46.0, 68.0),
        "muscle_hu": _normal(rng, 52.0 - 0.2 * (person["age_years"] - 60.0), 5.0, 35.0, 65.0),
        "marrow_hu": _normal(rng, 185.0 - 2.4 * (person["age_years"] - 60.0), 36.0, 70.0, 310.0),
        "cortex_hu": _normal(rng, 950.0 - 4.5 * (person["age_years"] - 60.0), 110.0, 520.0, 1200.0),
    }


def _draw_position(rng: np.random.Generator) -> dict[str, Any]:
    couch, prone = rng.random(2) < (COUCH_SHARE, PRONE_SHARE)
    return {"couch": bool(couch), "prone": bool(prone)}


def _draw_upper(rng: np.random.Generator, person: dict[str, Any]) -> dict[str, Any]:
    """Draw what lies above the heart: as in a real chest airways, pulmonary arteries and left atrium touch."""
    return {
        "sternum_slope": _normal(rng, 0.38, 0.09, 0.16, 0.6),
        "fork_drop_mm": _normal(rng, 0.0, 4.0, -9.0, 9.0),
        "airway_gap_mm": _normal(rng, 2.5, 3.0, 0.0, 12.0),
        "nodes": float(np.clip(9.0 * np.exp(rng.normal(0.0, 0.6)), 1.0, 40.0)),
        "node_mm": float(np.clip(3.2 * np.exp(rng.normal(0.005 * (person["age_years"] - 60.0), 0.35)), 1.8, 9.0)),
    }
