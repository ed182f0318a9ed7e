"""The API page: one self-contained HTML page made from the OpenAPI document, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from typing import Any, Final

from starlette.responses import HTMLResponse, Response

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#16202c;--dim:#566575;--line:#d5dce4;--back:#fbfcfd;--box:#f0f3f6;--accent:#0b6e69}
@media (prefers-color-scheme:dark){:root{--ink:#e3e9ef;--dim:#9aa9b8;--line:#2c3a48;--back:#0f161e;--box:#18222d;--accent:#4fc3b8}}
*{box-sizing:border-box}body{margin:0;font:15px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--back)}
.page{display:grid;grid-template-columns:17rem minmax(0,62rem);gap:2.5rem;padding:0 1.5rem 4rem}
nav{position:sticky;top:0;max-height:100vh;overflow:auto;padding:1.5rem 0;font-size:13px}
nav h2{font-size:12px;text-transform:uppercase;letter-spacing:.06em;color:var(--dim);margin:1.1rem 0 .25rem}
nav a{display:block;color:inherit;text-decoration:none;padding:.12rem 0;overflow-wrap:anywhere}nav a:hover{color:var(--accent)}
h1{font-size:1.9rem;margin:1.6rem 0 .3rem}h2.tag{margin:2.6rem 0 .2rem;border-block-end:1px solid var(--line)}
section{padding:1rem 0;border-block-end:1px solid var(--line)}h3{margin:.2rem 0;font-size:1rem;overflow-wrap:anywhere}
.verb{display:inline-block;min-width:4.2rem;font:700 12px/1 ui-monospace,monospace;color:var(--accent)}
code,pre{font:13px/1.5 ui-monospace,monospace}pre{background:var(--box);padding:.8rem 1rem;overflow:auto;border-radius:6px;max-height:26rem}
table{border-collapse:collapse;width:100%;font-size:14px}td,th{text-align:start;vertical-align:top;padding:.3rem .7rem .3rem 0;border-block-end:1px solid var(--line)}
.dim,th{color:var(--dim);font-weight:400}a{color:var(--accent)}details{margin:.5rem 0}summary{cursor:pointer;color:var(--dim)}
@media (max-width:800px){.page{grid-template-columns:1fr;gap:0}nav{position:static;max-height:none}}
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = f"default-src 'none'; object-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def response(document: dict[str, Any]) -> Response:
    """The page of one OpenAPI document."""
    return HTMLResponse(page(document), headers={"content-security-policy": _POLICY})


def page(document: dict[str, Any]) -> str:
    """The page as HTML."""
    info = document["info"]
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {t["name"]: [] for t in document["tags"]}
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            by_tag.setdefault(operation["tags"][-1], []).append((path, verb, operation))
    meaning = {t["name"]: t["description"] for t in document["tags"]}
    menu, body = [], []
    for tag, operations in by_tag.items():
        if not operations:
            continue
        menu.append(f"<h2>{_e(tag)}</h2>")
        body.append(f'<h2 class="tag">{_e(tag)}</h2><p class="dim">{_e(meaning.get(tag, ""))}</p>')
        for path, verb, operation in operations:
            anchor = re.sub(r"[^a-z0-9]+", "-", f"{verb}{path}".lower()).strip("-")
            menu.append(f'<a href="#{anchor}">{_e(operation["summary"])}</a>')
            body.append(_operation(anchor, path, verb, operation))
    schemas = document["components"]["schemas"]
    menu.append("<h2>shapes</h2>")
    body.append('<h2 class="tag">shapes</h2><p class="dim">JSON Schema of every body and answer.</p>')
    for name in sorted(schemas):
        menu.append(f'<a href="#shape-{_e(name)}">{_e(name)}</a>')
        body.append(_shape(name, schemas[name]))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_e(info["title"])} API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><div class="page">'
        f'<nav aria-label="Operations">{"".join(menu)}</nav><main><h1>{_e(info["title"])} API</h1>'
        f'<p class="dim">version {_e(info["version"])} · <a href="/api/openapi.json">openapi.json</a> · '
        f'<a href="/">control room</a></p>{_prose(info["description"])}{"".join(body)}</main></div></body></html>'
    )


def _e(text: Any) -> str:
    return html.escape(str(text))


def _line(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _e(text))


def _prose(text: str) -> str:
    return "".join(f"<p>{_line(part)}</p>" for part in text.strip().split("\n\n"))


def _operation(anchor: str, path: str, verb: str, operation: dict[str, Any]) -> str:
    out = [
        f'<section id="{anchor}"><h3><span class="verb">{verb.upper()}</span> <code>{_e(path)}</code></h3>',
        f"<p><strong>{_e(operation['summary'])}.</strong></p>{_prose(operation.get('description', ''))}",
    ]
    parameters = operation.get("parameters", [])
    if parameters:
        rows = "".join(
            f"<tr><td><code>{_e(p['name'])}</code></td><td class=dim>{_e(p['in'])}"
            f"{', required' if p.get('required') else ''}</td><td>{_e(_kind(p['schema']))}</td>"
            f"<td>{_line(p.get('description', ''))}</td></tr>"
            for p in parameters
        )
        out.append(f"<table><tr><th>parameter</th><th>where</th><th>type</th><th></th></tr>{rows}</table>")
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        out.append(f"<p>Body <code>{_e(media)}</code>: {_link(content.get('schema', {}))}</p>")
        if "example" in content:
            example = content["example"]
            shown = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
            out.append(f"<pre>{_e(shown)}</pre>")
    answers = []
    for status, answer in operation["responses"].items():
        shapes = ", ".join(
            f"<code>{_e(media)}</code> {_link(content.get('schema', {}))}"
            for media, content in answer.get("content", {}).items()
        )
        answers.append(
            f"<tr><td><code>{_e(status)}</code></td><td>{_line(answer.get('description', ''))}</td><td>{shapes}</td></tr>"
        )
    out.append(f"<table><tr><th>answer</th><th></th><th></th></tr>{''.join(answers)}</table></section>")
    return "".join(out)


def _link(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#shape-{_e(name)}">{_e(name)}</a>'
    if schema.get("type") == "array":
        return f"array of {_link(schema['items'])}"
    for joined in ("oneOf", "anyOf", "allOf"):
        if joined in schema:
            return " or ".join(_link(part) for part in schema[joined])
    return _e(schema.get("description") or _kind(schema))


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(v) for v in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    limits = [f"{n} {schema[k]}" for k, n in (("minimum", "from"), ("maximum", "to")) if k in schema]
    return " ".join([str(schema.get("format") or schema.get("type", "any")), *limits])


def _shape(name: str, schema: dict[str, Any]) -> str:
    shown = _e(json.dumps(schema, indent=2, ensure_ascii=False))
    linked = re.sub(r"#/components/schemas/(\w+)", r'<a href="#shape-\1">#/components/schemas/\1</a>', shown)
    return (
        f'<section id="shape-{_e(name)}"><h3>{_e(name)}</h3><p>{_e(schema.get("description", ""))}</p>'
        f"<details><summary>JSON Schema</summary><pre>{linked}</pre></details></section>"
    )
