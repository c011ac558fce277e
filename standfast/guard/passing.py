"""
Commands that were let pass: their children meet the shims again, and are not asked a second time.

A variable alone would be a way around everything; it must name a file of a process that still runs.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from standfast.guard import layout

VARIABLE = "STANDFAST_GUARD_PASSING"


def begun() -> dict[str, str]:
    """Note that this process, whatever it becomes by exec, was let pass; the variable for its children."""
    folder = layout.private(layout.passing())
    _tidied(folder)
    token = secrets.token_hex(16)
    path = folder / token
    path.touch(mode=0o600)
    path.write_text(f"{os.getpid()} {_started(os.getpid())}\n", encoding="ascii")
    return {VARIABLE: token}


def under_way(environment: Mapping[str, str]) -> bool:
    """Whether this is a child of a command that was let pass and still runs."""
    token = environment.get(VARIABLE, "")
    return token.isalnum() and _alive(layout.passing() / token)


def _alive(path: Path) -> bool:
    try:
        process, _, started = path.read_text(encoding="ascii").strip().partition(" ")
        return bool(started) and _started(int(process)) == started
    except (OSError, ValueError):
        return False


def _started(process: int) -> str:
    """When a process began, so that a number that is used again is not taken for it."""
    try:
        # The name in parentheses may hold spaces; the 22nd field is the start time. Source: proc(5).
        return (
            Path(f"/proc/{process}/stat")
            .read_text(encoding="utf-8", errors="replace")
            .rpartition(")")[2]
            .split()[19]
        )
    except (OSError, IndexError):
        return ""


def _tidied(folder: Path) -> None:
    for path in folder.iterdir():
        if not _alive(path):
            path.unlink(missing_ok=True)
