"""Snapshots of servers' volumes: take one now, what there is, and one volume back from one."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pyinfra.api import Host

from standfast.engine.caller import Caller
from standfast.engine.holds import Holds
from standfast.engine.plan import HostPlan, PlannedOperation
from standfast.engine.servers import Servers, connector
from standfast.operations.change import Change, Step
from standfast.recovery.backups import Result, asked
from standfast.recovery.chosen import with_snapshots
from standfast.recovery.host_program import follow
from standfast.recovery.restore import address_of, document_of, health_of, refuse_silence

Report = Callable[[str], None]
WAIT = 600
"""Seconds to wait for another run on the server."""


@dataclass(slots=True)
class Return:
    """A volume of one server that comes back from a snapshot."""

    name: str
    address: str
    prospect: dict[str, Any]
    """Volume, target, snapshot, then, now, and the containers that stop for a moment."""
    health: list[str]
    """Addresses on the server that must answer afterwards."""
    done: dict[str, Any] | None = None
    error: Exception | None = None

    def as_json(self) -> dict[str, Any]:
        """The server's part of ``standfast snapshot --restore --json``."""
        return {
            "name": self.name,
            "prospect": self.prospect,
            "done": self.done,
            "error": None if self.error is None else str(self.error),
        }


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
    return asked(servers, with_snapshots(servers, volumes), arguments, report, by=by)


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
        answer = follow(
            connector(host), ["snapshots", "restore", "--json", *_which(key, volume, to)], _silent
        )
        health = [] if to else health_of(servers, host)
        prospect = document_of(host, answer)["prospect"]
        found[host.name] = Return(host.name, address_of(servers, host), prospect, health)

    servers.each(with_snapshots(servers, [volume]), ask)
    return [found[host.name] for host in servers.state.inventory if host.name in found]


def plans(returns: Sequence[Return]) -> list[HostPlan]:
    """The same as plans: what the journal, the audit log and those who come second are told."""
    return [_plan(each) for each in returns]


def perform(servers: Servers, returns: Sequence[Return], holds: Holds, report: Report) -> None:
    """
    Bring back exactly what was shown; each `Return` knows afterwards what was done.

    + holds: of the same servers, with `plans` told to it
    """
    by_name = {each.name: each for each in returns}

    def work(host: Host) -> None:
        one = by_name[host.name]
        made = one.prospect
        to = made["target"] if made["target"] != made["volume"] else None
        arguments = ["snapshots", "restore", "--yes", "--json", f"--wait={WAIT}"]
        arguments += [*_which(made["snapshot"]["id"], made["volume"], to)]
        arguments += [f"--health={url}" for url in one.health]
        holds.begin(host.name, None)
        holds.enter(host, 0)
        try:
            answer = follow(connector(host), arguments, lambda line: report(f"{host.name}  {line}"))
            one.done = document_of(host, answer)
        finally:
            connector(host).around = None
        holds.leave(host)
        refuse_silence(host, one.done["answering"])

    servers.each([host for host in servers.connected() if host.name in by_name], work)
    for name, one in by_name.items():
        one.error = servers.failures.get(name)


def _which(key: str, volume: str, to: str | None) -> list[str]:
    return [f"--volume={volume}", *([f"--to={to}"] if to else []), "--", key]


def _silent(_: str) -> None:
    """What is only looked at is not told line by line."""


def _plan(one: Return) -> HostPlan:
    made = one.prospect
    what = f"of {made['snapshot']['time']}, from snapshot {made['snapshot']['id']}"
    change = Change("create" if made["now"] is None else "update", f"volume {made['target']}", what)
    step = Step("standfast-host snapshots restore", changes=[change])
    return HostPlan(
        one.name, one.address, operations=[PlannedOperation("snapshot", "snapshot", (step,), "snapshot")]
    )
