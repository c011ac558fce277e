"""Backups now, what there is, drills, and whether the team's copy of the password works."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api import Host

from standfast.engine import audit
from standfast.engine.audit import exit_code_of, outcome_of
from standfast.engine.caller import Caller
from standfast.engine.servers import Servers, connector
from standfast.errors import Locked, Refused
from standfast.recovery.chosen import with_backups
from standfast.recovery.host_program import Answer, HostProgramFailed, follow

Report = Callable[[str], None]
WAIT = 600
"""Seconds to wait for a run of cron that is at work."""
WRONG, BUSY, REFUSED = 3, 5, 6


class BackupFailed(HostProgramFailed):
    """A backup or a drill did not end well; the earlier backups are as they were."""


@dataclass(slots=True)
class Result:
    """What one server has answered."""

    name: str
    lines: list[str] = field(default_factory=list)
    """For people."""
    document: dict[str, Any] | None = None
    seconds: float = 0.0
    error: Exception | None = None

    def as_json(self) -> dict[str, Any]:
        """The server's part of ``--json``."""
        return {
            "name": self.name,
            **(self.document or {}),
            "seconds": round(self.seconds, 1),
            "error": None if self.error is None else str(self.error),
        }


def back_up(
    servers: Servers, databases: Sequence[str], volumes: Sequence[str], by: Caller, report: Report
) -> list[Result]:
    """
    Back up now: everything, or these databases and volumes.

    The server's own lock keeps two runs apart; the servers' lock is not taken, so that a backup is
    possible while a person looks at a plan, and on a server that is not in order.
    """
    hosts = with_backups(servers, databases, volumes)
    arguments = ["backup", "all", f"--wait={WAIT}", *databases, *volumes]
    goes_on = f"the backup goes on to its end there; `standfast backups {by.environment}` then shows it"
    return asked(servers, hosts, arguments, report, by=by, goes_on=goes_on)


def drill(servers: Servers, by: Caller, report: Report) -> list[Result]:
    """Bring the newest copies back into throwaway containers, on each server."""
    goes_on = "the drill goes on to its end there, removes what it has made, and records what it finds"
    arguments = ["drill", "--json", f"--wait={WAIT}"]
    return asked(servers, with_backups(servers), arguments, report, by=by, goes_on=goes_on)


def copies(servers: Servers, report: Report) -> list[Result]:
    """What the backups hold, and whether it was ever restored. Changes nothing."""
    return asked(servers, with_backups(servers), ["copies", "--json"], report)


def password(servers: Servers, text: str, by: Caller, report: Report) -> list[Result]:
    """
    Whether a copy of the password opens the repository.

    + text: the password; it travels on standard input
    """
    return asked(
        servers, with_backups(servers), ["backup", "check-password"], report, by=by, stdin=text.encode()
    )


def asked(
    servers: Servers,
    hosts: Sequence[Host],
    arguments: Sequence[str],
    report: Report,
    *,
    by: Caller | None = None,
    stdin: bytes = b"",
    goes_on: str | None = None,
) -> list[Result]:
    """
    Run the program on these servers, side by side; what each one has answered.

    + by: for the audit log; ``None`` leaves no record
    + goes_on: what happens there when somebody does not wait for the end; the default leaves nothing to tell
    """
    chosen = {host.name for host in hosts} | set(servers.failures)
    results = {each.name: Result(each.name) for each in servers.declarations if each.name in chosen}

    def ask(host: Host) -> None:
        result, started = results[host.name], time.monotonic()
        try:
            answer = follow(
                connector(host), arguments, lambda line: report(f"{host.name}  {line}"), stdin=stdin
            )
            result.lines = list(answer.errors)
            result.document = answer.document()
            judged(host, answer, result)
        finally:
            result.seconds = time.monotonic() - started

    servers.each(hosts, ask, goes_on=goes_on)
    return recorded(servers, by, results)


def judged(host: Host, answer: Answer, result: Result) -> None:
    """
    Raise what the exit code means.

    Raises:
        Refused, Locked: nothing was done.
        BackupFailed: the message says what.
    """
    if answer.code == 0:
        return
    place = connector(host).place
    error = (result.document or {}).get("error")
    message = str(error or "\n".join(_complaint(answer)) or f"exit code {answer.code}")
    if answer.code == BUSY:
        raise Locked(f"{place}: {message}")
    if answer.code in (WRONG, REFUSED):
        raise Refused(f"{place}: {message}")
    raise BackupFailed(f"{place}: {message}")


def _complaint(answer: Answer) -> list[str]:
    """The program's last message, all of its lines."""
    starts = [n for n, line in enumerate(answer.errors) if line.startswith("standfast-host ")]
    lines = answer.errors[starts[-1] :] if starts else answer.errors[-3:]
    return [line.partition(": ")[2] if line.startswith("standfast-host ") else line for line in lines]


def recorded(servers: Servers, by: Caller | None, results: Mapping[str, Result]) -> list[Result]:
    """
    The results with their errors, in the controller's audit log; each server keeps records of its own runs.

    + by: ``None`` leaves no record
    """
    for name, result in results.items():
        result.error = servers.failures.get(name)
    if by is not None:
        audit.remember(servers.loaded, _records(by, list(results.values())), lambda _: None)
    return list(results.values())


def _records(by: Caller, results: Sequence[Result]) -> list[dict[str, object]]:
    records: list[dict[str, object]] = []
    for each in results:
        outcome, code = (
            ("done", 0) if each.error is None else (outcome_of(each.error), exit_code_of(each.error))
        )
        records.append(
            {
                "time": audit.now(),
                **by.record(each.name),
                "outcome": outcome,
                "exit": code,
                "seconds": round(each.seconds, 1),
            }
        )
    return records
