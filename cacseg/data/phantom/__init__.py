"""Digital patients: synthetic people with known calcium, scanned by a synthetic scanner."""

from cacseg.data.phantom.dicom import write_phantoms, write_study
from cacseg.data.phantom.patient import anatomy_in_view, digital_patient
from cacseg.data.phantom.scanner import Protocol, Scan, acquire, draw_protocol

__all__ = [
    "Protocol",
    "Scan",
    "acquire",
    "anatomy_in_view",
    "digital_patient",
    "draw_protocol",
    "write_phantoms",
    "write_study",
]
