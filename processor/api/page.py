"""Write the page `/docs`: every call, from the OpenAPI document.

It holds no script, and nothing on it comes from another host.

So nobody else's program runs in the origin of an API whose callers have tokens. What it says is what `/openapi.json`
says.
"""

import json
from collections.abc import Iterator
from html import escape
from typing import Any, Final

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}code,pre{font:14px/1.4"
    " ui-monospace,monospace}"
    "pre{overflow:auto;background:#f4f4f4;padding:.5rem}summary{cursor:pointer}b{display:inline-block;min-width:4.5rem}th,td{text-align:left;padding-right:1rem}"
)


def docs_page(document: dict[str, Any]) -> str:
    """Return the page of an OpenAPI document."""
    title = escape(document["info"]["title"])
    parts = [f"<h1>{title}</h1>", "<p>Machines read <code>/openapi.json</code>.</p>"]
    for tag, calls in _by_tag(document["paths"]).items():
        parts += [f"<h2>{escape(tag)}</h2>", *calls]
    schemas = document.get("components", {}).get("schemas", {})
    parts += [
        "<h2>Bodies</h2>",
        *(
            _details(f'<code id="{escape(name)}">{escape(name)}</code>', _json(schema))
            for name, schema in schemas.items()
        ),
    ]
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'


def _by_tag(paths: dict[str, Any]) -> dict[str, list[str]]:
    tags: dict[str, list[str]] = {}
    for path, methods in paths.items():
        for method, call in methods.items():
            tags.setdefault(call.get("tags", ["other"])[0], []).append(_call(method, path, call))
    return tags


def _call(method: str, path: str, call: dict[str, Any]) -> str:
    described = "".join(f"<p>{escape(text)}</p>" for text in call.get("description", "").split("\n\n") if text)
    summary = f"<b>{escape(method.upper())}</b> <code>{escape(path)}</code> {escape(call.get('summary', ''))}"
    return _details(summary, described + "".join(_parameters(call)) + "".join(_body(call)))


def _parameters(call: dict[str, Any]) -> Iterator[str]:
    rows = [
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
        f"<td>{'required' if each.get('required') else ''}</td>"
        f"<td>{escape(each.get('description', ''))}</td></tr>"
        for each in call.get("parameters", [])
    ]
    if rows:
        yield f"<table>{''.join(rows)}</table>"


def _body(call: dict[str, Any]) -> Iterator[str]:
    for media_type, content in call.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body, <code>{escape(media_type)}</code>:</p>{_json(content.get('schema', {}))}"


def _json(schema: dict[str, Any]) -> str:
    return f"<pre>{escape(json.dumps(schema, indent=1, ensure_ascii=False))}</pre>"


def _details(summary: str, inside: str) -> str:
    return f"<details><summary>{summary}</summary>{inside}</details>"
