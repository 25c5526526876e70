"""Hostile NIfTI files, and test files that pydicom ships."""

import gzip
import struct

import numpy as np
import study_build as build
from study_hostile import Case, bundled, bytes_, nifti, nifti_4d, nifti_nan

CASES = [
    # NIfTI
    Case("nifti-truncated", ".nii.gz cut off", "unreadable", "cut off", nifti(lambda b: b[: len(b) // 2])),
    Case(
        "nifti-plain-truncated",
        ".nii cut off",
        "unreadable",
        "cut off",
        nifti(lambda b: b[: len(b) // 2], name="scan.nii"),
    ),
    Case("nifti-garbage", ".nii of noise", "unreadable", "NIfTI", bytes_("x.nii", b"\x11" * 5000)),
    Case("nifti-gz-garbage", ".nii.gz that is no gzip", "unreadable", "NIfTI", bytes_("x.nii.gz", b"\x11" * 5000)),
    Case(
        "nifti-gz-of-text",
        ".nii.gz that holds text",
        "unreadable",
        "NIfTI",
        bytes_("x.nii.gz", gzip.compress(b"hello" * 500)),
    ),
    Case(
        "nifti-header-lies",
        "a header that claims 30000 x 30000 x 30000",
        "unreadable",
        "claims",
        nifti(lambda b: b[:42] + struct.pack("<3h", 30000, 30000, 30000) + b[48:], name="scan.nii"),
    ),
    Case(
        "nifti-4d",
        "two volumes in one file",
        "unreadable",
        "shape",
        lambda f: build.nifti(f / "x.nii", np.stack([build.chest()] * 2)[0]) and nifti_4d(f),
    ),
    Case(
        "nifti-flat-affine",
        "an affine that cannot be inverted",
        "unreadable",
        "affine",
        nifti(lambda b: b[:312] + bytes(16) + b[328:], name="scan.nii"),
    ),
    Case("nifti-nan", "NaN among the voxels", "read", None, nifti_nan),
    Case("nifti-flipped", "axes permuted and flipped", "read", None, nifti(permutation=(2, 0, 1), flips=(-1, 1, -1))),
    Case("nifti-not-hu", "grey values 0 to 255", "refused", "not-hounsfield", nifti(hu=np.clip(build.chest(), 0, 255))),
    # pydicom's own test files
    Case("pydicom-ct", "CT_small.dcm", "refused", "too-few-slices", bundled("CT_small.dcm")),
    Case("pydicom-j2k", "693_J2KI.dcm, one JPEG 2000 CT slice", "refused", "too-few-slices", bundled("693_J2KI.dcm")),
    Case("pydicom-j2k-sign", "J2K_pixelrep_mismatch.dcm", "refused", None, bundled("J2K_pixelrep_mismatch.dcm")),
    Case("pydicom-mr", "MR_small.dcm", "refused", "not-ct", bundled("MR_small.dcm")),
    Case("pydicom-mr-big-endian", "MR_small_bigendian.dcm", "refused", "not-ct", bundled("MR_small_bigendian.dcm")),
    Case("pydicom-mr-rle", "MR_small_RLE.dcm", "refused", "not-ct", bundled("MR_small_RLE.dcm")),
    Case("pydicom-mr-padded", "MR_small_padded.dcm", "refused", "not-ct", bundled("MR_small_padded.dcm")),
    Case("pydicom-truncated", "MR_truncated.dcm", "unreadable", "damaged", bundled("MR_truncated.dcm")),
    Case("pydicom-deflated", "image_dfl.dcm, deflated", "refused", "not-ct", bundled("image_dfl.dcm")),
    Case("pydicom-big-endian", "ExplVR_BigEnd.dcm", "refused", "not-ct", bundled("ExplVR_BigEnd.dcm")),
    Case("pydicom-no-meta", "ExplVR_LitEndNoMeta.dcm", "refused", "not-ct", bundled("ExplVR_LitEndNoMeta.dcm")),
    Case("pydicom-no-meta-big", "ExplVR_BigEndNoMeta.dcm", "refused", "not-ct", bundled("ExplVR_BigEndNoMeta.dcm")),
    Case("pydicom-bad-vr", "badVR.dcm", "refused", "not-ct", bundled("badVR.dcm")),
    Case("pydicom-sr", "test-SR.dcm, a structured report", "refused", "not-ct", bundled("test-SR.dcm")),
    Case("pydicom-rtplan", "rtplan.dcm", "refused", "not-ct", bundled("rtplan.dcm")),
    Case("pydicom-rtplan-cut", "rtplan_truncated.dcm", "refused", "not-ct", bundled("rtplan_truncated.dcm")),
    Case("pydicom-rtdose", "rtdose.dcm, multi-frame 32 bit", "refused", "not-ct", bundled("rtdose.dcm")),
    Case("pydicom-rtstruct", "rtstruct.dcm", "refused", "not-ct", bundled("rtstruct.dcm")),
    Case("pydicom-ecg", "waveform_ecg.dcm", "refused", "not-ct", bundled("waveform_ecg.dcm")),
    Case("pydicom-colour", "SC_rgb.dcm", "refused", "not-ct", bundled("SC_rgb_rle.dcm")),
    Case("pydicom-seg", "liver_1frame.dcm, a segmentation", "refused", "not-ct", bundled("liver_1frame.dcm")),
    Case(
        "pydicom-private",
        "nested_priv_SQ.dcm, private sequences only",
        "unreadable",
        "damaged",
        bundled("nested_priv_SQ.dcm"),
    ),
    Case("pydicom-jpeg-lossy", "JPEG-lossy.dcm, 12-bit JPEG", "refused", "not-ct", bundled("JPEG-lossy.dcm")),
    Case(
        "pydicom-missing-syntax",
        "meta_missing_tsyntax.dcm",
        "unreadable",
        "damaged",
        bundled("meta_missing_tsyntax.dcm"),
    ),
    Case("pydicom-palette", "examples_palette.dcm", "refused", "not-ct", bundled("examples_palette.dcm")),
    Case("pydicom-overlay", "examples_overlay.dcm", "refused", "not-ct", bundled("examples_overlay.dcm")),
]
