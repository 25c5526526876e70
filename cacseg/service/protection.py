"""What stands before every route: limits on rate and size, security headers, a line in the log without names."""

import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cacseg.service.access import COOKIE
from cacseg.service.metrics import Metrics
from cacseg.service.problems import problem
from cacseg.service.settings import Settings

log = logging.getLogger("cacseg.service.http")

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}
"""Added where a route does not set its own. No CORS header is ever sent, so other origins stay out."""

SMALL_BODY: Final = 1024**2
"""Largest body of a request that brings no study."""

FAILURES_PER_MINUTE: Final = 60
"""Wrong tokens that one address may try."""

MOST_BUCKETS: Final = 20_000


class RateLimit:
    """Token buckets, one a caller: so many requests a minute, and as many at once."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = float(per_minute)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def left(self, caller: str) -> float:
        """Give how many requests a caller may make at this moment."""
        level, at = self._buckets.get(caller, (self._size, 0.0))
        return min(self._size, level + (self._clock() - at) * self._size / 60)

    def spend(self, caller: str) -> bool:
        """Count one request; say whether it was allowed."""
        level = self.left(caller)
        if level < 1:
            return False
        if caller not in self._buckets and len(self._buckets) >= MOST_BUCKETS:
            self._buckets = {each: kept for each, kept in self._buckets.items() if self.left(each) < self._size}
            if len(self._buckets) >= MOST_BUCKETS:
                return False
        self._buckets[caller] = (level - 1, self._clock())
        return True


class Protection:
    """The outermost layer of the application.

    Parameters
    ----------
    app : what it protects.
    metrics : where requests are counted.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._rate = RateLimit(settings.rate_per_minute)
        self._failures = RateLimit(FAILURES_PER_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500
        address = (scope.get("client") or ("unknown", 0))[0]

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._guarded(scope, receive, sending, address)
        finally:
            if status == 401:
                self._failures.spend(address)
            route = getattr(scope.get("route"), "path", "other")
            seconds = time.perf_counter() - begun
            self._metrics.count_request(scope["method"], route, status, seconds)
            if route not in QUIET:
                log.info(
                    "request",
                    extra={"method": scope["method"], "route": route, "status": status, "ms": round(seconds * 1000, 1)},
                )

    async def _guarded(self, scope: Scope, receive: Receive, send: Send, address: str) -> None:
        headers = Headers(scope=scope)
        credentials = headers.get("authorization", "") + _cookie(headers)
        caller = hashlib.sha256(credentials.encode()).hexdigest() if credentials else address
        if self._failures.left(address) < 1 or not self._rate.spend(caller):
            refusal = problem(429, "Too many requests; come back in a minute.", {"Retry-After": "60"})
            await refusal(scope, receive, send)
            return
        limit = self._settings.max_upload_mb * 1024**2 if _brings_study(scope) else SMALL_BODY
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            await problem(413, f"The request is larger than {limit} bytes.")(scope, receive, send)
            return
        await self._app(scope, _limited(receive, limit), send)


QUIET: Final = ("/healthz", "/readyz", "/metrics")


def _cookie(headers: Headers) -> str:
    cookies = headers.get("cookie", "")
    return cookies if COOKIE in cookies else ""


def _brings_study(scope: Scope) -> bool:
    path: str = scope["path"]
    return bool(scope["method"] == "POST" and (path == "/api/studies" or path.startswith("/dicomweb")))


def _limited(receive: Receive, limit: int) -> Callable[[], Awaitable[Any]]:
    seen = 0

    async def receiving() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise HTTPException(413, f"The request is larger than {limit} bytes.")
        return message

    return receiving
