"""Take a snapshot of the declared volumes, say what is not in it, and let retention follow."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from standfast.host.backup import containers, records
from standfast.host.backup.containers import DockerVolume
from standfast.host.backup.faults import Fault, Refused, WrongConfiguration
from standfast.host.snapshots.configuration import Configuration
from standfast.host.snapshots.driver import About, Driver, Snapshot
from standfast.host.snapshots.retention import superfluous

BY_HAND, BEFORE_APPLY = "by hand", "before apply"


@dataclass
class Coverage:
    """Which volumes can be in a snapshot, and why the others cannot."""

    covered: list[DockerVolume] = field(default_factory=list)
    uncovered: dict[str, str] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    """Those of them that Docker does not know, or cannot be asked for."""


@dataclass(frozen=True)
class Taken:
    """What a run has come to."""

    snapshot: Snapshot | None
    """``None`` before an apply that may be what makes the volumes, or brings Docker back."""
    uncovered: dict[str, str]
    removed: list[str]
    problem: str | None
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "snapshot": self.snapshot.as_json() if self.snapshot else None,
            "uncovered": self.uncovered,
            "removed": self.removed,
            "problem": self.problem,
            "seconds": self.seconds,
        }


def coverage(wanted: Configuration, driver: Driver, names: Collection[str] = ()) -> Coverage:
    """
    Ask the driver about the declared volumes.

    + names: only these

    Raises:
        WrongConfiguration: one of them is not declared; nothing was done.
        Fault: the driver could not look.
    """
    for name in names:
        if name not in wanted.volumes:
            raise WrongConfiguration(
                f"{name}: no volume of this name is declared; there is: {', '.join(wanted.volumes)}. "
                "Nothing was done."
            )
    found = Coverage()
    for name in names or wanted.volumes:
        try:
            volume = containers.volume(name)
        except Fault as fault:
            found.uncovered[name] = str(fault).removeprefix(f"volume {name}: ")
            found.absent.add(name)
            continue
        reason = driver.why_not(volume)
        if reason is None:
            found.covered.append(volume)
        else:
            found.uncovered[name] = reason
    return found


def take(
    wanted: Configuration, driver: Driver, *, reason: str, name: str | None, names: Collection[str] = ()
) -> Taken:
    """
    Take a snapshot; afterwards remove those that `keep` does not keep.

    + name: given by a person, for one that stays
    + names: volumes; none means all that are declared

    Raises:
        Refused: no volume, or not every named one, can be in it; or the name is taken. Nothing was done.
        Fault: the snapshot could not be taken; the earlier ones are as they were.
    """
    started = time.monotonic()
    if name is not None:
        _free(name, driver.snapshots())
    found = coverage(wanted, driver, names)
    if reason == BEFORE_APPLY and len(found.absent) == len(wanted.volumes):
        return Taken(None, found.uncovered, [], None, round(time.monotonic() - started, 2))
    if not found.covered or (names and found.uncovered):
        raise Refused(
            "no snapshot was taken, and nothing was changed:\n"
            + "\n".join(f"volume {each}: {why}" for each, why in found.uncovered.items())
        )
    about = About(identity(), records.now(), reason, name)
    snapshot = driver.take(about, found.covered)
    removed, problem = _thinned(driver, wanted.keep)
    seconds = round(time.monotonic() - started, 2)
    return Taken(snapshot, found.uncovered, removed, problem, seconds)


def identity() -> str:
    """A new one. It sorts by time, within a second too: retention goes by that order."""
    now = datetime.now(timezone.utc)
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 100:04}"


def _thinned(driver: Driver, keep: int) -> tuple[list[str], str | None]:
    """Retention; a fault of it is told and does not take the snapshot back."""
    removed: list[str] = []
    try:
        for each in superfluous(driver.snapshots(), keep):
            driver.remove(each)
            removed.append(each.id)
    except (Fault, OSError) as error:
        return removed, f"the snapshot was taken, and older ones could not be removed: {error}"
    return removed, None


def _free(name: str, every: Collection[Snapshot]) -> None:
    for each in every:
        if name in (each.about.name, each.id):
            raise Refused(f"a snapshot is called {name} already, of {each.about.time}. Nothing was done.")
