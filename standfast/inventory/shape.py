"""The schema's types in plain words, and which type a place of an inventory has."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterable
from datetime import date
from enum import Enum
from functools import cache
from typing import Annotated, Literal, TypeGuard, Union, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from standfast.inventory.faults import Where
from standfast.inventory.schema import Expected


def settings(model: type[BaseModel]) -> dict[str, object]:
    """The settings of a part by the names that users write, with their types."""
    hints = _hints(model)
    return {info.alias or name: hints[name] for name, info in model.model_fields.items()}


def type_at(where: Where, start: object) -> object:
    """The type that the schema wants at a place; None when the schema knows no such place."""
    found = start
    for step in where:
        found = _step(found, step)
        if found is None:
            return None
    return found


def words(annotation: object) -> str:
    """A type in plain words, to stand after "expected" and in the reference."""
    base, metadata = _unwrapped(annotation)
    for item in metadata:
        if isinstance(item, Expected):
            return item.words
    return _plain_words(base)


def key_words(annotation: object) -> str:
    """What the names in a mapping may be, in plain words."""
    base, _ = _unwrapped(annotation)
    return words(get_args(base)[0]) if get_origin(base) is dict else "a name"


def choices(annotation: object) -> list[str]:
    """The values that may stand here when they are a closed list; else nothing."""
    base, _ = _unwrapped(annotation)
    if isinstance(base, type) and issubclass(base, Enum):
        return [str(item.value) for item in base]
    if get_origin(base) is Literal:
        return [str(item) for item in get_args(base)]
    return []


def kind(annotation: object) -> object:
    """``bool``, ``int``, ``str``, ``list``, ``dict``, a part's class, or None for anything else."""
    base, _ = _unwrapped(annotation)
    origin = get_origin(base) or base
    if origin in (bool, int, str, list, dict) or is_part(origin):
        return origin
    return None


def is_day(annotation: object) -> bool:
    """Whether a day is meant, which YAML reads as one too."""
    base, _ = _unwrapped(annotation)
    return base is date


def part(annotation: object) -> type[BaseModel] | None:
    """The class of settings that stands at a place of this type, directly or in a list or mapping."""
    base, _ = _unwrapped(annotation)
    if is_part(base):
        return base
    if get_origin(base) in (list, dict):
        return part(get_args(base)[-1])
    return None


def is_part(base: object) -> TypeGuard[type[BaseModel]]:
    """Whether a type is a mapping with settings of its own."""
    return isinstance(base, type) and issubclass(base, BaseModel)


def fits(annotation: object, value: object) -> bool:
    """Whether a plain value would be accepted at a place of this type."""
    adapter: TypeAdapter[object] = TypeAdapter(cast(type, annotation))
    try:
        adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


def either(texts: Iterable[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``; with a comma before "or" when there is one already."""
    *most, last = list(texts)
    comma = "," if any("," in text for text in most) else ""
    return f"{', '.join(most)}{comma} or {last}" if most else last


@cache
def _hints(model: type[BaseModel]) -> dict[str, object]:
    return typing.get_type_hints(model, include_extras=True)


def _step(annotation: object, step: str | int) -> object:
    base, _ = _unwrapped(annotation)
    if is_part(base):
        return settings(base).get(str(step))
    if get_origin(base) is dict and isinstance(step, str):
        return get_args(base)[1]
    if get_origin(base) is list and isinstance(step, int):
        return get_args(base)[0]
    return None


def _unwrapped(annotation: object) -> tuple[object, list[object]]:
    """Without ``Annotated`` and ``| None``; and what ``Annotated`` said."""
    metadata: list[object] = []
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *said = get_args(annotation)
            metadata.extend(said)
        elif _is_union(annotation) and len(_members(annotation)) == 1:
            annotation = _members(annotation)[0]
        else:
            return annotation, metadata


def _is_union(annotation: object) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _members(annotation: object) -> list[object]:
    return [member for member in get_args(annotation) if member is not type(None)]


def _plain_words(base: object) -> str:
    simple: dict[object, str] = {bool: "`true` or `false`", int: "a whole number", str: "text"}
    if _is_union(base):
        return either(words(member) for member in _members(base))
    if choices(base):
        return either(f"`{choice}`" for choice in choices(base))
    if get_origin(base) is list:
        return f"a list (each entry: {words(get_args(base)[0])})"
    if get_origin(base) is dict:
        return f"a mapping from names to {words(get_args(base)[1])}"
    if is_part(base):
        return f"settings such as `{next(iter(settings(base)))}: …`"
    return simple[base]
