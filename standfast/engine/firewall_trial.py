"""The inventory's rules on trial, and the last confirmed ones again: ``standfast firewall``."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import shlex
import time
from collections.abc import Callable

from pyinfra.api import Host

from standfast.engine.apply import Failed
from standfast.engine.plan import HostPlan
from standfast.engine.servers import Servers, connector
from standfast.errors import Refused
from standfast.operations.confirmed import Attempt, ConfirmedStep
from standfast.operations.host_program import PATH

SUBJECT = "firewall"


def test(servers: Servers, *, hold: bool, report: Callable[[str], None]) -> dict[str, str]:
    """
    Put the inventory's rules in force, prove that we still get in, and put back what was there.

    + hold: leave them in force until the server's timer ends, to look at them

    Returns a sentence for each server on which that went well; ``servers.failures`` has the others:
    `Undone` where nobody got in, `Refused` where more than rules would have to change first.
    """
    said: dict[str, str] = {}
    plans = {each.name: each for each in servers.plan([SUBJECT]).hosts}

    def attempt(host: Host) -> None:
        said[host.name] = _attempt(host, plans[host.name], hold, report)

    servers.each(servers.connected(), attempt)
    return said


def revert(servers: Servers) -> dict[str, str]:
    """
    Put the last confirmed rules in force again, on every server.

    Returns a sentence for each server; ``servers.failures`` has those that have no such rules.
    """
    said: dict[str, str] = {}

    def restore(host: Host) -> None:
        status, _, errors = connector(host).exchange(
            connector(host).as_root(f"{shlex.quote(PATH)} firewall restore")
        )
        if status != 0:
            last = errors.strip().splitlines()[-1] if errors.strip() else "no message"
            raise Failed(f"{host.name}: the last confirmed rules could not be put in force: {last}")
        said[host.name] = "the last confirmed rules are in force"

    servers.each(servers.connected(), restore)
    return said


def _attempt(host: Host, plan: HostPlan, hold: bool, report: Callable[[str], None]) -> str:
    commands = [command for operation in plan.operations for command in operation.commands]
    if not commands:
        return "the rules in force are the declared ones; there is nothing to try"
    step = commands[0]
    if not isinstance(step, ConfirmedStep):
        first = plan.changes[0][1]
        raise Refused(
            f"{host.name}: expected that only rules differ, found that apply has to do more first: "
            f"{first.action} {first.target}. Run `standfast apply --only {SUBJECT}`: its rules are on trial "
            "as well. Nothing was changed."
        )
    connector(host).forget()
    trial = Attempt(
        host, step.confirmation, {**step.connector_arguments, "_sudo": connector(host).user != "root"}
    )
    report(f"{host.name}: the rules are on trial for at most {step.confirmation.seconds} s")
    started = time.monotonic()
    succeeded, output = trial.change(step)
    if not succeeded:
        lines = "\n".join(f"    {line}" for line in output.output_lines)
        raise Failed(f"{host.name}: the rules could not be put on trial. The server said:\n{lines}")
    trial.prove(step.what)
    if hold:
        report(f"{host.name}: we get in; the rules stay until the server's timer ends")
        trial.wait()
    else:
        trial.undo()
    return (
        f"a new SSH connection works with these rules{trial.shown_ports()}; they were in force for "
        f"{time.monotonic() - started:.0f} s, and the server is as before"
    )
