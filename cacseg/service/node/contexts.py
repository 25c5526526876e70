"""What the node takes: CT images in every transfer syntax that can be decoded here, and what travels with them."""

from typing import Final

from pydicom.uid import (
    JPEG2000,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    LegacyConvertedEnhancedCTImageStorage,
    RLELossless,
)
from pynetdicom import AllStoragePresentationContexts, build_context
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from cacseg.study.transfer_syntax import decodable

IMAGES: Final = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
"""SOP classes that are kept and scored (PS3.4 B.5)."""

SYNTAXES: Final = (
    *(ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian),
    *(JPEGLosslessSV1, JPEGLossless, JPEGLSLossless, JPEG2000Lossless, RLELossless, HTJ2KLossless, HTJ2KLosslessRPCL),
    *(JPEGLSNearLossless, JPEG2000, JPEGExtended12Bit),
)
"""Transfer syntaxes that CT is sent in (PS3.5 section 10), lossless ones first."""


def accepted_syntaxes() -> tuple[str, ...]:
    """Name the transfer syntaxes that the installed packages decode.

    Examples
    --------
    >>> "1.2.840.10008.1.2.4.70" in accepted_syntaxes()
    True
    """
    return tuple(str(uid) for uid in SYNTAXES if decodable(uid))


def supported_contexts() -> list[PresentationContext]:
    """Make the presentation contexts that the node accepts.

    Reports, secondary captures and the like are accepted so that a sender of whole studies is not stopped by them;
    the C-STORE handler says that they are not kept.
    """
    syntaxes = list(accepted_syntaxes())
    images = [build_context(uid, syntaxes) for uid in IMAGES]
    others = [
        build_context(context.abstract_syntax, syntaxes)
        for context in AllStoragePresentationContexts
        if context.abstract_syntax is not None and context.abstract_syntax not in IMAGES
    ]
    return [build_context(Verification), *images, *others]
