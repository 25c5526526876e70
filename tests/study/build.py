"""Synthetic CT studies made by code: a simple chest, its DICOM objects, ways to spoil them."""

import functools
import warnings
import zipfile
from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.2"
STUDY = "1.2.826.0.1.3680043.10.999.1"
SERIES = f"{STUDY}.1"
SLICES, MATRIX, PIXEL_MM, INCREMENT_MM = 36, 96, 2.5, 3.0


@functools.cache
def _chest(slices, matrix, pixel_mm, increment_mm, blood_hu, noise_hu):
    z = (np.arange(slices) - slices / 2) * increment_mm
    y, x = np.meshgrid(*[(np.arange(matrix) - matrix / 2) * pixel_mm] * 2, indexing="ij")
    hu = np.full((slices, matrix, matrix), -1000.0)
    rng = np.random.default_rng(7)
    vessels = rng.uniform(-1, 1, (40, 2)) * (95, 60)
    for index, height in enumerate(z):
        plane = hu[index]
        widen = 1 - 0.0006 * (height + 20)
        plane[(x / 160) ** 2 + (y / 110) ** 2 < 1] = -95
        plane[(x / 145) ** 2 + (y / 98) ** 2 < 1] = 50
        for side in (-1, 1):
            lung = ((x - side * 70 * widen) / (55 * widen)) ** 2 + ((y - 5) / (80 * widen)) ** 2 < 1
            plane[lung] = -860
        for vx, vy in vessels:
            near = (x - vx - 0.05 * height) ** 2 + (y - vy) ** 2 < 9
            plane[near & (plane < -500)] = 20
        size = max(0.0, 1 - (height / 62) ** 2) ** 0.5
        shift = 0.25 * height
        outer = ((x - 12 + shift) / (62 * size + 22)) ** 2 + ((y + 15) / (50 * size + 22)) ** 2 < 1
        plane[outer] = -90
        if size > 0:
            heart = ((x - 12 + shift) / (55 * size)) ** 2 + ((y + 15) / (44 * size)) ** 2 < 1
            plane[heart] = blood_hu
        aorta = (x - 15) ** 2 + (y - 45) ** 2 < 12**2
        plane[aorta] = blood_hu
        spine = (x / 18) ** 2 + ((y - 72) / 16) ** 2 < 1
        plane[spine] = 220
    hu += rng.normal(0, noise_hu, hu.shape)
    hu = np.rint(hu).astype(np.int16)
    hu.setflags(write=False)
    return hu


def chest(slices=SLICES, matrix=MATRIX, pixel_mm=PIXEL_MM, increment_mm=INCREMENT_MM, blood_hu=45.0, noise_hu=12.0):
    """HU of a chest with lungs, a heart with fat around it, aorta and spine; (slice, row, column) int16."""
    return _chest(slices, matrix, pixel_mm, increment_mm, blood_hu, noise_hu).copy()


def ct(hu, index, series=SERIES, study=STUDY, **tags):
    """One single-frame CT object of a plane of HU (stored unsigned with intercept -1024)."""
    header = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = CT
    header.file_meta.MediaStorageSOPInstanceUID = f"{series}.{index + 1}"
    header.SOPInstanceUID = f"{series}.{index + 1}"
    header.StudyInstanceUID, header.SeriesInstanceUID = study, series
    header.FrameOfReferenceUID = f"{study}.9"
    header.Modality = "CT"
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.StudyDate, header.PatientAge, header.PatientSex = "20200102", "058Y", "F"
    header.PatientName, header.PatientID = "SECRET^PERSON", "SECRET-ID"
    header.Manufacturer, header.SeriesDescription = "SIEMENS", "CaScore"
    header.KVP, header.SliceThickness, header.ConvolutionKernel = "120", "3", "B35f"
    header.CardiacSynchronizationTechnique = "PROSPECTIVE"
    header.PatientPosition, header.InstanceNumber, header.AcquisitionNumber = "HFS", index + 1, 1
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.ImagePositionPatient = [-120.0, -120.0, INCREMENT_MM * index]
    header.PixelSpacing = [PIXEL_MM, PIXEL_MM]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.Rows, header.Columns = hu.shape
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 12, 11, 0
    header.RescaleSlope, header.RescaleIntercept = "1", "-1024"
    header.PixelData = np.clip(hu.astype(np.int32) + 1024, 0, 4095).astype("<u2").tobytes()
    change(header, **tags)
    return header


def change(header, **tags):
    """Set attributes; ``None`` deletes one; a function gets the old value."""
    for keyword, value in tags.items():
        if value is None:
            if keyword in header:
                del header[keyword]
        else:
            setattr(header, keyword, value)
    return header


def series(hu=None, uid=SERIES, **tags):
    """All objects of a series, in ascending order; a tag may be a function of the index."""
    hu = chest() if hu is None else hu
    return [
        ct(hu[i], i, series=uid, **{k: v(i) if callable(v) else v for k, v in tags.items()}) for i in range(len(hu))
    ]


