"""The guard inside a database of PostgreSQL: whether it is there, whole and in force."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script
from standfast.facts.docker import QUESTION, answered

SECONDS = 20

# Asked without any function of ours: nobody knows whether there is one.
QUERY = """SELECT json_build_object(
'superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
'server', current_setting('server_version_num')::int,
'version', coalesce(obj_description(to_regnamespace('standfast_guard'), 'pg_namespace'), ''),
'environment', coalesce((SELECT split_part(one, '=', 2) FROM pg_db_role_setting s, unnest(s.setconfig) one
    WHERE s.setrole = 0 AND one LIKE 'standfast.environment=%'
    AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())), ''),
'triggers', (SELECT coalesce(json_object_agg(evtname, evtenabled = 'A'), '{}') FROM pg_event_trigger
    WHERE evtname LIKE 'standfast\\_guard\\_%'),
'unarmed', (SELECT coalesce(json_agg(format('%I.%I', n.nspname, c.relname) ORDER BY 1), '[]')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'standfast_guard')
    AND NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    AND 2 <> (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled = 'A'
        AND t.tgname IN ('standfast_guard_truncate', 'standfast_guard_delete'))))"""


@dataclass(frozen=True, slots=True)
class GuardState:
    """What a database says about its guard."""

    superuser: bool = True
    """Whether the role that was asked as is one."""
    server: int = 0
    """PostgreSQL's version, for example 170005."""
    version: str = ""
    """Which one is there; empty when none is."""
    environment: str = ""
    triggers: Mapping[str, bool] = field(default_factory=dict)
    """The event triggers, and whether each is always on."""
    unarmed: tuple[str, ...] = ()
    """Tables that lack a trigger."""
    silent: str = ""
    """Why the database did not answer; then nothing else is known."""


class DatabaseGuard(Fact["GuardState | None"]):
    """
    The guard inside a database; ``None`` when its server is not there yet.

    + find: shell code that prints the container's id, or ``here`` for a server on the host; nothing when none
    + psql: command for psql as the declared role, without statements; ``$id`` is what was found

    Raises:
        CouldNotLook: Docker is installed and does not answer.

    Source: PostgreSQL's system catalogs.
    """

    @override
    def command(self, find: str, psql: str) -> StringCommand:
        return asking(find, f"{psql} --file -", f"{QUERY};")

    @override
    def parse(self, answer: Answer) -> GuardState | None:
        if not answered(answer) or answer.lines == ["absent"]:
            return None
        if answer.text.startswith("silent"):
            return GuardState(silent=answer.text.removeprefix("silent").strip() or "it said nothing")
        try:
            found = json.loads(answer.text)
            return GuardState(**{**found, "unarmed": tuple(found["unarmed"])})
        except (ValueError, TypeError, KeyError):
            raise CouldNotLook(
                f"databases: expected an answer about the guard, found `{answer.text[:80]}`. "
                "Nothing was changed."
            ) from None


def asking(find: str, psql: str, query: str) -> StringCommand:
    """
    The command of a fact that asks a database: its answer, ``absent``, or ``silent`` and why.

    + find, psql: as for `DatabaseGuard`; here psql reads its standard input
    """
    return script(
        f"{QUESTION}ask() {{\n"
        f"id=$({find}) || return\n"
        '[ -n "$id" ] || { echo absent; return 0; }\n'
        f"query={shlex.quote(query)}\n"
        f"if said=$(printf '%s\\n' \"$query\" | timeout {SECONDS} env {psql} 2>&1); then\n"
        "  printf '%s\\n' \"$said\"\n"
        "else\n"
        "  printf 'silent %s\\n' \"$(printf '%s\\n' \"$said\" | tail -n 1)\"\n"
        "fi\n"
        "}\n"
        "undisturbed ask"
    )
