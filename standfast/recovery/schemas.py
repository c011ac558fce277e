"""Databases on servers held against their migrations: the wish goes there, the answer comes back."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pyinfra.api import Host

from standfast.documents import Kind
from standfast.drift.finding import Finding, quoted
from standfast.engine.servers import Servers, connector
from standfast.errors import Refused, UsageError
from standfast.host.backup.faults import Fault
from standfast.host.schema import migrations
from standfast.host.schema.comparison import ONLY_LIVE, ONLY_OTHER
from standfast.host.schema.migrations import DJANGO, Project
from standfast.inventory.schema import Comparison, Database
from standfast.recovery.host_program import HostProgramFailed, follow

Report = Callable[[str], None]


class NotCompared(HostProgramFailed):
    """A database could not be compared; nothing was changed."""


class Partly(HostProgramFailed):
    """Some databases of a server could not be compared."""

    def __init__(self, message: str, answers: list[dict[str, Any]]) -> None:
        """
        + answers: of those that could
        """
        super().__init__(message)
        self.answers = answers


@dataclass(slots=True)
class Compared:
    """What servers have answered."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    """One a database, with the `server` that it is on."""
    errors: dict[str, Exception] = field(default_factory=dict)
    """By server."""

    @property
    def equal(self) -> bool:
        """Whether everything could be compared and nothing differs."""
        return not self.errors and all(each["equal"] for each in self.answers)


def chosen(servers: Servers, names: Collection[str]) -> dict[str, dict[str, Database]]:
    """
    The databases that shall be compared, by server.

    + names: only these; none means all that declare `schema`

    Raises:
        Refused: there is none.
    """
    every = {each.name: each.host.databases for each in servers.declarations}
    found = {
        server: {
            name: each
            for name, each in databases.items()
            if each.comparison is not None and (not names or name in names)
        }
        for server, databases in every.items()
    }
    missing = [name for name in names if not any(name in databases for databases in found.values())]
    if missing or not any(found.values()):
        what = f"database {', '.join(missing)}" if missing else "a database here"
        raise Refused(
            f"{servers.loaded.path}: expected `schema` with {what}, to hold it against. Nothing was done."
        )
    return {server: databases for server, databases in found.items() if databases}


def compare(
    servers: Servers,
    wanted: Mapping[str, Mapping[str, Database]],
    report: Report,
    *,
    dump: bool = True,
    adopt: bool = False,
) -> Compared:
    """
    Hold databases against their migrations and declarations, on all servers at once.

    + dump: whether pg_dump looks too
    + adopt: whether a migration is drafted

    Raises:
        UsageError: a folder of the inventory has no migrations; no database was read.
    """
    asked = {server: _asked(databases, dump=dump, adopt=adopt) for server, databases in wanted.items()}
    result = Compared()
    answers: dict[str, list[dict[str, Any]]] = {}

    def ask(host: Host) -> None:
        try:
            answers[host.name] = _answered(host, asked[host.name], report)
        except Partly as error:  # the server itself is well: a drift goes on with the rest of it
            answers[host.name] = error.answers
            result.errors[host.name] = error
        except HostProgramFailed as error:
            result.errors[host.name] = error

    servers.each([host for host in servers.connected() if host.name in asked], ask)
    result.errors |= servers.failures
    for server in asked:
        result.answers += [{"server": server, **each} for each in answers.get(server, ())]
    return result


def declared(servers: Servers) -> bool:
    """Whether any database of these servers declares what it is held against."""
    databases = (each for server in servers.declarations for each in server.host.databases.values())
    return any(each.comparison is not None for each in databases)


def findings(servers: Servers, report: Report) -> tuple[dict[str, list[Finding]], dict[str, Exception]]:
    """What `standfast drift` says about schemas, and what could not be compared; both by server."""
    compared = compare(servers, chosen(servers, ()), report)
    found: dict[str, list[Finding]] = {}
    for answer in compared.answers:
        own = found.setdefault(answer["server"], [])
        for side in answer["sides"]:
            own += [_finding(answer["database"], side["against"], each) for each in side["differences"]]
            if side["unexplained"]:
                why = f"differs from {side['against']} in what only pg_dump tells: see `standfast schema`"
                own.append(
                    Finding(f"schema:{answer['database']}", "schema", "changed", answer["database"], why)
                )
    return found, compared.errors


KINDS: dict[str, Kind] = {ONLY_LIVE: "unmanaged", ONLY_OTHER: "missing"}


def _finding(database: str, against: str, difference: Mapping[str, str]) -> Finding:
    what = difference["what"]
    words = {
        ONLY_LIVE: f"not in {against}: {difference['live']}",
        ONLY_OTHER: f"in {against}, not in the live database",
    }
    other = f"{what}: {difference['live'] or 'none'}; in {against}: {difference['other'] or 'none'}"
    name = f"{database.removeprefix('database ')}/{difference['object']}"
    shown = f"{difference['object']} of {database}"
    return Finding(
        quoted(f"schema:{name}"), "schema", KINDS.get(what, "changed"), shown, quoted(words.get(what, other))
    )


def projects(database: Database) -> list[Project]:
    """
    The migrations of a database; those of folders are read.

    Raises:
        UsageError: a folder has none; nothing was done.
    """
    declared = database.comparison or Comparison()
    found = []
    for each in declared.migrations:
        if each.service is not None:
            words = f"service {each.service}"
            found.append(Project(DJANGO, words, service=each.service, schema=each.search_path))
            continue
        try:
            found.append(migrations.found(Path(each.folder or ""), None, each.search_path))
        except Fault as fault:
            raise UsageError(str(fault)) from None
        if found[-1].framework == DJANGO:
            raise UsageError(
                f"{each.folder}: Django's migrations are run by the image that has the application: name its "
                "`service` instead. Nothing was done."
            )
    return found


def _asked(databases: Mapping[str, Database], *, dump: bool, adopt: bool) -> bytes:
    document = {"databases": [_wish(name, each, dump, adopt) for name, each in databases.items()]}
    return json.dumps(document).encode()


def _wish(name: str, database: Database, dump: bool, adopt: bool) -> dict[str, Any]:
    declared = database.comparison or Comparison()
    security = declared.row_security
    return {
        "name": name,
        "place": {
            "database": database.name or name,
            "user": database.user or name,
            "app": database.app,
            "service": database.service,
            "socket": database.socket,
        },
        "wish": {
            "projects": [asdict(each) for each in projects(database)],
            "role": declared.role,
            "extensions": declared.extensions,
            "ignored": [each.model_dump() for each in declared.ignore],
            "security": security.model_dump() if security else None,
            "dump": dump,
            "adopt": adopt,
        },
    }


def _answered(host: Host, asked: bytes, report: Report) -> list[dict[str, Any]]:
    place = connector(host).place
    answer = follow(connector(host), ["schema"], lambda line: report(f"{host.name}  {line}"), stdin=asked)
    document = answer.document()
    if answer.code != 0 or document is None:
        raise NotCompared(f"{place}: {'; '.join(answer.errors[-3:]) or f'exit code {answer.code}'}")
    found: list[dict[str, Any]] = document["databases"]
    if errors := document["errors"]:
        said = "\n".join(f"database {name}: {message}" for name, message in errors.items())
        raise Partly(f"{place}: {said}", found)
    return found
