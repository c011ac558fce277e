"""Checks beyond one setting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from standfast.inventory.faults import Where
from standfast.inventory.schema import Inventory


@dataclass(frozen=True)
class Finding:
    """What is wrong, and where; ``at_key`` when the name is at fault, not the value."""

    where: Where
    message: str
    at_key: bool = False


def check(inventory: Inventory, *, root: Path) -> Iterator[Finding]:
    """Everything that is wrong with an inventory that the schema accepts."""
    yield from ()
