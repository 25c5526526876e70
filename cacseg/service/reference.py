"""The OpenAPI document as one page for people, made here, so that no browser asks another server for a viewer."""

from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "h2{margin:2rem 0 .2rem;font-size:1.05rem}code{font-size:.95rem}p{margin:.3rem 0}"
    "table{border-collapse:collapse;margin:.3rem 0}"
    "td{text-align:left;padding:.1rem .9rem .1rem 0;vertical-align:top}"
)
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
METHODS: Final = ("get", "post", "put", "patch", "delete")


@router.get("/api/docs")
def docs(request: Request) -> HTMLResponse:
    """Give the page."""
    return HTMLResponse(page(request.app.openapi()), headers={"Content-Security-Policy": POLICY})


def page(document: dict[str, Any]) -> str:
    """Write an OpenAPI document as HTML.

    Examples
    --------
    >>> "<h2>" in page({"info": {"title": "x", "version": "1"}, "paths": {"/a": {"get": {"responses": {}}}}})
    True
    """
    info = document["info"]
    sections = "".join(
        _section(method, path, operations[method])
        for path, operations in document["paths"].items()
        for method in METHODS
        if method in operations
    )
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])} API</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info.get('summary', ''))}</p><p>{escape(info.get('description', ''))}</p>"
        "<p>Every route under /api asks for <code>Authorization: Bearer cacseg_...</code>; errors are "
        '<code>application/problem+json</code>. For programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"{sections}</body></html>"
    )


def _section(method: str, path: str, operation: dict[str, Any]) -> str:
    answers = "".join(
        f"<tr><td>{escape(code)}</td><td>{escape(answer.get('description', ''))}</td><td>{_shape(answer)}</td></tr>"
        for code, answer in operation.get("responses", {}).items()
        if code.startswith("2")
    )
    given = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
        f"<td>{_type(each.get('schema', {}))}</td><td>{escape(each.get('description', ''))}</td></tr>"
        for each in operation.get("parameters", [])
    )
    body = operation.get("requestBody")
    return (
        f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation.get('description', ''))}</p>"
        f"<table>{given}</table>{'' if body is None else f'<p>Body: {_shape(body)}</p>'}<table>{answers}</table>"
    )


def _shape(part: dict[str, Any]) -> str:
    """Name the media types of a body and what they hold."""
    kinds = part.get("content", {}).items()
    return ", ".join(f"<code>{escape(kind)}</code> {_type(content.get('schema', {}))}" for kind, content in kinds)


def _type(schema: dict[str, Any]) -> str:
    """Name a schema in a few words."""
    if "$ref" in schema:
        return escape(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(escape(str(each)) for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    default = f" (default {escape(str(schema['default']))})" if "default" in schema else ""
    return f"{escape(str(schema.get('type', '')))}{default}"
