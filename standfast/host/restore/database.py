"""A database brought back beside the one that is there, and swapped in by one transaction."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from standfast.host.backup import census, comparison, layout
from standfast.host.backup.faults import Fault
from standfast.host.backup.manifest import Census, DatabaseManifest
from standfast.host.backup.postgres import Place
from standfast.host.restore import statements
from standfast.host.restore.programs import checksum, output

MAINTENANCE = "postgres"
"""Database that sessions are in which make, rename or drop another one."""
WITHIN_REACH = "/tmp/standfast-restore.pgc"  # noqa: S108 - mode 600 in the container's own folder
"""Where the dump is for PostgreSQL's programs while it is loaded."""
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


def checked_files(folder: Path, manifest: DatabaseManifest) -> None:
    """
    Compare the fetched files with the manifest.

    Raises:
        Fault: one is missing or not what it was; nothing has been changed.
    """
    for name, stored in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise Fault(f"{name} is missing in the copy of {manifest.time}. Nothing was changed.")
        if path.stat().st_size != stored.bytes:
            raise Fault(
                f"{name} of the copy of {manifest.time} has {path.stat().st_size:,} bytes, the manifest says "
                f"{stored.bytes:,}. Nothing was changed. Take another copy with --at."
            )
        if checksum(path) != stored.sha256:
            raise Fault(
                f"{name} of the copy of {manifest.time} is not what was stored (its checksum differs). "
                "Nothing was changed. Take another copy with --at."
            )


def load(place: Place, folder: Path, manifest: DatabaseManifest, beside: str) -> None:
    """
    Make a database and load a dump into it, with as many jobs as there are processors.

    + folder: with the fetched files
    + beside: name of the database that is made

    Raises:
        Fault: it could not be loaded; `beside` may be there, and is worth nothing.
    """
    dump = folder / layout.DUMP
    present = set(place.ask("SELECT rolname FROM pg_roles;", MAINTENANCE))
    roles = statements.missing_roles((folder / layout.GLOBALS).read_text(encoding="utf-8"), present)
    if roles:
        place.ask(roles, MAINTENANCE)
    creation = place.command(
        *("pg_restore", "--create", "--schema-only", "--schema", "standfast: none", "--file", "-")
    )
    with dump.open("rb") as file:
        text = output(creation, stdin=file)
    place.ask(statements.renamed(text, manifest.database, beside), MAINTENANCE)
    jobs = max(2, os.cpu_count() or 1)
    with _within_reach(place, dump) as path:
        parallel = ["--jobs", str(jobs), path] if path else []
        argv = place.command("pg_restore", "--exit-on-error", "--dbname", beside, *parallel)
        if path:
            output(argv)
        else:
            with dump.open("rb") as file:
                output(argv, stdin=file)
    place.ask("ANALYZE;", beside)


@contextmanager
def _within_reach(place: Place, dump: Path) -> Iterator[str | None]:
    """
    The path of the dump where PostgreSQL's programs run; ``None`` when it cannot be put there.

    Several jobs read different parts of a dump, so they need a file.
    """
    put = f"umask 077; rm -f {WITHIN_REACH}; cat > {WITHIN_REACH}"
    try:
        with dump.open("rb") as file:
            output([*place.prefix, "sh", "-c", put], stdin=file)
    except Fault:
        yield None
        return
    try:
        yield WITHIN_REACH
    finally:
        output([*place.prefix, "rm", "-f", WITHIN_REACH])


def compared(manifest: DatabaseManifest, found: Census) -> tuple[list[str], list[str]]:
    """
    Hold a restored database against its manifest: what is wrong, and what is only worth knowing.

    Roles belong to the whole cluster. Those that were there already are left as they are, so other
    attributes are told and are no fault of the restored copy.
    """
    every = comparison.differences(manifest.census, found)
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
    for tries_left in reversed(range(SWAP_TRIES)):
        try:
            place.ask(statements.swap(target, beside, old), MAINTENANCE)
        except Fault:
            if not tries_left:
                raise
            time.sleep(0.2)
        else:
            return


def drop(place: Place, beside: str) -> None:
    """Remove a copy that a restore made and never put into service."""
    place.ask(f"DROP DATABASE IF EXISTS {statements.identifier(beside)} WITH (FORCE);", MAINTENANCE)
