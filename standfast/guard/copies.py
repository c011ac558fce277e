"""Copies of databases on this machine: taken before something destructive runs, and every day."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from standfast import __version__
from standfast.errors import StandfastError, UsageError
from standfast.guard import layout, looking
from standfast.guard.addresses import SQLITE, Address
from standfast.host.backup import databases, manifest
from standfast.host.backup import layout as names
from standfast.host.backup.configuration import Database
from standfast.host.backup.faults import Fault
from standfast.host.backup.manifest import DatabaseManifest

BEFORE, DAILY = "before", "daily"
DRILLED = "drilled.json"
KEPT_DAILY = 14
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class CopyFailed(StandfastError):
    """No copy could be taken; nothing was changed."""


class NoCopy(StandfastError):
    """There is no copy of this database."""


@dataclass(frozen=True)
class Copy:
    """A verified copy."""

    folder: Path
    manifest: DatabaseManifest
    why: str
    """``before`` something destructive, or ``daily``."""
    drilled: str | None = None
    """When it was restored beside the database and compared, UTC; ``None`` when it never was."""

    @property
    def told(self) -> str:
        """What is in it."""
        tables = len(self.manifest.census.tables)
        return f"{self.manifest.census.rows:,} rows in {tables} table{'' if tables == 1 else 's'}"


def take(address: Address, why: str) -> Copy:
    """
    Take a copy: dumped, counted and hashed in one snapshot, and read to its end.

    Raises:
        CopyFailed: it could not be taken whole; nothing of it is kept.
    """
    home = _home(address.name)
    layout.private(layout.copies())
    folder = layout.private(home / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}-{why}")
    umask = os.umask(0o077)
    try:
        made = _file_copied(address, folder) if address.kind == SQLITE else _dumped(address, folder)
        (folder / names.MANIFEST).write_text(manifest.text(made), encoding="utf-8")
        _on_disk(folder)
    except (Fault, OSError, sqlite3.Error) as problem:
        shutil.rmtree(folder, ignore_errors=True)
        raise CopyFailed(f"no copy of {address.name} could be taken: {problem}") from None
    finally:
        os.umask(umask)
    return Copy(folder, made, why)


def _dumped(address: Address, folder: Path) -> DatabaseManifest:
    database = Database(address.database, address.user)
    with looking.reached(address) as place:
        return databases.dumped(
            address.name,
            socket.gethostname(),
            database,
            place,
            None,
            folder,
            {"standfast": __version__},
            compress=1,
        )


def _file_copied(address: Address, folder: Path) -> DatabaseManifest:
    """SQLite's own backup: consistent while others write."""
    target = folder / names.DUMP
    there = f"{Path(address.database).resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(there, uri=True)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        said = copy.execute("PRAGMA integrity_check").fetchone()[0]
        if said != "ok":
            raise Fault(f"the copy of {address.database} is damaged: {said}")
        census = manifest.Census(tables=_hashed(copy))
    return DatabaseManifest(
        name=address.name,
        server=socket.gethostname(),
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        database=address.database,
        user="",
        census=census,
        files={names.DUMP: manifest.stored_file(target)},
        versions={"standfast": __version__, "server": f"SQLite {sqlite3.sqlite_version}"},
    )


def _hashed(connection: sqlite3.Connection) -> dict[str, manifest.Table]:
    """Rows and an order-independent hash of every table."""
    found = {}
    for name, rows in looking.sqlite_counts(connection).items():
        quoted = '"' + name.replace('"', '""') + '"'
        total = 0
        for row in connection.execute(f"SELECT * FROM {quoted}"):  # noqa: S608 - quoted above
            total += int.from_bytes(hashlib.sha256(repr(row).encode()).digest()[:8], "big")
        found[name] = manifest.Table(rows, str(total))
    return found


def hashed_file(path: Path) -> dict[str, manifest.Table]:
    """Rows and hashes of an SQLite file."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return _hashed(connection)


def _on_disk(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def of(name: str) -> list[Copy]:
    """All copies of a database, newest first."""
    return sorted(_found(_home(name)), key=lambda copy: copy.folder.name, reverse=True)


def everything() -> list[Copy]:
    """All copies on this machine, newest first."""
    root = layout.copies()
    homes = sorted(root.iterdir()) if root.is_dir() else []
    found = [copy for home in homes if home.is_dir() for copy in _found(home)]
    return sorted(found, key=lambda copy: copy.folder.name, reverse=True)


def _found(home: Path) -> Iterator[Copy]:
    for folder in home.iterdir() if home.is_dir() else []:
        try:
            read = manifest.parse((folder / names.MANIFEST).read_text(encoding="utf-8"))
            drilled = (
                json.loads((folder / DRILLED).read_text())["time"] if (folder / DRILLED).exists() else None
            )
        except (OSError, ValueError, KeyError):
            continue  # one that was cut off while it was taken
        if isinstance(read, DatabaseManifest):
            yield Copy(folder, read, folder.name.rpartition("-")[2], drilled)


def chosen(name: str, which: str | None) -> Copy:
    """
    The newest copy of a database, or the one whose folder begins with `which`.

    Raises:
        NoCopy: there is none.
        UsageError: `which` fits none.
    """
    found = of(name)
    if not found:
        raise NoCopy(f"there is no copy of {name} in {layout.copies()}")
    if which is None:
        return found[0]
    fitting = [copy for copy in found if copy.folder.name.startswith(which)]
    if not fitting:
        known = ", ".join(copy.folder.name for copy in found[:5])
        raise UsageError(f"there is no copy of {name} that begins with {which!r}; there are: {known}")
    return fitting[0]


def thinned(name: str, report: Callable[[str], None]) -> None:
    """Remove daily copies that are older than the newest 14; those taken before a command stay."""
    for copy in [each for each in of(name) if each.why == DAILY][KEPT_DAILY:]:
        shutil.rmtree(copy.folder)
        report(f"removed the daily copy {copy.folder.name}: {KEPT_DAILY} newer ones are there")


def _home(name: str) -> Path:
    # Two names that differ in signs only must not share a folder.
    return layout.copies() / f"{_UNSAFE.sub('_', name)}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
