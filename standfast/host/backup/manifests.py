"""
Manifests of copies, kept on this server too: a snapshot never changes, and each question to restic takes most
of a second.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from standfast.host.backup import layout, manifest, state
from standfast.host.backup.faults import Fault
from standfast.host.backup.manifest import Manifest
from standfast.host.backup.restic import Repository, Snapshot


def remember(snapshot: str, made: Manifest) -> None:
    """
    A copy has been stored.

    What a power cut leaves of this is no JSON, and asked for again.
    """
    state.folder(layout.MANIFESTS)
    (layout.MANIFESTS / f"{snapshot}.json").write_text(manifest.text(made), encoding="utf-8")


def of(repository: Repository, copy: Snapshot) -> Manifest:
    """
    The manifest of a copy of this server's, without a question if it is known.

    Raises:
        Fault: it cannot be read.
    """
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        return manifest.parse((layout.MANIFESTS / f"{copy.id}.json").read_text(encoding="utf-8"))
    found = stored(repository, copy)
    remember(copy.id, found)
    return found


def stored(repository: Repository, copy: Snapshot) -> Manifest:
    """
    The manifest in a snapshot.

    Raises:
        Fault: it cannot be read.
    """
    kind, name = copy.subject or ("", "")
    try:
        return manifest.parse(repository.content(copy.id, layout.staging(kind, name) / layout.MANIFEST))
    except (ValueError, KeyError, TypeError) as error:
        raise Fault(f"copy {copy.id[:8]}: its manifest cannot be used: {error}. Nothing was done.") from None


def forget_all_but(snapshots: Collection[str]) -> None:
    """Remove those of copies that are gone."""
    for path in layout.MANIFESTS.glob("*.json"):
        if path.stem not in snapshots:
            path.unlink()
