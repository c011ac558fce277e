"""What a restore would replace with what: looked up before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from standfast.host.backup import databases, layout, manifests
from standfast.host.backup.configuration import Configuration
from standfast.host.backup.faults import Fault, Refused, WrongConfiguration
from standfast.host.backup.manifest import DatabaseManifest, Manifest, VolumeManifest
from standfast.host.backup.restic import Repository, Snapshot
from standfast.host.backup.volumes import mounted_by_docker
from standfast.host.restore import database, selection, volume


@dataclass(frozen=True)
class Wish:
    """Something that shall be restored."""

    kind: str
    name: str
    at: str | None = None
    to: str | None = None
    """Name of a new database or volume; ``None``: in place of the one that is there."""


@dataclass(frozen=True)
class Prospect:
    """What will be replaced with what."""

    kind: str
    name: str
    target: str
    copy: Snapshot
    manifest: Manifest
    now: Mapping[str, int] | None
    """Rows of each table, or ``files`` and ``bytes`` of a volume; ``None`` when nothing is there, or it does
    not answer."""
    silent: str = ""
    """Why what is there could not be looked at."""
    to_new: bool = False

    @property
    def then(self) -> dict[str, int]:
        """The same of the copy."""
        if isinstance(self.manifest, DatabaseManifest):
            return {name: table.rows for name, table in self.manifest.census.tables.items()}
        return {"files": self.manifest.files, "bytes": self.manifest.bytes}

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "kind": self.kind,
            "name": self.name,
            "target": self.target,
            "new": self.to_new,
            "snapshot": self.copy.id,
            "time": self.manifest.time,
            "doubtful": selection.doubtful(self.copy),
            "now": self.now if self.now is None else dict(self.now),
            "then": self.then,
            "silent": self.silent,
        }


@dataclass(frozen=True)
class Restorable:
    """The repository and what it holds, looked at once."""

    configuration: Configuration
    repository: Repository
    every: Sequence[Snapshot] = field(default_factory=tuple)

    @property
    def zone(self) -> tzinfo:
        """The server's time zone."""
        return ZoneInfo(self.configuration.timezone)

    def wishes(self, at: str | None) -> list[Wish]:
        """Everything that is configured."""
        return [
            *(Wish("database", name, at) for name in self.configuration.databases),
            *(Wish("volume", name, at) for name in self.configuration.volumes),
        ]


def look(restorable: Restorable, wish: Wish) -> Prospect:
    """
    Choose the copy and look at what is there; nothing is changed.

    Raises:
        WrongConfiguration: there is no such database or volume, or the new name is taken.
        Fault: there is no such copy.
    """
    configured: Mapping[str, object] = (
        restorable.configuration.databases if wish.kind == "database" else restorable.configuration.volumes
    )
    if wish.name not in configured:
        known = ", ".join(configured) or "none"
        raise WrongConfiguration(
            f"there is no {wish.kind} {wish.name!r} in {layout.CONFIGURATION}; there is: {known}. "
            "Nothing was done."
        )
    copy = selection.choose(restorable.every, wish.kind, wish.name, wish.at, restorable.zone)
    manifest = manifests.of(restorable.repository, copy)
    if isinstance(manifest, DatabaseManifest):
        return _database(restorable.configuration, wish, copy, manifest)
    return _volume(wish, copy, manifest)


def _database(
    configuration: Configuration, wish: Wish, copy: Snapshot, manifest: DatabaseManifest
) -> Prospect:
    target = wish.to or manifest.database
    now, silent = None, ""
    try:
        place, _ = databases.where(wish.name, configuration.databases[wish.name])
        if target in database.databases(place):
            now = database.rows(place, target)
    except Fault as fault:
        silent = str(fault)
    if now is not None and wish.to:
        raise WrongConfiguration(f"--to {target}: there is such a database already. Nothing was done.")
    return Prospect("database", wish.name, target, copy, manifest, now, silent, to_new=bool(wish.to))


def _volume(wish: Wish, copy: Snapshot, manifest: VolumeManifest) -> Prospect:
    target = wish.to or wish.name
    place: Path | None = volume.mountpoint(target)
    if place is not None and wish.to:
        raise WrongConfiguration(f"--to {target}: there is such a volume already. Nothing was done.")
    # What is swapped in below a mount would be hidden again by the next container.
    if place is not None and mounted_by_docker(volume.options(target)):
        raise Refused(
            f"volume {target}: Docker mounts a device or a folder as it, so nothing can take its place. "
            f"Restore it beside, with `--volume {wish.name} --to NAME`, and copy from there; all else with "
            "`--database` and `--volume`. Nothing was done."
        )
    now = None
    if place is not None:
        found = volume.contents(place)
        now = {"files": found.files, "bytes": found.bytes}
    return Prospect("volume", wish.name, target, copy, manifest, now, to_new=bool(wish.to))
