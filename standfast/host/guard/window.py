"""
A window: for some minutes the guards let through what they refuse otherwise, with a reason, on record.

It ends by itself, with the next start of the server at the latest; a clock set back does not lengthen it.
"""

from __future__ import annotations

import json
import os
import pwd
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

WINDOW = Path("/run/standfast/guard-window.json")
RECORD = Path("/var/lib/standfast/guard/decisions.jsonl")
"""One line of JSON for everything that was refused, let through, opened or closed."""
RECORD_BYTES = 4_000_000
"""A longer record becomes ``decisions.jsonl.1``."""
LONGEST = timedelta(hours=4)
"""What is open all day is no guard."""
UNITS = {"s": 1, "m": 60, "h": 3600}
NOBODY = 0xFFFFFFFF
"""The kernel's word for: nobody has logged in. Source: audit(7), loginuid."""


@dataclass(frozen=True)
class Window:
    """An open window."""

    opened: str
    until: str
    """Times, UTC."""
    ends: float
    """On the clock that runs since the server was started."""
    by: str
    reason: str


def seconds(text: str) -> int:
    """
    ``10m`` → 600.

    Raises:
        ValueError: it is no such text, or longer than `LONGEST`.
    """
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdecimal()) or unit not in UNITS or not int(number):
        raise ValueError(f"expected a time such as 10m, 90s or 1h, not {text!r}")
    found = int(number) * UNITS[unit]
    if found > LONGEST.total_seconds():
        raise ValueError(f"expected at most {LONGEST.total_seconds() / 3600:.0f} hours, not {text!r}")
    return found


def current(path: Path = WINDOW) -> Window | None:
    """The window that is open now."""
    try:
        found = Window(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if time.clock_gettime(time.CLOCK_BOOTTIME) < found.ends else None


def open_for(duration: int, reason: str, path: Path = WINDOW) -> Window:
    """
    Open a window; the one that was open ends.

    + duration: seconds
    """
    now = datetime.now(timezone.utc)
    window = Window(
        opened=now.isoformat(timespec="seconds"),
        until=(now + timedelta(seconds=duration)).isoformat(timespec="seconds"),
        ends=time.clock_gettime(time.CLOCK_BOOTTIME) + duration,
        by=person(),
        reason=reason,
    )
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(window), file)
    new.replace(path)
    return window


def close(path: Path = WINDOW) -> bool:
    """End the window; whether one was open."""
    was_open = current(path) is not None
    path.unlink(missing_ok=True)
    return was_open


def record(decision: str, details: Mapping[str, object], path: Path = RECORD) -> None:
    """
    Write down what was decided, on disk when this returns.

    + decision: ``refused``, ``let through``, ``window opened``, ``window closed``
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > RECORD_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    line = json.dumps({"time": now, "decision": decision, **details}, ensure_ascii=False)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def recorded(path: Path = RECORD) -> list[dict[str, Any]]:
    """What was decided so far, the oldest first."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def person() -> str:
    """Who works here: the account that logged in, also behind sudo; else the one that this process has."""
    try:
        login = int(Path("/proc/self/loginuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        login = NOBODY
    if login == NOBODY:
        return os.environ.get("SUDO_USER") or _name(os.getuid())
    return _name(login)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
