"""Change servers: exactly the commands of a plan, in order, each server at its own pace."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import gevent
from pyinfra.api import Host
from pyinfra.api.command import PyinfraCommand

import deploys
from standfast.engine.before_changes import BeforeChanges, Upcoming, before_changes
from standfast.engine.comparison import compare
from standfast.engine.connector import ConnectionLost, LockLost
from standfast.engine.holds import Holds
from standfast.engine.plan import HostPlan, Plan, PlannedOperation
from standfast.engine.recording import begin_execution, perform
from standfast.engine.servers import Servers, connector
from standfast.errors import StandfastError
from standfast.operations.change import Change, Step

OUTPUT_LINES = 20  # of a failed command, in the message


class Failed(StandfastError):
    """A command failed on a server; the message says what has been changed there."""


@dataclass(slots=True)
class HostResult:
    """What was done on one server."""

    name: str
    done: list[tuple[str, Change]] = field(default_factory=list)
    """Subject and change, in the order in which they were made."""
    open: list[tuple[str, Change]] = field(default_factory=list)
    """What was planned and not done."""
    safety_copy: str | None = None
    """What was copied before the first change, in words."""
    seconds: float = 0.0
    error: Exception | None = None

    def as_json(self) -> dict[str, Any]:
        """The host's part of ``standfast apply --json``."""
        return {
            "name": self.name,
            "done": [{"subject": subject, **change.as_json()} for subject, change in self.done],
            "open": [{"subject": subject, **change.as_json()} for subject, change in self.open],
            "safety_copy": self.safety_copy,
            "seconds": round(self.seconds, 3),
            "error": None if self.error is None else str(self.error),
        }


@dataclass(slots=True)
class Outcome:
    """What was done on all servers of a run."""

    environment: str
    hosts: list[HostResult]
    interrupted: bool = False

    def as_json(self) -> dict[str, Any]:
        """The answer of ``standfast apply --json``."""
        return {
            "environment": self.environment,
            "interrupted": self.interrupted,
            "hosts": [host.as_json() for host in self.hosts],
        }


@dataclass(slots=True)
class Progress:
    """Something that a person who waits wants to know."""

    host: str
    subject: str
    change: Change


def apply(
    servers: Servers,
    plan: Plan,
    only: Collection[str],
    holds: Holds,
    *,
    progress: Callable[[Progress], None],
    stopping: Callable[[], None],
    copy: BeforeChanges | None = None,
) -> Outcome:
    """
    Execute the plan that `servers` made last, and check that nothing is left to do.

    + only: the subjects that the plan was limited to; none means all
    + holds: of the same servers, taken before the plan was made
    + progress: called before each change
    + stopping: called when Ctrl-C was pressed and the running operations are being finished
    + copy: makes the safety copy, right before the first change on each server of production and staging

    A server stops at its first failed operation; the others go on.
    """
    results = {each.name: HostResult(each.name, error=each.error) for each in plan.hosts}
    run = _Run(servers, holds, plan, results, progress, copy)
    if plan.has_changes:
        with _interruptible(run, stopping):
            run.execute()
        if not run.interrupted:
            _check(servers, plan, only)
    if not only and not run.interrupted:
        servers.remember_questions()
    for name, error in servers.failures.items():
        results[name].error = error
    return Outcome(plan.environment, list(results.values()), run.interrupted)


def _check(servers: Servers, plan: Plan, only: Collection[str]) -> None:
    """A second plan must be empty; what is not counts as a failure of that server."""
    before = {host.name: host for host in plan.hosts}
    failed = set(servers.failures)
    for host in servers.plan(only).hosts:
        if host.name in failed:
            continue
        if error := compare(before[host.name], host, deploys.own(), servers.loaded.path.stem):
            servers.failures[host.name] = error


