"""
A hash chain of text lines: each is a JSON object with its number `n` and the sha256 of the line before.

Whoever alters, removes or inserts a line breaks the chain at that place. Cutting lines off its end
breaks nothing; that is found with the help of a line that is known from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BEGINNING = "0" * 64
"""What the first line holds in place of a sha256."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """A place where a chain is not what it was."""

    position: int
    """Number of the record, from 1, as it was when all were there."""
    what: str


def sha256(line: str) -> str:
    """The sha256 that the next line holds of this one; without the line's end."""
    return hashlib.sha256(line.encode()).hexdigest()


def parsed(line: str) -> dict[str, Any] | None:
    """The record in a line, or ``None`` when it is not one."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("n"), int) else None


def linked(record: Mapping[str, object], lines: Sequence[str]) -> str:
    """A record as the line that comes after `lines`."""
    last = parsed(lines[-1]) if lines else None
    number = last["n"] + 1 if last else len(lines) + 1
    previous = sha256(lines[-1]) if lines else BEGINNING
    return json.dumps({"n": number, "previous": previous, **record}, ensure_ascii=False)


def check(lines: Sequence[str], known: Mapping[int, str] | None = None) -> list[Fault]:
    """
    Where a chain was altered; empty when it was not.

    + known: sha256 of lines by their number, from a place that these lines do not come from
    """
    walk = _Walk(lines, known or {})
    walk.back()
    walk.compare_end()
    return sorted(walk.faults)


class _Walk:
    """From the last line to the first: a line is genuine when the one after it holds its sha256."""

    def __init__(self, lines: Sequence[str], known: Mapping[int, str]) -> None:
        self.lines = lines
        self.known = known
        self.sums = [sha256(line) for line in lines]
        self.records = [parsed(line) for line in lines]
        self.faults: set[Fault] = set()
        self.wanted: str | None = None
        """sha256 of the line to come, as far as it is known."""
        self.number = len(lines)
        """Number of the line to come."""

    def back(self) -> None:
        """Look at every line."""
        if self.lines:
            self.number = self._number(len(self.lines) - 1)
        index = len(self.lines) - 1
        while index >= 0:
            index = self._look(index)
        if self.number > 0:
            self._fault(1, f"{_records(1, self.number)} removed")
        elif self.lines and self.wanted not in (None, BEGINNING):
            self._fault(1, "record 1 was altered")

    def compare_end(self) -> None:
        """What is known and not there any more was cut off the end."""
        last = max((record["n"] for record in self.records if record), default=0)
        if self.known and max(self.known) > last:
            self._fault(last + 1, f"{_records(last + 1, max(self.known))} removed from the end")

    def _look(self, index: int) -> int:
        """Judge one line; returns the index of the next one to judge."""
        number = self._number(index)
        known = self.known.get(number)
        if self.wanted in (None, self.sums[index]):
            if known is not None and known != self.sums[index]:
                self._fault(number, f"record {number} was altered")
            elif number < self.number:
                self._fault(number + 1, f"{_records(number + 1, self.number)} removed")
        elif self.wanted in self.sums[:index] or number > self.number:
            self._fault(self.number + 1, f"line {index + 1} was inserted before record {self.number + 1}")
            return index - 1
        elif number < self.number:
            self._fault(number + 1, f"{_records(number + 1, self.number)} removed")
        elif known == self.sums[index]:
            self._fault(number + 1, f"record {number + 1} was altered or inserted")
        else:
            self._fault(number, f"record {number} was altered")
        record = self.records[index]
        # A line that a power cut has torn holds no sha256; the walk goes on without one.
        self.wanted = str(record.get("previous")) if record else None
        self.number = number - 1
        return index - 1

    def _number(self, index: int) -> int:
        record = self.records[index]
        return record["n"] if record else self.number

    def _fault(self, position: int, what: str) -> None:
        self.faults.add(Fault(position, what))


def _records(first: int, last: int) -> str:
    return f"record {first} was" if first == last else f"records {first} to {last} were"
