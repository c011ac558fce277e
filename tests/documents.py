"""Whether an answer of ``--json`` is what the schema says, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from standfast.documents import reference


def valid(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document itself; fails with the place of what is missing, wrong, or not in the schema."""
    closed = reference.json_schema()
    for part in closed["$defs"].values():
        part["additionalProperties"] = False
    name = next(
        name
        for name, part in closed["$defs"].items()
        if part["properties"].get("kind", {}).get("const") == document.get("kind")
    )
    schema = {"$ref": f"#/$defs/{name}", "$defs": closed["$defs"]}
    errors = [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(document)
    ]
    assert not errors, "\n".join(errors)
    return document
