"""Bring one volume back from a snapshot: beside what is there, then swapped; what was there is kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from standfast.host.backup import configuration as backups
from standfast.host.backup import layout as backup_layout
from standfast.host.backup.faults import Fault, Refused, WrongConfiguration
from standfast.host.restore import database, journal, leftovers, run, volume
from standfast.host.restore.exchange import flushed
from standfast.host.restore.journal import Undertaking
from standfast.host.restore.volume import Contents
from standfast.host.snapshots.configuration import Configuration
from standfast.host.snapshots.driver import Driver, Snapshot
from standfast.host.telling import Report


@dataclass(frozen=True)
class Prospect:
    """What would be brought back, and what is there now."""

    snapshot: Snapshot
    name: str
    target: str
    then: Contents
    now: Contents | None
    """``None`` when there is no such volume."""
    users: tuple[str, ...]
    """Containers that will be stopped for the swap."""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "volume": self.name,
            "target": self.target,
            "snapshot": self.snapshot.as_json(),
            "then": vars(self.then),
            "now": None if self.now is None else vars(self.now),
            "stops": list(self.users),
        }


@dataclass(frozen=True)
class Returned:
    """What a restore has come to."""

    prospect: Prospect
    kept: str | None
    """Volume with what was there; ``None`` when nothing was."""
    kept_bytes: int
    away_seconds: float
    """For which the containers were stopped."""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            **self.prospect.as_json(),
            "kept": self.kept,
            "kept_bytes": self.kept_bytes,
            "away_seconds": round(self.away_seconds, 2),
        }


def chosen(every: Sequence[Snapshot], key: str, name: str) -> Snapshot:
    """
    The snapshot that is meant.

    + key: its name, its id, or the beginning of its id
    + name: the volume

    Raises:
        WrongConfiguration: none or several are, or it does not have the volume. Nothing was done.
    """
    exact = [each for each in every if key in (each.about.name, each.id)]
    fitting = exact or [each for each in every if each.id.startswith(key)]
    if len(fitting) != 1:
        newest = ", ".join(each.about.name or each.id for each in every[-3:])
        raise WrongConfiguration(
            f"{key}: {len(fitting) or 'no'} snapshots are called that; the newest are: {newest or 'none'}. "
            "Nothing was done."
        )
    if name not in fitting[0].volumes:
        there = ", ".join(sorted(fitting[0].volumes))
        raise WrongConfiguration(
            f"snapshot {fitting[0].id} has no volume {name}; it has: {there}. Nothing was done."
        )
    return fitting[0]


def look(driver: Driver, key: str, name: str, to: str | None) -> Prospect:
    """
    What would happen; changes nothing.

    Raises:
        Refused: the snapshot is damaged, or a volume called `to` is there. Nothing was done.
    """
    snapshot = chosen(driver.snapshots(), key, name)
    if snapshot.damage:
        raise Refused(
            f"snapshot {snapshot.id} is not what was taken: {snapshot.damage}. Take another one, or a backup "
            "(`standfast restore`). Nothing was changed."
        )
    target = to or name
    place = volume.mountpoint(target)
    if to is not None and place is not None:
        raise Refused(f"--to {to}: a volume of this name is there. Nothing was changed.")
    now = volume.contents(place) if place is not None and place.is_dir() else None
    then = volume.contents(driver.original(snapshot, name))
    users = tuple(each.words for each in volume.users(target))
    return Prospect(snapshot, name, target, then, now, users)


def bring_back(wanted: Configuration, driver: Driver, prospect: Prospect, report: Report) -> Returned:
    """
    Make a copy of the volume in the snapshot beside what is there, compare both, swap.

    Raises:
        Fault: it failed; the message says what is there now.
    """
    for sentence in leftovers.settled(_backups(wanted), report):
        report(sentence)
    undertaking = _undertaking(prospect)
    journal.write([undertaking])
    try:
        _prepare(driver, prospect, undertaking, report)
    except (Fault, OSError) as error:
        _forget(undertaking, report)
        raise Fault(f"{error}. Nothing was replaced.") from error
    started = time.monotonic()
    report(f"volume {prospect.target}: swapping it in")
    try:
        kept, size = run.swap_volume(undertaking, _labels(prospect), report)
    except Fault:
        _settle(wanted, report)
        raise
    journal.close(undertaking)
    return Returned(prospect, kept, size, time.monotonic() - started)


def _undertaking(prospect: Prospect) -> Undertaking:
    stamp = run.stamp()
    return Undertaking(
        kind="volume",
        name=prospect.name,
        target=prospect.target,
        snapshot=prospect.snapshot.id,
        time=prospect.snapshot.about.time,
        beside=database.beside_name(prospect.target, "restoring", stamp),
        before=database.beside_name(prospect.target, "before", stamp),
    )


def _prepare(driver: Driver, prospect: Prospect, undertaking: Undertaking, report: Report) -> None:
    report(f"volume {prospect.name}: bringing back {prospect.then.files:,} files beside it")
    place = volume.make(undertaking.beside, {volume.LABEL: prospect.name})
    driver.bring_back(prospect.snapshot, prospect.name, place)
    found = volume.contents(place)
    if found != prospect.then:
        raise Fault(f"volume {prospect.name}: the copy has {found}, the snapshot {prospect.then}")
    flushed(place)


def _forget(undertaking: Undertaking, report: Report) -> None:
    """Remove a half copy; on a full disk that fails too, and is left to the next restore."""
    try:
        volume.discard(undertaking.beside)
        journal.close(undertaking)
    except (Fault, OSError) as error:
        report(f"! {error}; the next restore clears up")


def _labels(prospect: Prospect) -> dict[str, str]:
    return dict(prospect.snapshot.volumes[prospect.name].labels)


def _settle(wanted: Configuration, report: Report) -> None:
    """After a swap that failed: what is beside goes, or a swap that was made is completed."""
    try:
        leftovers.settled(_backups(wanted), report)
    except Fault as fault:
        report(str(fault))


def _backups(wanted: Configuration) -> backups.Configuration:
    """The journal is one for both kinds of restores; its databases need the backups' configuration."""
    if backup_layout.CONFIGURATION.exists():
        return backups.load()
    return backups.Configuration(server=wanted.server, repository="")
