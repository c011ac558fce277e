"""How plans and results look on a terminal: stdout is the answer, stderr is progress."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Protocol

import click

from standfast.cli.alike import grouped, said, together
from standfast.cli.machine import print_json as print_json
from standfast.engine.outcome import HostResult, Outcome
from standfast.engine.plan import HostPlan, Plan
from standfast.errors import StandfastError
from standfast.operations.change import Change

SIGNS = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "remove": ("-", "red"),
    "start": ("▸", "green"),
    "stop": ("■", "red"),
    "restart": ("↻", "yellow"),
    "reload": ("↻", "yellow"),
    "recreate": ("↻", "yellow"),
    "run": ("$", "yellow"),
}
TARGET_WIDTH = 36


class Placed(Protocol):
    """What the first columns say of a server."""

    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str: ...


def print_plan(plan: Plan) -> None:
    """Print a plan for people: servers without changes first, those with the same changes together."""
    good = sorted((host for host in plan.hosts if host.error is None), key=lambda host: bool(host.changes))
    for hosts in grouped(good, _changes_of):
        _print_alike(hosts, widths(good))
    click.echo(_summary(plan))


def print_errors(errors: Mapping[str, Exception]) -> None:
    """Print what went wrong, one message a server; a bug keeps its traceback."""
    for name, error in errors.items():
        if isinstance(error, StandfastError):
            message = str(error) if str(error).startswith(name) else f"{name}: {error}"
            click.echo(f"{click.style('✗', fg='red', bold=True)} {message}", err=True)
        else:
            click.echo("".join(traceback.format_exception(error)), err=True)


def print_outcome(outcome: Outcome) -> None:
    """Print what was done on each server, and which ones were not begun."""
    width = max(len(host.name) for host in outcome.hosts)
    not_begun = [host for host in outcome.hosts if host.outcome == "not begun"]
    for host in outcome.hosts:
        if host.error is None and host not in not_begun:
            click.echo(_result(host, width))
            if host.safety_copy:
                click.echo(f"  before that: {host.safety_copy}")
    if not_begun:
        names = ", ".join(host.name for host in not_begun)
        click.echo(f"{click.style('·', fg='yellow')} not begun: {names}")
    if outcome.stopped and not outcome.interrupted:
        click.echo(f"stopped: {outcome.stopped}. No further server was begun.", err=True)
    if outcome.interrupted:
        left = sum(len(host.open) for host in outcome.hosts)
        click.echo(
            f"interrupted: {left} changes are left; run apply again and it goes on from here", err=True
        )


def print_totals(outcome: Outcome) -> None:
    """Print how many servers ended how; nothing when there is only one."""
    if len(outcome.hosts) == 1:
        return
    counts = Counter(host.outcome for host in outcome.hosts)
    calm = [word for word in ("done", "no changes") if word in counts]
    words = [*calm, *sorted(word for word in counts if word not in calm)]
    click.echo(f"{len(outcome.hosts)} servers: {', '.join(f'{counts[word]} {word}' for word in words)}")


def progress_line(host: str, subject: str, change: Change) -> str:
    """One line for a change that is about to be made."""
    return f"{host}  {subject}: {change.action} {change.target}"


def widths(hosts: Iterable[Placed]) -> tuple[int, int]:
    """Widths of the columns with names and addresses."""
    pairs = [(len(host.name), len(host.address)) for host in hosts]
    return max((name for name, _ in pairs), default=0), max((address for _, address in pairs), default=0)


def _changes_of(host: HostPlan) -> str:
    changes = [[subject, change.as_json()] for subject, change in host.changes]
    return said([changes, host.attention], host.name, host.address)


def _print_alike(hosts: Sequence[HostPlan], columns: tuple[int, int]) -> None:
    """Print servers that have the same changes: a line each, and the changes once."""
    name_width, address_width = columns
    for host in hosts:
        count = _counted(len(host.changes)) if host.changes else "no changes"
        click.echo(
            f"{click.style(host.name, bold=True)}{' ' * (name_width - len(host.name))}  "
            f"{host.address:<{address_width}}  {host.resources} resources, {count}  "
            f"{click.style(f'{host.seconds:.1f} s', dim=True)}"
        )
    first = hosts[0]
    if len(hosts) > 1 and (first.changes or first.attention):
        click.echo(f"  {together(len(hosts), first.name)}")
    for subject, group in groupby(first.changes, key=lambda pair: pair[0]):
        click.echo(f"  {subject}")
        for _, change in group:
            _print_change(change)
    if first.attention:
        click.echo("  attention")
    for text in first.attention:
        click.echo(f"    {click.style('!', fg='yellow')} {text}")


def _counted(changes: int) -> str:
    return f"{changes} change{'' if changes == 1 else 's'}"


def _print_change(change: Change) -> None:
    sign, colour = SIGNS[change.action]
    words = change.detail
    if change.action in ("start", "stop", "restart", "reload", "recreate"):
        words = f"{change.action}: {change.detail}" if change.detail else change.action
    target = change.target if not words else f"{change.target:<{TARGET_WIDTH}}"
    click.echo(f"    {click.style(sign, fg=colour)} {target} {words}".rstrip())
    for line in change.diff.splitlines():
        click.echo(click.style(f"        {line}", fg=_diff_colour(line)))


def _diff_colour(line: str) -> str | None:
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])


def _summary(plan: Plan) -> str:
    good = [host for host in plan.hosts if host.error is None]
    bad = [host.name for host in plan.hosts if host.error is not None]
    changing = [host for host in good if host.changes]
    if not good:
        return "no plan: no server could be compared"
    if changing:
        text = f"{_counted(sum(len(host.changes) for host in good))} on {_servers(changing)}"
        calm = len(good) - len(changing)
        text += f"; {calm} as declared" if calm else ""
    else:
        text = f"no changes: {_servers(good)} as declared"
    return text + (f"; no plan for {', '.join(bad)}" if bad else "")


def _servers(hosts: Sequence[HostPlan]) -> str:
    return hosts[0].name if len(hosts) == 1 else f"{len(hosts)} servers"


def _result(host: HostResult, width: int) -> str:
    sign = click.style("✓", fg="green") if host.well else click.style("✗", fg="red")
    if not host.done and not host.open:
        return f"{sign} {host.name:<{width}}  no changes"
    notes = "" if host.verified else ", and it does not behave as declared"
    return f"{sign} {host.name:<{width}}  {_counted(len(host.done))} in {host.seconds:.1f} s{notes}"
