"""Iterative and deep-learning reconstruction, by how vendors write it into their headers."""

import re
from collections.abc import Iterable
from typing import Final

_METHODS: Final[tuple[tuple[str, str], ...]] = (
    (r"TRUE\s*FIDELITY|\bDLIR", "GE TrueFidelity (deep learning)"),
    (r"\bAICE\b", "Canon AiCE (deep learning)"),
    (r"\bPIQE\b", "Canon PIQE (deep learning)"),
    (r"PRECISE\s*IMAGE", "Philips Precise Image (deep learning)"),
    (r"\bASIR[\s-]?V|\bAR\d{1,3}\b", "GE ASiR-V (iterative)"),
    (r"\bASIR\b|\bSS\d{1,3}\b", "GE ASiR (iterative)"),
    (r"\bVEO\b|\bMBIR\b", "model-based (iterative)"),
    (r"\bADMIRE\b", "Siemens ADMIRE (iterative)"),
    (r"\bSAFIRE\b", "Siemens SAFIRE (iterative)"),
    (r"\bQIR\b", "Siemens QIR (iterative)"),
    (r"\bIMR\b", "Philips IMR (iterative)"),
    (r"\bIDOSE", "Philips iDose (iterative)"),
    (r"\bFIRST\b", "Canon FIRST (iterative)"),
    (r"\bAIDR", "Canon AIDR 3D (iterative)"),
)
"""Trade names of reconstruction methods beyond filtered back projection."""

_SIEMENS_STRENGTH: Final = re.compile(r"^\s*([A-Z][a-z]?\d{2}[a-z]?)\s*[\\/]\s*([1-5])\s*$", re.IGNORECASE)
"""Siemens writes ConvolutionKernel as two values, kernel and strength ``I30f\\3``; 0 stands for none."""


def reconstruction_method(kernel: str | None, words: Iterable[str | None]) -> str | None:
    r"""Name the iterative or deep-learning reconstruction, or ``None`` if nothing speaks of one.

    Parameters
    ----------
    kernel : ConvolutionKernel, its values joined by a backslash.
    words : ReconstructionAlgorithm, ImageComments, ScanOptions, FilterType, vendor fields.

    Examples
    --------
    >>> reconstruction_method("I30f\\3", [])
    'Siemens iterative, strength 3'
    >>> reconstruction_method("FC12", ["AIDR 3D STD"])
    'Canon AIDR 3D (iterative)'
    >>> reconstruction_method("B35f", ["FILTER_BACK_PROJ"]) is None
    True
    """
    spoken = " | ".join(word for word in (kernel, *words) if word).upper()
    for pattern, name in _METHODS:
        if re.search(pattern, spoken):
            return name
    strength = _SIEMENS_STRENGTH.search(kernel or "")
    if strength:
        return f"Siemens iterative, strength {strength.group(2)}"
    if re.match(r"\s*[IJ]\d{2}[FS]", (kernel or "").upper()):
        return "Siemens iterative (I kernel)"
    if "ITERATIVE" in spoken:
        return "iterative, method not named"
    return None
