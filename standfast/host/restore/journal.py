"""
What a restore is about to do, on disk before it does it: whoever comes after a killed one knows.

There is at most one, since only one restore runs at a time; it is gone when nothing is left open.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from standfast.host.backup import layout, state

JOURNAL = layout.STATE / "restore.json"


@dataclass(frozen=True)
class Undertaking:
    """One database or volume that is being restored."""

    kind: str
    name: str
    """Entry of the configuration."""
    target: str
    """Name that the restored copy gets in the end, in PostgreSQL or Docker."""
    snapshot: str
    time: str
    """Of the moment whose data are restored, UTC."""
    beside: str
    """Name under which the copy is made."""
    before: str
    """Name that the replaced one gets."""
    loaded: bool = False
    """Of a database: whether the copy is complete and compared, so that the next thing is its swap."""
    replaces: bool = False
    """Of a database, from then on: whether one of the target's name is there, which will be kept."""
    new_folder: int = 0
    """Of a volume, from shortly before its swap on: `exchange.identity` of the folder that comes there."""


def write(undertakings: Sequence[Undertaking], path: Path = JOURNAL) -> None:
    """Put the journal on disk."""
    state.write(path, json.dumps([asdict(each) for each in undertakings]))


def read(path: Path = JOURNAL) -> list[Undertaking]:
    """What a restore that was cut off had begun; nothing when there was none."""
    try:
        return [Undertaking(**each) for each in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []


def update(changed: Undertaking, path: Path = JOURNAL) -> None:
    """Write one undertaking anew."""
    write(
        [changed if (each.kind, each.name) == (changed.kind, changed.name) else each for each in read(path)],
        path,
    )


def close(undertaking: Undertaking, path: Path = JOURNAL) -> None:
    """Nothing is open any more for one undertaking."""
    left = [each for each in read(path) if (each.kind, each.name) != (undertaking.kind, undertaking.name)]
    if left:
        write(left, path)
    else:
        state.remove(path)
