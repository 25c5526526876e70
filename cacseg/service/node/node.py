"""The node as a server: an application entity, its handlers, its limits."""

import io
import logging
import threading
import time
from typing import Any, Final, cast

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event

from cacseg.errors import UsageError
from cacseg.service.node.admission import refusal
from cacseg.service.node.contexts import supported_contexts
from cacseg.service.node.open_associations import OpenAssociations
from cacseg.service.node.server import IDLE_S, NodeServer, server_context
from cacseg.service.node.storing import Request, store
from cacseg.service.services import Services
from cacseg.service.worker import where

log = logging.getLogger("cacseg.service.node")

ANSWER_S: Final = 30.0
"""Longest wait for a peer during negotiation and between the parts of a message."""

HOLD_S: Final = 0.5
"""Longest time between two notes that a study is still being sent; a third of the quiet time where that is less."""

SHORTEST_HOLD_S: Final = 0.05


class Node:
    """The DICOM node of a service.

    Parameters
    ----------
    services : whose settings have the part ``dicom``.

    Raises
    ------
    UsageError : they have not.
    """

    def __init__(self, services: Services) -> None:
        settings = services.settings.dicom
        if settings is None:
            raise UsageError("The settings have no part 'dicom'; give at least 'dicom: {allowed: {AETITLE: null}}'.")
        self._settings = settings
        self._services = services
        self._open = OpenAssociations(services.database)
        self._most_bytes = services.settings.max_upload_mb * 1024**2
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._server: Any = None
        self._entity = AE(ae_title=settings.aet)
        self._entity.supported_contexts = supported_contexts()
        self._entity.maximum_associations = settings.max_associations
        self._entity.maximum_pdu_size = settings.max_pdu
        self._entity.acse_timeout = self._entity.dimse_timeout = ANSWER_S
        self._entity.network_timeout = IDLE_S

    def start(self) -> None:
        """Listen, in threads of its own.

        Raises
        ------
        UsageError : the address cannot be listened on, or the certificate cannot be used.
        """
        where_to = (self._settings.host, self._settings.port)
        context = None if self._settings.tls is None else server_context(self._settings.tls)
        handlers: Any = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_DATA_RECV, self._counted),
            (evt.EVT_C_ECHO, _echoed),
            (evt.EVT_C_STORE, self._stored),
            (evt.EVT_CONN_CLOSE, self._closed),
        ]
        try:
            self._server = cast(Any, self._entity).make_server(
                where_to, ssl_context=context, evt_handlers=handlers, server_class=NodeServer
            )
        except OSError as error:
            raise UsageError(
                f"The DICOM node cannot listen on {where_to[0]}:{where_to[1]} ({error.strerror}). Choose another host "
                "or port in the settings, part 'dicom'."
            ) from error
        for target, name in ((self._server.serve_forever, "dicom"), (self._hold, "dicom-hold")):
            self._threads.append(threading.Thread(target=target, name=name, daemon=True))
            self._threads[-1].start()
        if not self._settings.allowed:
            log.warning("the DICOM node admits nobody: dicom.allowed is empty")
        log.info("DICOM node ready", extra={"aet": self._settings.aet, "port": self.port, "tls": context is not None})

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return int(self._server.socket.getsockname()[1])

    def stop(self) -> None:
        """Stop listening and end what is open; objects answered with success are kept."""
        self._stop.set()
        if self._threads:
            for association in self._server.active_associations:
                (association.abort if association.is_established else association.kill)()
            self._server.shutdown()
        for thread in self._threads:
            thread.join(timeout=5.0)

    def _requested(self, event: Event) -> None:
        """Reject peers that are not known."""
        peer = event.assoc.requestor  # codespell:ignore requestor
        primitive = cast(Any, peer.primitive)
        calling = primitive.calling_ae_title
        reason = refusal(
            calling,
            primitive.called_ae_title,
            str(peer.address),
            aet=self._settings.aet,
            allowed=self._settings.allowed,
        )
        if reason is None:
            return
        log.warning("association rejected", extra={"calling": calling, "address": peer.address, "reason": reason})
        event.assoc.acse.send_reject(*reason)
        evt.trigger(event.assoc, evt.EVT_REJECTED, {})
        event.assoc.kill()

    def _counted(self, event: Event) -> None:
        """Cut off what would fill the memory, where objects are held until they are whole."""
        association = self._open.of(event.assoc)
        association.received_bytes += len(event.data)
        if self._open.received_bytes() > self._most_bytes and not association.cut_off:
            association.cut_off = True
            log.warning(
                "association aborted: more than this service holds", extra={"bytes": association.received_bytes}
            )
            event.assoc.abort(block=False)

    def _stored(self, event: Event) -> Dataset:
        request, context = cast(Any, event.request), event.context
        association = self._open.of(event.assoc)
        calling = str(event.assoc.requestor.ae_title).strip()  # codespell:ignore requestor
        asked = Request(
            sop_class=str(request.AffectedSOPClassUID),
            sop_instance=str(request.AffectedSOPInstanceUID),
            syntax=str(context.transfer_syntax),
            content=io.BytesIO() if request.DataSet is None else request.DataSet,
            peer=calling,
        )
        try:
            return store(asked, association, self._services.inbox, self._services.settings.scratch)
        finally:
            association.received_bytes = 0

    def _closed(self, event: Event) -> None:
        self._open.close(event.assoc, time.time())

    def _hold(self) -> None:
        pause_s = max(SHORTEST_HOLD_S, min(HOLD_S, self._services.settings.quiet_s / 3))
        while not self._stop.wait(pause_s):
            try:
                self._open.hold(time.time())
            except Exception as error:
                log.error("studies not held open", extra={"fault": where(error)})


def _echoed(_: Event) -> int:
    return 0x0000
