"""An archive reached by C-STORE."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.association import Association

from cacseg.service.errors import DeliveryError
from cacseg.service.node.server import client_context
from cacseg.service.sending.archive import DicomForm
from cacseg.service.settings import ArchiveSettings

log = logging.getLogger("cacseg.service.sending")

CONNECT_S: Final = 10.0
ANSWER_S: Final = 60.0
"""Longest waits for the connection and for each answer."""

WARNINGS: Final = range(0xB000, 0xC000)
"""Statuses of an object that was stored, though with a remark (PS3.4 B.2.3)."""


class DimseSender:
    """An open association with an archive."""

    def __init__(self, association: Association, name: str) -> None:
        self._association = association
        self._name = name

    def store(self, form: DicomForm) -> None:
        """Send one object.

        Raises
        ------
        DeliveryError : it was refused, or the association broke off.
        """
        try:
            answer = self._association.send_c_store(dcmread(form.path))
        except (ValueError, RuntimeError) as error:
            raise DeliveryError(
                f"The archive {self._name} takes no {form.sop_class} in {form.syntax} ({error}). Allow this SOP class "
                "and transfer syntax there."
            ) from error
        status = answer.get("Status")
        if status is None:
            raise DeliveryError(f"The association with the archive {self._name} broke off at {form.sop_instance}.")
        if status in WARNINGS:
            log.warning("stored with a remark", extra={"status": f"{status:04X}", "instance": form.sop_instance})
        elif status != 0:
            raise DeliveryError(
                f"The archive {self._name} answered {status:04X} for {form.sop_instance}, expected 0000. See its log."
            )


@contextmanager
def dimse_sender(archive: ArchiveSettings, calling: str, forms: Sequence[DicomForm]) -> Iterator[DimseSender]:
    """Open an association for some objects.

    Parameters
    ----------
    calling : AE title of this service.

    Raises
    ------
    DeliveryError : the archive is away or rejects the association.
    """
    name = f"{archive.aet} at {archive.host}:{archive.port}"
    entity = AE(ae_title=calling)
    entity.connection_timeout = CONNECT_S
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = ANSWER_S
    for sop_class, syntax in dict.fromkeys((form.sop_class, form.syntax) for form in forms):
        entity.add_requested_context(sop_class, syntax)
    options: dict[str, Any] = {}
    if archive.tls is not None:
        options["tls_args"] = (client_context(archive.tls), archive.host)
    association = entity.associate(archive.host, archive.port, ae_title=archive.aet, **options)
    if not association.is_established:
        why = "rejected the association: check the AE titles there" if association.is_rejected else "does not answer"
        raise DeliveryError(f"The archive {name} {why}.")
    try:
        yield DimseSender(association, name)
    finally:
        if association.is_established:
            association.release()
