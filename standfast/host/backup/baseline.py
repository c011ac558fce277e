"""The last good copy of everything: what the next one is compared with."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from standfast.host.backup import layout, manifest, records, state
from standfast.host.backup.manifest import Manifest
from standfast.host.backup.restic import Repository

CLOCK = timedelta(minutes=2)


def of(kind: str, name: str, repository: Repository) -> Manifest | None:
    """
    The manifest of the last good copy; on a new server, that of the repository's newest one.

    Raises:
        Fault: the repository has a copy, and its manifest cannot be read.
    """
    try:
        return manifest.parse(_path(kind, name).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        pass
    copies = [each for each in repository.snapshots(layout.TAG, layout.tag(kind, name)) if not each.suspect]
    if not copies:
        return None
    path = layout.staging(kind, name) / layout.MANIFEST
    return manifest.parse(repository.content(copies[-1].id, path))


def remember(made: Manifest) -> None:
    """A good copy has been stored."""
    state.write(_path(made.kind, made.name), manifest.text(made))


def clock(before: str, now: str) -> list[str]:
    """Whether the clock went back: the newest copy would not be the newest any more."""
    if records.moment(now) < records.moment(before) - CLOCK:
        return [
            f"the server's clock says {now}, and the last copy was made at {before}: the clock was set back"
        ]
    return []


def _path(kind: str, name: str) -> Path:
    return layout.GOOD / f"{kind}-{name}.json"
