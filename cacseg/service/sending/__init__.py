"""Results out: DICOM forms to the archive, FHIR and HL7 to a folder or an address, a webhook to whoever listens.

job -> version of a result -> destination -> sent, or an error and another attempt later
"""

from cacseg.service.sending.delivery import send

__all__ = ["send"]
