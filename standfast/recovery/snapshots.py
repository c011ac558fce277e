"""Snapshots of servers' volumes: take one now, what there is, and one volume back from one."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pyinfra.api import Host
from typing_extensions import override

from standfast.engine.caller import Caller
from standfast.engine.servers import Servers, connector
from standfast.operations.change import Change
from standfast.recovery.backups import Result, asked
from standfast.recovery.chosen import with_snapshots
from standfast.recovery.host_program import follow
from standfast.recovery.replacing import Replacement, Report, address_of, document_of, health_of

WAIT = 600
"""Seconds to wait for another run on the server."""


@dataclass(slots=True)
class Return(Replacement):
    """A volume of one server that comes back from a snapshot."""

    subject: ClassVar[str] = "snapshot"
    command: ClassVar[str] = "standfast-host snapshots restore"

    prospect: dict[str, Any]
    """Volume, target, snapshot, then, now, and the containers that stop for a moment."""

    @override
    def arguments(self) -> list[str]:
        made = self.prospect
        to = made["target"] if made["target"] != made["volume"] else None
        which = _which(made["snapshot"]["id"], made["volume"], to)
        return ["snapshots", "restore", "--yes", "--json", f"--wait={WAIT}", *self.asked_afterwards, *which]

    @override
    def changes(self) -> list[Change]:
        made = self.prospect
        what = f"of {made['snapshot']['time']}, from snapshot {made['snapshot']['id']}"
        return [Change("create" if made["now"] is None else "update", f"volume {made['target']}", what)]

    @override
    def shown(self) -> dict[str, Any]:
        return {"prospect": self.prospect}


def take(
    servers: Servers, volumes: Sequence[str], name: str | None, by: Caller, report: Report
) -> list[Result]:
    """
    Take a snapshot now, on each server with snapshots; nothing that writes is held.

    + volumes: only these
    + name: for one that retention never removes
    """
    arguments = ["snapshots", "take", "--json", f"--wait={WAIT}", *(f"--volume={each}" for each in volumes)]
    arguments += [f"--name={name}"] if name else []
    goes_on = f"the snapshot is taken; `standfast snapshot {by.environment} --list` shows it"
    return asked(servers, with_snapshots(servers, volumes), arguments, report, by=by, goes_on=goes_on)


def listed(servers: Servers, report: Report) -> list[Result]:
    """What there is, and which volumes are in no snapshot. Changes nothing."""
    return asked(servers, with_snapshots(servers), ["snapshots", "list", "--json"], report)


def look(servers: Servers, key: str, volume: str, to: str | None, report: Report) -> list[Return]:
    """
    What would come back, on each server that declares the volume. Nothing is changed.

    + key: a snapshot's id, its beginning, or its name
    + to: name of a new volume

    Servers on which it cannot be said are in ``servers.failures``.

    Raises:
        Refused: no server has such a volume in snapshots; nothing was done.
    """
    found: dict[str, Return] = {}

    def ask(host: Host) -> None:
        report(f"{host.name}  looking into snapshot {key}")
        arguments = ["snapshots", "restore", "--json", *_which(key, volume, to)]
        prospect = document_of(host, follow(connector(host), arguments, lambda _: None))["prospect"]
        health = [] if to else health_of(servers, host)
        found[host.name] = Return(host.name, address_of(servers, host), prospect, health=health)

    servers.each(with_snapshots(servers, [volume]), ask)
    return [found[host.name] for host in servers.state.inventory if host.name in found]


def _which(key: str, volume: str, to: str | None) -> list[str]:
    return [f"--volume={volume}", *([f"--to={to}"] if to else []), "--", key]
