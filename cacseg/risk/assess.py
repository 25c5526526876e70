"""Everything that a score and a patient's facts say about risk, each value with its source and inputs."""

from collections.abc import Mapping
from typing import Any, Final

from cacseg.acquisition import Patient
from cacseg.risk import burden, mesa_chd, prevent
from cacseg.risk.arterial_age import SOURCE as ARTERIAL_AGE_SOURCE
from cacseg.risk.arterial_age import arterial_age_years
from cacseg.risk.cac_drs import SOURCE as CAC_DRS_SOURCE
from cacseg.risk.cac_drs import cac_drs, cac_drs_visual
from cacseg.risk.factors import NAMES, checked_factors, missing
from cacseg.risk.percentile import (
    HOFF,
    MESA,
    MESA_AGES,
    MESA_RACES,
    hoff_band,
    hoff_range,
    mesa_group,
    mesa_percentile,
)
from cacseg.scoring.category import category_of
from cacseg.scoring.score import Scoring

CATEGORY_SOURCE: Final = "Rumberger et al. Mayo Clin Proc 1999;74:243-252, doi:10.4065/74.3.243"

Evidence = dict[str, Any]


def assess(scoring: Scoring, patient: Patient, risk_factors: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Put a score into its categories, percentiles and risk models.

    Parameters
    ----------
    scoring : the scores; the total and the number of affected arteries are used.
    patient : age, sex and race where known; race is never guessed.
    risk_factors : keys of ``cacseg.risk.factors``; those absent leave out what needs them.

    Returns
    -------
    JSON-ready mapping with the contract's keys (``agatston_category``, ``cac_drs``, ``percentile``,
    ``arterial_age_years``) and, beside them, one mapping per further value. Each holds ``source``,
    ``inputs`` and ``absent_because``, which is ``None`` exactly where the value is given.

    Raises
    ------
    UsageError : a risk factor is unknown or implausible.
    """
    factors = checked_factors(risk_factors)
    agatston = scoring.total.agatston
    vessels = burden.affected_vessels(scoring)
    return {
        "agatston_category": category_of(agatston).name,
        "agatston_category_source": CATEGORY_SOURCE,
        "cac_drs": cac_drs(agatston, vessels),
        "cac_drs_source": CAC_DRS_SOURCE,
        "cac_drs_visual": _visual(factors, vessels),
        "percentile": _mesa(agatston, patient),
        "percentile_hoff": _hoff(agatston, patient),
        "arterial_age_years": arterial_age_years(agatston),
        "arterial_age_source": ARTERIAL_AGE_SOURCE,
        "chd_10y_mesa": _chd(agatston, patient, factors),
        "ascvd_prevent": _prevent(patient, factors),
        "burden": {
            "lesions": scoring.total.lesions,
            "vessels": vessels,
            "density": burden.density(scoring),
            "density_source": burden.DENSITY_SOURCE,
            "diffusivity": burden.diffusivity(scoring),
            "diffusivity_source": burden.DIFFUSIVITY_SOURCE,
        },
        "risk_factors": factors,
    }


def _visual(factors: Mapping[str, Any], vessels: int) -> str | None:
    if "visual_grade" not in factors:
        return None
    return cac_drs_visual(int(factors["visual_grade"]), int(factors.get("visual_vessels", vessels)))


def _facts(patient: Patient) -> Evidence:
    return {"age_years": patient.age_years, "sex": patient.sex, "race": patient.race}


def _mesa(agatston: float, patient: Patient) -> Evidence:
    answer: Evidence = {"source": "MESA", "citation": MESA, "inputs": _facts(patient), "value": None}
    answer |= {"nonzero_percent": None, "reference": None, "absent_because": _why_no_mesa(patient)}
    if answer["absent_because"] is None and patient.age_years and patient.sex and patient.race:
        group = mesa_group(patient.age_years, patient.sex, patient.race.lower())
        if group is not None:
            answer["value"] = mesa_percentile(agatston, group)
            answer["nonzero_percent"] = group.nonzero_percent
            answer["reference"] = {str(percentile): score for percentile, score in group.reference.items()}
    return answer


def _why_no_mesa(patient: Patient) -> str | None:
    unknown = [name for name in ("age", "sex", "race") if _facts(patient)[_KEY[name]] is None]
    if unknown:
        return f"MESA percentiles need age, sex and race; not known here: {', '.join(unknown)}."
    if str(patient.race).lower() not in MESA_RACES:
        return f"MESA enrolled {', '.join(MESA_RACES)}; the race given ({patient.race}) is none of these."
    youngest, oldest = MESA_AGES
    if not youngest <= int(patient.age_years or 0) <= oldest:
        return f"MESA covers {youngest} to {oldest} years; age {patient.age_years:g} is outside, not extrapolated."
    return None


_KEY: Final = {"age": "age_years", "sex": "sex", "race": "race"}


def _hoff(agatston: float, patient: Patient) -> Evidence:
    answer: Evidence = {"source": "Hoff", "citation": HOFF, "range": None, "reference": None}
    answer["inputs"] = {"age_years": patient.age_years, "sex": patient.sex}
    answer["absent_because"] = None
    if patient.age_years is None or patient.sex is None:
        answer["absent_because"] = "The Hoff nomogram needs age and sex."
        return answer
    band = hoff_band(patient.age_years, patient.sex)
    if band is None:
        answer["absent_because"] = f"The Hoff nomogram covers 30 to 90 years; age is {patient.age_years:g}."
        return answer
    answer["range"] = list(hoff_range(agatston, band))
    answer["reference"] = {str(percentile): score for percentile, score in band.reference.items()}
    return answer


def _chd(agatston: float, patient: Patient, factors: Mapping[str, Any]) -> Evidence:
    answer: Evidence = {"source": mesa_chd.SOURCE, "endpoint": mesa_chd.ENDPOINT}
    answer |= {"with_calcium_percent": None, "without_calcium_percent": None}
    answer["inputs"] = {**_facts(patient), **{key: factors.get(key) for key in mesa_chd.NEEDED}}
    lacking = missing(mesa_chd.NEEDED, factors)
    answer["absent_because"] = _why_no_mesa(patient)
    if answer["absent_because"] is None and lacking:
        answer["absent_because"] = f"The MESA risk score needs risk factors not given here: {', '.join(lacking)}."
    if answer["absent_because"] is None and patient.age_years and patient.sex and patient.race:
        who = (patient.age_years, patient.sex, patient.race.lower(), factors)
        answer["with_calcium_percent"] = 100.0 * mesa_chd.chd_risk(*who, agatston)
        answer["without_calcium_percent"] = 100.0 * mesa_chd.chd_risk(*who, None)
    return answer


def _prevent(patient: Patient, factors: Mapping[str, Any]) -> Evidence:
    answer: Evidence = {"source": prevent.SOURCE, "ten_year_percent": None, "thirty_year_percent": None}
    answer["inputs"] = {
        "age_years": patient.age_years,
        "sex": patient.sex,
        **{key: factors.get(key) for key in prevent.NEEDED},
    }
    answer["absent_because"] = _why_no_prevent(patient, factors)
    if answer["absent_because"] is None and patient.age_years is not None and patient.sex is not None:
        answer["ten_year_percent"] = 100.0 * prevent.ascvd_risk(patient.age_years, patient.sex, factors, 10)
        if patient.age_years <= prevent.AGES[30][1]:
            answer["thirty_year_percent"] = 100.0 * prevent.ascvd_risk(patient.age_years, patient.sex, factors, 30)
    return answer


def _why_no_prevent(patient: Patient, factors: Mapping[str, Any]) -> str | None:
    if patient.age_years is None or patient.sex is None:
        return "PREVENT needs age and sex."
    youngest, oldest = prevent.AGES[10]
    if not youngest <= patient.age_years <= oldest:
        return f"PREVENT covers {youngest} to {oldest} years; age is {patient.age_years:g}."
    lacking = missing(prevent.NEEDED, factors)
    if lacking:
        return f"PREVENT needs risk factors not given here: {', '.join(lacking)}."
    for key, (low, high) in prevent.RANGES.items():
        if not low <= factors[key] <= high:
            return f"PREVENT holds for {NAMES[key]} from {low:g} to {high:g}; it is {factors[key]:g}."
    return None
