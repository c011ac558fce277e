"""The servers of one run: connected once, planned and changed in parallel, each on its own."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import gevent
from pyinfra.api import Host
from pyinfra.api.exceptions import PyinfraError

import deploys
from standfast.declaration import Declaration
from standfast.engine.connector import ConnectionLost, StandfastConnector
from standfast.engine.plan import HostPlan, Plan
from standfast.engine.recording import RecordingState, new_state, record, resume
from standfast.errors import Interrupted, StandfastError
from standfast.inventory.loader import Loaded
from standfast.inventory.schema import Environment
from standfast.operations.attention import collecting
from standfast.operations.backups import attention

Report = Callable[[str], None]


class Servers:
    """Connections to servers; a failure of one does not stop the others."""

    def __init__(self, loaded: Loaded, declarations: Sequence[Declaration]) -> None:
        """
        + declarations: the servers to work on
        """
        deploys.use_repository(loaded.root)
        self.loaded = loaded
        self.environment = loaded.inventory.environment.value
        self.declarations = list(declarations)
        self.failures: dict[str, Exception] = {}
        """Servers that are out of this run, and why."""
        self.held = False
        """Whether the servers are locked through these connections."""
        self.state: RecordingState = new_state(self.declarations, {})

    def connect(self) -> None:
        """Connect to all servers at once; `failures` has those that cannot be reached."""
        self.each(list(self.state.inventory), _connect)

    def plan(self, only: Collection[str] = (), names: Collection[str] | None = None) -> Plan:
        """
        Compare every connected server with its declaration. Nothing is written.

        + only: subjects to which the comparison is limited; none means all
        + names: the servers to compare; ``None`` means all
        """
        clients = {host.name: connector(host).client for host in self.state.inventory if host.connected}
        asked = {host.name: list(connector(host).asked) for host in self.state.inventory}
        declarations = [each for each in self.declarations if names is None or each.name in names]
        self.state = new_state(declarations, clients)
        plans = {
            each.name: HostPlan(
                each.name,
                each.host.address,
                attention=attention(each.host, production=each.environment == Environment.production),
                error=self.failures.get(each.name),
            )
            for each in declarations
        }

        def compare(host: Host) -> None:
            started = time.monotonic()
            plan = plans[host.name]
            plan.host_key = connector(host).host_key
            host.data._sudo = connector(host).user != "root"
            connector(host).fetch_together(asked.get(host.name, ()), meanwhile=deploys.load)
            with collecting() as found:
                plan.operations = record(self.state, host, lambda: deploys.site(only))
            plan.attention += found
            plan.resources = self.state.resources[host.name]
            plan.seconds = time.monotonic() - started

        self.read(compare)
        for name, plan in plans.items():
            plan.error = self.failures.get(name)
            if plan.error is not None:
                plan.operations = []
        return Plan(self.environment, list(plans.values()))

    def refuse(self, plan: Plan, reasons: Mapping[str, Exception]) -> None:
        """Take servers out of this run, and their changes out of the plan."""
        self.failures.update(reasons)
        for host in plan.hosts:
            if host.name in reasons:
                host.error, host.operations = reasons[host.name], []

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Make another comparison in here; afterwards the plan from before can be executed further."""
        state = self.state
        try:
            yield
        finally:
            self.state = state
            resume(state)

    def remember_questions(self, names: Iterable[str]) -> None:
        """Leave on servers what the last comparison asked, so that the next one takes one round trip."""
        wanted = set(names)
        hosts = [host for host in self.connected() if host.name in wanted]
        self.each(hosts, lambda host: connector(host).remember_questions())

    def connected(self) -> list[Host]:
        """Servers that are connected and have not failed."""
        return [host for host in self.state.inventory if host.connected and host.name not in self.failures]

    def close(self) -> None:
        """End all connections."""
        for host in self.state.inventory:
            if host.connected:
                host.connector.disconnect()

    def read(self, work: Callable[[Host], None]) -> None:
        """
        Run for every connected server what only reads it; once more when the connection is lost meanwhile.

        Not while a lock is held: it went with the connection, and somebody else may be at work by now.
        """

        def reading(host: Host) -> None:
            try:
                work(host)
            except ConnectionLost:
                if self.held:
                    raise
                connector(host).reconnect()
                work(host)

        self.each(self.connected(), reading)

    def each(
        self, hosts: Sequence[Host], work: Callable[[Host], None], *, goes_on: str | None = None
    ) -> None:
        """
        Run `work` for every host in parallel; remember what failed.

        + goes_on: what servers bring to its end by themselves, in words: Ctrl-C then leaves them, it is
          `Interrupted` on each that had not ended, and the run goes on. The default leaves the run.
        """
        begun: set[str] = set()
        ended: set[str] = set()

        def guarded(host: Host) -> None:
            begun.add(host.name)
            try:
                work(host)
            except StandfastError as error:
                self.failures[host.name] = error
            except PyinfraError as error:
                self.failures[host.name] = StandfastError(f"{host.name}: {error}")
            except Exception as error:
                error.add_note(f"This is a bug in standfast; it happened while working on {host.name}.")
                self.failures[host.name] = error
            ended.add(host.name)

        working: list[gevent.Greenlet[..., None]] = []
        try:
            for host in hosts:  # each waits for its place among those that work
                working.append(self.state.pool.spawn(guarded, host))
            gevent.joinall(working)
        except KeyboardInterrupt:
            if goes_on is None:
                raise
            gevent.killall(working)
            for name in [host.name for host in hosts if host.name not in ended]:
                what = goes_on if name in begun else "nothing was begun there"
                self.failures[name] = Interrupted(f"{name}: interrupted; {what}.")


def connector(host: Host) -> StandfastConnector:
    """The connection of a host of ours."""
    if not isinstance(host.connector, StandfastConnector):
        raise TypeError(f"{host.name} has a {type(host.connector).__name__}")
    return host.connector


def _connect(host: Host) -> None:
    connector(host).connect()
    host.connected = True


@contextmanager
def connected(loaded: Loaded, declarations: Sequence[Declaration]) -> Iterator[Servers]:
    """Connect, hand out the servers, and disconnect in any case."""
    servers = Servers(loaded, declarations)
    try:
        servers.connect()
        yield servers
    finally:
        servers.close()


def exit_code(errors: Collection[Exception]) -> int:
    """The exit code for what went wrong on the servers: refused only when nothing worse happened."""
    codes = {error.exit_code if isinstance(error, StandfastError) else 1 for error in errors}
    if not codes:
        return 0
    return codes.pop() if len(codes) == 1 else 1
