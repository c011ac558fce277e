"""Faults of an inventory: where each one stands and what would be right."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from standfast.errors import InventoryError

# Where a value stands in an inventory: names of settings and indexes of lists, from the top.
Where = tuple[str | int, ...]

PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+")
LONGEST = 60


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault; ``line`` and ``column`` count from 1, ``path`` is empty for the whole file."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}:{self.column}: {path}{self.message}"


class InventoryFaults(InventoryError):
    """Every fault of an inventory, in the order in which they stand in the file."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: list[Fault] = sorted(set(faults))
        super().__init__("\n".join(str(fault) for fault in self.faults))


def dotted(where: Where) -> str:
    """``("hosts", "web-1", "users", 0)`` as people write it: ``hosts.web-1.users[0]``."""
    text = ""
    for step in where:
        if isinstance(step, int):
            text += f"[{step}]"
        elif PLAIN_NAME.fullmatch(step):
            text += f".{step}"
        else:
            text += f'["{printable(step)}"]'
    return text.removeprefix(".")


def printable(text: str) -> str:
    """``text`` on one line, shortened, and with nothing in it that a terminal would obey."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"
