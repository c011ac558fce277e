"""
Roles of a database: the application's, which owns nothing, and the migrations', which owns the tables.

A statement that loses a table is then refused by PostgreSQL itself when the application sends it.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Generator, Mapping

from pyinfra import host
from pyinfra.api import StringCommand

from standfast.declaration import template
from standfast.errors import InventoryError, Refused
from standfast.facts.database_roles import DatabaseRoles, RolesState
from standfast.host.restore.statements import identifier, literal
from standfast.inventory.schema import Database, DatabaseRole
from standfast.inventory.secrets import SecretValue
from standfast.operations.change import Change, Step
from standfast.operations.database_guard import access, run
from standfast.operations.files import encoded
from standfast.operations.named import operation

ITERATIONS = 4096
"""As PostgreSQL itself does it."""


@operation
def separated(
    name: str, database: Database, *, secrets: Mapping[str, SecretValue]
) -> Generator[StringCommand, None, None]:
    """
    Make sure that the declared roles are there, and that tables belong to the migrations' role.

    A role that is there keeps its attributes and its password. What other roles own stays theirs.

    + name: of the entry in the inventory
    + database: where it is, and its roles
    + secrets: the application's, by name

    Raises:
        Refused: one of the roles could do whatever it likes; nothing has been changed.
        InventoryError: a password cannot be used; nothing has been changed.
        CouldNotLook: Docker is installed and does not answer.
    """
    roles = database.roles
    if roles is None:
        host.noop(f"database {name} has no declared roles")
        return
    find, psql = access(name, database)
    user = database.user or name
    present: RolesState | None = host.get_fact(
        DatabaseRoles, find=find, psql=psql, user=user, migrate=roles.migrate.name, app=roles.app.name
    )
    if present is not None and present.powerful:
        raise Refused(
            f"databases.{name}.roles: expected roles without special rights, found that "
            f"{' and '.join(present.powerful)} may do everything, or make roles or databases. "
            "Use other names. "
            "Nothing was changed."
        )
    changes = _changes(name, present, roles.migrate.name, roles.app.name)
    if not changes:
        host.noop(f"the roles of database {name} are as declared")
        return
    sql = template(
        "guards/database-roles.sql.j2",
        database=identifier(database.name or name),
        user=identifier(user),
        migrate=identifier(roles.migrate.name),
        app=identifier(roles.app.name),
        user_text=literal(user),
        migrate_text=literal(roles.migrate.name),
        app_text=literal(roles.app.name),
        creations=[_creation(name, each, secrets) for each in (roles.migrate, roles.app)],
    ).text
    yield Step(run(name, find, psql), changes=changes, stdin=encoded(sql.encode()))


def _changes(name: str, present: RolesState | None, migrate: str, app: str) -> list[Change]:
    if present is not None and present.silent:
        return [Change("update", f"roles of database {name}", f"when the database runs ({present.silent})")]
    there = present.present if present else ()
    found = []
    if migrate not in there:
        found.append(
            Change("create", f"role {migrate} of database {name}", "owns the tables; for migrations")
        )
    if app not in there:
        found.append(Change("create", f"role {app} of database {name}", "owns nothing; for the application"))
    if present and present.owned:
        found.append(Change("update", f"owner of {present.owned} tables of database {name}", f"→ {migrate}"))
    if present and present.closed and not present.owned:
        found.append(Change("update", f"rights on {present.closed} tables of database {name}", f"for {app}"))
    return found


def _creation(name: str, role: DatabaseRole, secrets: Mapping[str, SecretValue]) -> str:
    """Makes a role that is not there; the password itself does not leave this machine."""
    verifier = literal(scram(role.name, secrets[role.password].reveal(), name))
    made = (
        f"CREATE ROLE {identifier(role.name)} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {verifier}"
    )
    return (
        f"DO $role$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {literal(role.name)}) THEN "
        f"EXECUTE {literal(made)}; END IF; END $role$;"
    )


def scram(role: str, password: str, database: str) -> str:
    """
    What PostgreSQL keeps instead of a password. The same each time, so that two plans are equal.

    Raises:
        InventoryError: the password has letters that programs write in more than one way.

    Source: RFC 5802; PostgreSQL, src/common/scram-common.c.
    """
    if not password.isascii() or not password:
        raise InventoryError(
            f"databases.{database}.roles: expected a password of ASCII characters for the role {role}. "
            "Nothing was changed."
        )
    salt = hashlib.sha256(f"standfast {database} {role}".encode()).digest()[:16]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = [b64encode(each).decode() for each in (salt, stored, server)]
    return f"SCRAM-SHA-256${ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"
