"""A window: for some minutes, what would be refused without a terminal runs, after a copy. It is recorded."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from standfast.guard import layout

LONGEST = timedelta(hours=24)


@dataclass(frozen=True)
class Window:
    """Who opened it, until when, and why."""

    until: str
    reason: str
    who: str

    @property
    def open(self) -> bool:
        """Whether it is open at this moment."""
        return datetime.now(UTC) < datetime.fromisoformat(self.until)


def current() -> Window | None:
    """The open window, if there is one; a file that cannot be read opens nothing."""
    try:
        window = Window(**json.loads(layout.window().read_text(encoding="utf-8")))
        is_open = window.open
    except (OSError, ValueError, TypeError):
        return None
    return window if is_open else None


def opened(lasting: timedelta, reason: str, who: str) -> Window:
    """Open a window; one that is open already is replaced."""
    until = (datetime.now(UTC) + lasting).isoformat(timespec="seconds")
    window = Window(until, reason, who)
    layout.private(layout.window().parent)
    beside = layout.window().with_suffix(".new")
    beside.touch(mode=0o600)
    beside.write_text(json.dumps(asdict(window)) + "\n", encoding="utf-8")
    beside.replace(layout.window())
    return window


def closed() -> bool:
    """Close the window; whether one was open."""
    was_open = current() is not None
    layout.window().unlink(missing_ok=True)
    return was_open
