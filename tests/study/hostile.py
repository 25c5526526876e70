"""Every hostile input that is tested: how it is made.

The table is in ``hostile_*.py``; ``docs/hostile-inputs.md`` shows the same rows, and a test compares the two.
"""

import shutil
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import study_build as build
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

EXIT = {"read": 0, "usage": 2, "refused": 3, "unreadable": 4}


@dataclass(frozen=True)
class Case:
    """One hostile input.

    ``outcome`` is read, refused, usage or unreadable; ``code`` is the finding that goes with it (read, refused) or
    a piece of the error's text (usage, unreadable); ``None`` where nothing more is to be said.
    """

    name: str
    what: str
    outcome: str
    code: str | None
    make: Callable[[Path], Path]


def bundled(name):
    def make(folder):
        found = get_testdata_file(name, download=False)
        return Path(shutil.copy(found, folder / Path(name).name.replace("DICOMDIR", "DIR")))

    return make


def tags(**tags):
    return lambda folder: build.study(folder / "study", build.series(**tags))


def changed(change):
    """Spoil the list of objects before it is written."""

    def make(folder):
        headers = build.series()
        return build.study(folder / "study", change(headers) or headers)

    return make


def with_file(write):
    """Add something to a good study."""

    def make(folder):
        target = build.study(folder / "study", build.series())
        write(target)
        return target

    return make


def zip_(write):
    """A good study in a zip, spoiled."""

    def make(folder):
        source = build.study(folder / "study", build.series())
        target = build.zipped(source, folder / "study.zip")
        write(target)
        return target

    return make


def bytes_(name, content):
    def make(folder):
        target = folder / name
        target.write_bytes(content)
        return target

    return make


def damage(change):
    """Spoil the bytes of slice 18."""

    def write(target):
        path = target / "IM0018"
        path.write_bytes(change(path.read_bytes()))

    return with_file(write)


def enhanced(change=None, **arguments):
    def make(folder):
        header = build.enhanced(build.chest(), **arguments)
        if change is not None:
            change(header)
        return build.save(header, folder / "enhanced.dcm")

    return make


def nifti(change=None, name="scan.nii.gz", **arguments):
    def make(folder):
        target = build.nifti(folder / name, **arguments)
        if change is not None:
            target.write_bytes(change(target.read_bytes()))
        return target

    return make


def move(index, position):
    def change(headers):
        headers[index].ImagePositionPatient = position

    return change


def symlink(archive):
    info = zipfile.ZipInfo("link")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    archive.writestr(info, "/etc/passwd")


def append(*entries):
    def write(target):
        with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
            for entry in entries:
                if callable(entry):
                    entry(archive)
                else:
                    archive.writestr(*entry)

    return write


