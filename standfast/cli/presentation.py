"""How plans and results look on a terminal: stdout is the answer, stderr is progress."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import click

from standfast.engine.apply import HostResult, Outcome
from standfast.engine.plan import HostPlan, Plan
from standfast.errors import StandfastError
from standfast.operations.change import Change
from standfast.verification.run import Verification

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


def print_json(document: dict[str, Any]) -> None:
    """Print a document for machines."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_plan(plan: Plan) -> None:
    """Print a plan for people."""
    for host in plan.hosts:
        if host.error is None:
            _print_host(host)
    click.echo(_summary(plan))


def print_errors(errors: dict[str, Exception]) -> None:
    """Print what went wrong, one message a server; a bug keeps its traceback."""
    for name, error in errors.items():
        if isinstance(error, StandfastError):
            message = str(error) if str(error).startswith(name) else f"{name}: {error}"
            click.echo(f"{click.style('✗', fg='red', bold=True)} {message}", err=True)
        else:
            click.echo("".join(traceback.format_exception(error)), err=True)


def print_outcome(outcome: Outcome) -> None:
    """Print what was done on each server."""
    for host in outcome.hosts:
        if host.error is None:
            click.echo(f"{_result(host)}")
            if host.safety_copy:
                click.echo(f"  before that: {host.safety_copy}")
    if outcome.interrupted:
        left = sum(len(host.open) for host in outcome.hosts)
        click.echo(
            f"interrupted: {left} changes are left; run apply again and it goes on from here", err=True
        )


def print_verification(verification: Verification) -> None:
    """Print what the assertions found: one line a server, and each one that does not hold."""
    for server, group in groupby(sorted(verification.checks, key=lambda c: c.server), key=lambda c: c.server):
        checks = list(group)
        failed = [check for check in checks if check.outcome == "failed"]
        skipped = sum(check.outcome == "skipped" for check in checks)
        sign = click.style("✗", fg="red") if failed else click.style("✓", fg="green")
        notes = f", {skipped} do not apply" if skipped else ""
        click.echo(f"{sign} {server or 'all'}  {len(checks) - skipped - len(failed)} checks hold{notes}")
        for check in failed:
            reason = check.message.strip().splitlines()[0] if check.message.strip() else "no reason given"
            click.echo(f"    {click.style('✗', fg='red')} {check.check}: {reason}")
    click.echo(click.style(f"{verification.seconds:.1f} s", dim=True), err=True)


def progress_line(host: str, subject: str, change: Change) -> str:
    """One line for a change that is about to be made."""
    return f"{host}  {subject}: {change.action} {change.target}"


def _print_host(host: HostPlan) -> None:
    changes = host.changes
    count = f"{len(changes)} change{'' if len(changes) == 1 else 's'}" if changes else "no changes"
    click.echo(
        f"{click.style(host.name, bold=True)}  {host.address}  "
        f"{host.resources} resources, {count}  {click.style(f'{host.seconds:.1f} s', dim=True)}"
    )
    for subject, group in groupby(changes, key=lambda pair: pair[0]):
        click.echo(f"  {subject}")
        for _, change in group:
            _print_change(change)
    if host.attention:
        click.echo("  attention")
    for text in host.attention:
        click.echo(f"    {click.style('!', fg='yellow')} {text}")


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
    changes = sum(len(host.changes) for host in good)
    if not good:
        return "no plan: no server could be compared"
    if not changes:
        return f"no changes: {_servers(good)} as declared"
    changing = [host for host in good if host.changes]
    return f"{changes} change{'' if changes == 1 else 's'} on {_servers(changing)}"


def _servers(hosts: Iterable[HostPlan]) -> str:
    names = [host.name for host in hosts]
    return names[0] if len(names) == 1 else f"{len(names)} servers"


def _result(host: HostResult) -> str:
    if not host.done and not host.open:
        return f"{click.style('✓', fg='green')} {host.name}  no changes"
    return f"{click.style('✓', fg='green')} {host.name}  {len(host.done)} changes in {host.seconds:.1f} s"
