"""Take a server's lock away from its owner: with a reason, which the audit log keeps."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import json
from collections.abc import Callable
from dataclasses import dataclass

from pyinfra.api import Host

from standfast.engine import audit, controller_log
from standfast.engine.caller import Caller
from standfast.engine.journal import LastRun, parse
from standfast.engine.lock import Owner, decoded, owner, root_program
from standfast.engine.servers import Servers, connector
from standfast.engine.shell import shell
from standfast.errors import StandfastError


class StillLocked(StandfastError):
    """The lock could not be taken away; the message says why."""


@dataclass(frozen=True, slots=True)
class Lock:
    """What is held on a server."""

    owner: Owner | None
    """Who holds it; ``None`` when nobody does."""
    running: LastRun | None
    """A run that nobody holds any more, of which a command is still running."""


def look(servers: Servers) -> dict[str, Lock]:
    """Who holds each connected server."""
    found: dict[str, Lock] = {}

    def ask(host: Host) -> None:
        answers = _run(host, "", {}, {})
        holder = owner(answers["locked"]) if "locked" in answers else None
        found[host.name] = Lock(holder, _running(answers))

    servers.each(servers.connected(), ask)
    return found


def unlock(
    servers: Servers, by: Caller, owners: dict[str, Owner], reason: str, tell: Callable[[str], None]
) -> dict[str, LastRun | None]:
    """
    End the runs that hold these servers; returns for each what is still running there.

    Each server's audit log gets a record, and its owner hears who did it and why.
    A server whose owner has changed meanwhile is left alone, and is in ``servers.failures``.
    """
    ended: dict[str, LastRun | None] = {}
    records: list[dict[str, object]] = []

    def end(host: Host) -> None:
        record = by.record(host.name) | {"reason": reason, "outcome": "unlocked", "exit": 0}
        answers = _run(host, owners[host.name].run, record, {"who": by.who, "reason": reason})
        place = connector(host).place
        if "changed" in answers or "stuck" in answers:
            raise StillLocked(
                f"{place}: the lock has another owner by now. Nothing was done there; look again."
            )
        if "recorded" in answers:
            records.append(controller_log.as_copy(decoded(answers["recorded"])))
        else:
            records.append({"time": audit.now(), **record})
            tell(f"{place}: its audit log could not be written: {decoded(answers.get('unrecorded', ''))}")
        ended[host.name] = _running(answers)

    servers.each([host for host in servers.connected() if host.name in owners], end)
    audit.remember(servers.loaded, records, tell)
    return ended


def _run(host: Host, run: str, record: dict[str, object], note: dict[str, str]) -> dict[str, str]:
    """What ``unlock.sh`` answers: words and what follows them."""
    ssh = connector(host)
    texts = [json.dumps(each, ensure_ascii=False) for each in (record, note)]
    status, output, errors = ssh.exchange(
        root_program(ssh, shell("audit", "journal", "unlock"), [run, *texts])
    )
    ssh.refuse_without_sudo(status, errors)
    lines = [line.partition(" ") for line in output.decode(errors="replace").splitlines()]
    if status != 0 or not lines:
        raise StillLocked(f"{ssh.place}: the lock could not be read: {errors.strip() or 'no answer'}.")
    return {word: rest for word, _, rest in lines}


def _running(answers: dict[str, str]) -> LastRun | None:
    return parse(decoded(answers["running"])) if "running" in answers else None
