"""One call from a seed to a scanned digital patient."""

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cacseg.data.phantom.scanner import Protocol, Scan, acquire, draw_protocol
from cacseg.data.phantom.scanner.protocol import Family
from cacseg.data.phantom.scene import Scene
from cacseg.errors import UsageError

if TYPE_CHECKING:
    from cacseg.data.phantom.population import PatientFacts

CONTRAST_HU: Final = (180.0, 480.0)
"""HU of blood that holds contrast medium: from a late venous phase to a coronary angiogram."""

HEART_FIELD_MM: Final = 262.0
"""Wider fields of view need the anatomy of the whole chest."""


def digital_patient(seed: int, family: Family = "gated", *, keep_noise_free: bool = False, **overrides: Any) -> Scan:
    """Draw a patient, build its anatomy, give it disease, and scan it.

    Parameters
    ----------
    seed : non-negative; the same seed gives the same bits, whatever the number of threads.
    family : "gated", "shifted", "chest" or "contrast" (see ``draw_protocol``).
    keep_noise_free : keep the image without noise as well.
    overrides : facts of ``PatientFacts``, fields of ``DiseaseSettings`` or fields of ``Protocol`` to set
        instead of drawing them; what is not set stays as the seed gives it.

    Raises
    ------
    UsageError : an override belongs to none of the three, or the family is unknown.
    """
    from cacseg.data.phantom.disease import DiseaseSettings, add_disease
    from cacseg.data.phantom.population import PatientFacts, draw_patient

    if seed < 0:
        raise UsageError(f"A seed must not be negative; got {seed}.")
    chosen: dict[type, dict[str, Any]] = {PatientFacts: {}, DiseaseSettings: {}, Protocol: {}}
    for name, value in overrides.items():
        owner = next(
            (kind for kind in chosen if name in {each.name for each in fields(kind)} - {"seed", "family"}), None
        )
        if owner is None:
            raise UsageError(f"{name} is no fact of a patient, no setting of its disease, no field of a protocol.")
        chosen[owner][name] = value
    protocol_chance, scan_chance = (np.random.default_rng([seed, stream]) for stream in (203, 204))
    if family == "contrast":
        blood = float(protocol_chance.uniform(*CONTRAST_HU))
        chosen[PatientFacts] = {"blood_hu": blood, "myocardium_hu": 60.0 + 0.15 * blood, **chosen[PatientFacts]}
    facts = draw_patient(seed, **chosen[PatientFacts])
    protocol = draw_protocol(family, facts, protocol_chance, **chosen[Protocol])
    anatomy = anatomy_in_view(facts, protocol, np.random.default_rng([seed, 201]))
    scene = add_disease(anatomy, np.random.default_rng([seed, 202]), **chosen[DiseaseSettings])
    return acquire(scene, protocol, scan_chance, keep_noise_free=keep_noise_free)


def anatomy_in_view(facts: "PatientFacts", protocol: Protocol, rng: np.random.Generator) -> Scene:
    """Build as much of a patient as a protocol shows."""
    from cacseg.data.phantom.anatomy import Field, build_anatomy

    if protocol.field_of_view_mm > HEART_FIELD_MM:
        return build_anatomy(facts, rng, extent="chest")
    if protocol.centre_lps_mm is not None:
        return build_anatomy(facts, rng)
    return build_anatomy(facts, rng, field=Field(protocol.field_of_view_mm, protocol.shift_mm))


def whole_chest(scan: Scan) -> Scene:
    """Build the scene of a scanned patient again, over the whole width of the body.

    Raises
    ------
    UsageError : the scene is not one of a drawn patient.
    """
    from cacseg.data.phantom.anatomy import build_anatomy
    from cacseg.data.phantom.population import PatientFacts

    if scan.seed is None:
        raise UsageError("Only a drawn patient can be built again; this scene has no seed.")
    names = {each.name for each in fields(PatientFacts)}
    facts = PatientFacts(**{name: value for name, value in scan.scene.patient.items() if name in names})
    anatomy = build_anatomy(facts, np.random.default_rng([scan.seed, 201]), extent="chest")
    return replace(anatomy, deposits=scan.scene.deposits)
