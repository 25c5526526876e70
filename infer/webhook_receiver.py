"""An example of a receiver of the webhook: checks signature and age, drops repeats, prints what was scored.

    CACSEG_WEBHOOK_SECRET=... python infer/webhook_receiver.py 9000

It needs nothing but Python, so that its few lines can be carried into a receiver of your own.
"""

import hashlib
import hmac
import os
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer

TOLERANCE_S = 300.0
LONGEST_BODY = 64 * 1024


def genuine(secret: str, fields: Mapping[str, str], body: bytes, now: float) -> bool:
    """Say whether a message is signed with the secret and no older than the tolerance."""
    timestamp, given = fields.get("X-Cacseg-Timestamp", ""), fields.get("X-Cacseg-Signature", "")
    expected = "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    fresh = timestamp.isdigit() and abs(now - int(timestamp)) <= TOLERANCE_S
    return fresh and hmac.compare_digest(given.encode(), expected.encode())


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to a message that is ours, 403 to any other."""

    seen: set[str]
    secret: str

    def do_POST(self) -> None:
        """Take one message."""
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), LONGEST_BODY))
        good = genuine(self.secret, dict(self.headers), body, time.time())
        self.send_response(204 if good else 403)
        self.end_headers()
        delivery = self.headers.get("X-Cacseg-Delivery", "")
        if good and delivery not in self.seen:
            self.seen.add(delivery)
            print(body.decode())


def main() -> None:
    """Listen on the port that is given, on this machine alone."""
    Receiver.seen, Receiver.secret = set(), os.environ["CACSEG_WEBHOOK_SECRET"]
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()


if __name__ == "__main__":
    main()
