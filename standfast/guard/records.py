"""Every decision of the guard, in the controller's audit log: who, where, command, database, copy."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from standfast import __version__
from standfast.engine import chain, controller_log
from standfast.engine.caller import account
from standfast.guard import masking


def path(folder: Path) -> Path:
    """``…/standfast/audit/REPOSITORY/guard.jsonl``; outside a repository, the folder's own name counts."""
    for each in (folder, *folder.parents):
        if (each / ".git").exists():
            return controller_log.folder() / each.name / "guard.jsonl"
    return controller_log.folder() / (folder.name or "root") / "guard.jsonl"


def add(folder: Path, outcome: str, argv: Sequence[str], **more: object) -> None:
    """
    Add a record.

    + outcome: ``refused``, ``confirmed``, ``declined``, ``let pass``, ``window opened``, …

    Raises:
        OSError: it cannot be written, so nothing that ought to be recorded may run.
    """
    now = datetime.now(UTC)
    record: Mapping[str, object] = {
        "time": now.isoformat(timespec="seconds"),
        "run": f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}",
        "action": "guard",
        "host": None,
        "who": who(),
        "standfast": __version__,
        "folder": str(folder),
        "command": masking.masked(argv) if argv else None,
        "outcome": outcome,
        **more,
    }
    controller_log.append(path(folder), [{key: value for key, value in record.items() if value is not None}])


def read(folder: Path) -> list[dict[str, Any]]:
    """All records of a folder's repository, oldest first."""
    lines = controller_log.read(path(folder))
    return [record for line in lines if (record := chain.parsed(line)) is not None]


def who() -> str:
    """``kim@laptop``"""
    return f"{account()}@{socket.gethostname()}"
