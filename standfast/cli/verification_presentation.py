"""How the outcome of assertions looks on a terminal; without the engine, which a check does not need."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import click

from standfast.cli.alike import grouped
from standfast.verification.run import Check, Verification

LISTED = 5  # servers in one line; more are counted
ALIKE = 5  # checks of one server that fail for one reason; more are counted


def print_verification(verification: Verification) -> None:
    """Print what the assertions found: servers where all hold, then each one that does not."""
    checks = sorted(verification.checks, key=lambda check: check.server)
    servers = {name: list(group) for name, group in groupby(checks, key=lambda check: check.server)}
    failing = [name for name, found in servers.items() if any(check.outcome == "failed" for check in found)]
    holding = [name for name in servers if name not in failing]
    for names in grouped(holding, lambda name: _holding(servers[name])):
        shown = names if len(names) <= LISTED else [*names[:LISTED], f"… ({len(names)} servers)"]
        names_text = ", ".join(name or "all" for name in shown)
        click.echo(f"{click.style('✓', fg='green')} {names_text}  {_holding(servers[names[0]])}")
    for name in failing:
        click.echo(f"{click.style('✗', fg='red')} {name or 'all'}  {_holding(servers[name])}")
        for reason, alike in _failed(servers[name]).items():
            what = alike if len(alike) <= ALIKE else [f"{len(alike)} checks, {alike[0]} first"]
            for each in what:
                click.echo(f"    {click.style('✗', fg='red')} {each}: {reason}")
    click.echo(click.style(f"{verification.seconds:.1f} s", dim=True), err=True)


def _failed(checks: Sequence[Check]) -> dict[str, list[str]]:
    """Checks that do not hold, by the reason: a server that cannot be reached has one for all."""
    found: dict[str, list[str]] = {}
    for check in checks:
        if check.outcome == "failed":
            reason = next(iter(check.message.strip().splitlines()), "no reason given")
            found.setdefault(reason, []).append(check.check)
    return found


def _holding(checks: Sequence[Check]) -> str:
    """How many of a server's assertions hold."""
    skipped = sum(check.outcome == "skipped" for check in checks)
    held = sum(check.outcome == "passed" for check in checks)
    return f"{held} checks hold" + (f", {skipped} do not apply" if skipped else "")
