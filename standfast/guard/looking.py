"""What is in a database at this moment, and how precious it is."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from standfast.errors import CouldNotLook
from standfast.guard import layout
from standfast.guard.addresses import OTHER, SQLITE, Address
from standfast.guard.knowledge import Knowledge
from standfast.host.backup.faults import Fault
from standfast.host.backup.postgres import Place

DISPOSABLE, UNKNOWN = "disposable", "unknown"
FAILS_CLOSED = ("production", UNKNOWN)
"""Environments in which nothing runs without a verified copy."""

# A session can set standfast.environment for itself; what is set for the database cannot be imitated.
ENVIRONMENT = """
SELECT coalesce((SELECT substr(c, strpos(c, '=') + 1) FROM pg_db_role_setting s
    JOIN pg_database d ON d.oid = s.setdatabase CROSS JOIN LATERAL unnest(s.setconfig) c
    WHERE d.datname = current_database() AND s.setrole = 0 AND c LIKE 'standfast.environment=%' LIMIT 1), '');
"""
SIZES = """
SELECT json_build_array(count(*), coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint,
    pg_database_size(current_database()))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');
"""
# What a shell or xargs puts something else in place of (`$d`, `{}`) is no name that could be missing.
_PLAIN = re.compile(r"[\w-]+", re.ASCII)
COUNTED_UP_TO = 2_000_000_000
"""Bytes of a database whose rows are counted; of a larger one PostgreSQL's own estimate is shown."""


@dataclass(frozen=True)
class Looked:
    """A database as it is now."""

    address: Address
    environment: str
    because: str
    """Where we know the environment from."""
    tables: int
    rows: int
    exact: bool
    bytes: int

    @property
    def empty(self) -> bool:
        """Whether nothing could be lost."""
        return self.tables == 0 or (self.exact and self.rows == 0)

    @property
    def told(self) -> str:
        """Its size in words."""
        about = "" if self.exact else "about "
        tables = f"{self.tables} table{'' if self.tables == 1 else 's'}"
        return f"{about}{self.rows:,} rows in {tables}, {self.bytes / 1e6:,.1f} MB"


def look(address: Address, known: Knowledge) -> Looked:
    """
    Look into a database; nothing is changed.

    Raises:
        CouldNotLook: it does not answer, or is of a kind that we cannot look into.
    """
    if address.kind == OTHER:
        raise CouldNotLook(f"{address.name} is no PostgreSQL and no SQLite; standfast cannot look into it")
    if address.kind == SQLITE:
        return _look_at_file(address, known)
    try:
        with reached(address) as place, place.session(address.database) as session:
            own = session.ask(ENVIRONMENT)[0]
            tables, estimate, size = json.loads(session.ask(SIZES)[0])
            exact = size <= COUNTED_UP_TO
            rows = _counted(place, address.database) if exact else estimate
    except Fault as fault:
        if _is_missing(address):
            return Looked(address, *_environment(address, "", known), 0, 0, exact=True, bytes=0)
        raise CouldNotLook(f"{address.name} could not be looked into: {fault}") from None
    environment, because = _environment(address, own, known)
    return Looked(address, environment, because, tables, rows, exact, size)


def _is_missing(address: Address) -> bool:
    """Whether the server answers and has no such database, as before the first `DROP DATABASE IF EXISTS`."""
    from standfast.host.restore.database import MAINTENANCE

    if not _PLAIN.fullmatch(address.database):
        return False
    try:
        with reached(address) as place:
            found = place.ask(
                f"SELECT count(*) FROM pg_database WHERE datname = '{address.database}'::name;",  # noqa: S608 - plain
                MAINTENANCE,
            )
    except Fault:
        return False
    return found == ["0"]


def _environment(address: Address, own: str, known: Knowledge) -> tuple[str, str]:
    """What the database says of itself counts more than any file."""
    if own.strip("'\""):
        return own.strip("'\""), "the database says so itself"
    declared = known.environment(address)
    return (declared, "guard.yml") if declared else (UNKNOWN, "neither the database nor guard.yml says")


def _counted(place: Place, database: str) -> int:
    from standfast.host.restore.database import rows

    return sum(rows(place, database).values())


def _look_at_file(address: Address, known: Knowledge) -> Looked:
    path = Path(address.database)
    environment, because = _environment(address, "", known)
    if not path.is_file():
        if path.parent.is_dir():
            return Looked(address, environment, because, 0, 0, exact=True, bytes=0)
        raise CouldNotLook(f"the folder of {path} is not there")
    try:
        with closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
        ) as connection:
            counts = sqlite_counts(connection)
    except sqlite3.Error as error:
        raise CouldNotLook(f"{path} could not be looked into: {error}") from None
    return Looked(
        address,
        environment,
        because,
        len(counts),
        sum(counts.values()),
        exact=True,
        bytes=path.stat().st_size,
    )


def sqlite_counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Rows of every table."""
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    found = {}
    for (name,) in names.fetchall():
        quoted = '"' + name.replace('"', '""') + '"'
        found[name] = connection.execute(f"SELECT count(*) FROM {quoted}").fetchone()[0]  # noqa: S608 - quoted above
    return found


@contextmanager
def reached(address: Address) -> Iterator[Place]:
    """
    PostgreSQL's programs for a database, as servers' backups use them.

    Everything that says where it is, the password too, stands in a file that only this account may read: what
    is in arguments or in the environment, others can see.
    """
    with tempfile.TemporaryDirectory(prefix="standfast-") as folder:
        own = [f"PATH={layout.path_behind_shims()}", f"HOME={Path.home()}"]
        if address.container:
            own += [
                f"{name}={os.environ[name]}"
                for name in ("DOCKER_HOST", "DOCKER_CONTEXT")
                if name in os.environ
            ]
            inside = ("docker", "exec", "--interactive", address.container)
            yield Place(("env", *own, *inside), address.user, address.host or None)
            return
        service = Path(folder, "service.conf")
        service.touch(mode=0o600)
        service.write_text(_service(address), encoding="utf-8")
        yield Place(("env", *own, f"PGSERVICEFILE={service}", "PGSERVICE=standfast"), address.user)


def _service(address: Address) -> str:
    passfile = os.environ.get("PGPASSFILE") or str(Path.home() / ".pgpass")
    values = {
        **dict(address.more),
        "host": address.host,
        "port": address.port,
        "password": address.password,
        "passfile": passfile,
        "application_name": "standfast guard",
    }
    values.setdefault("connect_timeout", "10")
    lines = [f"{name}={value}" for name, value in values.items() if value and "\n" not in value]
    return "\n".join(["[standfast]", *lines, ""])