def encrypt(target):
    content = bytearray(target.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(magic)
        while start >= 0:
            content[start + offset] |= 1
            start = content.find(magic, start + 4)
    target.write_bytes(bytes(content))


def corrupt_middle(target):
    content = bytearray(target.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = b"\xaa" * 200
    target.write_bytes(bytes(content))


def many(folder):
    target = folder / "many.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for index in range(20_001):
            archive.writestr(str(index), b"")
    return target


def two_studies(folder):
    build.study(folder / "both" / "a", build.series())
    other = "1.2.826.0.1.3680043.10.999.2"
    build.study(folder / "both" / "b", [build.ct(build.chest()[0], 0, series=f"{other}.1", study=other)])
    return folder / "both"


def phases(headers):
    extra = build.series(build.chest(noise_hu=14.0))
    for index, header in enumerate(extra):
        header.SOPInstanceUID += ".2"
        header.NominalPercentageOfCardiacPhase = 40
        header.InstanceNumber = 100 + index
    for header in headers:
        header.NominalPercentageOfCardiacPhase = 75
    return headers + extra


def unmarked_phases(headers):
    extra = build.series(build.chest(noise_hu=14.0))
    for header in extra:
        header.SOPInstanceUID += ".2"
        header.InstanceNumber = None
    for header in headers:
        header.InstanceNumber = None
    return headers + extra


def tilt(headers):
    angle = np.radians(8)
    for header in headers:
        header.ImageOrientationPatient = [1, 0, 0, 0, float(np.cos(angle)), float(np.sin(angle))]


def coronal(headers):
    for index, header in enumerate(headers):
        header.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        header.ImagePositionPatient = [-120.0, 3.0 * index, 120.0]


def contradiction(headers):
    copy = build.series()[18]
    copy.PixelData = b"\0\4" * (len(copy.PixelData) // 2)
    return [*headers, copy]


def phantom(folder):
    hu = np.repeat(build.chest()[20:21], 36, axis=0)
    hu[(hu < -60) & (hu > -130)] = 40
    return build.study(folder / "study", build.series(hu))


def abdomen(folder):
    hu = build.chest()
    hu[hu < -300] = 45
    hu[:, :3] = -1000
    return build.study(folder / "study", build.series(hu))


def syntax(uid, frame=b"\xff\x00garbage\x00"):
    def change(headers):
        for header in headers:
            build.encapsulated(header, uid, [frame])

    return changed(change)


def dicomdir(references):
    def make(folder):
        build.study(folder / "medium", build.series())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            records = [
                build.change(Dataset(), DirectoryRecordType="IMAGE", ReferencedFileID=reference)
                for reference in references
            ]
        header = build.ct(build.chest()[0], 0)
        directory = type(header)("", {}, file_meta=header.file_meta, preamble=b"\0" * 128)
        directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
        directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        directory.DirectoryRecordSequence = Sequence(records)
        target = folder / "medium" / "DICOMDIR"
        directory.save_as(target, enforce_file_format=True)
        return target

    return make


def without_meta(folder):
    """Write the bare data set: what a stream without PS3.10 framing looks like."""
    target = folder / "study"
    target.mkdir()
    for index, header in enumerate(build.series()):
        bare = Dataset()
        bare.update(header)
        bare.save_as(target / f"IM{index:04d}", implicit_vr=True, little_endian=True, enforce_file_format=False)
    return target


def pixels_dropped(headers):
    del headers[18].PixelData


def shuffle_bits(headers):
    for header in headers:
        words = np.frombuffer(header.PixelData, "<u2") << 4
        header.PixelData, header.HighBit = words.astype("<u2").tobytes(), 15


def negative_slope(headers):
    for header in headers:
        words = 4095 - np.frombuffer(header.PixelData, "<u2")
        header.PixelData = words.astype("<u2").tobytes()
        header.RescaleSlope, header.RescaleIntercept = "-1", str(4095 - 1024)


def padded(value):
    def change(headers):
        for header in headers:
            words = np.frombuffer(header.PixelData, "<u2").astype(np.int16) - 1024
            words = words.reshape(header.Rows, header.Columns).copy()
            words[:4] = value
            header.PixelData = words.astype("<i2").tobytes()
            header.RescaleIntercept, header.PixelRepresentation = "0", 1
            header.BitsStored, header.HighBit = 16, 15

    return changed(change)


def malformed(folder):
    """Write words where numbers belong, as raw bytes: pydicom itself refuses to write them."""
    target = build.study(folder / "study", build.series(KVP="111111", SliceThickness="222222"))
    for path in target.iterdir():
        path.write_bytes(path.read_bytes().replace(b"111111", b"abcdef").replace(b"222222", b"thick "))
    return target


def nifti_4d(folder):
    import nibabel

    nibabel.save(nibabel.Nifti1Image(np.stack([build.chest()] * 2, -1), np.eye(4)), folder / "x.nii")
    return folder / "x.nii"


def nifti_nan(folder):
    hu = build.chest().astype(np.float32)
    hu[:, :2] = np.nan
    return build.nifti(folder / "x.nii.gz", hu, dtype=np.float32)
