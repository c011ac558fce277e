"""Restore servers' databases and volumes: look, show, ask, then exactly the copies that were shown."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api import Host

from standfast.engine.holds import Holds
from standfast.engine.plan import HostPlan, PlannedOperation
from standfast.engine.servers import Servers, connector
from standfast.errors import Refused
from standfast.operations.change import Change, Step
from standfast.recovery.chosen import with_backups
from standfast.recovery.host_program import Answer, HostProgramFailed, follow

Report = Callable[[str], None]
CONFIGURATION_WRONG, BUSY, REFUSED = 3, 5, 6


class RestoreFailed(HostProgramFailed):
    """A restore did not end well; the message says what is there now."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What shall be restored, as the command line says it."""

    databases: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    everything: bool = False
    at: str | None = None
    to: str | None = None
    without_copy: bool = False

    def arguments(self) -> list[str]:
        """For the program on the server."""
        named = [f"--database={name}" for name in self.databases]
        named += [f"--volume={name}" for name in self.volumes]
        named += ["--all"] if self.everything else []
        return [*named, *([f"--at={self.at}"] if self.at else []), *self.target()]

    def target(self) -> list[str]:
        """The new name, when there is one."""
        return [f"--to={self.to}"] if self.to else []


@dataclass(slots=True)
class Restore:
    """What will be replaced on one server, and later what was."""

    name: str
    address: str
    prospects: list[dict[str, Any]]
    """Of each database and volume: kind, name, target, snapshot, time, now, then."""
    left: list[str]
    """What an earlier restore that was cut off has left."""
    done: dict[str, Any] | None = None
    error: Exception | None = None
    health: list[str] = field(default_factory=list)
    """Addresses on the server that must answer afterwards."""

    def as_json(self) -> dict[str, Any]:
        """The server's part of ``standfast restore --json``."""
        return {
            "name": self.name,
            "prospects": self.prospects,
            "left": self.left,
            "done": self.done,
            "error": None if self.error is None else str(self.error),
        }


def look(servers: Servers, wanted: Wanted, report: Report) -> list[Restore]:
    """
    What would be replaced with what, on every server with backups. Nothing is changed.

    Servers on which it cannot be said are in ``servers.failures``.

    Raises:
        Refused: no server has such backups; nothing was done.
    """
    found: dict[str, Restore] = {}

    def ask(host: Host) -> None:
        report(f"{host.name}  looking what there is to restore")
        arguments = ["restore", "--json", *wanted.arguments()]
        document = document_of(host, follow(connector(host), arguments, lambda _: None))
        found[host.name] = Restore(
            host.name,
            address_of(servers, host),
            document["items"],
            document["left"],
            # None when nothing in service is replaced.
            health=[] if all(each["new"] for each in document["items"]) else health_of(servers, host),
        )

    servers.each(with_backups(servers, wanted.databases, wanted.volumes), ask)
    return [found[host.name] for host in servers.state.inventory if host.name in found]


def plans(restores: list[Restore]) -> list[HostPlan]:
    """The same as plans: what the journal, the audit log and those who come second are told."""
    return [_plan(each) for each in restores]


def perform(servers: Servers, restores: list[Restore], wanted: Wanted, holds: Holds, report: Report) -> None:
    """
    Restore exactly the copies that were shown; each `Restore` knows afterwards what was done.

    + holds: of the same servers, with `plans` told to it
    """
    by_name = {each.name: each for each in restores}

    def work(host: Host) -> None:
        restore = by_name[host.name]
        copies = [f"--copy={each['kind']}:{each['name']}={each['snapshot']}" for each in restore.prospects]
        health = [f"--health={url}" for url in restore.health]
        without = ["--without-copy"] if wanted.without_copy else []
        arguments = ["restore", "--yes", "--json", *copies, *wanted.target(), *health, *without]
        holds.begin(host.name, None)
        holds.enter(host, 0)
        try:
            answer = follow(connector(host), arguments, lambda line: report(f"{host.name}  {line}"))
            restore.done = document_of(host, answer)
        finally:
            connector(host).around = None
        holds.leave(host)
        refuse_silence(host, restore.done["answering"])

    servers.each([host for host in servers.connected() if host.name in by_name], work)
    for name, restore in by_name.items():
        restore.error = servers.failures.get(name)


def refuse_silence(host: Host, answering: Mapping[str, bool]) -> None:
    """
    Applications must answer after a restore.

    Raises:
        RestoreFailed: one does not.
    """
    silent = [url for url, answers in answering.items() if not answers]
    if silent:
        raise RestoreFailed(
            f"{host.name}: everything was restored, and {', '.join(silent)} does not answer. Look at the "
            "application's log; `standfast plan` shows what is not as declared."
        )


def document_of(host: Host, answer: Answer) -> dict[str, Any]:
    """
    The answer of the program.

    Raises:
        Refused: it did nothing, for a reason.
        RestoreFailed: it failed; the message says what is there now.
    """
    document = answer.document()
    if answer.code == 0 and document is not None:
        return document
    message = str(document["error"]) if document and "error" in document else "\n".join(answer.errors[-5:])
    place = connector(host).place
    if answer.code in (CONFIGURATION_WRONG, BUSY, REFUSED):
        raise Refused(f"{place}: {message}")
    raise RestoreFailed(f"{place}: {message or f'the program ended with {answer.code}, without a word'}")


def _plan(restore: Restore) -> HostPlan:
    changes = [
        Change(
            "create" if each["new"] else "update", f"{each['kind']} {each['target']}", f"of {each['time']}"
        )
        for each in restore.prospects
    ]
    step = Step("standfast-host restore", changes=changes)
    operation = PlannedOperation("restore", "restore", (step,), "restore")
    return HostPlan(restore.name, restore.address, operations=[operation] if changes else [])


def address_of(servers: Servers, host: Host) -> str:
    return next(each.host.address for each in servers.declarations if each.name == host.name)


def health_of(servers: Servers, host: Host) -> list[str]:
    """Health addresses of the server's applications."""
    declaration = next(each for each in servers.declarations if each.name == host.name)
    return [app.health for app in declaration.host.apps.values() if app.health]
