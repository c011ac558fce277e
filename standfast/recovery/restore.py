"""What a restore from the backups would replace on each server."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
from dataclasses import dataclass
from typing import Any, ClassVar

from pyinfra.api import Host
from typing_extensions import override

from standfast.engine.servers import Servers, connector
from standfast.operations.change import Change
from standfast.recovery.chosen import with_backups
from standfast.recovery.host_program import follow
from standfast.recovery.replacing import Replacement, Report, address_of, document_of, health_of


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
class Restore(Replacement):
    """Databases and volumes of one server that come back from its backups."""

    subject: ClassVar[str] = "restore"
    command: ClassVar[str] = "standfast-host restore"

    wanted: Wanted
    prospects: list[dict[str, Any]]
    """Of each database and volume: kind, name, target, snapshot, time, now, then."""
    left: list[str]
    """What an earlier restore that was cut off has left."""

    @override
    def arguments(self) -> list[str]:
        copies = [f"--copy={each['kind']}:{each['name']}={each['snapshot']}" for each in self.prospects]
        without = ["--without-copy"] if self.wanted.without_copy else []
        return [
            "restore",
            "--yes",
            "--json",
            *copies,
            *self.wanted.target(),
            *self.asked_afterwards,
            *without,
        ]

    @override
    def changes(self) -> list[Change]:
        return [
            Change(
                "create" if each["new"] else "update",
                f"{each['kind']} {each['target']}",
                f"of {each['time']}",
            )
            for each in self.prospects
        ]

    @override
    def shown(self) -> dict[str, Any]:
        return {"prospects": self.prospects, "left": self.left}


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
            wanted,
            document["items"],
            document["left"],
            # None when nothing in service is replaced.
            health=[] if all(each["new"] for each in document["items"]) else health_of(servers, host),
        )

    servers.each(with_backups(servers, wanted.databases, wanted.volumes), ask)
    return [found[host.name] for host in servers.state.inventory if host.name in found]
