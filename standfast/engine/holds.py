"""All servers of a run that changes something: held while it lasts, each with its record at the end."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import gevent
from pyinfra.api import Host

from standfast.engine import audit, controller_log
from standfast.engine.audit import exit_code_of, flat, outcome_of, plan_hash, reason_of
from standfast.engine.caller import Caller
from standfast.engine.connector import ConnectionLost, LockLost
from standfast.engine.journal import step_command, steps
from standfast.engine.lock import Hold, Report
from standfast.engine.plan import HostPlan
from standfast.engine.preflight import folders
from standfast.engine.servers import Servers, connector
from standfast.errors import Interrupted, Refused

NOT_BEGUN = "not begun"
SETTLED = ("done", "not verified", "no changes")
"""Outcomes that leave nothing half-way."""
LEFT = (outcome_of(Interrupted()), outcome_of(ConnectionLost()))
"""Outcomes after which a command that was under way may go on."""


class Holds:
    """One `Hold` a server; what fails on one takes that server out of the run, and no other."""

    def __init__(self, servers: Servers, by: Caller, report: Report, tell: Report) -> None:
        """
        + report: progress
        + tell: what people must see, also when nobody watches the progress
        """
        self.servers = servers
        self.by = by
        self.report = report
        self.tell = tell
        self.whole = False
        self.declined = False
        self.interrupted = False
        self.unverified: set[str] = set()
        """Servers whose assertions do not hold."""
        self._stopped: Callable[[], str | None] | None = None
        self._declarations = {each.name: each for each in servers.declarations}
        self._holds: dict[str, Hold] = {}
        self._plans: dict[str, HostPlan] = {}
        self._copies: dict[str, dict[str, str]] = {}
        self._started = time.monotonic()

    def take(self) -> None:
        """Lock, journal and preflight of every connected server; tells what the last run has left."""
        self.servers.held = True
        self.servers.each(self.servers.connected(), self._take)

    def _take(self, host: Host) -> None:
        hold = Hold(connector(host), self.by)
        self._holds[host.name] = hold
        hold.take(folders(self._declarations[host.name].host), self.report)
        told = hold.last_run.told() if hold.last_run else None
        for text in [*filter(None, [told, hold.undone]), *hold.findings.notes]:
            self.tell(f"{host.name}: {text}")

    def planned(self, plans: Collection[HostPlan], *, whole: bool) -> None:
        """
        What is going to be done, for the records, and for those who come second.

        A server that is not in order, and has something to be changed, is refused.

        + whole: not limited to some subjects, so that no changes means that nothing is left open
        """
        self.whole = whole
        for plan in plans:
            self._plans[plan.name] = plan
            if plan.name not in self._holds:
                continue
            self._judge(plan, self._holds[plan.name])
            if plan.operations:
                self._holds[plan.name].tell("showing its plan and asking")

    def executing(self, stopped: Callable[[], str | None]) -> None:
        """
        From here on servers are begun.

        + stopped: says why no further one is; ``None`` while there is no reason
        """
        self._stopped = stopped

    def _judge(self, plan: HostPlan, hold: Hold) -> None:
        """Where nothing is to be changed there is nothing to refuse; what is not in order is told."""
        unable = isinstance(plan.error, Refused)
        if not hold.findings.faults or (plan.error and not unable):
            return
        faults = "\n".join(f"    {fault}" for fault in hold.findings.faults)
        if not plan.operations and not unable:
            self.tell(f"{hold.ssh.place}: nothing is to be changed there; but it is not in order:\n{faults}")
            return
        why = f"\n  {plan.error}" if unable else ""
        error = Refused(f"{hold.ssh.place}: not in order, so nothing was changed there:\n{faults}{why}")
        self.servers.failures[plan.name] = plan.error = error
        plan.operations = []

    def doing(self, host: str, what: str) -> None:
        """Say what is done now on this server, to whoever waits and to those who come second."""
        self.report(f"{host}  {what}")
        self._holds[host].tell(what)

    def begin(self, host: str, safety_copy: str | None) -> None:
        """
        The first command on this server is about to be sent.

        + safety_copy: what was copied before, in words

        Raises:
            Refused: the journal cannot be written; nothing was changed there.
            LockLost: the server is not held any more; nothing was changed there.
        """
        plan = self._plans[host]
        count = len(plan.changes)
        doing = f"{self.by.action}, {count} change{'' if count == 1 else 's'}"
        if safety_copy:
            self._copies[host] = {"safety_copy": safety_copy}
        self._holds[host].begin({"steps": steps(plan), **self._copies.get(host, {})}, doing)

    def enter(self, host: Host, number: int) -> None:
        """Command `number` of this server's plan is about to be sent."""
        self._holds[host.name].performed = number
        self._holds[host.name].under_way = True
        connector(host).around = lambda command: step_command(self.by.run, number, command)

    def leave(self, host: Host) -> None:
        """That command has succeeded."""
        self._holds[host.name].performed += 1
        self._holds[host.name].under_way = False
        connector(host).around = None

    def why_lost(self, host: str) -> str:
        """Why a server is not held any more."""
        return self._holds[host].why_lost()

    def end(self) -> None:
        """Record what was done on every server, and give them back."""
        names = list(self._declarations)
        gevent.joinall([gevent.spawn(self._end, name) for name in names if name in self._holds])
        records: list[dict[str, object]] = []
        for name in names:
            hold = self._holds.get(name)
            records.extend(controller_log.as_copy(line) for line in (hold.recorded if hold else ()))
            if hold is None or not hold.recorded:
                records.append({"time": audit.now(), **self._record(name)})
        audit.remember(self.servers.loaded, records, self.tell)

    def _end(self, name: str) -> None:
        hold = self._holds[name]
        record = self._record(name)
        if hold.held:
            outcome = str(record["outcome"])
            settled = outcome in SETTLED and (hold.began or self.whole)
            hold.end(record, settled=settled, outcome=outcome)
            gone = isinstance(self.servers.failures.get(name), (LockLost, ConnectionLost))
            if hold.unrecorded and not gone:
                self.tell(hold.unrecorded)
        hold.close()

    def _record(self, name: str) -> dict[str, object]:
        record = self.by.record(name)
        error = self.servers.failures.get(name)
        hold, plan = self._holds.get(name), self._plans.get(name)
        all_steps = steps(plan) if plan else []
        performed = hold.performed if hold and hold.began else 0
        outcome, code = self._outcome(name, bool(all_steps[:performed]), bool(all_steps[performed:]))
        if plan is not None:
            begun = performed + bool(hold and hold.under_way and outcome in LEFT)
            record |= {"plan": plan_hash(plan), **self._copies.get(name, {})}
            record["changed"] = flat(all_steps[:performed])
            record |= {"cut_off_in": flat(all_steps[performed:begun])} if begun > performed else {}
            record["not_done"] = flat(all_steps[begun:])
        record |= {"outcome": outcome, "exit": code, "seconds": round(time.monotonic() - self._started, 1)}
        if outcome == NOT_BEGUN and self._stopped and (why := self._stopped()):
            record["reason"] = why
        return record | (reason_of(error) if error else {})

    def _outcome(self, name: str, changed: bool, left: bool) -> tuple[str, int]:
        error = self.servers.failures.get(name)
        if error is not None:
            return outcome_of(error), exit_code_of(error)
        if self.declined:
            return "declined", 0
        hold = self._holds.get(name)
        if self._stopped and left and not (hold and hold.began):
            return NOT_BEGUN, Interrupted.exit_code if self.interrupted else 1
        if self.interrupted and (left or not changed):
            return "interrupted", Interrupted.exit_code
        if name in self.unverified:
            return "not verified", 1
        return ("done" if changed else "no changes"), 0


@contextmanager
def holding(servers: Servers, by: Caller, *, report: Report, tell: Callable[[str], None]) -> Iterator[Holds]:
    """
    Hold all connected servers while something is done to them; record it at the end in any case.

    A server that cannot be held is in ``servers.failures`` and out of this run.
    """
    holds = Holds(servers, by, report, tell)
    try:
        holds.take()
        yield holds
    except KeyboardInterrupt:
        holds.interrupted = True
        raise
    finally:
        holds.end()
