"""
``/etc/standfast/backups.json``: what is backed up, whereto, when. Apply writes it; secrets have files of
their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from standfast.host.backup import layout
from standfast.host.backup.faults import WrongConfiguration

FORMAT = 1
APPLY = "Run `standfast apply` to write it again."


@dataclass(frozen=True)
class Database:
    """A database of PostgreSQL, in a Compose service or on the host."""

    database: str
    """Its name in PostgreSQL."""
    user: str
    """Role that reads it; it must be allowed to read every row."""
    app: str | None = None
    """Compose project of the service that runs it; ``None`` on the host."""
    service: str | None = None
    socket: str | None = None
    """Folder of the host's socket; ``None`` in a service."""
    may_shrink: tuple[str, ...] = ()
    """Tables that may lose rows, such as sessions and queues: patterns of ``schema.table``."""


@dataclass(frozen=True)
class Volume:
    """A volume whose files are copied."""

    when: str
    """``daily`` or ``weekly``."""
    writers: str = "pause"
    """What is done to containers that can write while the last changes are read: ``pause`` or ``stop``."""
    seconds: int = 60
    """Longest time that they may be held; a pass that takes longer is given up."""


@dataclass(frozen=True)
class Keep:
    """How many copies of each database and volume stay; ``prune`` removes the others."""

    daily: int = 14
    weekly: int = 8
    monthly: int = 12


@dataclass(frozen=True)
class Schedule:
    """When cron runs what, in the server's time zone."""

    databases: tuple[str, ...] = ("03:00",)
    volumes: str = "03:30"
    weekday: int = 0
    """Of weekly volumes; 0 is Sunday."""
    check: str = "04:30"
    drill: str | None = "05:00"
    """``None``: no drills."""
    drill_day: int = 1
    """Of the month."""


@dataclass(frozen=True)
class Configuration:
    """Everything that the host program has to know."""

    server: str
    """Name in the inventory; restic's host name of every snapshot."""
    repository: str
    """As restic takes it: a path, ``sftp:…``, ``rest:…``, ``s3:…``."""
    timezone: str = "Etc/UTC"
    append_only: bool = False
    """Nothing is removed from here: retention runs elsewhere."""
    databases: Mapping[str, Database] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    dumped: tuple[str, ...] = ()
    """Volumes that hold nothing but declared databases, so that the dumps are their copies."""
    excluded: Mapping[str, str] = field(default_factory=dict)
    """Volumes that nobody needs, and why."""
    health: Mapping[str, str] = field(default_factory=dict)
    """Address on the server at which each application answers that it works: what a drill asks its copy."""
    keep: Keep = Keep()
    schedule: Schedule = Schedule()
    ping: Mapping[str, str] = field(default_factory=dict)
    """Dead-man's switches: job (``databases``, ``volumes``, ``check``, ``prune``, ``drill``) and URL."""

    def text(self) -> str:
        """The file's content."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, ensure_ascii=False) + "\n"


def load(path: Path = layout.CONFIGURATION) -> Configuration:
    """
    Read the configuration.

    Raises:
        WrongConfiguration: it is not there, or not as this version of the program needs it.
    """
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WrongConfiguration(
            f"{path}: expected the backups' configuration, and there is none. Declare `backups` in the "
            "inventory and run `standfast apply`. Nothing was done."
        ) from None
    except PermissionError:
        raise WrongConfiguration(f"{path}: only root may read it; use sudo. Nothing was done.") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WrongConfiguration(f"{path}: cannot be used: {error}. {APPLY} Nothing was done.") from None


def parse(text: str) -> Configuration:
    """A configuration from the file's content; raises what its parts raise."""
    data = json.loads(text)
    found = data.pop("format", None)
    if found != FORMAT:
        raise ValueError(f"format {FORMAT} was expected, found {found}")
    return Configuration(
        **{
            **data,
            "databases": {
                name: Database(**{**each, "may_shrink": tuple(each.get("may_shrink", ()))})
                for name, each in data.get("databases", {}).items()
            },
            "volumes": {name: Volume(**each) for name, each in data.get("volumes", {}).items()},
            "dumped": tuple(data.get("dumped", ())),
            "keep": Keep(**data.get("keep", {})),
            "schedule": _schedule(data.get("schedule", {})),
        }
    )


def _schedule(data: Mapping[str, Any]) -> Schedule:
    known = {each.name for each in fields(Schedule)}
    if unknown := set(data) - known:
        raise ValueError(f"unknown times: {', '.join(sorted(unknown))}")
    return Schedule(**{**data, "databases": tuple(data.get("databases", Schedule.databases))})
