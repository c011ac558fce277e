"""``standfast apply``: make the servers what the inventory declares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Never

import click

from standfast.cli import options
from standfast.errors import UsageError

if TYPE_CHECKING:  # these import pyinfra, and `--help` must not
    from standfast.engine.apply import Outcome
    from standfast.verification.run import Verification

INTERRUPTED = 130


@click.command()
@options.selection
@options.yes
@click.option("--no-verify", is_flag=True, help="Do not run the assertions of `standfast verify` afterwards.")
@options.elsewhere
def apply(
    environment: str,
    limit: tuple[str, ...],
    only: tuple[str, ...],
    as_json: bool,
    yes: bool,
    no_verify: bool,
    elsewhere: bool,
) -> None:
    """Make the servers of ENV what the inventory declares; show the plan and ask first.

    Exactly the commands of the plan are executed; then a second plan must be empty, and the assertions
    of `standfast verify` must hold. Volumes, databases and backups are never removed.
    When it is interrupted or fails half-way, run it again: it goes on from there.
    With --i-am-elsewhere nothing is verified afterwards: from here it may not be possible.

    \b
    Examples:
      standfast apply production
      standfast apply lab --yes
      standfast apply production --limit web-1 --only caddy
      standfast apply monday.plan.json       exactly this plan of `plan -o`, or nothing

    \b
    Exit codes: 0 nothing to do, or done and checked; 1 failed, the message says what was changed;
    3 the inventory or the command line is wrong; 5 somebody else is at work; 6 refused, nothing was
    changed; 130 interrupted.
    """
    if not yes and not sys.stdin.isatty():
        raise UsageError("apply asks before it changes anything, and there is no terminal: add --yes")
    from standfast.cli.presentation import print_plan, progress_line
    from standfast.cli.run import open_servers
    from standfast.engine import saved_plan
    from standfast.engine.apply import apply as execute
    from standfast.engine.caller import caller
    from standfast.engine.holds import holding
    from standfast.recovery.safety_copy import safety_copy
    from standfast.verification.run import verify

    saved = saved_plan.read(Path(environment)) if environment.endswith(".json") else None
    if saved:
        environment, limit, only = str(saved.inventory), saved.limit, saved.only
    with (
        open_servers(environment, limit, only, quiet=as_json, saved=saved, elsewhere=elsewhere) as (
            servers,
            waiting,
        ),
        holding(servers, caller(servers.loaded, "apply"), report=waiting.step, tell=waiting.tell) as holds,
    ):
        planned = servers.plan(only)
        if saved:
            servers.refuse(planned, saved_plan.check_servers(saved, planned))
        holds.planned(planned.hosts, whole=not only)
        waiting.pause()
        if not as_json:
            print_plan(planned)
        if planned.has_changes and not yes and not waiting.confirmed("Make these changes?"):
            holds.declined = True
            click.echo("nothing was changed", err=True)
            raise click.exceptions.Exit(0)
        outcome = execute(
            servers,
            planned,
            only,
            holds,
            progress=lambda step: waiting.step(progress_line(step.host, step.subject, step.change)),
            stopping=lambda: waiting.step(
                "stopping after the running operation; Ctrl-C again leaves at once"
            ),
            copy=safety_copy,
        )
        holds.interrupted = outcome.interrupted
        changed = [host.name for host in outcome.hosts if host.done and not host.error]
        verification = None
        if changed and not (only or no_verify or elsewhere or outcome.interrupted):
            waiting.step(f"verifying {', '.join(changed)}")
            verification = verify(servers.loaded, changed)
            holds.unverified = {check.server for check in verification.failed()}
    _finish(outcome, verification, as_json=as_json)


def _finish(outcome: Outcome, verification: Verification | None, *, as_json: bool) -> Never:
    """Print what was done and what the assertions found; end with the exit code."""
    from standfast.cli.presentation import print_errors, print_json, print_outcome, print_verification
    from standfast.cli.run import exit_with

    if as_json:
        print_json(outcome.as_json() | {"verification": verification and verification.as_json()})
    else:
        print_outcome(outcome)
        if verification:
            print_verification(verification)
    errors = {host.name: host.error for host in outcome.hosts if host.error}
    print_errors(errors)
    if not errors and verification and verification.failed():
        raise click.exceptions.Exit(1)
    exit_with(errors, otherwise=INTERRUPTED if outcome.interrupted else 0)
