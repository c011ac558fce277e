"""
What every run has come to: one file of JSON lines each, to which lines are only added.

The first line says that a run begins; a run without a last line was killed.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from standfast.host.backup import layout


def now() -> str:
    """The time, UTC, as it stands in records and manifests."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def moment(text: str) -> datetime:
    """A time from a record or a manifest."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@dataclass(frozen=True)
class Item:
    """What a run has come to for one database or volume, or for the repository."""

    kind: str
    """``database``, ``volume``, ``repository`` or ``server``."""
    name: str
    ok: bool
    message: str
    snapshot: str | None = None
    """Id of the snapshot, also when it is suspect."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Figures: rows, bytes, seconds, away_seconds."""
    time: str = ""
    """When it was dealt with, UTC; its record knows."""


@dataclass(frozen=True)
class Run:
    """One run, as its file tells."""

    id: str
    job: str
    """``databases``, ``volumes``, ``check``, ``prune``, ``drill``, …"""
    begin: str
    end: str | None
    """``None`` when it is still going, or was killed."""
    outcome: str
    """``done``, ``failed``, ``running`` or ``killed``."""
    message: str
    items: tuple[Item, ...]

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "id": self.id,
            "job": self.job,
            "begin": self.begin,
            "end": self.end,
            "outcome": self.outcome,
            "message": self.message,
            "items": [item_json(each) for each in self.items],
        }


class Record:
    """The record of the run that is going on."""

    def __init__(self, job: str, folder: Path | None = None) -> None:
        folder = folder or layout.RUNS
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        self.id = f"{stamp}-{job}-{secrets.token_hex(3)}"
        self.job = job
        self.items: list[Item] = []
        self._path = folder / f"{self.id}.jsonl"
        self._add(
            {"event": "begin", "job": job, "time": now(), "pid": os.getpid(), "born": born(os.getpid())}
        )

    def item(self, item: Item) -> None:
        """One database or volume is dealt with."""
        self.items.append(item)
        self._add({"event": "item", **item_json(item), "time": now()})

    def end(self, message: str, *, failed: bool) -> None:
        """The run is over."""
        self._add(
            {"event": "end", "time": now(), "outcome": "failed" if failed else "done", "message": message}
        )

    def _add(self, line: Mapping[str, object]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def item_json(item: Item) -> dict[str, Any]:
    """An item for records and ``--json``."""
    return {
        "kind": item.kind,
        "name": item.name,
        "ok": item.ok,
        "message": item.message,
        "snapshot": item.snapshot,
        "data": dict(item.data),
        **({"time": item.time} if item.time else {}),
    }


def runs(folder: Path | None = None) -> list[Run]:
    """All runs, the oldest first."""
    folder = folder or layout.RUNS
    found = [_run(path) for path in folder.glob("*.jsonl")] if folder.is_dir() else []
    return sorted((each for each in found if each is not None), key=lambda run: (run.begin, run.id))


def last(job: str, outcomes: Sequence[str] = ("done",), folder: Path | None = None) -> Run | None:
    """The newest run of a job that came to one of these ends."""
    fitting = [run for run in runs(folder) if run.job == job and run.outcome in outcomes]
    return fitting[-1] if fitting else None


def born(pid: int) -> str | None:
    """When a process was started, in the kernel's words; ``None`` when there is none: numbers come again."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    return f"{boot}/{stat.rpartition(')')[2].split()[19]}"


def _run(path: Path) -> Run | None:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if _whole(line)]
    if not lines or lines[0].get("event") != "begin":
        return None
    first = lines[0]
    items = tuple(
        Item(
            each["kind"],
            each["name"],
            each["ok"],
            each["message"],
            each["snapshot"],
            each["data"],
            each["time"],
        )
        for each in lines
        if each["event"] == "item"
    )
    ends = [line for line in lines if line["event"] == "end"]
    if ends:
        outcome, message, end = ends[-1]["outcome"], ends[-1]["message"], ends[-1]["time"]
    elif first["born"] is not None and born(first["pid"]) == first["born"]:
        outcome, message, end = "running", f"running since {first['time']}", None
    else:
        outcome, message, end = "killed", "it was killed, or the server lost its power", None
    return Run(path.stem, first["job"], first["time"], end, outcome, message, items)


def _whole(line: str) -> bool:
    """Whether a line was written to its end."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
