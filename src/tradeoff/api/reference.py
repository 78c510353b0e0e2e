"""The API described for people: one page, made from the OpenAPI document, that needs no internet.

No script and nothing from elsewhere: a browser shows it behind any firewall, and the headers
forbid the rest.
"""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
    ),
}
STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882;
  --link: light-dark(#0b57d0, #8ab4f8) }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; display: grid;
  grid-template-columns: 17rem minmax(0, 1fr) }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1rem;
  box-sizing: border-box;
  border-right: 1px solid var(--line); font-size: 14px }
nav ul { list-style: none; padding: 0; margin: 0 0 1rem }
nav b { text-transform: capitalize }
main { padding: 1rem 2rem; max-width: 60rem }
a { color: var(--link); text-decoration: none } a:hover { text-decoration: underline }
section { border-top: 1px solid var(--line); padding: 1rem 0 }
code, pre { font: 14px/1.45 ui-monospace, monospace; background: var(--soft); border-radius: 4px }
code { padding: .1em .3em; overflow-wrap: anywhere } pre { padding: .8rem; overflow: auto }
pre code { padding: 0; background: none }
table { border-collapse: collapse; width: 100%; font-size: 14px }
td, th { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0;
  border-bottom: 1px solid var(--line) }
td:first-child code { white-space: nowrap }
.method { font-weight: 700 } h2 { text-transform: capitalize; margin-top: 3rem }
h3 { margin-bottom: .2rem }
@media (max-width: 50rem) { body { display: block } nav { position: static; height: auto } }
"""


def page(document: dict[str, Any]) -> str:
    """The whole reference as HTML."""
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    by_tag = {
        tag["name"]: [o for o in operations if tag["name"] in o[2]["tags"]]
        for tag in document["tags"]
    }
    schemas = document["components"]["schemas"]
    info = document["info"]
    body = [
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        f"<p>{_text(info['summary'])}</p>",
        *(f"<p>{_text(part)}</p>" for part in info["description"].split("\n\n")),
        '<p>For machines: <a href="openapi.json">openapi.json</a></p>',
    ]
    for tag in document["tags"]:
        name = tag["name"].replace("_", " ")
        body.append(f"<h2>{escape(name)}</h2><p>{_text(tag['description'])}</p>")
        body += [_operation(*operation, schemas) for operation in by_tag[tag["name"]]]
    body.append("<h2>Objects</h2>")
    body += [_schema(name, schema) for name, schema in sorted(schemas.items())]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}: API reference</title><style>{STYLE}</style></head>"
        f"<body>{_navigation(by_tag)}<main>{''.join(body)}</main></body></html>"
    )


def _navigation(by_tag: dict[str, list[tuple[str, str, Any]]]) -> str:
    groups = []
    for tag, operations in by_tag.items():
        links = "".join(
            f'<li><a href="#{escape(operation["operationId"])}">'
            f"{escape(operation['summary'])}</a></li>"
            for _, _, operation in operations
        )
        groups.append(f"<b>{escape(tag.replace('_', ' '))}</b><ul>{links}</ul>")
    return f"<nav>{''.join(groups)}</nav>"


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    parts = [
        f'<section id="{escape(operation["operationId"])}">',
        f"<h3>{escape(operation['summary'])}</h3>",
        f'<p><code><span class="method">{method}</span> {escape(path)}</code></p>',
        f"<p>{_text(operation['description'])}</p>" if operation["description"] else "",
    ]
    body = operation.get("requestBody")
    example = None
    if body is not None:
        schema = body["content"]["application/json"]["schema"]
        example = schemas[_name(schema)].get("examples", [{}])[0]
        parts.append(f"<p>Body: {_type(schema)}</p>")
    parts += [
        f"<pre><code>{escape(_curl(method, path, example))}</code></pre>",
        _parameters(operation["parameters"]),
        f"<p>Answer: {_type(answer)}</p>",
        _example(answer, schemas),
        "</section>",
    ]
    return "".join(parts)


def _example(answer: dict[str, Any], schemas: dict[str, Any]) -> str:
    """An answer to look at; of a list, one of its elements."""
    described = schemas[_name(answer)]
    rows = described.get("properties", {}).get("data")
    if rows is not None:
        described = schemas[_name(rows["items"])]
    examples = described.get("examples")
    if not examples:
        return ""
    words = "<p>Each of the rows is such as</p>" if rows is not None else "<p>For example</p>"
    return f"{words}<pre><code>{escape(json.dumps(examples[0], indent=2))}</code></pre>"


def _curl(method: str, path: str, example: Any) -> str:
    address = path.replace("{token}", "self")
    address = re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), address)
    line = f'curl -u "$TRADEOFF_API_TOKEN:" "$TRADEOFF_API_URL{address}"'
    if method not in ("GET", "POST"):
        line += f" -X {method}"
    if method in ("POST", "PUT"):
        text = (
            json.dumps(example, indent=2) if len(json.dumps(example)) > 60 else json.dumps(example)
        )
        line += f" -d '{text}'"
    return line


def _parameters(parameters: list[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code></td><td>{escape(p['in'])}</td>"
        f"<td>{_type(p['schema'])}</td><td>{_text(p['description'])}</td></tr>"
        for p in parameters
    )
    return f"<table>{rows}</table>" if rows else ""


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(key)}</code></td>"
        f"<td>{_type(field)}</td>"
        f"<td>{'required' if key in required else ''}</td>"
        f"<td>{_text(field.get('description', ''))}</td></tr>"
        for key, field in sorted(
            schema.get("properties", {}).items(), key=lambda item: item[0] not in required
        )
    )
    return (
        f'<section id="schema-{escape(name)}"><h3>{escape(name)}</h3>'
        f"<p>{_text(schema.get('description', ''))}</p><table>{rows}</table></section>"
    )


def _type(schema: dict[str, Any]) -> str:
    """A schema's type in a few words, with links to the objects it names."""
    if "$ref" in schema:
        name = escape(_name(schema))
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema or "oneOf" in schema:
        choices = schema.get("anyOf") or schema["oneOf"]
        return " or ".join(dict.fromkeys(_type(choice) for choice in choices))
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        return " or ".join(f"<code>{escape(json.dumps(word))}</code>" for word in schema["enum"])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"array of {_type(schema.get('items', {}))}"
    values = schema.get("additionalProperties")
    if kind == "object" and isinstance(values, dict):
        return f"object of {_type(values)}"
    return escape(kind)


def _name(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _text(text: str) -> str:
    """The little Markdown that descriptions use: `code` and **bold**."""
    safe = escape(text)
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", safe)
