"""
A restore: copies of what is there, everything fetched, loaded and compared beside it, then the swaps.

Until a swap, what is there is untouched; a swap is one transaction, or one step of the file system. So
whatever happens there is the old data or the new, complete; `leftovers` says which after a killed run.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from standfast.host.backup import databases, layout, writers
from standfast.host.backup.faults import Fault
from standfast.host.backup.manifest import DatabaseManifest, VolumeManifest
from standfast.host.backup.postgres import Place
from standfast.host.restore import database, fetching, journal, volume
from standfast.host.restore.exchange import identity
from standfast.host.restore.journal import Undertaking
from standfast.host.restore.prospect import Prospect, Restorable
from standfast.host.telling import Report

FETCHED = layout.STATE / "restoring"


class Replaced(Fault):
    """The swap was made, and what comes after it failed."""

    def __init__(self, undertaking: Undertaking, fault: Fault) -> None:
        what = f"{undertaking.kind} {undertaking.target}"
        super().__init__(
            f"{fault}. That was after the swap: {what} has the restored data now; what was there, "
            f"if anything, is kept as {undertaking.before} or {undertaking.beside}."
        )


@dataclass
class Outcome:
    """What a restore has come to for one database or volume."""

    prospect: Prospect
    undertaking: Undertaking
    kept: str | None = None
    """Name of what was replaced; ``None`` when nothing was there."""
    kept_bytes: int = 0
    notes: list[str] = field(default_factory=list)
    away_seconds: float = 0.0
    """For which its writers were stopped, or its sessions ended."""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "kind": self.prospect.kind,
            "name": self.prospect.name,
            "target": self.prospect.target,
            "snapshot": self.prospect.copy.id,
            "time": self.prospect.manifest.time,
            "kept": self.kept,
            "kept_bytes": self.kept_bytes,
            "then": self.prospect.then,
            "notes": self.notes,
            "away_seconds": round(self.away_seconds, 2),
        }


def undertakings(prospects: Sequence[Prospect], stamp: str) -> list[Undertaking]:
    """What will be done, with all names that will be used."""
    return [
        Undertaking(
            kind=each.kind,
            name=each.name,
            target=each.target,
            snapshot=each.copy.id,
            time=each.manifest.time,
            beside=database.beside_name(each.target, "restoring", stamp),
            before=database.beside_name(each.target, "before", stamp),
        )
        for each in prospects
    ]


def stamp() -> str:
    """The time in names, UTC."""
    return datetime.now(timezone.utc).strftime("%Y%m%d%H%M%S")


def perform(restorable: Restorable, prospects: Sequence[Prospect], report: Report) -> list[Outcome]:
    """
    Restore all of these, or none: everything is prepared before the first swap.

    + prospects: what was shown; exactly these copies are taken

    Raises:
        Fault: something could not be prepared, and all is as it was; or a swap failed, and the message says
            which were made.
    """
    begun = undertakings(prospects, stamp())
    journal.write(begun)
    outcomes = [Outcome(each, undertaking) for each, undertaking in zip(prospects, begun, strict=True)]
    try:
        for outcome in outcomes:
            outcome.notes = _prepare(restorable, outcome, report)
    except Fault:
        for each in begun:
            forgotten(restorable, each)
        raise
    finally:
        shutil.rmtree(FETCHED, ignore_errors=True)
    for done, outcome in enumerate(outcomes):
        try:
            _swap(restorable, outcome, report)
        except Fault as fault:
            made = done + 1 if isinstance(fault, Replaced) else done
            words = str(fault).rstrip(".")
            raise Fault(f"{words}. {_told(outcomes[:made], outcomes[made:])}") from fault
        journal.close(outcome.undertaking)
    return outcomes


def forgotten(restorable: Restorable, undertaking: Undertaking) -> None:
    """Remove what a restore has made and never put into service; the journal entry goes when it is gone."""
    if undertaking.kind == "database":
        place = _place(restorable, undertaking.name)
        database.drop(place, undertaking.beside)
    else:
        volume.discard(undertaking.beside)
    journal.close(undertaking)


def _prepare(restorable: Restorable, outcome: Outcome, report: Report) -> list[str]:
    """Make the copy beside what is there, and compare it; notes for people."""
    manifest = outcome.prospect.manifest
    if isinstance(manifest, DatabaseManifest):
        return _prepare_database(restorable, outcome, manifest, report)
    return _prepare_volume(restorable, outcome, manifest, report)


def _prepare_database(
    restorable: Restorable, outcome: Outcome, manifest: DatabaseManifest, report: Report
) -> list[str]:
    name, beside = outcome.prospect.name, outcome.undertaking.beside
    copy, place = outcome.prospect.copy.id, _place(restorable, name)
    report(f"database {name}: fetching the copy of {manifest.time}")
    with fetching.fetched(restorable.repository, copy, manifest, place, FETCHED / beside) as files:
        report(f"database {name}: loading {manifest.census.rows:,} rows into {beside}")
        dumped_schema = database.load(place, files, manifest, beside)
    report(f"database {name}: comparing {len(manifest.census.tables)} tables with the manifest")
    faults, notes = database.compared(manifest, database.counted(place, beside), dumped_schema)
    if faults:
        raise Fault(
            f"database {name}: the copy of {manifest.time} is not what its manifest says: "
            f"{'; '.join(faults)}. Nothing was replaced."
        )
    return notes


def _prepare_volume(
    restorable: Restorable, outcome: Outcome, manifest: VolumeManifest, report: Report
) -> list[str]:
    name = outcome.prospect.name
    place = volume.make(outcome.undertaking.beside, {volume.LABEL: name})
    report(f"volume {name}: fetching {manifest.files:,} files, {manifest.bytes / 1e6:,.1f} MB")
    fetching.fetch(restorable.repository, outcome.prospect.copy.id, volume.fetching_place(place))
    volume.settle_fetched(place, manifest)
    faults, notes = volume.compared(manifest, volume.contents(place))
    if faults:
        raise Fault(
            f"volume {name}: the copy of {manifest.time} is not what its manifest says: {'; '.join(faults)}. "
            "Nothing was replaced."
        )
    return notes


def _swap(restorable: Restorable, outcome: Outcome, report: Report) -> None:
    undertaking = outcome.undertaking
    report(f"{undertaking.kind} {undertaking.name}: swapping it in")
    started = time.monotonic()
    if undertaking.kind == "database":
        place = _place(restorable, undertaking.name)
        there = undertaking.target in database.databases(place)
        journal.update(replace(undertaking, loaded=True, replaces=there))
        database.swap(place, undertaking.target, undertaking.beside, undertaking.before)
        if there:
            outcome.kept = undertaking.before
            try:
                outcome.kept_bytes = database.size(place, undertaking.before)
            except Fault as fault:
                raise Replaced(undertaking, fault) from fault
    else:
        _swap_volume(outcome, report)
    outcome.away_seconds = time.monotonic() - started


def swap_volume(
    undertaking: Undertaking, labels: Mapping[str, str], report: Report
) -> tuple[str | None, int]:
    """
    Let what was made beside take the volume's place, while its containers are stopped.

    + labels: for a volume that is not there yet

    Returns the name of what was there and is kept, and its bytes; ``None`` when nothing was.

    Raises:
        Replaced: it has taken its place, and a container does not go on, for example.
        Fault: it was not possible; nothing was replaced.
    """
    target = volume.mountpoint(undertaking.target) or volume.make(undertaking.target, labels)
    beside = volume.mountpoint(undertaking.beside)
    if beside is None:
        raise Fault(f"volume {undertaking.beside} is gone; somebody has removed it.")
    target.mkdir(parents=True, exist_ok=True)  # Docker still knows a volume whose folder somebody has deleted
    journal.update(replace(undertaking, new_folder=identity(beside)))
    swapped = False
    try:
        with writers.held(volume.users(undertaking.target), "stop", report):
            volume.swap(target, beside)
            swapped = True
        return _kept(undertaking)
    except Fault as fault:
        if swapped:
            raise Replaced(undertaking, fault) from fault
        raise


def _kept(undertaking: Undertaking) -> tuple[str | None, int]:
    if not volume.keep(undertaking.beside, undertaking.before, {volume.LABEL: undertaking.name}):
        return None, 0
    kept = volume.mountpoint(undertaking.before)
    return undertaking.before, volume.contents(kept).bytes if kept else 0


def _swap_volume(outcome: Outcome, report: Report) -> None:
    manifest = outcome.prospect.manifest
    labels = dict(manifest.labels) if isinstance(manifest, VolumeManifest) else {}
    outcome.kept, outcome.kept_bytes = swap_volume(outcome.undertaking, labels, report)


def _told(done: Sequence[Outcome], left: Sequence[Outcome]) -> str:
    made = ", ".join(f"{each.prospect.kind} {each.prospect.target}" for each in done) or "nothing"
    if not left:
        return f"Replaced, complete: {made}."
    not_made = ", ".join(f"{each.prospect.kind} {each.prospect.target}" for each in left)
    return f"Replaced, complete: {made}. As it was, complete: {not_made}. Run the same restore again."


def _place(restorable: Restorable, name: str) -> Place:
    place, _ = databases.where(name, restorable.configuration.databases[name])
    return place
