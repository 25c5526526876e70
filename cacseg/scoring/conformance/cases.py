"""All conformance cases, in the order of their names' families."""

from cacseg.scoring.conformance.case import Case
from cacseg.scoring.conformance.component_cases import component_cases
from cacseg.scoring.conformance.encoding_cases import encoding_cases
from cacseg.scoring.conformance.geometry_cases import geometry_cases
from cacseg.scoring.conformance.label_cases import label_cases
from cacseg.scoring.conformance.threshold_cases import threshold_cases


def cases() -> tuple[Case, ...]:
    """Make every case; the same on every call.

    Examples
    --------
    >>> made = cases()
    >>> made[0].name, len({case.name for case in made}) == len(made)
    ('threshold-129', True)
    """
    return (*threshold_cases(), *component_cases(), *geometry_cases(), *label_cases(), *encoding_cases())
