"""Values as YAML text, for examples."""

from __future__ import annotations

import json

import yaml

from standfast.inventory.document import Plain


def inline(value: Plain) -> str:
    """A value on one line, as people write it: ``{port: 443, protocol: [tcp, udp]}``."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{inline(name)}: {inline(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    if isinstance(value, str) and not _needs_quotes(value):
        return value
    return json.dumps(value, ensure_ascii=False)  # JSON's texts, numbers and words are YAML's too


def _needs_quotes(value: str) -> bool:
    """Whether YAML, or a reader, could take a text for something else."""
    try:
        same = yaml.safe_load(f"[{value}]") == [value]
    except yaml.YAMLError:
        return True
    return not same or ":" in value
