"""
The controller's part of the audit: a hash chain in a file of each environment.

It holds what only the controller knows (plans, servers that could not be reached) and a copy of each
record that a server has written for this controller, so that what is cut off there is missed here.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from standfast.engine import chain
from standfast.errors import StandfastError

if TYPE_CHECKING:
    from standfast.inventory.loader import Loaded  # guards append too, and must not wait for pydantic

COPY = "copy"
"""Key of a server's line, as it stands there."""


class NoHome(StandfastError, OSError):
    """This account has no home folder, so there is no place for its log."""


def path(loaded: Loaded) -> Path:
    """
    ``~/.local/state/standfast/audit/REPOSITORY/ENVIRONMENT.jsonl``; XDG_STATE_HOME is honoured.

    Raises:
        NoHome: this account has no home folder.
    """
    return folder() / loaded.root.name / f"{loaded.path.stem}.jsonl"


def folder() -> Path:
    """
    ``~/.local/state/standfast/audit``; XDG_STATE_HOME is honoured.

    Raises:
        NoHome: this account has no home folder.
    """
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    try:
        return Path(state).expanduser() / "standfast" / "audit"
    except RuntimeError:
        raise NoHome(
            "expected a home folder for the audit log, and this account has none. Set HOME or XDG_STATE_HOME."
        ) from None


def append(log: Path, records: Sequence[Mapping[str, object]]) -> None:
    """
    Add records to the chain, on disk when this returns.

    Raises:
        OSError: the file cannot be written; it is as it was before.
    """
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "r+b") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        content = opened.read()
        lines = content.decode(errors="replace").splitlines()
        present = len(lines)
        for record in records:
            lines.append(chain.linked(record, lines))
        torn = "" if content.endswith(b"\n") or not content else "\n"
        opened.write((torn + "".join(f"{line}\n" for line in lines[present:])).encode())
        opened.flush()
        os.fsync(opened.fileno())


def read(log: Path) -> list[str]:
    """All lines; none when there is no file yet."""
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def copies(lines: Sequence[str], host: str, machine: str) -> dict[int, str]:
    """Lines that a server has written, by their number there; `machine` is its machine id."""
    return {record["n"]: copy for record, copy in _copied(lines, host) if record.get("machine") == machine}


def other_machines(lines: Sequence[str], host: str, machine: str) -> int:
    """Number of lines from a server of the same name with another machine id."""
    return sum(record.get("machine") != machine for record, _ in _copied(lines, host))


def _copied(lines: Sequence[str], host: str) -> Iterator[tuple[dict[str, Any], str]]:
    for line in lines:
        record = chain.parsed(line)
        copy = record.get(COPY) if record else None
        original = chain.parsed(copy) if isinstance(copy, str) else None
        if original and original.get("host") == host:
            yield original, str(copy)


def as_copy(line: str) -> dict[str, object]:
    """A server's line as a record of the controller's log."""
    return {COPY: line}
