"""Disease of digital patients: coronary plaque to a target score, and everything else that is dense.

``add_disease(scene, rng, **overrides)`` is the way in; ``DiseaseSettings`` lists what may be asked for.
"""

from cacseg.data.phantom.disease.disease import DiseaseSettings, add_disease

__all__ = ["DiseaseSettings", "add_disease"]
