"""
A database's copy: dumped and counted in one snapshot, read whole, compared with the last one, only then
stored.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from standfast import __version__
from standfast.host.backup import (
    baseline,
    census,
    comparison,
    containers,
    layout,
    manifest,
    manifests,
    pipe,
    postgres,
    programs,
    records,
    revision,
    state,
)
from standfast.host.backup.configuration import Configuration, Database
from standfast.host.backup.containers import Container
from standfast.host.backup.faults import Fault
from standfast.host.backup.growing import Growing
from standfast.host.backup.manifest import Census, DatabaseManifest, StoredFile
from standfast.host.backup.pipe import Pipe
from standfast.host.backup.postgres import Place, Session
from standfast.host.backup.records import Item
from standfast.host.backup.restic import Repository, Stored
from standfast.host.schema import copied

KIND = "database"
# The dump takes longest and is one process: rows are counted beside it, not by workers that keep it waiting.
BEGIN = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL row_security = off; SET LOCAL max_parallel_workers_per_gather = 0;
"""
CLUSTER = """
SELECT current_setting('server_version');
SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END;
SELECT system_identifier FROM pg_control_system();
SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database();
SELECT concat_ws(' ', datcollate, datctype) FROM pg_database WHERE datname = current_database();
SELECT pg_database_size(current_database());
SELECT rolsuper FROM pg_roles WHERE rolname = current_user;
SELECT CASE WHEN pg_has_role('pg_read_all_settings', 'MEMBER')
    THEN current_setting('data_directory') ELSE '' END;
"""
# What a restore has replaced, or is loading, is no database of its own.
OTHERS = """
SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres'
AND datname !~ '_(before|restoring)_[0-9]{14}$' ORDER BY 1;
"""
HOME = """
SELECT CASE WHEN pg_has_role('pg_read_all_settings', 'MEMBER')
    THEN current_setting('data_directory') ELSE '' END;
"""
USED = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';
"""


@dataclass(frozen=True)
class Cluster:
    """The server that a database is in."""

    version: str
    lsn: str
    system_identifier: str
    encoding: str
    collation: str
    bytes: int
    superuser: bool
    data_directory: str


@dataclass(frozen=True)
class _Seen:
    """What was seen of a database in the snapshot of its dump."""

    moment: datetime
    cluster: Cluster
    census: Census
    described: bool
    """Whether what is in it besides rows could be written down."""
    pg_dump: str
    """Its version."""
    dump: StoredFile


def back_up(
    name: str,
    configuration: Configuration,
    opened: Callable[[], Repository],
    *,
    accepted: Collection[str] = (),
    versions: Mapping[str, str],
    more_tags: Collection[str] = (),
) -> Item:
    """
    Make and store a copy of one database.

    + opened: gives the repository, which is asked for when there is something to store
    + accepted: databases whose losses since the last copy are meant
    + versions: of ``restic`` and others, for the manifest
    + more_tags: of the snapshot, besides those that every copy has

    Raises:
        Fault: nothing was stored; the earlier copies are as they were.
    """
    started = time.monotonic()
    database = configuration.databases[name]
    place, container = where(name, database)
    with _staging(name) as folder:
        made = dumped(name, configuration.server, database, place, container, folder, versions)
        state.write(folder / layout.MANIFEST, manifest.text(made))
        repository = opened()
        doubts = _doubts(made, configuration, repository, meant=name in accepted)
        tags = [layout.TAG, layout.tag(KIND, name), *([layout.SUSPECT] if doubts else []), *more_tags]
        stored = repository.backup([folder], tags, time=records.moment(made.time))
        _arrived(repository, stored, folder)
        manifests.remember(stored.snapshot, made)
    figures = {
        "rows": made.census.rows,
        "tables": len(made.census.tables),
        "bytes": made.files[layout.DUMP].bytes,
        "added": stored.added,
        "seconds": round(time.monotonic() - started, 1),
    }
    if doubts:
        return Item(KIND, name, False, _warning(name, doubts, stored.snapshot), stored.snapshot, figures)
    baseline.remember(made)
    words = f"{made.census.rows:,} rows in {len(made.census.tables)} tables"
    return Item(KIND, name, True, words, stored.snapshot, figures)


def where(name: str, database: Database) -> tuple[Place, Container | None]:
    """
    Where a declared database runs now; no container for one on the host.

    Raises:
        Fault: its container does not run.
    """
    if database.socket is not None:
        return postgres.on_host(database.socket, database.user), None
    if database.app is None or database.service is None:
        raise Fault(f"database {name}: expected an app and its service, or a socket")
    container = containers.service(database.app, database.service)
    return postgres.in_container(container.id, database.user), container


def gaps(configuration: Configuration) -> list[str]:
    """
    What a dump of the declared databases does not hold, one sentence each: databases beside them, volumes of
    which the inventory says that they are dumped and that none of these databases is in.

    Raises:
        Fault: one of the servers does not answer.
    """
    found = []
    homes: set[str | None] = set()
    clusters: dict[tuple[str | None, ...], list[str]] = {}
    for name, database in configuration.databases.items():
        clusters.setdefault((database.app, database.service, database.socket), []).append(name)
    for names in clusters.values():
        first = configuration.databases[names[0]]
        place, container = where(names[0], first)
        declared = {configuration.databases[name].database for name in names}
        folder, *there = place.ask(HOME + OTHERS, first.database)
        others = [each for each in there if each not in declared]
        if "postgres" not in declared and _used(place):
            others.append("postgres")
        at = f"{first.app}/{first.service}" if first.app else f"the server at {first.socket}"
        found += [
            f"the database {each} of {at} is in no backup; declare it under `databases`" for each in others
        ]
        if container is not None:
            # A role that may not ask where the data are: any volume of the container can be it.
            homes |= {container.volume_of(folder)} if folder else {each.volume for each in container.mounts}
    found += [
        f"the volume {name} is declared with `backup: dump`, and no declared database has its data in it"
        for name in configuration.dumped
        if name not in homes
    ]
    return found


def _volume(made: DatabaseManifest) -> str:
    return f"the volume {made.volume}" if made.volume else "no volume"


def _used(place: Place) -> bool:
    try:
        return place.ask(USED, "postgres") != ["0"]
    except Fault as fault:
        if "does not exist" in str(fault):
            return False
        raise


def dumped(
    name: str,
    server: str,
    database: Database,
    place: Place,
    container: Container | None,
    folder: Path,
    versions: Mapping[str, str],
    *,
    compress: int = 0,
) -> DatabaseManifest:
    """
    Dump, count, read whole; the files are in the folder then.

    + server: name for the manifest
    + versions: for the manifest, besides those of PostgreSQL
    + compress: 0 for restic, which compresses and finds again what it has already stored

    Raises:
        Fault: it could not be dumped whole; what is in the folder is worth nothing.
    """
    seen = _dumped_and_counted(name, database, place, folder, compress)
    small = [layout.GLOBALS, *([layout.CATALOGUE] if seen.described else [])]
    return DatabaseManifest(
        name=name,
        server=server,
        time=seen.moment.isoformat(timespec="seconds"),
        database=database.database,
        user=database.user,
        census=seen.census,
        files={
            layout.DUMP: seen.dump,
            **{each: manifest.stored_file(folder / each) for each in small},
        },
        versions={
            **versions,
            "standfast": __version__,
            "server": seen.cluster.version,
            "pg_dump": seen.pg_dump,
        },
        app=database.app,
        service=database.service,
        image=container.image if container else None,
        image_id=container.image_id if container else None,
        volume=container.volume_of(seen.cluster.data_directory) if container else None,
        lsn=seen.cluster.lsn,
        system_identifier=seen.cluster.system_identifier,
        encoding=seen.cluster.encoding,
        collation=seen.cluster.collation,
        revision=revision.applied(),
    )


def _dumped_and_counted(name: str, database: Database, place: Place, folder: Path, compress: int) -> _Seen:
    """Dump, read the dump, and count all rows in its own snapshot, all at the same time."""
    path = folder / layout.DUMP
    with place.session(database.database) as session:
        _all_rows_seen(session, database)
        session.ask(BEGIN)
        snapshot = session.ask("SELECT pg_export_snapshot();")[0]
        moment = datetime.now(timezone.utc)
        cluster = _cluster(session, name)
        _room(folder, cluster.bytes, name)
        # What sequences are at is no part of a snapshot: they are read before the dump reads them.
        with _dump_beside(place, database.database, snapshot, path, compress) as finish:
            counted = census.taken(session, place, database.database, snapshot)
            described = copied.write(place, database.database, snapshot, folder / layout.CATALOGUE)
            _globals(place, database, cluster, folder / layout.GLOBALS)
            version = postgres.version(place, "pg_dump")
            dump = finish()
    return _Seen(moment, cluster, counted, described, version, dump)


@contextmanager
def _dump_beside(
    place: Place, database: str, snapshot: str, path: Path, compress: int
) -> Iterator[Callable[[], StoredFile]]:
    """
    Run pg_dump, and pg_restore on what it has written, while something else goes on.

    A dump that was cut short has a good beginning, so it is read to its end.

    Yields what waits for both; it raises `Fault` when the dump is not whole.
    """
    command = _dump_command(place, database, snapshot, compress)
    with pipe.made(place) as (out, back), Growing(path) as dump, ThreadPoolExecutor(1) as beside:
        reading = beside.submit(_read, place, back, dump)

        def finish() -> StoredFile:
            done = ended()
            dump.complete()
            if done.code != 0:
                raise Fault(f"database {database}: pg_dump: {done.reason}. Nothing was stored.")
            return reading.result()

        try:
            with pipe.into_file(out, command, path) as ended:
                yield finish
        finally:
            dump.complete()


def _read(place: Place, back: Pipe | None, dump: Growing) -> StoredFile:
    command = [*place.prefix, "pg_restore", "--file", "/dev/null"]
    done, stored = pipe.feed(back, command, partial(manifest.passed_on, dump))
    if done.code != 0 or stored is None:
        raise Fault(f"the dump cannot be read to its end: {done.reason}. Nothing was stored.")
    return stored


def _all_rows_seen(session: Session, database: Database) -> None:
    hidden = census.bound(session)
    if hidden:
        raise Fault(
            f"database {database.database}: row-level security hides rows of {comparison.shortened(hidden)} "
            f"from the role {database.user}, so its dump would lack them. Nothing was stored. Name a role "
            f"that sees every row: a superuser, or `ALTER ROLE {database.user} BYPASSRLS`."
        )


def _cluster(session: Session, name: str) -> Cluster:
    answer = session.ask(CLUSTER)
    if len(answer) != 8:
        raise Fault(f"database {name}: expected 8 answers about its server, found {len(answer)}")
    version, lsn, identifier, encoding, collation, size, superuser, folder = answer
    return Cluster(
        version.split(" ")[0], lsn, identifier, encoding, collation, int(size), superuser == "t", folder
    )


def _room(folder: Path, wanted: int, name: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise Fault(
            f"database {name}: its dump may need {wanted / 1e6:,.0f} MB in {layout.STAGING}, and "
            f"{free / 1e6:,.0f} MB are free there. Nothing was stored."
        )


def _dump_command(place: Place, database: str, snapshot: str, compress: int) -> list[str]:
    options = ["--format", "custom", "--compress", str(compress), "--snapshot", snapshot]
    options += ["--lock-wait-timeout", str(postgres.LOCK_MILLISECONDS)]
    return place.command("pg_dump", *options, "--dbname", database)


def _globals(place: Place, database: Database, cluster: Cluster, path: Path) -> None:
    """Roles and their rights; only a superuser may read their password hashes too."""
    more = [] if cluster.superuser else ["--no-role-passwords"]
    with path.open("wb") as output:
        command = place.command("pg_dumpall", "--globals-only", *more, "--database", database.database)
        done = programs.run(command, stdout=output)
    if done.code != 0:
        raise Fault(
            f"database {database.database}: pg_dumpall --globals-only: {done.reason}. Nothing was stored."
        )


def _doubts(
    made: DatabaseManifest, configuration: Configuration, repository: Repository, *, meant: bool
) -> list[str]:
    """What is strange about a copy that is whole."""
    before = baseline.of(KIND, made.name, repository)
    found = []
    if isinstance(before, DatabaseManifest):
        found += baseline.clock(before.time, made.time)
        if not meant:
            may_shrink = configuration.databases[made.name].may_shrink
            found += comparison.losses(before.census, made.census, may_shrink)
            found += _smaller(before, made, may_shrink)
            if before.volume != made.volume:
                found.append(f"its data are in {_volume(made)} now; they were in {_volume(before)}")
            if found and before.system_identifier != made.system_identifier:
                found.append("and the database server was made anew since then")
    return found


def _smaller(before: DatabaseManifest, made: DatabaseManifest, may_shrink: Collection[str]) -> list[str]:
    old, new = before.files[layout.DUMP].bytes, made.files[layout.DUMP].bytes
    if new * 2 < old and not may_shrink:
        return [f"the dump has {new:,} bytes; it had {old:,}"]
    return []


def _warning(name: str, doubts: list[str], snapshot: str) -> str:
    return (
        f"{comparison.shortened(doubts)}. This copy was stored as suspect ({snapshot[:8]}); the earlier ones "
        f"stay as they are. If it is meant: `standfast-host backup databases --accept {name}`"
    )


def _arrived(repository: Repository, stored: Stored, folder: Path) -> None:
    """Hold what restic says that it has stored against what is in the folder."""
    sizes = [path.stat().st_size for path in folder.iterdir()]
    if (stored.files, stored.bytes) != (len(sizes), sum(sizes)):
        rejected = repository.reject(stored.snapshot)
        raise Fault(
            f"expected {len(sizes)} files with {sum(sizes):,} bytes to be stored, and restic has stored "
            f"{stored.files} with {stored.bytes:,}. {rejected}"
        )


@contextmanager
def _staging(name: str) -> Iterator[Path]:
    """An empty folder for root; nothing of it stays on the disk."""
    folder = layout.staging(KIND, name)
    shutil.rmtree(folder, ignore_errors=True)
    state.folder(layout.STAGING)
    state.folder(folder)
    umask = os.umask(0o077)
    try:
        yield folder
    finally:
        os.umask(umask)
        shutil.rmtree(folder, ignore_errors=True)
