"""
What machines read, as a JSON Schema and as a page.

``python -m standfast.documents.reference`` writes both into a checkout's ``docs/reference``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import get_original_bases, is_typeddict

from standfast import documents
from standfast.documents import DOCUMENTS, FORMAT

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
INTRODUCTION = f"""\
# Plans in files, and every `--json`

<!-- Written by `python -m standfast.documents.reference`; change `standfast/documents` instead. -->

`standfast plan -o FILE` writes a plan into a file, `--json` prints the answer of a command. All of them are
one format, number {FORMAT}: [plan-format.schema.json](plan-format.schema.json) (JSON Schema, draft 2020-12).
`kind` says which document is at hand.

Within a format fields may be added; none changes its meaning or goes. So read what you know, and leave
alone what you do not know. Texts for people (`error`, `detail`, `why`, `message`) may change: decide on
`outcome`, `action`, `kind` and `id`. A file written by `plan -o` is for the version of standfast that wrote
it; another one refuses it. `apply FILE` refuses it also when a file that it was made from, the server, or
the machine behind the server's address is not the same any more.

```
standfast plan production --json | jq -r '.hosts[].changes[] | "\\(.action) \\(.target)"'
standfast apply production --yes --json | jq -r '.hosts[] | select(.outcome != "done") | .name'
```

## Documents

| `kind` | document |
|---|---|
"""


def json_schema() -> Schema:
    """The JSON Schema (draft 2020-12) of every document."""
    kinds: Any = reduce(or_, DOCUMENTS)
    schema = _untitled(TypeAdapter(kinds).json_schema(mode="serialization"))
    for name, part in schema["$defs"].items():
        for field, text in _inherited(getattr(documents, name)).items():
            part["properties"][field].setdefault("description", text)
    return {
        "$schema": DIALECT,
        "title": f"standfast, format {FORMAT}",
        "description": "What `standfast … --json` prints and `standfast plan -o` writes.",
        "oneOf": schema["anyOf"],
        "$defs": schema["$defs"],
    }


def json_schema_text() -> str:
    """The JSON Schema as a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """The reference page, in Markdown."""
    parts: dict[str, Schema] = json_schema()["$defs"]
    whole = [each.__name__ for each in DOCUMENTS]
    rows = [
        f"| `{parts[name]['properties']['kind']['const']}` | {_cell(parts[name]['description'])} "
        f"[Fields](#{name.lower()}) |"
        for name in whole
    ]
    ordered = [*whole, *(name for name in parts if name not in whole)]
    sections = (_section(name, parts[name]) for name in ordered)
    return INTRODUCTION + "\n".join(rows) + "\n" + "".join(sections)


def generated() -> dict[str, str]:
    """Files of the repository that are generated from the types, and what they should contain."""
    return {
        "docs/reference/plan-format.schema.json": json_schema_text(),
        "docs/reference/plan-format.md": page(),
    }


def main() -> None:
    """Write everything that is generated from the types into this checkout."""
    root = Path(__file__).parents[2]
    for name, text in generated().items():
        (root / name).write_text(text, encoding="utf-8")


def _inherited(kind: type) -> dict[str, str]:
    """Descriptions of the fields that a type has from others, which pydantic does not find."""
    found: dict[str, str] = {}
    for base in get_original_bases(kind):
        if is_typeddict(base):
            properties = TypeAdapter(base).json_schema()["properties"]
            found |= _inherited(base)
            found |= {
                field: each["description"] for field, each in properties.items() if "description" in each
            }
    return found


def _untitled(node: Any) -> Any:  # noqa: ANN401 - any part of a JSON document
    """Without pydantic's titles, which only repeat names."""
    if isinstance(node, list):
        return [_untitled(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _untitled(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str))
    }


def _section(name: str, part: Schema) -> str:
    lines = [
        f"\n## {name}\n",
        f"{_cell(part['description'])}\n",
        "| field | type | meaning |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{field}` | {_type(each)} | {_cell(each.get('description', ''))} |"
        for field, each in part["properties"].items()
    ]
    return "\n".join(lines) + "\n"


def _type(node: Schema) -> str:
    return " or ".join(_types(node))


def _types(node: Schema) -> Iterator[str]:
    if "anyOf" in node:
        for each in node["anyOf"]:
            yield from _types(each)
    elif "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        yield f"[{name}](#{name.lower()})"
    elif "const" in node or "enum" in node:
        yield from (f"`{json.dumps(value)}`" for value in node.get("enum", [node.get("const")]))
    elif node["type"] == "array":
        yield f"list of {_type(node['items'])}"
    elif node["type"] == "object":
        more = node.get("additionalProperties")
        yield f"object of {_type(more)}" if isinstance(more, dict) else "object"
    else:
        yield str(node["type"])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
