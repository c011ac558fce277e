"""Read the audit logs of all servers and of this machine: as a timeline, or to prove that they are whole."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api import Host

from standfast.documents import LogDocument
from standfast.engine import chain, controller_log
from standfast.engine.audit import flat
from standfast.engine.lock import root_program
from standfast.engine.servers import Servers, connector
from standfast.engine.shell import shell
from standfast.errors import CouldNotLook


@dataclass(frozen=True, slots=True)
class ServerLog:
    """A server's audit log."""

    name: str
    machine: str
    """Machine id: another one when the server was installed anew."""
    head: tuple[int, str] | None
    """Number and sha256 of the last record, as the server keeps them apart from the log."""
    lines: list[str]


@dataclass(slots=True)
class Verdict:
    """What the proof of one log has shown."""

    name: str
    """The server, or ``this machine``."""
    records: int
    known: int
    """How many of them are held against a copy on this machine."""
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> LogDocument:
        """The verdict in ``standfast audit --verify --json``."""
        return {
            "name": self.name,
            "records": self.records,
            "known": self.known,
            "faults": self.faults,
            "notes": self.notes,
        }


def read_servers(servers: Servers) -> dict[str, ServerLog]:
    """The logs of all connected servers; those that could not be read are in ``servers.failures``."""
    found: dict[str, ServerLog] = {}

    def read(host: Host) -> None:
        ssh = connector(host)
        status, output, errors = ssh.exchange(root_program(ssh, shell("audit", "audit_read"), []))
        ssh.refuse_without_sudo(status, errors)
        if status != 0:
            raise CouldNotLook(f"{ssh.place}: its audit log could not be read: {errors.strip()}")
        found[host.name] = _server_log(host.name, output.decode(errors="replace"))

    servers.each(servers.connected(), read)
    return found


def timeline(servers: Servers, logs: dict[str, ServerLog], since: str = "") -> list[dict[str, Any]]:
    """
    All records, oldest first: the servers' own, and those that only this machine has.

    + since: time in ISO format, UTC; nothing older is returned
    """
    entries = [record for log in logs.values() for line in log.lines if (record := chain.parsed(line))]
    seen = {(record.get("run"), record.get("host")) for record in entries}
    wanted = {each.name for each in servers.declarations}
    for line in controller_log.read(controller_log.path(servers.loaded)):
        own = chain.parsed(line)
        copy = own.get(controller_log.COPY) if own else None
        record = chain.parsed(copy) if isinstance(copy, str) else own
        if record is None or record.get("host") not in (None, *wanted):
            continue
        if (record.get("run"), record.get("host")) not in seen:
            entries.append(record | {"only_here": True})
    recent = [told(record) for record in entries if str(record.get("time", "")) >= since]
    return sorted(recent, key=lambda record: (str(record.get("time", "")), str(record.get("host"))))


def verify(servers: Servers, logs: dict[str, ServerLog]) -> list[Verdict]:
    """Whether every log is whole: chained, complete, and as it was when this machine copied it."""
    lines = controller_log.read(controller_log.path(servers.loaded))
    own = Verdict("this machine", len(lines), 0, [fault.what for fault in chain.check(lines)])
    return [*(verify_server(log, lines) for log in logs.values()), own]


def verify_server(log: ServerLog, own: Sequence[str]) -> Verdict:
    """
    Whether a server's log is whole.

    + own: lines of this machine's log, with the copies
    """
    copies = controller_log.copies(own, log.name, log.machine)
    known = {number: chain.sha256(line) for number, line in copies.items()}
    verdict = Verdict(log.name, len(log.lines), len(known))
    if log.head is not None:
        known.setdefault(*log.head)
        numbers = [record["n"] for line in log.lines if (record := chain.parsed(line))]
        # A power cut between the two leaves the count one behind.
        if max(numbers, default=0) > log.head[0] + 1:
            verdict.faults.append(f"after record {log.head[0]}: added past the server's own count")
    elif log.lines:
        verdict.faults.append("the server's own count of records is gone")
    for fault in chain.check(log.lines, known):
        copy = copies.get(fault.position)
        verdict.faults.append(fault.what + (f". The copy here: {copy}" if copy else ""))
    earlier = controller_log.other_machines(own, log.name, log.machine)
    if earlier:
        verdict.notes.append(
            f"{earlier} records of an earlier machine of this name are only here. "
            "Right when the server was installed anew; if it was not, its log was begun anew."
        )
    return verdict


def _server_log(name: str, text: str) -> ServerLog:
    first, _, rest = text.partition("\n")
    second, _, log = rest.partition("\n")
    number, _, digest = second.removeprefix("head").strip().partition(" ")
    head = (int(number), digest) if number.isdigit() else None
    return ServerLog(
        name, first.removeprefix("machine").strip(), head, log.removeprefix("log\n").splitlines()
    )


def told(record: dict[str, Any]) -> dict[str, Any]:
    """A run that was cut off says how many commands it got through: told as changes, like the others."""
    steps = record.get("steps")
    if not isinstance(steps, list):
        return record
    done, begun = int(record.get("done", 0)), int(record.get("begun", 0))
    told = {key: value for key, value in record.items() if key not in ("steps", "done", "begun")}
    return told | {
        "changed": flat(steps[:done]),
        "cut_off_in": flat(steps[done:begun]),
        "not_done": flat(steps[begun:]),
    }
