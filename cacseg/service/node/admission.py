"""Which peers may open an association: by calling AE title, and by host where the settings name one."""

import socket
from collections.abc import Mapping
from typing import Final

TITLE_UNKNOWN: Final = (0x01, 0x01, 0x03)
"""Rejected for good by the service user: calling AE title not recognised (PS3.8 9.3.4)."""

CALLED_UNKNOWN: Final = (0x01, 0x01, 0x07)
"""The same: called AE title not recognised."""


def refusal(
    calling: str, called: str, address: str, *, aet: str, allowed: Mapping[str, str | None]
) -> tuple[int, int, int] | None:
    """Say why an association is rejected, as result, source and reason of A-ASSOCIATE-RJ; ``None`` to admit it.

    Parameters
    ----------
    calling, called : AE titles of the request.
    address : IP address that it came from.
    aet : title of this node.
    allowed : calling titles with the host each must come from, or ``None`` for any; an empty one admits nobody.

    Examples
    --------
    >>> refusal("CT1", "CACSEG", "10.0.0.7", aet="CACSEG", allowed={"CT1": "10.0.0.7"})
    >>> refusal("CT1", "CACSEG", "10.0.0.8", aet="CACSEG", allowed={"CT1": "10.0.0.7"})
    (1, 1, 3)
    """
    if called.strip() != aet.strip():
        return CALLED_UNKNOWN
    title = calling.strip()
    if title not in allowed:
        return TITLE_UNKNOWN
    host = allowed[title]
    return None if host is None or _plain(address) in addresses_of(host) else TITLE_UNKNOWN


def addresses_of(host: str) -> frozenset[str]:
    """Give every IP address of a host name; none where it is not known.

    Examples
    --------
    >>> sorted(addresses_of("127.0.0.1"))
    ['127.0.0.1']
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset(_plain(str(address[0])) for *_, address in found)


def _plain(address: str) -> str:
    """Write an IPv4 address that arrived by IPv6 as IPv4."""
    return address.removeprefix("::ffff:")
