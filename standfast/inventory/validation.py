"""
Hold a document against the schema.

pydantic skips what looks at several settings at once when one of them is wrong. So faulty values
are taken out, missing ones are filled in, and the rest is validated again until nothing new is
found; that way one run shows everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from standfast.inventory import shape, wording
from standfast.inventory.document import Document, Plain, value_at
from standfast.inventory.faults import Fault, Where
from standfast.inventory.schema import Inventory

# For a required setting that is missing or wrong, so that the rest can be looked at.
STAND_INS: dict[str, Plain] = {
    "environment": "lab",
    "address": "stand-in.invalid",
    "compose": "stand-in.yml",
    "port": 1,
}


@dataclass
class Result:
    """
    The outcome of validation.

    ``inventory`` lacks what was faulty, and is None when too little is left.
    """

    inventory: Inventory | None
    faults: list[Fault]
    bad: set[Where]
    origin: dict[Where, Where] = field(default_factory=dict)

    def original(self, where: Where) -> Where | None:
        """The place in the document of a place in ``inventory``; None for a part that was faulty."""
        for length in range(len(where), -1, -1):
            if where[:length] in self.origin:
                place = (*self.origin[where[:length]], *where[length:])
                return None if any(place[: len(bad)] == bad for bad in self.bad) else place
        return None

    def is_sound(self, where: Where) -> bool:
        """Whether a place in ``inventory`` is as it stands in the document, with all that is below it."""
        place = self.original(where)
        return place is not None and not any(bad[: len(place)] == place for bad in self.bad)


def validate(document: Document, *, root: Path) -> Result:
    """Validate a document; files of the user's machine are relative to ``root``."""
    bad = set(document.broken)
    faults = []
    for where, message in [*_ambiguous(document), *_empty(document)]:
        faults.append(document.fault(where, message))
        bad.add(where)
    missing: set[Where] = set()
    removed: set[Where] = set()
    while True:
        data, origin = _repaired(document.data, removed, missing)
        try:
            inventory = Inventory.model_validate_json(json.dumps(data), strict=True, context={"root": root})
        except ValidationError as error:
            complaints = _complaints(error, origin)
            faults.extend(_Reporter(document, complaints, bad, removed).faults())
        else:
            complaints = []
            if bad <= removed:
                return Result(inventory, faults, bad | missing, origin)
        missing |= {c.where for c in complaints if c.is_missing and c.where[-1] in STAND_INS}
        bad |= {_removable(c) for c in complaints if c.where not in missing}
        if bad | missing == removed or () in bad:
            return Result(None, faults, bad | missing)
        removed = bad | missing


def _repaired(data: Plain, removed: set[Where], missing: set[Where]) -> tuple[Plain, dict[Where, Where]]:
    """A copy without faulty places and with stand-ins, and where its places come from."""
    origin: dict[Where, Where] = {}

    def copy(value: Plain, old: Where, new: Where) -> Plain:
        origin[new] = old
        if isinstance(value, dict):
            kept = {k: v for k, v in value.items() if (*old, k) not in removed}
            result = {k: copy(v, (*old, k), (*new, k)) for k, v in kept.items()}
            for name in STAND_INS:
                if (*old, name) in missing:
                    result[name] = STAND_INS[name]
                    origin[(*new, name)] = (*old, name)
            return result
        if isinstance(value, list):
            items = [(i, v) for i, v in enumerate(value) if (*old, i) not in removed]
            return [copy(v, (*old, i), (*new, n)) for n, (i, v) in enumerate(items)]
        return value

    return copy(data, (), ()), origin


def _ambiguous(document: Document) -> Iterator[tuple[Where, str]]:
    for where, reading in document.ambiguous.items():
        wanted = shape.type_at(where, Inventory)
        text = str(value_at(document.data, where))
        if wanted is not None and text not in shape.choices(wanted) and not shape.is_day(wanted):
            yield where, wording.ambiguous(wanted, text, reading)


def _empty(document: Document) -> Iterator[tuple[Where, str]]:
    """Nothing after a colon: it would silently mean the default, or "not at all"."""
    for where in document.values:
        wanted = shape.type_at(where, Inventory)
        if wanted is None or where in document.broken or value_at(document.data, where) is not None:
            continue
        yield where, wording.empty(wanted)


@dataclass
class _Complaint:
    """What pydantic says about one place, in the document's terms."""

    where: Where
    at_key: bool
    message: str
    kinds: set[str] = field(default_factory=set)

    @property
    def is_missing(self) -> bool:
        return "missing" in self.kinds

    @property
    def is_unknown(self) -> bool:
        return "extra_forbidden" in self.kinds


def _complaints(error: ValidationError, origin: dict[Where, Where]) -> list[_Complaint]:
    found: dict[tuple[Where, bool], _Complaint] = {}
    for detail in error.errors(include_url=False, include_input=False):
        loc = detail["loc"]
        at_key = bool(loc) and loc[-1] == "[key]"
        length = len(loc)
        while loc[:length] not in origin:  # what follows are pydantic's names for members of a union
            length -= 1
        where = origin[loc[:length]]
        if detail["type"] == "missing":
            where = (*where, loc[length])
        complaint = found.setdefault((where, at_key), _Complaint(where, at_key, detail["msg"]))
        complaint.kinds.add(detail["type"])
    return list(found.values())


def _removable(complaint: _Complaint) -> Where:
    """What has to go so that the rest can be looked at."""
    return complaint.where[:-1] if complaint.is_missing else complaint.where


def _with_emptied(removed: set[Where], data: Plain) -> set[Where]:
    """What was taken out, and what it has left empty, which reads like a setting that is not there."""
    gone = set(removed)
    for place in removed:
        parent = place[:-1]
        while parent and isinstance(entries := value_at(data, parent), dict):
            if not all((*parent, key) in gone for key in entries):
                break
            gone.add(parent)
            parent = parent[:-1]
    return gone


class _Reporter:
    """Turns complaints into faults, without those that only follow from others."""

    def __init__(
        self, document: Document, complaints: list[_Complaint], bad: set[Where], removed: set[Where]
    ) -> None:
        self.document = document
        self.complaints = complaints
        self.bad = bad
        self.removed = removed
        self.gone = _with_emptied(removed, document.data)

    def faults(self) -> Iterator[Fault]:
        meant = {(*c.where[:-1], wording.closest_setting(c.where)) for c in self.complaints if c.is_unknown}
        for complaint in self.complaints:
            if self._follows(complaint) or (complaint.is_missing and complaint.where in meant):
                continue
            found = value_at(self.document.data, complaint.where)
            at_key = complaint.at_key or complaint.is_unknown or isinstance(found, dict)
            yield self.document.fault(complaint.where, self._message(complaint, found), at_key=at_key)

    def _follows(self, complaint: _Complaint) -> bool:
        if any(complaint.where[: len(bad)] == bad for bad in self.bad | self.removed):
            return True
        return any(bad[:-1] == complaint.where for bad in self.gone if bad)

    def _message(self, complaint: _Complaint, found: Plain) -> str:
        where = complaint.where
        wanted = shape.type_at(where, Inventory)
        if complaint.is_unknown:
            return wording.unknown_setting(where)
        if complaint.at_key:
            return wording.wrong_name(where)
        if complaint.is_missing:
            return f"expected {shape.words(wanted)}, but it is missing; add `{where[-1]}: …`"
        if "too_short" in complaint.kinds:
            return "expected at least one entry, not none"
        if isinstance(found, dict) and "value_error" in complaint.kinds:
            return complaint.message.removeprefix("Value error, ")
        return wording.wrong_value(where, found)
