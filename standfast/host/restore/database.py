"""A database brought back beside the one that is there, and swapped in by one transaction."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from standfast.host.backup import census, comparison, inside, layout, pipe, programs
from standfast.host.backup.faults import Fault
from standfast.host.backup.manifest import Census, DatabaseManifest, StoredFile, passed_on, stored_file
from standfast.host.backup.postgres import Place
from standfast.host.restore import statements
from standfast.host.restore.programs import output

MAINTENANCE = "postgres"
"""Database that sessions are in which make, rename or drop another one."""
MAINTENANCE_OF_ITSELF = "template1"
"""The same while that one is renamed: PostgreSQL renames no database that the session itself is in."""
WITHIN_REACH = "/tmp/standfast-restore.pgc"  # noqa: S108 - mode 600 in the container's own folder
"""Where the dump is for PostgreSQL's programs while it is loaded."""
# A table that autovacuum has begun with is waited for, a second each, until autovacuum is sent away.
ANALYZE = """
SELECT set_config('deadlock_timeout', '20ms', false) FROM pg_roles WHERE rolname = current_user AND rolsuper;
ANALYZE;
"""
SWAP_TRIES = 10
NAME_BYTES = 63


def databases(place: Place) -> set[str]:
    """Names of all databases of a PostgreSQL server."""
    return set(place.ask("SELECT datname FROM pg_database;", MAINTENANCE))


def size(place: Place, database: str) -> int:
    """Bytes of a database on disk."""
    return int(place.ask(f"SELECT pg_database_size({statements.literal(database)});", MAINTENANCE)[0])


def rows(place: Place, database: str) -> dict[str, int]:
    """Number of rows of every table, without its content being read twice."""
    with place.session(database) as session:
        tables = [json.loads(line) for line in session.ask(census.TABLES)]
        return {each["name"]: int(session.ask(_count(each["exact"]))[0]) for each in tables}


def _count(table: str) -> str:
    return f"SELECT count(*) FROM {table};"  # noqa: S608 - PostgreSQL itself has quoted the name


def beside_name(target: str, word: str, stamp: str) -> str:
    """``TARGET_WORD_STAMP``, cut where PostgreSQL would."""
    suffix = f"_{word}_{stamp}"
    return target.encode()[: NAME_BYTES - len(suffix)].decode(errors="ignore") + suffix


@dataclass(frozen=True)
class Files:
    """The files of a copy."""

    folder: Path
    dump: str | None = None
    """Path of the dump where PostgreSQL's programs run; ``None``: it is in the folder."""


class OutOfReach(Fault):
    """A dump cannot be put where PostgreSQL's programs run: there is no room, or nothing may be written."""


def checked_files(folder: Path, manifest: DatabaseManifest) -> None:
    """
    Compare the files in a folder with the manifest.

    Raises:
        Fault: one is missing or not what it was; nothing has been changed.
    """
    there = [name for name in manifest.files if (folder / name).is_file()]
    checked({name: stored_file(folder / name) for name in there}, manifest)


def checked(found: Mapping[str, StoredFile], manifest: DatabaseManifest) -> None:
    """
    Compare what was found with the manifest.

    Raises:
        Fault: a file is missing or not what it was; nothing has been changed.
    """
    for name, stored in manifest.files.items():
        if name not in found:
            raise Fault(f"{name} is missing in the copy of {manifest.time}. Nothing was changed.")
        if found[name].bytes != stored.bytes:
            raise Fault(
                f"{name} of the copy of {manifest.time} has {found[name].bytes:,} bytes, the manifest says "
                f"{stored.bytes:,}. Nothing was changed. Take another copy with --at."
            )
        if found[name] != stored:
            raise Fault(
                f"{name} of the copy of {manifest.time} is not what was stored (its checksum differs). "
                "Nothing was changed. Take another copy with --at."
            )