class _Run:
    """One execution: the flag that stops it, and the loop over a server's operations."""

    def __init__(
        self,
        servers: Servers,
        holds: Holds,
        plan: Plan,
        results: dict[str, HostResult],
        progress: Callable[[Progress], None],
        copy: BeforeChanges | None,
    ) -> None:
        self.servers = servers
        self.holds = holds
        self.plans = {each.name: each for each in plan.hosts}
        self.results = results
        self.progress = progress
        self.copy = copy
        self.declarations = {each.name: each for each in servers.declarations}
        self.interrupted = False

    def execute(self) -> None:
        begin_execution(self.servers.state)
        self.servers.each(
            [host for host in self.servers.connected() if self.plans[host.name].operations], self._change
        )

    def _change(self, host: Host) -> None:
        connector(host).forget()
        plan, result = self.plans[host.name], self.results[host.name]
        started = time.monotonic()
        result.open = list(plan.changes)
        numbers = _numbers(plan)
        try:
            result.safety_copy = self._copied(host, plan)
            if self.interrupted:
                return
            self.holds.begin(host.name, result.safety_copy)
            for planned in plan.operations:
                if self.interrupted:
                    return
                self._operation(host, planned, numbers, result)
        finally:
            result.seconds = time.monotonic() - started

    def _copied(self, host: Host, plan: HostPlan) -> str | None:
        def report(doing: str) -> None:
            self.holds.doing(host.name, doing)

        declaration, by = self.declarations[host.name], self.holds.by
        return before_changes(self.copy, Upcoming(declaration, connector(host), plan, by, report))

    def _operation(
        self, host: Host, planned: PlannedOperation, numbers: dict[int, int], result: HostResult
    ) -> None:
        running: list[PyinfraCommand] = []

        def before(command: PyinfraCommand) -> None:
            self._finish(host, running, planned, result)
            running.append(command)
            self.holds.enter(host, numbers[id(command)])
            for change in _changes(command):
                self.progress(Progress(host.name, planned.subject, change))

        try:
            succeeded, output = perform(self.servers.state, host, planned, before)
        except ConnectionLost as error:
            raise ConnectionLost(_cut_off(str(error), planned, running[-1], result)) from error
        except LockLost as error:
            raise LockLost(f"{self.holds.why_lost(host.name)} {_so_far(result)}") from error
        if not succeeded:
            raise Failed(_failure(host.name, planned, running[-1], output, result))
        self._finish(host, running, planned, result)

    def _finish(
        self, host: Host, running: list[PyinfraCommand], planned: PlannedOperation, result: HostResult
    ) -> None:
        """Book the changes of the command that has just succeeded."""
        if running:
            self.holds.leave(host)
            changes = [(planned.subject, change) for change in _changes(running[-1])]
            result.done.extend(changes)
            del result.open[: len(changes)]
            running.clear()


def _numbers(plan: HostPlan) -> dict[int, int]:
    """The place of each command in the plan, by its identity: a stock operation may repeat one."""
    commands = [command for operation in plan.operations for command in operation.commands]
    return {id(command): number for number, command in enumerate(commands)}


def _changes(command: PyinfraCommand) -> list[Change]:
    return list(command.changes) if isinstance(command, Step) else [Change("run", str(command))]


def _failure(
    name: str,
    planned: PlannedOperation,
    command: PyinfraCommand,
    output: list[str],
    result: HostResult,
) -> str:
    lines = "\n".join(f"    {line}" for line in output[-OUTPUT_LINES:]) or "    (no output)"
    return (
        f"{name}: {planned.subject}: could not {_what(command)}. The server said:\n{lines}\n"
        f"  {_so_far(result)} Repair the cause and run apply again; it goes on from here."
    )


def _cut_off(message: str, planned: PlannedOperation, command: PyinfraCommand, result: HostResult) -> str:
    return (
        f"{message} It happened while: {planned.subject}: {_what(command)}; whether the server has finished "
        f"that is not known.\n  {_so_far(result)} It is safe to run apply again: it waits for a command that "
        "still runs there, and goes on from there."
    )


def _what(command: PyinfraCommand) -> str:
    return ", ".join(f"{change.action} {change.target}" for change in _changes(command))


def _so_far(result: HostResult) -> str:
    done = ", ".join(change.target for _, change in result.done) or "nothing"
    count = len(result.open) + len(result.done)
    return f"Changed before that: {done}. Not done: {len(result.open)} of {count} changes."


@contextmanager
def _interruptible(run: _Run, stopping: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C finishes the running operations; the second one leaves at once."""
    main = gevent.getcurrent()

    def interrupt() -> None:
        if run.interrupted:
            gevent.get_hub().loop.run_callback(main.throw, KeyboardInterrupt)
            return
        run.interrupted = True
        stopping()

    watchers = [gevent.signal_handler(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for watcher in watchers:
            watcher.cancel()
