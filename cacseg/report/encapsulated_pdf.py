"""``encapsulated_report.dcm``: the PDF inside a DICOM object, for archives that show nothing else (PS3.3 A.45.1)."""

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from cacseg.report.dicom_header import file_bytes, new_instance, software_versions
from cacseg.report.inputs import Stamp
from cacseg.report.sr import MEASUREMENT_REPORT
from cacseg.report.verification import Observer, series_suffix
from cacseg.result import Result


def encapsulated_pdf(
    result: Result, pdf: bytes, sources: tuple[Dataset, ...], stamp: Stamp, verified_by: Observer | None = None
) -> bytes:
    """Wrap a PDF.

    Parameters
    ----------
    result : the result that it shows.
    pdf : the PDF.
    sources : headers of the scored series; patient and study are taken from the first.
    stamp : gives time and UIDs.
    verified_by : who signed; ``None`` while nobody has.
    """
    dataset = new_instance(sources[0], EncapsulatedPDFStorage, "pdf", stamp)
    dataset.Modality = "DOC"
    dataset.SeriesDescription = f"Calcium score report (PDF, {series_suffix(verified_by)})"
    dataset.SoftwareVersions = software_versions(result)
    dataset.ConversionType = "SD"
    dataset.BurnedInAnnotation = "YES"
    dataset.AcquisitionDateTime = ""
    dataset.DocumentTitle = "Coronary calcium score"
    dataset.ConceptNameCodeSequence = [MEASUREMENT_REPORT.item()]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.VerificationFlag = "UNVERIFIED" if verified_by is None else "VERIFIED"
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    dataset.EncapsulatedDocumentLength = len(pdf)
    return file_bytes(dataset)
