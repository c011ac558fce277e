"""Roles of a database of PostgreSQL: who may log in, who owns what, who may read and write rows."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact
from standfast.facts.database_guard import asking
from standfast.facts.docker import answered

# Tables and the like of the team: no extension's, none of PostgreSQL's or of ours.
_THEIRS = """FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'standfast_guard')
    AND NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"""


@dataclass(frozen=True, slots=True)
class RolesState:
    """What a database says about two roles."""

    present: tuple[str, ...] = ()
    """Those of the two that are there."""
    powerful: tuple[str, ...] = ()
    """Those of the two that are superusers, or may make roles or databases."""
    owned: int = 0
    """Tables and views that a superuser still owns."""
    closed: int = 0
    """Tables and views of the migrations' role that the application's may not read and write."""
    silent: str = ""
    """Why the database did not answer; then nothing else is known."""


class DatabaseRoles(Fact["RolesState | None"]):
    """
    Two roles of a database; ``None`` when its server is not there yet.

    + find, psql: as for `DatabaseGuard`
    + user: the superuser who owned everything
    + migrate, app: names of the roles

    Raises:
        CouldNotLook: Docker is installed and does not answer.

    Source: PostgreSQL's system catalogs.
    """

    @override
    def command(self, find: str, psql: str, user: str, migrate: str, app: str) -> StringCommand:
        variables = shlex.join(
            word
            for name, value in (("user", user), ("migrate", migrate), ("app", app))
            for word in ("--set", f"{name}={value}")
        )
        return asking(find, f"{psql} {variables} --file -", _QUERY)

    @override
    def parse(self, answer: Answer) -> RolesState | None:
        if not answered(answer) or answer.lines == ["absent"]:
            return None
        if answer.text.startswith("silent"):
            return RolesState(silent=answer.text.removeprefix("silent").strip() or "it said nothing")
        try:
            found = json.loads(answer.text)
            return RolesState(
                tuple(found["present"]), tuple(found["powerful"]), found["owned"], found["closed"]
            )
        except (ValueError, TypeError, KeyError):
            raise CouldNotLook(
                f"databases: expected an answer about roles, found `{answer.text[:80]}`. Nothing was changed."
            ) from None


_QUERY = f"""SELECT json_build_object(
'present', (SELECT coalesce(json_agg(rolname), '[]') FROM pg_roles WHERE rolname IN (:'migrate', :'app')),
'powerful', (SELECT coalesce(json_agg(rolname), '[]') FROM pg_roles
    WHERE rolname IN (:'migrate', :'app') AND (rolsuper OR rolcreaterole OR rolcreatedb)),
'owned', (SELECT count(*) {_THEIRS} AND pg_get_userbyid(c.relowner) = :'user'),
'closed', (SELECT count(*) {_THEIRS} AND pg_get_userbyid(c.relowner) = :'migrate'
    AND 4 <> (SELECT count(DISTINCT a.privilege_type) FROM aclexplode(c.relacl) a
        WHERE pg_get_userbyid(a.grantee) = :'app'
        AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))));
"""  # noqa: S608 - only our own text is put together
