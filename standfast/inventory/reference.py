"""
What the schema says, for editors (JSON Schema) and for people (the reference page).

``python -m standfast.inventory.reference`` writes both into a checkout's ``docs/reference`` and the
example beside the inventories.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from standfast.inventory import example, shape
from standfast.inventory.document import Plain
from standfast.inventory.schema import Inventory
from standfast.inventory.yaml_text import inline

DIALECT = "https://json-schema.org/draft/2020-12/schema"
INTRODUCTION = """\
# The inventory

<!-- Written by `python -m standfast.inventory.reference`; change the schema instead. -->

One file for each environment, `inventories/ENVIRONMENT.yml`, declares its servers completely. Every
setting is below; any other is a fault, and so is one that stands there twice. Files that an inventory
names are relative to your repository, the folder that contains `inventories/`.

`standfast plan ENVIRONMENT` reports every fault of the file at once, each with its line and column.
Your editor shows most of them while you type when the file begins with

```yaml
# yaml-language-server: $schema=.inventory.schema.json
```

(`standfast init` writes both; `standfast schema-json` prints the schema.) Anchors, aliases and merge
keys (`<<`) work. Where text is meant, `yes`, `no`, `on`, `off` and times such as `22:30` need quotes.
A setting with nothing after its colon is a fault: write `{}` or `[]`, or remove the line.

In the paths below **NAME** is a name that you choose.
"""


def json_schema() -> dict[str, Plain]:
    """The JSON Schema (draft 2020-12) of an inventory."""
    schema = cast(dict[str, Plain], _tidied(Inventory.model_json_schema()))
    schema.pop("description")
    return {
        "$schema": DIALECT,
        "title": "standfast inventory",
        "description": "The servers of one environment and their full declared state.",
        **schema,
    }


def json_schema_text() -> str:
    """The JSON Schema as a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """The reference page, in Markdown."""
    return INTRODUCTION + "".join(_section(path, part) for path, part in _parts("", Inventory))


def main() -> None:
    """Write everything that is generated from the schema into this checkout."""
    root = Path(__file__).parents[2]
    for name, text in generated().items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def generated() -> dict[str, str]:
    """Files of the repository that are generated from the schema, and what they should contain."""
    return {
        "docs/reference/inventory.schema.json": json_schema_text(),
        "docs/reference/inventory.md": page(),
        "inventories/production.example.yml": example.of_this_repository(),
    }


def _tidied(node: Plain) -> Plain:
    """Without pydantic's titles and null (which is a fault with us), and closed to unknown names."""
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("anyOf"), list):
        node = _without_null(node)
    kept = {
        key: _tidied(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
    }
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    return kept


def _without_null(node: dict[str, Plain]) -> dict[str, Plain]:
    members = [member for member in cast(list[Plain], node["anyOf"]) if member != {"type": "null"}]
    others = {key: value for key, value in node.items() if key != "anyOf"}
    if len(members) == 1 and isinstance(members[0], dict):
        return {**members[0], **others}
    return {"anyOf": members, **others}


def _parts(path: str, part: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """All parts with their paths, each before those inside it."""
    yield path, part
    for name, annotation in shape.settings(part).items():
        inner = shape.part(annotation)
        if inner is not None:
            yield from _parts(_inside(path, name, annotation), inner)


def _inside(path: str, name: str, annotation: object) -> str:
    """The path of the settings inside a setting: ``hosts`` → ``hosts.NAME``."""
    kind = shape.kind(annotation)
    steps = "[]" if kind is list else ".NAME" if kind is dict else ""
    return f"{path}.{name}{steps}".removeprefix(".")


def _section(path: str, part: type[BaseModel]) -> str:
    heading = f"`{path}`" if path else "The file"
    lines = [
        f"\n## {heading}\n",
        f"{_text(part.__doc__)}\n",
        "| setting | what it is | expected | default | example |",
        "|---|---|---|---|---|",
    ]
    for info, (name, annotation) in zip(
        part.model_fields.values(), shape.settings(part).items(), strict=True
    ):
        lines.append(_row(path, name, info, annotation))
    return "\n".join(lines) + "\n"


def _row(path: str, name: str, info: FieldInfo, annotation: object) -> str:
    inner = shape.part(annotation)
    expected = shape.words(annotation)
    if inner is not None:
        target = _inside(path, name, annotation)
        expected = f"{expected}: [`{target}`](#{_anchor(target)})"
    if shape.kind(annotation) is dict:
        expected = f"{expected}; each name: {shape.key_words(annotation)}"
    examples = " or ".join(f"`{inline(value)}`" for value in info.examples or [])
    cells = [f"`{name}`", _text(info.description), expected, _default(info), examples]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "**required**"
    if info.default is None:
        return ""
    if isinstance(info.default, BaseModel):
        return "its defaults"
    return f"`{inline(info.default)}`" if info.default != "" else "none"


def _anchor(heading: str) -> str:
    """The anchor that GitHub gives to a heading: no punctuation, small letters."""
    return "".join(c for c in heading.lower() if c.isalnum() or c in "_-")


def _text(description: str | None) -> str:
    return " ".join((description or "").split())


if __name__ == "__main__":
    main()
