"""
Hold a document against the schema and say in plain words what is wrong.

pydantic stops at the first level of faults: what looks at several settings at once does not run
when one of them is wrong. So faulty values are taken out and the rest is validated again, until
nothing new is found; that way one run shows everything.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from standfast.inventory import shape
from standfast.inventory.document import Document
from standfast.inventory.faults import Fault, Where, printable
from standfast.inventory.schema import Inventory, Secret


@dataclass
class Result:
    """
    The outcome of validation.

    ``inventory`` lacks what was faulty, and is None when too little is left. ``original`` leads from
    a place in it to the place in the document.
    """

    inventory: Inventory | None
    faults: list[Fault]
    origin: dict[Where, Where] = field(default_factory=dict)

    def original(self, where: Where) -> Where:
        """Where in the document a place of ``inventory`` comes from."""
        for length in range(len(where), 0, -1):
            if where[:length] in self.origin:
                return (*self.origin[where[:length]], *where[length:])
        return where


def validate(document: Document, *, root: Path) -> Result:
    """Validate a document; files of the user's machine are relative to ``root``."""
    faults = list(_ambiguous_faults(document)) + list(_empty_faults(document))
    bad = document.broken | {where for where, _ in faults}
    found = [document.fault(where, message) for where, message in faults]
    removed: set[Where] = set()
    while () not in removed:
        data, origin = _without(document.data, removed)
        try:
            inventory = Inventory.model_validate_json(
                json.dumps(data), strict=True, context={"root": root}
            )
        except ValidationError as error:
            errors = _Errors(document, error, origin, bad, removed)
            found.extend(errors.faults())
            more = errors.to_remove() | bad
        else:
            more = set(bad)
            if more <= removed:
                return Result(inventory, found, origin)
        if more <= removed:
            break
        removed |= more
    return Result(None, found)


def _without(data: Any, removed: set[Where]) -> tuple[Any, dict[Where, Where]]:
    """A copy without the places in ``removed``, and where its places come from."""
    origin: dict[Where, Where] = {}

    def copy(value: Any, old: Where, new: Where) -> Any:
        origin[new] = old
        if isinstance(value, dict):
            kept = {k: v for k, v in value.items() if (*old, k) not in removed}
            return {k: copy(v, (*old, k), (*new, k)) for k, v in kept.items()}
        if isinstance(value, list):
            items = [(i, v) for i, v in enumerate(value) if (*old, i) not in removed]
            return [copy(v, (*old, i), (*new, n)) for n, (i, v) in enumerate(items)]
        return value

    return copy(data, (), ()), origin


def _ambiguous_faults(document: Document) -> Iterator[tuple[Where, str]]:
    for where, reading in document.ambiguous.items():
        text = printable(str(value_at(document.data, where)))
        wanted = shape.type_at(where, Inventory)
        if wanted is None or text in shape.choices(wanted):
            continue
        expected = shape.words(wanted)
        if shape.kind(wanted) is bool or shape.kind(wanted) is int:
            yield where, f"expected {expected}, not `{text}` (YAML reads {reading})"
        else:
            yield (
                where,
                f'expected {expected} in quotes: write "{text}", '
                f"because YAML reads {text} without quotes as {reading}",
            )


def _empty_faults(document: Document) -> Iterator[tuple[Where, str]]:
    """Nothing after a colon: it would silently mean the default, or "not at all"."""
    for where in document.values:
        if where in document.broken or value_at(document.data, where) is not None:
            continue
        wanted = shape.type_at(where, Inventory)
        if wanted is None:
            continue
        kind = shape.kind(wanted)
        empty = "{}" if kind is dict or shape.is_part(kind) else "[]" if kind is list else ""
        hint = f"write `{empty}` for the defaults" if empty == "{}" else f"write `{empty}`"
        remedy = f"{hint}, or remove the line" if empty else "add a value or remove the line"
        yield where, f"expected {shape.words(wanted)}, not nothing; {remedy}"


def value_at(data: Any, where: Where) -> Any:
    """The value at a place of plain data; None when there is none."""
    for step in where:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


@dataclass
class _Wrong:
    """One or several pydantic errors about the same thing."""

    where: Where
    at_key: bool
    kinds: set[str]
    message: str


