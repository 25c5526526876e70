"""Hostile headers, geometry and pixels."""

import numpy as np
import study_build as build
from pydicom.sequence import Sequence
from study_hostile import (
    Case,
    abdomen,
    changed,
    coronal,
    enhanced,
    malformed,
    move,
    negative_slope,
    padded,
    phantom,
    phases,
    shuffle_bits,
    syntax,
    tags,
    tilt,
    unmarked_phases,
    without_meta,
)

CASES = [
    # Transfer syntaxes
    Case("video", "MPEG-4 in a CT object", "unreadable", "1.2.840.10008.1.2.4.102", syntax("1.2.840.10008.1.2.4.102")),
    Case("unknown-syntax", "a private transfer syntax", "unreadable", "1.2.3.4.5", syntax("1.2.3.4.5")),
    Case(
        "jpegls-garbage", "JPEG-LS announced, noise inside", "unreadable", "decoded", syntax("1.2.840.10008.1.2.4.80")
    ),
    Case("j2k-garbage", "JPEG 2000 announced, noise inside", "unreadable", "decoded", syntax("1.2.840.10008.1.2.4.90")),
    Case("rle-garbage", "RLE announced, noise inside", "unreadable", "decoded", syntax("1.2.840.10008.1.2.5")),
    Case("no-meta", "no preamble, no file meta information", "read", None, without_meta),
    # Identity
    Case("no-description", "SeriesDescription is missing", "read", None, tags(SeriesDescription=None)),
    Case(
        "misleading-description",
        "described as Chest Abdomen Pelvis with contrast",
        "read",
        None,
        tags(SeriesDescription="Chest Abdomen Pelvis +C"),
    ),
    Case("empty-contrast-tag", "ContrastBolusAgent is empty", "read", None, tags(ContrastBolusAgent="")),
    Case(
        "false-contrast-tag",
        "ContrastBolusAgent names an agent, blood is not enhanced",
        "read",
        "contrast-tag-contradicted",
        tags(ContrastBolusAgent="ULTRAVIST 370"),
    ),
    Case("no-study-uid", "StudyInstanceUID is missing", "read", None, tags(StudyInstanceUID=None)),
    Case("no-series-uid", "SeriesInstanceUID is missing", "read", None, tags(SeriesInstanceUID=None)),
    Case("no-sop-uid", "SOPInstanceUID is missing", "read", None, tags(SOPInstanceUID=None)),
    Case(
        "malformed-numbers",
        "KVP, SliceThickness, InstanceNumber are words",
        "read",
        "kvp-unknown",
        malformed,
    ),
    Case(
        "stripped",
        "de-identified: only geometry and pixels are left",
        "read",
        "kvp-unknown",
        tags(
            KVP=None,
            SliceThickness=None,
            ConvolutionKernel=None,
            CardiacSynchronizationTechnique=None,
            PatientPosition=None,
            Manufacturer=None,
            SeriesDescription=None,
            PatientAge=None,
            PatientSex=None,
            ImageType=None,
            InstanceNumber=None,
            AcquisitionNumber=None,
            FrameOfReferenceUID=None,
        ),
    ),
    Case("voltage-in-volts", "KVP is 120000", "read", None, tags(KVP="120000")),
    # Not a CT of a heart
    Case("mr-study", "36 slices of modality MR", "refused", "not-ct", tags(Modality="MR")),
    Case("no-modality", "Modality is missing, the SOP class is CT", "read", None, tags(Modality=None)),
    Case(
        "localizer",
        "every image is a localizer",
        "refused",
        "localizer",
        tags(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    ),
    Case(
        "colour",
        "colour screenshots",
        "refused",
        "not-ct",
        changed(
            lambda h: (
                [
                    build.change(
                        x,
                        SamplesPerPixel=3,
                        PhotometricInterpretation="RGB",
                        PlanarConfiguration=0,
                        BitsAllocated=8,
                        BitsStored=8,
                        HighBit=7,
                        PixelData=b"\0" * (3 * 96 * 96),
                    )
                    for x in h
                ]
                and None
            )
        ),
    ),
    Case("coronal", "coronal reformats", "refused", "not-axial", changed(coronal)),
    Case(
        "contrast",
        "an angiography: blood at 320 HU, nothing in the tags",
        "refused",
        "contrast",
        lambda f: build.study(f / "s", build.series(build.chest(blood_hu=320.0))),
    ),
    Case(
        "venous-contrast",
        "late contrast: blood at 150 HU",
        "refused",
        "contrast",
        lambda f: build.study(f / "s", build.series(build.chest(blood_hu=150.0))),
    ),
    Case("technical-phantom", "a thorax phantom without a heart", "refused", "no-heart", phantom),
    Case("abdomen", "soft tissue without lungs", "refused", "no-heart", abdomen),
    Case(
        "constant",
        "every pixel is 0 HU",
        "refused",
        "not-hounsfield",
        lambda f: build.study(f / "s", build.series(np.zeros((36, 96, 96), np.int16))),
    ),
    Case(
        "too-short",
        "18 slices of 3 mm: 54 mm",
        "refused",
        "heart-truncated",
        lambda f: build.study(f / "s", build.series(build.chest()[9:27])),
    ),
    Case(
        "nine-slices",
        "9 slices",
        "refused",
        "too-few-slices",
        lambda f: build.study(f / "s", build.series(build.chest()[:9])),
    ),
    Case(
        "one-slice", "one CT file", "refused", "too-few-slices", lambda f: build.save(build.series()[0], f / "one.dcm")
    ),
    Case(
        "tiny-matrix",
        "a matrix of 48 x 48",
        "refused",
        "matrix-unsuitable",
        lambda f: build.study(f / "s", build.series(build.chest()[:, ::2, ::2], PixelSpacing=[5, 5])),
    ),
    # Geometry
    Case(
        "missing-slice",
        "one slice of the middle is absent",
        "refused",
        "missing-slice",
        changed(lambda h: h[:18] + h[19:]),
    ),
    Case(
        "missing-two",
        "two neighbouring slices are absent",
        "refused",
        "missing-slice",
        changed(lambda h: h[:18] + h[20:]),
    ),
    Case("uneven", "one slice lies 0.9 mm off", "refused", "uneven-spacing", changed(move(18, [-120.0, -120.0, 54.9]))),
    Case(
        "rounded-positions",
        "positions rounded to 0.1 mm",
        "read",
        None,
        tags(ImagePositionPatient=lambda i: [-120.0, -120.0, round(3.0 * i + 0.04 * (i % 3), 1)]),
    ),
    Case("no-positions", "ImagePositionPatient is missing", "refused", "no-geometry", tags(ImagePositionPatient=None)),
    Case("no-spacing", "PixelSpacing is missing", "refused", "no-geometry", tags(PixelSpacing=None)),
    Case("zero-spacing", "PixelSpacing is 0", "refused", "no-geometry", tags(PixelSpacing=[0, 0])),
    Case(
        "bad-orientation",
        "direction cosines of length 3",
        "refused",
        "no-geometry",
        tags(ImageOrientationPatient=[3, 0, 0, 0, 3, 0]),
    ),
    Case(
        "rounded-orientation",
        "direction cosines .99999",
        "read",
        None,
        tags(ImageOrientationPatient=[0.99999, 0.00001, 0, -0.00001, 0.99999, 0]),
    ),
    Case("tilted-gantry", "a sheared stack, gantry tilted by 8 degrees", "refused", "gantry-tilt", changed(tilt)),
    Case(
        "one-position",
        "every slice at one position",
        "refused",
        "two-slices-at-one-position",
        tags(ImagePositionPatient=[-120.0, -120.0, 0.0], InstanceNumber=None),
    ),
    Case("two-phases", "two cardiac phases in one series", "read", None, changed(phases)),
    Case(
        "unmarked-phases",
        "two volumes that no tag tells apart",
        "refused",
        "two-slices-at-one-position",
        changed(unmarked_phases),
    ),
    # Pixels
    Case(
        "no-rescale",
        "RescaleSlope and RescaleIntercept are missing, stored from 0",
        "refused",
        "not-hounsfield",
        tags(RescaleSlope=None, RescaleIntercept=None),
    ),
    Case("negative-slope", "RescaleSlope is -1", "read", None, changed(negative_slope)),
    Case("high-bit", "12 bits stored in the upper bits of the word", "read", None, changed(shuffle_bits)),
    Case(
        "bits-stored-lie",
        "BitsStored is 8 for 12-bit values",
        "read",
        "bits-stored-exceeded",
        tags(BitsStored=8, HighBit=7),
    ),
    Case(
        "monochrome1",
        "PhotometricInterpretation is MONOCHROME1",
        "read",
        "monochrome1",
        tags(PhotometricInterpretation="MONOCHROME1"),
    ),
    Case("padding-2000", "padding of -2000", "read", None, padded(-2000)),
    Case("padding-3024", "padding of -3024", "read", None, padded(-3024)),
    Case(
        "padding-is-water",
        "PixelPaddingValue stands for 0 HU",
        "read",
        "padding-ambiguous",
        tags(PixelPaddingValue=1024),
    ),
    # Multi-frame
    Case("enhanced", "a good enhanced multi-frame CT", "read", None, enhanced()),
    Case(
        "enhanced-shuffled",
        "frames in random order",
        "read",
        None,
        enhanced(order=np.random.default_rng(1).permutation(36).tolist()),
    ),
    Case("legacy-enhanced", "legacy converted enhanced CT", "read", None, enhanced(sop_class=build.LEGACY_ENHANCED_CT)),
    Case(
        "frames-lie",
        "NumberOfFrames claims 500",
        "unreadable",
        "damaged",
        enhanced(lambda h: build.change(h, NumberOfFrames=500)),
    ),
    Case(
        "frames-without-groups",
        "functional groups for half of the frames",
        "refused",
        "not-ct",
        enhanced(
            lambda h: build.change(
                h, PerFrameFunctionalGroupsSequence=Sequence(list(h.PerFrameFunctionalGroupsSequence)[:18])
            )
        ),
    ),
    Case(
        "frames-without-positions",
        "no PlanePositionSequence",
        "refused",
        "no-geometry",
        enhanced(lambda h: [build.change(g, PlanePositionSequence=None) for g in h.PerFrameFunctionalGroupsSequence]),
    ),
    Case(
        "old-multi-frame",
        "a multi-frame CT without functional groups",
        "refused",
        None,
        enhanced(lambda h: build.change(h, PerFrameFunctionalGroupsSequence=None, SharedFunctionalGroupsSequence=None)),
    ),
]
