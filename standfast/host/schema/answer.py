"""What a comparison has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from standfast.host.schema.comparison import Difference
from standfast.host.schema.draft import Draft


@dataclass(frozen=True)
class Side:
    """The live database held against one other thing."""

    name: str
    """``the migrations``, ``the declaration``, ``the backup of …``."""
    differences: tuple[Difference, ...] = ()
    unexplained: tuple[str, ...] = ()
    """Lines of pg_dump that differ for a reason that is not known."""
    noted: tuple[Difference, ...] = ()
    """Differences that are shown and do not count."""

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences and not self.unexplained

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "against": self.name,
            "differences": [each.as_json() for each in self.differences],
            "unexplained": list(self.unexplained),
            "noted": [each.as_json() for each in self.noted],
        }


@dataclass(frozen=True)
class Answer:
    """What was found."""

    database: str
    version: str
    objects: int
    sides: tuple[Side, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    bypassing: tuple[str, ...] = ()
    """Roles that see every row, when a table has row level security."""
    protected: int = 0
    """Tables with row level security."""
    dumped: bool = True
    draft: Draft | None = None
    draft_leaves: tuple[str, ...] | None = None
    """What would still differ with the draft; it was tried. ``None``: there is no draft."""
    seconds: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return all(side.equal for side in self.sides)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "database": self.database,
            "version": self.version,
            "objects": self.objects,
            "equal": self.equal,
            "sides": [each.as_json() for each in self.sides],
            "left_out": [{"object": words, "reason": reason} for words, reason in self.left_out],
            "protected": self.protected,
            "bypassing": list(self.bypassing),
            "dump": self.dumped,
            "draft": None
            if self.draft is None
            else {
                "sql": self.draft.sql,
                "notes": list(self.draft.notes),
                "leaves": list(self.draft_leaves or ()),
            },
            "seconds": round(self.seconds, 2),
        }
