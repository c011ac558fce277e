"""``/etc/standfast/guards.json``: what the guards of this server protect. Apply writes it; no secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

CONFIGURATION = Path("/etc/standfast/guards.json")
FORMAT = 1


@dataclass(frozen=True)
class Database:
    """A protected database of PostgreSQL, in a Compose service or on the host."""

    database: str
    user: str
    """A superuser."""
    app: str | None = None
    service: str | None = None
    socket: str | None = None


@dataclass(frozen=True)
class Protection:
    """What is protected on a server."""

    environment: str
    volumes: tuple[str, ...] = ()
    """Docker volumes whose removal is refused."""
    databases: Mapping[str, Database] = field(default_factory=dict)

    def text(self) -> str:
        """The file's content."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, ensure_ascii=False) + "\n"


def load(path: Path = CONFIGURATION) -> Protection | None:
    """What is protected; ``None`` when it cannot be read, and then everything must be."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("format") != FORMAT:
            return None
        databases = {name: Database(**each) for name, each in found.pop("databases").items()}
        return Protection(**{**found, "volumes": tuple(found["volumes"])}, databases=databases)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