def load(place: Place, files: Files, manifest: DatabaseManifest, beside: str) -> str:
    """
    Make a database and load a dump into it, with as many jobs as there are processors.

    + files: compared with the manifest already
    + beside: name of the database that is made

    Returns the hash of the schema that the dump holds.

    Raises:
        Fault: it could not be loaded; `beside` may be there, and is worth nothing.
    """
    known = (files.folder / layout.GLOBALS).read_text(encoding="utf-8")
    with _within_reach(place, files) as path:
        with place.session(MAINTENANCE) as session:
            present = set(session.ask("SELECT rolname FROM pg_roles;"))
            if roles := statements.missing_roles(known, present):
                session.ask(roles)
            only = ("--create", "--schema-only", "--schema", "standfast: none", "--file", "-")
            creation = _pg_restore(place, files, path, *only)
            session.ask(statements.renamed(creation, manifest.database, beside))
        # Several jobs read different parts of a dump, so they need a file.
        parallel = ("--jobs", str(max(2, os.cpu_count() or 1))) if path else ()
        _pg_restore(place, files, path, "--exit-on-error", "--dbname", beside, *parallel)
        schema = _pg_restore(place, files, path, "--schema-only", "--file", "-")
    return census.hashed_schema(statements.without_refreshes(schema))


def _pg_restore(place: Place, files: Files, path: str | None, *options: str) -> str:
    command = place.command("pg_restore", *options)
    if path:
        return output([*command, path])
    with (files.folder / layout.DUMP).open("rb") as dump:
        return output(command, stdin=dump)


@contextmanager
def _within_reach(place: Place, files: Files) -> Iterator[str | None]:
    """The path of the dump where PostgreSQL's programs run; ``None`` when it cannot be put there."""
    if files.dump:
        yield files.dump
        return
    try:
        try:
            with (files.folder / layout.DUMP).open("rb") as dump:
                put(place, dump)
        except OutOfReach:
            yield None
        else:
            yield WITHIN_REACH
    finally:
        take_away(place)


def put(place: Place, dump: IO[bytes]) -> StoredFile:
    """
    Put a dump where PostgreSQL's programs run, for `take_away` to remove.

    Raises:
        OutOfReach: that is not possible.
    """
    made = programs.run([*place.prefix, "sh", "-c", f"umask 077; rm -f {WITHIN_REACH}; : > {WITHIN_REACH}"])
    if made.code != 0:
        raise OutOfReach(made.reason)
    try:
        file = inside.file(place, WITHIN_REACH)
    except OSError:
        return _put_by_a_program(place, dump)
    try:
        with file:
            return passed_on(dump, file)
    except OSError as error:
        raise OutOfReach(str(error)) from None


def _put_by_a_program(place: Place, dump: IO[bytes]) -> StoredFile:
    command = [*place.prefix, "sh", "-c", f"cat > {WITHIN_REACH}"]
    done, stored = pipe.feed(None, command, partial(passed_on, dump))
    if done.code != 0 or stored is None:
        raise OutOfReach(done.reason)
    return stored


def take_away(place: Place) -> None:
    """Remove what `put` has put there."""
    programs.run([*place.prefix, "rm", "-f", WITHIN_REACH])


def counted(place: Place, database: str) -> Census:
    """
    The census of a restored database; meanwhile PostgreSQL gathers the statistics that no dump has.

    Raises:
        Fault: it cannot be read whole.
    """
    with ThreadPoolExecutor(1) as beside:
        analyzed = beside.submit(place.ask, ANALYZE, database)
        found = census.of(place, database)
        analyzed.result()
    return found


def compared(manifest: DatabaseManifest, found: Census, dumped_schema: str) -> tuple[list[str], list[str]]:
    """
    Hold a restored database against its manifest: what is wrong, and what is only worth knowing.

    Roles belong to the whole cluster. Those that were there already are left as they are, so other
    attributes are told and are no fault of the restored copy.

    + dumped_schema: what `load` returned
    """
    every = comparison.differences(manifest.census, found, dumped_schema=dumped_schema)
    roles = [each for each in every if each.startswith("role ") and not each.endswith(" is missing")]
    return [each for each in every if each not in roles], roles


def swap(place: Place, target: str, beside: str, before: str) -> None:
    """
    Give `beside` the name `target`; what had that name is called `before` from then on.

    One transaction: whoever connects gets the old database or the new one. Sessions are ended.

    Raises:
        Fault: programs connected again each time; nothing has been changed.
    """
    old = before if target in databases(place) else None
    maintenance = MAINTENANCE_OF_ITSELF if target == MAINTENANCE else MAINTENANCE
    for tries_left in reversed(range(SWAP_TRIES)):
        try:
            place.ask(statements.swap(target, beside, old), maintenance)
        except Fault:
            if not tries_left:
                raise
            time.sleep(0.2)
        else:
            return


def drop(place: Place, beside: str) -> None:
    """Remove a copy that a restore made and never put into service."""
    place.ask(f"DROP DATABASE IF EXISTS {statements.identifier(beside)} WITH (FORCE);", MAINTENANCE)
