"""What a killed restore has left: looked at on the server itself, said, and cleared up or finished."""

from __future__ import annotations

import shutil

from standfast.host.backup import databases, writers
from standfast.host.backup.configuration import Configuration
from standfast.host.backup.faults import Fault
from standfast.host.restore import database, journal, volume
from standfast.host.restore.exchange import identity
from standfast.host.restore.journal import Undertaking
from standfast.host.restore.programs import output
from standfast.host.restore.run import FETCHED
from standfast.host.telling import Report


def told(configuration: Configuration) -> list[str]:
    """Which data are in service after a restore that was cut off; nothing is changed."""
    return [_sentence(configuration, each) for each in journal.read()]


def settled(configuration: Configuration, report: Report) -> list[str]:
    """
    The same, and clear up: half copies that were never in service go, finished swaps are completed.

    Raises:
        Fault: a database or Docker does not answer; nothing of that one has been changed.
    """
    writers.release(report)
    found = []
    for each in journal.read():
        found.append(_sentence(configuration, each))
        if each.kind == "database":
            _settle_database(configuration, each)
        else:
            _settle_volume(each)
        journal.close(each)
    shutil.rmtree(FETCHED, ignore_errors=True)
    return found


def swapped(configuration: Configuration, undertaking: Undertaking) -> bool:
    """
    Whether the restored copy is in service.

    Raises:
        Fault: it cannot be looked at.
    """
    if undertaking.kind == "database":
        place, _ = databases.where(undertaking.name, configuration.databases[undertaking.name])
        present = database.databases(place)
        kept = not undertaking.replaces or undertaking.before in present
        gone = undertaking.beside not in present
        return undertaking.loaded and gone and kept and undertaking.target in present
    return _swapped_volume(undertaking)


def _sentence(configuration: Configuration, undertaking: Undertaking) -> str:
    what = f"{undertaking.kind} {undertaking.target}"
    try:
        new = swapped(configuration, undertaking)
    except Fault as fault:
        return f"a restore of {what} was cut off, and what is in service cannot be looked at: {fault}"
    if new:
        return (
            f"a restore of {what} was cut off after its swap: it has the new data, complete, of "
            f"{undertaking.time}; what was there is kept as {undertaking.before}, if there was anything"
        )
    return f"a restore of {what} was cut off before its swap: it has the old data, complete, as it was"


def _settle_database(configuration: Configuration, undertaking: Undertaking) -> None:
    place, _ = databases.where(undertaking.name, configuration.databases[undertaking.name])
    if not swapped(configuration, undertaking):
        database.drop(place, undertaking.beside)
    output([*place.prefix, "rm", "-f", database.WITHIN_REACH])


def _settle_volume(undertaking: Undertaking) -> None:
    if _swapped_volume(undertaking):
        volume.keep(undertaking.beside, undertaking.before, {volume.LABEL: undertaking.name})
    else:
        volume.discard(undertaking.beside)


def _swapped_volume(undertaking: Undertaking) -> bool:
    target = volume.mountpoint(undertaking.target)
    return target is not None and undertaking.new_folder == identity(target)
