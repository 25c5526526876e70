"""``cacseg serve``: the service in one command, its tokens, its audit trail. Needs the extra ``serve``."""

from __future__ import annotations

import argparse
import json
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cacseg.engines import ENGINES, SERVICE_ENGINE
from cacseg.errors import CacsegError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cacseg.service.settings import Settings

    Write = Callable[[str], None]

HELP: Final = "run the inference service: HTTP, DICOM node, queue, review page"
NEEDED: Final = (
    "fastapi",
    "uvicorn",
    "sqlalchemy",
    "pydantic_settings",
    "pynetdicom",
    "prometheus_client",
    "python_multipart",
    "httpx",
)
ROLES: Final = ("send", "read", "review", "admin")
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``cacseg serve``."""
    parser.add_argument("--settings", type=Path, metavar="YAML", help="settings file; see docs/service.md")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of everything (default: ./cacseg-service)")
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default: 8080)")
    parser.add_argument("--workers", type=int, help="scoring processes (default: 1)")
    parser.add_argument("--threads", type=int, help="threads of the network in each (default: 2)")
    parser.add_argument("--engine", choices=ENGINES, help=f"what runs the network (default: {SERVICE_ENGINE})")
    actions = parser.add_subparsers(title="instead of serving", metavar="ACTION", dest="action")
    actions.add_parser("check", help="print the effective settings, secrets masked")
    trail = actions.add_parser("audit", help="check the audit trail")
    trail.add_argument("--head", metavar="DIGEST", help="a digest noted earlier that must still be in the trail")
    actions.add_parser("worker", help="score studies of this data folder, without serving")
    token = actions.add_parser("token", help="make, list or revoke tokens")
    verbs = token.add_subparsers(metavar="VERB", dest="verb", required=True)
    add = verbs.add_parser("add", help="make a token; it is printed once")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--role", action="append", required=True, choices=ROLES, help="may be given more than once")
    verbs.add_parser("list", help="list tokens")
    revoke = verbs.add_parser("revoke", help="revoke a token")
    revoke.add_argument("id", metavar="ID")


def run(args: argparse.Namespace, write: Write, tell: Write) -> int:
    """Run the command.

    Parameters
    ----------
    args : parsed by a parser that ``add_arguments`` filled.
    write : prints a line of the answer (standard output).
    tell : prints a line for people (standard error).

    Returns
    -------
    int : exit code; 1 where the audit trail was changed.

    Raises
    ------
    MissingExtraError : the extra ``serve`` is not installed, or what shall run the network.
    UsageError : the settings do not hold.
    """
    need_serving_stack()
    from cacseg.service.settings import Settings

    given = {name: getattr(args, name) for name in ("data", "host", "port", "workers", "threads", "engine")}
    settings = Settings.load(args.settings, **given)
    if args.action in (None, "worker"):
        _need_engine(settings)
    actions = {"check": _check, "audit": _audit, "worker": _worker, "token": _token, None: _serve}
    return actions[args.action](settings, args, write, tell)


def need_serving_stack() -> None:
    """Say how to get what the light install leaves out.

    Raises
    ------
    MissingExtraError : a package of the extra is absent.
    """
    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent:
        raise MissingExtraError(
            f"cacseg serve needs {', '.join(absent)}, which the light install leaves out: pip install 'cacseg[serve]'"
        )


def _need_engine(settings: Settings) -> None:
    if settings.triton is None and find_spec(settings.engine) is None:
        raise MissingExtraError(
            f"The engine {settings.engine} is not installed. Install it with: pip install 'cacseg[serve]'; or serve "
            "with --engine onnxruntime, which every install has."
        )


def _check(settings: Settings, _args: argparse.Namespace, write: Write, _tell: Write) -> int:
    write(json.dumps(settings.masked(), indent=1))
    return 0


def _audit(settings: Settings, args: argparse.Namespace, write: Write, tell: Write) -> int:
    from cacseg.service.services import Services

    verdict = Services.of(settings).audit.verify(args.head)
    write(json.dumps({"entries": verdict.entries, "head": verdict.head, "broken_at": verdict.broken_at}, indent=1))
    tell("The audit trail is whole." if verdict.holds else f"The audit trail was changed at entry {verdict.broken_at}.")
    return 0 if verdict.holds else 1


def _worker(settings: Settings, _args: argparse.Namespace, _write: Write, _tell: Write) -> int:
    from cacseg.service.workers import run_worker

    settings.make_folders()
    run_worker(settings)
    return 0


def _token(settings: Settings, args: argparse.Namespace, write: Write, tell: Write) -> int:
    from cacseg.service.answers import TokenAnswer
    from cacseg.service.services import Services

    access = Services.of(settings).access
    if args.verb == "add":
        write(access.add(args.name, ",".join(dict.fromkeys(args.role)), "command line"))
        tell("Keep it safe: it is not shown again.")
    elif args.verb == "revoke":
        access.revoke(args.id, "command line")
        tell(f"Token {args.id} is revoked.")
    else:
        write(json.dumps([TokenAnswer.of(row).model_dump() for row in access.tokens()], indent=1))
    return 0


def _serve(settings: Settings, _args: argparse.Namespace, write: Write, tell: Write) -> int:
    import uvicorn

    from cacseg.result import NOT_A_DEVICE
    from cacseg.service.app import make_app
    from cacseg.service.logs import log_as_json

    log_as_json()
    try:
        app = make_app(settings)
    except OSError as error:
        raise UsageError(f"The data folder {settings.data} cannot be used ({error.strerror}). Give another.") from error
    access = app.state.services.access
    with _listening(settings) as listening:
        if not access.tokens():
            tell("The first token, for the administrator; it is not shown again:")
            write(access.add("administrator", "admin", "first start"))
            sys.stdout.flush()
        tell(json.dumps(settings.masked()))
        if settings.host not in LOOPBACK and settings.tls is None:
            tell("Listening beyond this machine without TLS: put a TLS proxy before it, or set tls in the settings.")
        scheme = "http" if settings.tls is None else "https"
        tell(f"cacseg serves on {scheme}://{settings.host}:{listening.getsockname()[1]}")
        tell(NOT_A_DEVICE)
        server = uvicorn.Server(uvicorn.Config(app, **_server_options(settings)))
        try:
            server.run(sockets=[listening])
        except SystemExit:  # of the server that could not start; its own code means something else here
            return CacsegError.exit_code
    return 0


def _listening(settings: Settings) -> socket.socket:
    """Open the port.

    Raises
    ------
    UsageError : it is taken, or the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except OSError as error:
        raise UsageError(
            f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}). Is another service running there? "
            "Give another --host or --port."
        ) from error


def _server_options(settings: Settings) -> dict[str, Any]:
    """Options of the HTTP server; it writes no log of its own, for paths and queries may name patients."""
    tls = settings.tls
    return {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "http": "h11",
        "ws": "none",
        "proxy_headers": settings.proxy is not None,
        "forwarded_allow_ips": settings.proxy,
        "timeout_graceful_shutdown": 15,
        "ssl_certfile": None if tls is None else str(tls.certificate),
        "ssl_keyfile": None if tls is None else str(tls.key),
    }
