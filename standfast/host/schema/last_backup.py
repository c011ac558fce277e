"""What the last backup held, for a database in service to be held against."""

from __future__ import annotations

from dataclasses import dataclass

from standfast.host.backup import configuration, layout, manifests
from standfast.host.backup.faults import Fault
from standfast.host.backup.manifest import DatabaseManifest
from standfast.host.backup.restic import Repository
from standfast.host.restore import selection
from standfast.host.restore.prospect import Restorable
from standfast.host.schema import copied, security
from standfast.host.schema.catalogue import Catalogue
from standfast.host.schema.comparison import ONLY_OTHER, ROW_SECURITY, Difference

NO_CATALOGUE = "it was made by a version of standfast that did not write down the schema; the next one has it"


@dataclass(frozen=True)
class Earlier:
    """What the last good copy held."""

    words: str
    """``the backup of 2026-11-26T03:00:00+00:00``."""
    catalogue: Catalogue


def last(name: str) -> Earlier | None:
    """
    What the newest good copy of a database held; ``None`` where it is in no backup.

    Raises:
        Fault: there is no good copy, it cannot be read, or it is older than this part of standfast.
    """
    if not layout.CONFIGURATION.exists():
        return None
    settings = configuration.load()
    if name not in settings.databases:
        return None
    repository = Repository(settings)
    restorable = Restorable(settings, repository, repository.snapshots(layout.TAG))
    copy = selection.choose(restorable.every, "database", name, None, restorable.zone)
    manifest = manifests.of(repository, copy)
    if not isinstance(manifest, DatabaseManifest) or layout.CATALOGUE not in manifest.files:
        raise Fault(f"the last backup, {copy.id[:8]}, cannot be compared: {NO_CATALOGUE}")
    text = repository.content(copy.id, layout.staging("database", name) / layout.CATALOGUE)
    return Earlier(f"the backup of {manifest.time}", copied.parse(text))


def counts(difference: Difference) -> bool:
    """
    Whether a difference from a backup counts, or is only noted.

    A database moves on between two backups, by migrations. Tables that are gone and another protection of
    rows are no everyday migration: they count until the next backup.
    """
    if difference.what == ONLY_OTHER:
        return difference.key.kind in ("table", "policy")
    return difference.what in (ROW_SECURITY, security.BYPASSES)
