"""A finished study announced to an address, signed so that the receiver can tell it from a forgery or a replay.

The signature is HMAC-SHA256 over the timestamp, a full stop and the body; timestamp and signature travel in headers.
``X-Cacseg-Delivery`` is the same in every attempt, so that a receiver can drop what it has seen.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx
from pydantic import SecretStr

from cacseg.service.errors import DeliveryError

TIMEOUT_S: Final = 15.0
SIGNATURE: Final = "X-Cacseg-Signature"
TIMESTAMP: Final = "X-Cacseg-Timestamp"
DELIVERY: Final = "X-Cacseg-Delivery"

TOLERANCE_S: Final = 300.0
"""Age beyond which a receiver should take a message for a replay."""


def announce(facts: Mapping[str, Any], key: str, url: str, secret: SecretStr, now: float | None = None) -> None:
    """Post the facts of a result.

    Parameters
    ----------
    facts : JSON-ready.
    key : identifier of the delivery.
    now : seconds since 1970 UTC; the present where ``None``.

    Raises
    ------
    DeliveryError : the address does not answer, or not with 200 to 299.
    """
    body = json.dumps(facts, sort_keys=True, allow_nan=False).encode()
    timestamp = str(int(time.time() if now is None else now))
    fields = {
        "Content-Type": "application/json",
        DELIVERY: key,
        TIMESTAMP: timestamp,
        SIGNATURE: signature(secret.get_secret_value(), timestamp, body),
    }
    try:
        answer = httpx.post(url, content=body, headers=fields, timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        raise DeliveryError(f"The webhook {url} does not answer ({type(error).__name__}: {error}).") from error
    if not answer.is_success:
        raise DeliveryError(f"The webhook {url} answered {answer.status_code}, expected 200 to 299.")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Sign a message.

    Examples
    --------
    >>> signature("s", "0", b"{}")[:23]
    'sha256=e79b1f685c78e46b'
    """
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"sha256={digest}"


def genuine(secret: str, fields: Mapping[str, str], body: bytes, now: float) -> bool:
    """Say whether a received message is ours and fresh; for receivers, and as the definition of the signature.

    Parameters
    ----------
    fields : headers of the request, looked up by the names above.
    now : seconds since 1970 UTC.
    """
    timestamp, given = fields.get(TIMESTAMP, ""), fields.get(SIGNATURE, "")
    fresh = timestamp.isdigit() and abs(now - int(timestamp)) <= TOLERANCE_S
    return fresh and hmac.compare_digest(given.encode(), signature(secret, timestamp, body).encode())
