"""
Where pyinfra is bent to our first law: the plan is the truth.

pyinfra asks an operation only whether it would change something, and evaluates it again while it
changes the server. Here every operation is evaluated once, to its end; its commands are recorded,
shown, and later executed as they are. This is the only module that knows pyinfra's inner life;
``tests/unit/test_pyinfra_contract.py`` fails when it changes.
"""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import gevent
from gevent.pool import Pool
from pyinfra import logger
from pyinfra.api import Config, FactBase, Host, Inventory, State, arguments
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.operations import run_host_op
from pyinfra.api.state import StateHostMeta, StateOperationHostData, StateStage
from pyinfra.context import ctx_config, ctx_host, ctx_inventory, ctx_state
from typing_extensions import override

from standfast.declaration import Declaration
from standfast.engine.connector import StandfastConnector, Unasked
from standfast.engine.host_data import host_data
from standfast.engine.plan import PlannedOperation
from standfast.operations import confirmed

# Both report through a logger, and raise what matters; without a handler Python prints it on stderr.
logger.addHandler(logging.NullHandler())
logger.propagate = False
logging.getLogger("paramiko").addHandler(logging.NullHandler())

# pyinfra reads these types anew for every operation and every fact: a third of what a comparison costs here.
arguments.all_global_arguments = cache(arguments.all_global_arguments)

PARALLEL = 40  # greenlets; each is one server
PASSES = 12  # facts hardly ever depend on as many others


class RecordingState(State):
    """A pyinfra state that evaluates each operation, once and to its end, when it is declared."""

    def __init__(self, inventory: Inventory) -> None:
        self.resources: dict[str, int] = {host.name: 0 for host in inventory}
        self.planned: dict[str, list[PlannedOperation]] = {host.name: [] for host in inventory}
        super().__init__(inventory, Config(PARALLEL=PARALLEL), check_for_changes=False)
        self.pool: Pool = Pool(PARALLEL)

    def start_again(self, host: Host) -> None:
        """Forget what was declared for a host."""
        self.resources[host.name] = 0
        self.planned[host.name] = []
        self.ops[host] = {}
        self.meta[host] = StateHostMeta()
        host.op_hash_order.clear()
        host.loop_position.clear()
        confirmed.start_again(host)

    @override
    def set_op_data_for_host(self, host: Host, op_hash: str, op_data: StateOperationHostData) -> None:
        super().set_op_data_for_host(host, op_hash, op_data)
        gevent.sleep(0)  # a lock's signs of life must go out, however long the evaluation takes
        if self.is_executing:  # an operation inside an operation: pyinfra executes it right away
            return
        self.resources[host.name] += 1
        name = str(op_data.global_arguments.get("name") or "")
        subject = (host.current_deploy_name or "").split(" | ")[0]
        try:
            commands = tuple(op_data.command_generator())
        except Unasked:  # it will be evaluated again
            return
        if commands:
            self.planned[host.name].append(PlannedOperation(subject, name, commands, op_hash))


def new_state(declarations: Sequence[Declaration], clients: dict[str, Any]) -> RecordingState:
    """
    A state for one plan and its execution.

    + clients: connected SSH clients by host name, taken over from an earlier state
    """
    inventory = Inventory(([(each.name, host_data(each)) for each in declarations], {}))
    for host in inventory:
        host.connector_cls = StandfastConnector
    state = RecordingState(inventory)
    for host in inventory:
        if host.name in clients:
            setattr(host.connector, "client", clients[host.name])  # noqa: B010 - the base class has none
            host.connected = True
            state.activate_host(host)
    resume(state)
    state.set_stage(StateStage.Prepare)
    return state


def resume(state: RecordingState) -> None:
    """From here on operations and facts belong to this state."""
    ctx_state.set(state)
    ctx_inventory.set(state.inventory)


def record(state: RecordingState, host: Host, declare: Callable[[], None]) -> list[PlannedOperation]:
    """
    Run deploys for one host and return the operations that would change it.

    An operation that needs a fact which is not known yet is left out; then all such facts are asked together
    and everything is evaluated again. So it takes as many round trips as facts depend on each other.
    """
    if isinstance(host.connector, StandfastConnector):
        for _ in range(PASSES):
            unknown = _attempt(state, host, host.connector, declare)
            if not unknown:
                return state.planned[host.name]
            host.connector.ask_together(unknown)
        host.connector.asked.clear()
        state.start_again(host)
    _evaluate(state, host, declare)
    return state.planned[host.name]


def _attempt(
    state: RecordingState, host: Host, ssh: StandfastConnector, declare: Callable[[], None]
) -> list[str]:
    """Run deploys with the facts that are known; returns the questions about others."""
    state.start_again(host)
    ssh.asked.clear()
    unknown: list[str] = []
    ssh.missing = unknown
    try:
        _evaluate(state, host, declare)
    except Unasked:
        pass
    except Exception:
        if not unknown:  # otherwise something before it may come to another end
            raise
    finally:
        ssh.missing = None
    return unknown


def _evaluate(state: RecordingState, host: Host, declare: Callable[[], None]) -> None:
    with ctx_config.use(state.config.copy()), ctx_host.use(host):
        declare()


@dataclass(frozen=True, slots=True)
class Question:
    """A fact that a deploy has asked for: the thing is declared, whether it is as it should be or not."""

    fact: type[FactBase[Any]]
    arguments: Mapping[str, Any]


def note_questions(host: Host) -> list[Question]:
    """From here on, remember every fact that is asked for about a host; the list grows."""
    asked: list[Question] = []
    get_fact = host.get_fact

    # It takes and gives whatever the fact does.
    def noting(fact: type[FactBase[Any]], *values: Any, **arguments: Any) -> Any:  # noqa: ANN401
        asked.append(Question(fact, {**{str(n): value for n, value in enumerate(values)}, **arguments}))
        return get_fact(fact, *values, **arguments)

    setattr(host, "get_fact", noting)  # noqa: B010 - pyinfra has no other door
    return asked


def begin_execution(state: RecordingState) -> None:
    """From here on pyinfra executes."""
    state.set_stage(StateStage.Execute)
    state.is_executing = True


def perform(
    state: RecordingState,
    host: Host,
    planned: PlannedOperation,
    before: Callable[[PyinfraCommand], None],
) -> tuple[bool, list[str]]:
    """
    Execute the recorded commands of one operation.

    + before: called with each command right before it is sent

    Returns whether all commands succeeded, and the output of the last one.
    """

    def replay() -> Iterator[PyinfraCommand]:
        for command in planned.commands:
            before(command)
            yield command

    data = state.get_op_data_for_host(host, planned.identity)
    data.command_generator = replay
    with ctx_config.use(state.config.copy()), ctx_host.use(host):
        succeeded = run_host_op(state, host, planned.identity)
    output = data.operation_meta._combined_output
    return succeeded, output.output_lines if output else []