class _Errors:
    """pydantic's errors, by the place in the document that they are about."""

    def __init__(
        self,
        document: Document,
        error: ValidationError,
        origin: dict[Where, Where],
        bad: set[Where],
        removed: set[Where],
    ) -> None:
        self.document = document
        self.bad = bad
        self.removed = removed
        self.wrong: dict[tuple[Where, bool], _Wrong] = {}
        for detail in error.errors(include_url=False):
            self._add(detail["loc"], detail["type"], detail["msg"], origin)

    def _add(self, loc: Where, kind: str, message: str, origin: dict[Where, Where]) -> None:
        at_key = bool(loc) and loc[-1] == "[key]"
        length = len(loc)
        while loc[:length] not in origin:
            length -= 1
        where = origin[loc[:length]]
        if kind == "missing":
            where = (*where, loc[length])
        wrong = self.wrong.setdefault((where, at_key), _Wrong(where, at_key, set(), message))
        wrong.kinds.add(kind)

    def to_remove(self) -> set[Where]:
        """What has to go so that the rest can be looked at."""
        return {w.where[:-1] if "missing" in w.kinds else w.where for w in self.wrong.values()}

    def faults(self) -> Iterator[Fault]:
        unknown = [w for w in self.wrong.values() if "extra_forbidden" in w.kinds]
        meant = {(*w.where[:-1], self._close(w.where)) for w in unknown}
        for wrong in self.wrong.values():
            if self._known(wrong) or ("missing" in wrong.kinds and wrong.where in meant):
                continue
            at_key = wrong.at_key or "extra_forbidden" in wrong.kinds
            yield self.document.fault(wrong.where, self._message(wrong), at_key=at_key)

    def _known(self, wrong: _Wrong) -> bool:
        """Whether it only follows from a fault that has been reported."""
        if any(wrong.where[: len(bad)] == bad for bad in self.bad | self.removed):
            return True
        return any(bad[:-1] == wrong.where for bad in self.removed if bad)

    def _close(self, where: Where) -> str | None:
        part = shape.part(shape.type_at(where[:-1], Inventory) or Inventory)
        known = list(shape.settings(part)) if part else []
        name = str(where[-1]).lower().replace("-", "_")
        close = difflib.get_close_matches(name, known, n=1)
        return close[0] if close else None

    def _message(self, wrong: _Wrong) -> str:
        found = value_at(self.document.data, wrong.where)
        wanted = shape.type_at(wrong.where, Inventory) if wrong.where else Inventory
        if "extra_forbidden" in wrong.kinds:
            return self._unknown(wrong.where)
        if wrong.at_key:
            keys = shape.key_words(shape.type_at(wrong.where[:-1], Inventory))
            return f"expected {keys}, not `{printable(str(wrong.where[-1]))}`"
        expected = shape.words(wanted)
        if "missing" in wrong.kinds:
            return f"expected {expected}, but it is missing; add `{wrong.where[-1]}: …`"
        if "too_short" in wrong.kinds:
            return "expected at least one entry, not none"
        if isinstance(found, dict) and "value_error" in wrong.kinds:
            return wrong.message.removeprefix("Value error, ")
        return self._wrong_value(wanted, expected, found)

    def _unknown(self, where: Where) -> str:
        close = self._close(where)
        if close:
            return f"unknown setting; did you mean `{close}`?"
        part = shape.part(shape.type_at(where[:-1], Inventory) or Inventory)
        known = ", ".join(shape.settings(part)) if part else "none"
        return f"unknown setting; the settings here are: {known}"

    def _wrong_value(self, wanted: Any, expected: str, found: Any) -> str:
        if shape.kind(wanted) is Secret and not isinstance(found, (dict, list)):
            return (
                "expected where the secret comes from, `{env: NAME}`, `{file: PATH}` or "
                "`{command: …}`, not the secret itself; if it is a real one, change it, "
                "because it has been in this file"
            )
        if shape.kind(wanted) is list and isinstance(found, (str, int)):
            return f"expected {expected}, not {shown(found)}; write `[{plain(found)}]`"
        if shape.kind(wanted) is str and isinstance(found, (int, float, bool)):
            return f'expected {expected} in quotes: write "{plain(found)}"'
        return f"expected {expected}, not {shown(found)}"


def plain(value: object) -> str:
    """A simple value as it stands in YAML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return printable(str(value))


def shown(value: object) -> str:
    """A value for a message: short, and in backticks when it is text."""
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, str):
        return f"`{printable(value)}`" if value else "an empty text"
    return "nothing" if value is None else plain(value)