def save(header, path, syntax=None):
    """Write one object as a DICOM file, uncompressed syntaxes only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if syntax is not None:
        header.file_meta.TransferSyntaxUID = syntax
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if header.file_meta.TransferSyntaxUID == ExplicitVRBigEndian:
            plain = Dataset()
            plain.update(header)
            plain.file_meta, plain.preamble = header.file_meta, header.preamble
            plain.PixelData = np.frombuffer(header.PixelData, "<u2").astype(">u2").tobytes()
            dcmwrite(path, plain, implicit_vr=False, little_endian=False, enforce_file_format=True)
        else:
            header.save_as(path, enforce_file_format=header.get("SOPInstanceUID") is not None)
    return path


def study(folder, headers, name=lambda i: f"IM{i:04d}"):
    """Write objects into a folder."""
    for index, header in enumerate(headers):
        save(header, folder / name(index))
    return folder


def compressed(header, syntax):
    """Give the object in a compressed transfer syntax, without loss where the syntax allows."""
    from pydicom.pixels import get_encoder

    if get_encoder(syntax).is_available if _has_encoder(syntax) else False:
        header.compress(syntax, generate_instance_uid=False)
        return header
    return _gdcm_compressed(header, syntax)


def _has_encoder(syntax):
    from pydicom.pixels import get_encoder

    try:
        get_encoder(syntax)
    except NotImplementedError:
        return False
    return True


def _gdcm_compressed(header, syntax):
    """Encode with GDCM, which knows JPEG Lossless."""
    import tempfile

    import gdcm
    from pydicom import dcmread

    kinds = {
        "1.2.840.10008.1.2.4.57": gdcm.TransferSyntax.JPEGLosslessProcess14,
        "1.2.840.10008.1.2.4.70": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
        "1.2.840.10008.1.2.4.90": gdcm.TransferSyntax.JPEG2000Lossless,
        "1.2.840.10008.1.2.4.80": gdcm.TransferSyntax.JPEGLSLossless,
    }
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.dcm", Path(folder) / "out.dcm"
        save(header, source)
        reader = gdcm.ImageReader()
        reader.SetFileName(str(source))
        assert reader.Read()
        changer = gdcm.ImageChangeTransferSyntax()
        changer.SetTransferSyntax(gdcm.TransferSyntax(kinds[syntax]))
        changer.SetInput(reader.GetImage())
        assert changer.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(target))
        writer.SetFile(reader.GetFile())
        writer.SetImage(changer.GetOutput())
        assert writer.Write()
        result = dcmread(target)
        result.PixelData  # noqa: B018  read before the file goes
        return result


def enhanced(hu, sop_class=ENHANCED_CT, order=None, **tags):
    """All planes as one multi-frame object; ``order`` gives the plane in each frame."""
    order = list(range(len(hu))) if order is None else list(order)
    header = ct(hu[0], 0, **tags)
    header.SOPClassUID = sop_class
    header.SOPInstanceUID = f"{header.SeriesInstanceUID}.1"
    header.NumberOfFrames = len(order)
    header.PixelData = np.clip(hu[order].astype(np.int32) + 1024, 0, 4095).astype("<u2").tobytes()
    shared, frames = Dataset(), []
    measures, plane, transform = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = header.PixelSpacing, header.SliceThickness
    plane.ImageOrientationPatient = header.ImageOrientationPatient
    transform.RescaleSlope, transform.RescaleIntercept = "1", "-1024"
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([plane])
    shared.PixelValueTransformationSequence = Sequence([transform])
    for index in order:
        group, position, content = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [-120.0, -120.0, INCREMENT_MM * index]
        content.FrameAcquisitionNumber = 1
        group.PlanePositionSequence = Sequence([position])
        group.FrameContentSequence = Sequence([content])
        frames.append(group)
    header.SharedFunctionalGroupsSequence = Sequence([shared])
    header.PerFrameFunctionalGroupsSequence = Sequence(frames)
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        del header[keyword]
    return header


def zipped(folder, target, compression=zipfile.ZIP_DEFLATED):
    """Zip a folder."""
    with zipfile.ZipFile(target, "w", compression) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return target


def encapsulated(header, syntax, frames):
    """Put ready-made code streams into an object."""
    header.file_meta.TransferSyntaxUID = syntax
    header.PixelData = encapsulate(frames)
    header["PixelData"].VR = "OB"
    header["PixelData"].is_undefined_length = True
    return header


def nifti(path, hu=None, affine=None, permutation=(0, 1, 2), flips=(1, 1, 1), dtype=np.int16):
    """Write a chest as NIfTI with its axes permuted and flipped; its world position stays the same."""
    import nibabel

    from cacseg.volume import Volume

    hu = chest() if hu is None else hu
    volume = Volume.axial(hu, (INCREMENT_MM, PIXEL_MM, PIXEL_MM), (-120.0, -120.0, 0.0))
    array, world = volume.voxels.T, volume.ras_affine() if affine is None else affine
    world = world.copy()
    for axis, sign in enumerate(flips):
        if sign < 0:
            array = np.flip(array, axis)
            world[:3, 3] += world[:3, axis] * (array.shape[axis] - 1)
            world[:3, axis] *= -1
    array = array.transpose(permutation)
    world = world[:, [*permutation, 3]]
    image = nibabel.Nifti1Image(np.ascontiguousarray(array).astype(dtype), world)
    nibabel.save(image, path)
    return path
