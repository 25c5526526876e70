"""The listening side of the node: TLS handshakes off the accepting thread, and no more connections than planned."""

import logging
import socket
import ssl
import sys
from socketserver import BaseServer
from typing import Any, Final, cast

from pynetdicom.transport import ThreadedAssociationServer

from cacseg.errors import UsageError
from cacseg.service.settings import TlsSettings
from cacseg.service.worker import where

log = logging.getLogger("cacseg.service.node")

HANDSHAKE_S: Final = 10.0
"""Longest TLS handshake; a peer that connects and says nothing holds up nobody but itself."""

IDLE_S: Final = 60.0
"""A connection without traffic for this long is closed, within a message too."""

SPARE_CONNECTIONS: Final = 16
"""Connections beyond the associations allowed, so that a surplus peer is told so instead of being cut off."""


class NodeServer(ThreadedAssociationServer):
    """A server of pynetdicom whose accepting thread never waits for a peer."""

    daemon_threads = True
    block_on_close = False

    def shutdown(self) -> None:
        """Stop accepting and close the listening socket."""
        BaseServer.shutdown(self)
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection as it is."""
        connection, address = cast(socket.socket, self.socket).accept()
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Say whether there is room for another connection."""
        room = len(self.active_associations) < self.ae.maximum_associations + SPARE_CONNECTIONS
        if not room:
            log.warning("connection closed: too many are open", extra={"address": client_address[0]})
        return room

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Do the TLS handshake in the connection's own thread, then start the association."""
        if self.ssl_context is not None:
            try:
                request.settimeout(HANDSHAKE_S)
                request = self.ssl_context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
                request.do_handshake()
            except OSError as error:
                log.warning("no TLS", extra={"address": client_address[0], "reason": type(error).__name__})
                request.close()
                return
        request.settimeout(IDLE_S)
        super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a fault instead of printing it."""
        fault = sys.exception()
        log.error("connection lost", extra={"fault": "unknown" if fault is None else where(fault)})


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """Make the TLS side of a server; peers need a certificate of the named authority where there is one.

    Raises
    ------
    UsageError : a file is missing or is no certificate or key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        _load(context, settings)
    except OSError as error:
        raise _unusable(settings, error) from error
    if settings.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """Make the TLS side of a client, which shows its certificate and checks the server against the authority.

    Raises
    ------
    UsageError : a file is missing or is no certificate or key.
    """
    context = ssl.create_default_context()
    try:
        _load(context, settings)
    except OSError as error:
        raise _unusable(settings, error) from error
    return context


def _load(context: ssl.SSLContext, settings: TlsSettings) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.certificate, settings.key)
    if settings.ca is not None:
        context.load_verify_locations(settings.ca)


def _unusable(settings: TlsSettings, error: OSError) -> UsageError:
    return UsageError(
        f"The certificate {settings.certificate.name} with the key {settings.key.name} cannot be used "
        f"({type(error).__name__}: {error}). Give PEM files that belong together."
    )
