"""
The guard inside a database of PostgreSQL: triggers that refuse what loses data, whoever asks.

It is one transaction of SQL (templates/guards/database.sql.j2), which can be run again at any time.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Generator, Mapping

from pyinfra import host
from pyinfra.api import StringCommand

from standfast.declaration import template
from standfast.errors import Refused
from standfast.facts.database_guard import DatabaseGuard, GuardState
from standfast.facts.docker import HERE, ONE_OFF, PROJECT, SERVICE
from standfast.host.backup import configuration
from standfast.host.restore.statements import identifier, literal
from standfast.inventory.schema import Database, Environment
from standfast.operations.change import Change, Step
from standfast.operations.files import encoded
from standfast.operations.named import operation

MANY = 1000
"""Rows that one DELETE takes from a table, from which on it is recorded."""
TRIGGERS = ("standfast_guard_drop", "standfast_guard_end", "standfast_guard_start")
OLDEST = 140000
"""PostgreSQL before 14 has no CREATE OR REPLACE TRIGGER, and no support either."""


@operation
def protected(
    name: str, database: Database, *, environment: Environment
) -> Generator[StringCommand, None, None]:
    """
    Make sure that a database refuses DROP and TRUNCATE outside of a window, and knows its environment.

    A database that does not answer is guarded when it runs: in the same run, when an earlier step starts it.

    + name: of the entry in the inventory
    + database: where it is
    + environment: what it is told that it is

    Raises:
        Refused: the role is no superuser, or the server is too old; nothing has been changed.
        CouldNotLook: Docker is installed and does not answer.
    """
    sql, version = _sql(name, database, environment)
    find, psql = access(name, database)
    present: GuardState | None = host.get_fact(DatabaseGuard, find=find, psql=psql)
    if present is not None and not present.silent:
        _possible(name, database, present)
    change = _change(name, present, version, environment)
    if change is None:
        host.noop(f"database {name} is guarded")
        return
    yield Step(run(name, find, psql), changes=[change], stdin=encoded(sql.encode()))


@operation
def unprotected(name: str, database: Database) -> Generator[StringCommand, None, None]:
    """
    Make sure that a database has no guard of ours; what it has recorded stays.

    + name: of the entry in the inventory
    + database: where it is
    """
    find, psql = access(name, database)
    present: GuardState | None = host.get_fact(DatabaseGuard, find=find, psql=psql)
    if present is None or present.silent or not (present.version or present.triggers):
        host.noop(f"database {name} is not guarded")
        return
    sql = template("guards/database-off.sql.j2").text
    change = Change("remove", f"guard of database {name}", "DROP and TRUNCATE are possible from then on")
    yield Step(run(name, find, psql), changes=[change], stdin=encoded(sql.encode()))


def guarded(databases: Mapping[str, Database]) -> dict[str, configuration.Database]:
    """The protected ones, as the server's own program has to know them."""
    return {
        name: configuration.Database(
            database=each.name or name,
            user=each.user or name,
            app=each.app,
            service=each.service if each.app else None,
            socket=each.socket,
        )
        for name, each in databases.items()
        if each.protect
    }


def _sql(name: str, database: Database, environment: Environment) -> tuple[str, str]:
    """The statements, and their version."""

    def rendered(version: str) -> str:
        return template(
            "guards/database.sql.j2",
            database=identifier(database.name or name),
            exempt=[literal(each) for each in database.may_shrink],
            many=MANY,
            version=version,
        ).text

    version = "standfast " + hashlib.sha256(rendered("").encode()).hexdigest()[:16]
    return rendered(version), version


def access(name: str, database: Database) -> tuple[str, str]:
    """Shell code that finds the server, and the command for psql there."""
    user = database.user or name
    options = f"-XAtq --set ON_ERROR_STOP=1 --username {shlex.quote(user)} --no-password"
    options += f" --dbname {shlex.quote(database.name or name)}"
    if database.socket:
        socket = shlex.quote(database.socket)
        find = "if command -v psql > /dev/null; then echo here; fi"
        return find, f"runuser --user {shlex.quote(user)} -- psql --host {socket} {options}"
    labels = {PROJECT: database.app, SERVICE: database.service, ONE_OFF: "False"}
    filters = " ".join(f"--filter {shlex.quote(f'label={key}={value}')}" for key, value in labels.items())
    find = f"{HERE} docker ps --all --no-trunc --quiet {filters} | head -n 1"
    return find, f'{HERE} docker exec --interactive "$id" psql {options}'


def _possible(name: str, database: Database, present: GuardState) -> None:
    if not present.superuser:
        raise Refused(
            f"databases.{name}.protect: expected a superuser, because only that may make event triggers, "
            f"found the role {database.user or name}. Name one in `user`, or do not protect it. "
            "Nothing was changed."
        )
    if present.server < OLDEST:
        raise Refused(
            f"databases.{name}.protect: expected PostgreSQL 14 or newer, found {present.server // 10000}. "
            "Nothing was changed."
        )


def _change(name: str, present: GuardState | None, version: str, environment: Environment) -> Change | None:
    target = f"guard of database {name}"
    refuses = f"it refuses DROP and TRUNCATE outside of a window; environment {environment.value}"
    if present is None or (not present.silent and not present.version and not present.triggers):
        return Change("create", target, refuses)
    if present.silent:
        return Change("update", target, f"made whole when the database runs ({present.silent})")
    off = [each for each in TRIGGERS if not present.triggers.get(each)]
    reasons = [
        *([f"event trigger {', '.join(off)} is off"] if off else []),
        *([f"not on {_some(present.unarmed)}"] if present.unarmed else []),
        *(
            [f"environment {present.environment or 'unknown'} → {environment.value}"]
            if present.environment != environment.value
            else []
        ),
        *(["another version"] if present.version != version else []),
    ]
    return Change("update", target, "; ".join(reasons)) if reasons else None


def _some(tables: tuple[str, ...]) -> str:
    shown = ", ".join(tables[:3])
    return shown if len(tables) <= 3 else f"{shown} and {len(tables) - 3} more tables"


def run(name: str, find: str, psql: str) -> str:
    """Shell code that takes the encoded statements on standard input."""
    return f"""trap '' HUP PIPE
id=$({find})
[ -n "$id" ] || {{ echo {shlex.quote(f"database {name}: its server does not run")} >&2; exit 1; }}
base64 -d | gzip -d | {psql} --file - > /dev/null"""
