"""Change servers: exactly the commands of a plan, in order, each server at its own pace."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import gevent
from pyinfra.api import Host
from pyinfra.api.command import PyinfraCommand

import deploys
from standfast.engine.before_changes import BeforeChanges, Upcoming, before_changes
from standfast.engine.comparison import compare
from standfast.engine.connector import ConnectionLost, LockLost
from standfast.engine.holds import Holds
from standfast.engine.outcome import HostResult, Outcome
from standfast.engine.plan import HostPlan, Plan, PlannedOperation
from standfast.engine.recording import begin_execution, perform
from standfast.engine.rollout import Rollout
from standfast.engine.servers import Servers, connector
from standfast.errors import StandfastError, Undone
from standfast.operations.change import Change, Step

OUTPUT_LINES = 20  # of a failed command, in the message
ALL_AT_ONCE = Rollout()

Verify = Callable[[Collection[str]], Collection[str]]
"""Makes assertions on servers, by name; returns those on which one does not hold."""


class Failed(StandfastError):
    """A command failed on a server; the message says what has been changed there."""


class NotVerified(StandfastError):
    """Everything was done, and whether the server is well is not known."""


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
    rollout: Rollout = ALL_AT_ONCE,
    verify: Verify | None = None,
    copy: BeforeChanges | None = None,
) -> Outcome:
    """
    Execute the plan that `servers` made last, and check that nothing is left to do.

    + only: the subjects that the plan was limited to; none means all
    + holds: of the same servers, taken before the plan was made
    + progress: called before each change
    + stopping: called when Ctrl-C was pressed and the running operations are being finished
    + rollout: which servers are changed together, and when no further one is begun
    + verify: makes assertions on servers that were changed, before the next ones are begun
    + copy: makes the safety copy, right before the first change on each server of production and staging

    A server stops at its first failed operation; the others that have been begun go on.
    """
    results = {each.name: HostResult(each.name, error=each.error) for each in plan.hosts}
    for each in plan.hosts:
        results[each.name].open = list(each.changes)
    run = _Run(servers, holds, plan, results, progress, stopping, rollout, copy)
    if plan.has_changes:
        run.execute(only, verify)
    if not only and not run.interrupted:
        servers.remember_questions(name for name, plan in run.plans.items() if not plan.operations)
    for name, error in servers.failures.items():
        results[name].error = error
    stopped = run.stopped if any(each.outcome == "not begun" for each in results.values()) else None
    return Outcome(plan.environment, list(results.values()), run.interrupted, stopped)


class _Run:
    """One execution: the flags that stop it, and the loop over a server's operations."""

    def __init__(
        self,
        servers: Servers,
        holds: Holds,
        plan: Plan,
        results: dict[str, HostResult],
        progress: Callable[[Progress], None],
        stopping: Callable[[], None],
        rollout: Rollout,
        copy: BeforeChanges | None,
    ) -> None:
        self.servers = servers
        self.holds = holds
        self.plans = {each.name: each for each in plan.hosts}
        self.results = results
        self.progress = progress
        self.stopping = stopping
        self.rollout = rollout
        self.copy = copy
        self.declarations = {each.name: each for each in servers.declarations}
        self.interrupted = False

    @property
    def stopped(self) -> str | None:
        """Why no further server is begun."""
        if self.interrupted:
            return "interrupted"
        failed = [name for name in self.results if name in self.servers.failures or self._unverified(name)]
        return self.rollout.why_stop(failed, len(self.results))

    def _unverified(self, name: str) -> bool:
        return not self.results[name].verified

    def execute(self, only: Collection[str], verify: Verify | None) -> None:
        """Batch after batch: change, compare, verify."""
        begin_execution(self.servers.state)
        self.holds.executing(lambda: self.stopped)
        for canary in self.rollout.canaries:
            if not self.plans[canary].operations and not self.plans[canary].error:
                self.holds.tell(f"{canary}: nothing to change here, so it shows nothing about the others")
        names = [host.name for host in self.servers.connected() if self.plans[host.name].operations]
        batches = self.rollout.batches(names)
        for number, batch in enumerate(batches, start=1):
            if self.stopped:
                return
            if len(batches) > 1:
                self.holds.report(f"{number} of {len(batches)}: {', '.join(batch)}")
            hosts = [host for host in self.servers.connected() if host.name in batch]
            with _interruptible(self):
                self.servers.each(hosts, self._change)
            begun = [name for name in batch if self.results[name].begun]
            if begun and not self.interrupted:
                self._check(begun, only, verify)

    def _check(self, names: Collection[str], only: Collection[str], verify: Verify | None) -> None:
        """A second plan must be empty and the assertions must hold; else that server has failed."""
        failed = set(self.servers.failures)
        with self.servers.aside():
            for host in self.servers.plan(only, names).hosts:
                if host.name in failed:
                    continue
                before, environment = self.plans[host.name], self.servers.loaded.path.stem
                if error := compare(before, host, deploys.own(), environment):
                    self.servers.failures[host.name] = error
            if not only:
                self.servers.remember_questions(names)
        good = [name for name in names if name not in self.servers.failures]
        if verify is None or not good:
            return
        try:
            unverified = verify(good)
        except StandfastError as error:
            self.servers.failures |= {
                name: NotVerified(f"{name}: everything was done, and then: {error}") for name in good
            }
            return
        self.holds.unverified.update(unverified)
        for name in unverified:
            self.results[name].verified = False

    def _change(self, host: Host) -> None:
        if self.stopped:
            return
        connector(host).forget()
        plan, result = self.plans[host.name], self.results[host.name]
        started = time.monotonic()
        numbers = _numbers(plan)
        try:
            result.safety_copy = self._copied(host, plan)
            if self.interrupted:
                return
            self.holds.begin(host.name, result.safety_copy)
            result.begun = True
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
        except Undone as error:
            raise Undone(f"{error}\n  {_so_far(result)}") from error
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
def _interruptible(run: _Run) -> Iterator[None]:
    """The first Ctrl-C finishes the running operations; the second one leaves at once."""
    main = gevent.getcurrent()

    def interrupt() -> None:
        if run.interrupted:
            gevent.get_hub().loop.run_callback(main.throw, KeyboardInterrupt)
            return
        run.interrupted = True
        run.stopping()

    watchers = [gevent.signal_handler(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for watcher in watchers:
            watcher.cancel()
