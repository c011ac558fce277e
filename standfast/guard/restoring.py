"""A database brought back from a copy on this machine, and the drill of such a copy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from standfast.errors import StandfastError
from standfast.guard import copies, looking
from standfast.guard.addresses import SQLITE, Address
from standfast.guard.copies import Copy
from standfast.host.backup import layout as names
from standfast.host.backup.faults import Fault
from standfast.host.restore import database
from standfast.host.restore.database import Files
from standfast.host.restore.run import stamp

Report = Callable[[str], None]


class NotRestored(StandfastError):
    """The message says what is as it was."""


@dataclass(frozen=True)
class Restored:
    """What a restore has come to."""

    copy: Copy
    kept: str | None
    """Name of what was there before; ``None`` when nothing was."""
    notes: tuple[str, ...]


def restore(address: Address, copy: Copy, report: Report) -> Restored:
    """
    Bring a copy back: loaded beside, every row, table, policy and grant compared with the copy's manifest,
    then swapped in by one transaction. What was there stays under another name.

    Raises:
        NotRestored: something differed or could not be done; the database is as it was.
    """
    try:
        if address.kind == SQLITE:
            return _file(address, copy)
        database.checked_files(copy.folder, copy.manifest)
        moment = stamp()
        beside = database.beside_name(address.database, "restoring", moment)
        before = database.beside_name(address.database, "before", moment)
        with looking.reached(address) as place:
            notes = _compared_beside(address, copy, beside, report)
            there = address.database in database.databases(place)
            report("swapping it in")
            database.swap(place, address.database, beside, before)
        return Restored(copy, before if there else None, tuple(notes))
    except (Fault, OSError) as fault:
        raise NotRestored(f"{fault} {address.name} is as it was.") from None


def _compared_beside(address: Address, copy: Copy, beside: str, report: Report) -> list[str]:
    """Load a copy beside the database and compare it; it is dropped again when it is not the same."""
    with looking.reached(address) as place:
        try:
            report(f"loading the copy of {copy.manifest.time} beside it")
            dumped_schema = database.load(place, Files(copy.folder), copy.manifest, beside)
            report("comparing every table with the copy's manifest")
            found = database.counted(place, beside)
            wrong, notes = database.compared(copy.manifest, found, dumped_schema)
        except Fault:
            database.drop(place, beside)
            raise
        if wrong:
            database.drop(place, beside)
            raise Fault(f"the restored copy differs: {'; '.join(wrong[:5])}.")
    return notes


def drill(address: Address, copy: Copy, report: Report) -> None:
    """
    Restore a copy beside its database, compare it, remove it again, and note that.

    Raises:
        NotRestored: it could not be restored, or differed: it is no backup.
    """
    try:
        if address.kind == SQLITE:
            _same(copies.hashed_file(copy.folder / names.DUMP), copy)
        else:
            database.checked_files(copy.folder, copy.manifest)
            beside = database.beside_name(address.database, "restoring", stamp())
            _compared_beside(address, copy, beside, report)
            with looking.reached(address) as place:
                database.drop(place, beside)
    except (Fault, OSError) as fault:
        raise NotRestored(f"the copy in {copy.folder} did not pass its drill: {fault}") from None
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    (copy.folder / copies.DRILLED).write_text(json.dumps({"time": moment}) + "\n", encoding="utf-8")


def _file(address: Address, copy: Copy) -> Restored:
    """An SQLite file: the copy beside it, compared, then renamed; the old one stays under a new name."""
    database.checked_files(copy.folder, copy.manifest)
    target = Path(address.database)
    beside, before = (target.with_name(f"{target.name}_{word}_{stamp()}") for word in ("restoring", "before"))
    shutil.copyfile(copy.folder / names.DUMP, beside)
    _same(copies.hashed_file(beside), copy)
    there = target.exists()
    if there:
        shutil.copymode(target, beside)
        target.rename(before)
        for ending in ("-wal", "-shm", "-journal"):
            rest = target.with_name(target.name + ending)
            if rest.exists():
                rest.rename(before.with_name(before.name + ending))
    beside.rename(target)
    return Restored(copy, str(before) if there else None, ())


def _same(found: object, copy: Copy) -> None:
    if found != dict(copy.manifest.census.tables):
        raise Fault("the restored copy does not have the rows that its manifest names.")
