"""Who may do what: tokens with roles, kept as digests, and browser sessions made from them.

A token reads ``cacseg_<id>_<secret>``; the secret has 256 random bits, so a plain SHA-256 of it is kept. A browser
signs in with a token once and gets a cookie that scripts cannot read; its state-changing requests must repeat a
value that only pages of this service can learn.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import select
from sqlalchemy.orm import Session

from cacseg.errors import UsageError
from cacseg.service.audit import Audit
from cacseg.service.database import BrowserSession, Database, Token
from cacseg.service.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from cacseg.service.services import services_of

RIGHTS: Final[Mapping[str, frozenset[str]]] = {
    "send": frozenset({"send"}),
    "read": frozenset({"read"}),
    "review": frozenset({"read", "review"}),
    "admin": frozenset({"send", "read", "review", "admin"}),
}
"""What each role may do. A scanner's token sends and sees nothing; roles of one token are joined by commas."""

COOKIE: Final = "cacseg_session"
CSRF_HEADER: Final = "X-Cacseg-Csrf"
SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
TOKEN: Final = re.compile(r"cacseg_([0-9a-f]{12})_([0-9a-f]{64})")
BEARER: Final = HTTPBearer(auto_error=False, description="A token of 'cacseg serve token add'.")
"""For the OpenAPI document; ``authenticated`` reads the header."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a request.

    Parameters
    ----------
    name : of the token.
    role : role, or roles joined by commas.
    token_id : identifier of the token, which is no secret.
    """

    name: str
    role: str
    token_id: str = ""

    @property
    def rights(self) -> frozenset[str]:
        """All rights of the roles."""
        return frozenset().union(*(RIGHTS.get(role, frozenset()) for role in self.role.split(",")))


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser session: the cookie's value is known here and in the browser only."""

    cookie: str
    csrf: str
    expires_at: float
    actor: Actor


class Access:
    """Tokens and browser sessions of one database."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._audit = Audit(database, clock)

    def add(self, name: str, role: str, actor: str) -> str:
        """Make a token and give it, the only time it can be seen.

        Raises
        ------
        UsageError : an unknown role, or no name.
        """
        unknown = sorted(set(role.split(",")) - set(RIGHTS))
        if unknown:
            raise UsageError(f"There is no role {', '.join(map(repr, unknown))}; roles are {', '.join(RIGHTS)}.")
        if not 0 < len(name.strip()) <= 128:
            raise UsageError("A token needs a name of 1 to 128 characters that says who uses it.")
        identifier, secret = secrets.token_hex(6), secrets.token_hex(32)
        with self._database.session() as session:
            session.add(
                Token(id=identifier, name=name.strip(), digest=_digest(secret), role=role, created_at=self._clock())
            )
            self._audit.record(session, actor, "token.added", identifier, {"name": name.strip(), "role": role})
        return f"cacseg_{identifier}_{secret}"

    def revoke(self, token_id: str, actor: str) -> None:
        """End a token and its browser sessions.

        Raises
        ------
        NotFoundError : no such token, or it is revoked already.
        """
        with self._database.session() as session:
            token = session.get(Token, token_id)
            if token is None or token.revoked_at is not None:
                raise NotFoundError(f"There is no active token {token_id[:32]!r}. See 'cacseg serve token list'.")
            token.revoked_at = self._clock()
            session.query(BrowserSession).where(BrowserSession.token_id == token_id).delete()
            self._audit.record(session, actor, "token.revoked", token_id, {"name": token.name})

    def tokens(self) -> list[Token]:
        """List every token, revoked ones too."""
        with self._database.session(write=False) as session:
            return list(session.scalars(select(Token).order_by(Token.created_at)))

    def actor_of_token(self, token: str) -> Actor:
        """Give the owner of a token.

        Raises
        ------
        UnauthenticatedError : malformed, unknown, wrong or revoked; which of them is not told.
        """
        match = TOKEN.fullmatch(token)
        with self._database.session(write=False) as session:
            row = None if match is None else session.get(Token, match[1])
        given = "" if match is None else match[2]
        kept = "" if row is None else row.digest
        good = hmac.compare_digest(_digest(given), kept) and row is not None and row.revoked_at is None
        if not good or row is None:
            raise UnauthenticatedError("The token is not valid. Ask for one with 'cacseg serve token add'.")
        return Actor(row.name, row.role, row.id)

    def sign_in(self, token: str, hours: float) -> SignedIn:
        """Start a browser session.

        Raises
        ------
        UnauthenticatedError : the token is not valid.
        """
        actor = self.actor_of_token(token)
        cookie, csrf, now = secrets.token_hex(32), secrets.token_hex(32), self._clock()
        expires_at = now + hours * 3600
        with self._database.session() as session:
            session.query(BrowserSession).where(BrowserSession.expires_at < now).delete()
            session.add(
                BrowserSession(
                    digest=_digest(cookie), token_id=actor.token_id, csrf=csrf, created_at=now, expires_at=expires_at
                )
            )
            self._audit.record(session, actor.name, "session.started", actor.token_id)
        return SignedIn(cookie, csrf, expires_at, actor)

    def sign_out(self, cookie: str) -> None:
        """End a browser session; one that is not there is no error."""
        with self._database.session() as session:
            row = session.get(BrowserSession, _digest(cookie))
            if row is not None:
                self._audit.record(session, _named(session, row), "session.ended", row.token_id)
                session.delete(row)

    def signed_in(self, cookie: str) -> SignedIn:
        """Give the session of a cookie.

        Raises
        ------
        UnauthenticatedError : unknown, over, or its token was revoked.
        """
        with self._database.session(write=False) as session:
            row = session.get(BrowserSession, _digest(cookie))
            token = None if row is None else session.get(Token, row.token_id)
        if row is None or token is None or token.revoked_at is not None or row.expires_at <= self._clock():
            raise UnauthenticatedError("The session is over. Sign in again with a token.")
        return SignedIn(cookie, row.csrf, row.expires_at, Actor(token.name, token.role, token.id))


def authenticated(request: Request) -> Actor:
    """Find out who makes a request, by its bearer token or else its cookie.

    Raises
    ------
    UnauthenticatedError : neither is there, or what is there is not valid.
    ForbiddenError : a state-changing request by cookie does not repeat the session's value.
    """
    access = services_of(request).access
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return access.actor_of_token(token.strip())
    cookie = request.cookies.get(COOKIE)
    if scheme or cookie is None:
        raise UnauthenticatedError("This needs a token: send the header 'Authorization: Bearer cacseg_...'.")
    session = access.signed_in(cookie)
    if request.method not in SAFE_METHODS:
        given = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(given.encode(), session.csrf.encode()):
            raise ForbiddenError(f"The header {CSRF_HEADER} is missing or wrong; take its value from GET /api/session.")
    return session.actor


def require(right: str) -> Callable[..., Actor]:
    """Make a FastAPI dependency that lets a request pass with a right, and gives its actor.

    Parameters
    ----------
    right : ``send``, ``read``, ``review`` or ``admin``.
    """

    def actor(
        request: Request, _documented: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)] = None
    ) -> Actor:
        who = authenticated(request)
        if right not in who.rights:
            raise ForbiddenError(f"The token {who.name!r} has the role {who.role}, which lacks the right {right!r}.")
        return who

    return actor


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _named(session: Session, row: BrowserSession) -> str:
    token = session.get(Token, row.token_id)
    return row.token_id if token is None else token.name
