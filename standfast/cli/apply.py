"""``standfast apply``: make the servers what the inventory declares."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Never

import click

from standfast.cli import options
from standfast.cli.waiting import require_answer
from standfast.errors import UsageError

if TYPE_CHECKING:  # these import pyinfra, and `--help` must not
    from standfast.engine.outcome import Outcome
    from standfast.engine.rollout import Limit
    from standfast.inventory.loader import Loaded
    from standfast.verification.run import Verification


@click.command()
@options.selection
@options.yes
@options.rollout
@click.option(
    "--without-copy",
    is_flag=True,
    help="Do not copy the databases of production and staging first, and take no snapshots.",
)
@click.option("--no-verify", is_flag=True, help="Do not run the assertions of `standfast verify` afterwards.")
@options.elsewhere
def apply(
    environment: str,
    limit: tuple[str, ...],
    only: tuple[str, ...],
    as_json: bool,
    yes: bool,
    serial: int | None,
    canary: tuple[str, ...],
    max_failures: Limit | None,
    without_copy: bool,
    no_verify: bool,
    elsewhere: bool,
) -> None:
    """Make the servers of ENV what the inventory declares; show the plan and ask first.

    Exactly the commands of the plan are executed; then a second plan must be empty, and the assertions
    of `standfast verify` must hold. Volumes, databases and backups are never removed.
    When it is interrupted or fails half-way, run it again: it goes on from there.
    With --i-am-elsewhere nothing is verified afterwards: from here it may not be possible.

    All servers are changed at once, each on its own, unless you say otherwise. With --serial or --canary
    each part is verified before the next one is begun, and the first failure is the last one.

    \b
    Examples:
      standfast apply production
      standfast apply lab --yes
      standfast apply production --limit web-1 --only caddy
      standfast apply production --canary web-1 --serial 5
      standfast apply production --serial 10 --max-failures 5%
      standfast apply monday.plan.json       exactly this plan of `plan -o`, or nothing

    \b
    Exit codes: 0 nothing to do, or done and checked; 1 failed, the message says what was changed;
    3 the inventory or the command line is wrong; 4 a change of sshd or the firewall was not confirmed, and
    the server has undone it; 5 somebody else is at work, 6 refused: nothing was changed on any server;
    130 interrupted.
    """
    require_answer("apply asks before it changes anything", yes=yes)
    if canary and (no_verify or elsewhere):
        switch = "--no-verify" if no_verify else "--i-am-elsewhere"
        raise UsageError(f"--canary: the others are begun when its assertions hold; leave out {switch}")
    from standfast.cli.presentation import print_errors, print_plan, progress_line
    from standfast.cli.run import open_servers
    from standfast.engine import saved_plan
    from standfast.engine.apply import apply as execute
    from standfast.engine.caller import caller
    from standfast.engine.holds import holding
    from standfast.engine.rollout import Rollout
    from standfast.recovery.safety_copy import safety_copy
    from standfast.verification.run import together

    rollout = Rollout(serial, canary, max_failures)
    saved = saved_plan.read(Path(environment)) if environment.endswith(".json") else None
    if saved:
        environment, limit, only = str(saved.inventory), saved.limit, saved.only
    opening = open_servers(
        environment, limit, only, quiet=as_json, saved=saved, rollout=rollout, elsewhere=elsewhere
    )
    with (
        opening as (servers, waiting),
        holding(servers, caller(servers.loaded, "apply"), report=waiting.step, tell=waiting.tell) as holds,
    ):
        looked_at = canary if only or no_verify or elsewhere else None
        verifying = _Verifying(servers.loaded, looked_at, waiting.step)
        planned = servers.plan(only)
        if saved:
            servers.refuse(planned, saved_plan.check_servers(saved, planned))
        holds.planned(planned.hosts, whole=not only)
        waiting.pause()
        if not as_json:
            print_plan(planned)
        stopped = rollout.why_stop(planned.errors, len(planned.hosts))
        if planned.has_changes and not (yes or stopped):
            print_errors(planned.errors)
            waiting.agreed("Make these changes?", holds)
        outcome = execute(
            servers,
            planned,
            only,
            holds,
            progress=lambda step: waiting.step(progress_line(step.host, step.subject, step.change)),
            stopping=lambda: waiting.step(
                "stopping after the running operation; Ctrl-C again leaves at once"
            ),
            rollout=rollout,
            verify=verifying,
            copy=None if without_copy else safety_copy,
        )
        holds.interrupted = outcome.interrupted
    _finish(outcome, together(verifying.made), as_json=as_json)


@dataclass(slots=True)
class _Verifying:
    """Makes assertions on servers that were changed, and keeps what they found."""

    loaded: Loaded
    names: Collection[str] | None
    """The servers to look at; ``None`` means all."""
    report: Callable[[str], None]
    made: list[Verification] = field(default_factory=list)

    def __call__(self, changed: Collection[str]) -> set[str]:
        from standfast.cli.run import some
        from standfast.verification.run import verify

        wanted = [name for name in changed if self.names is None or name in self.names]
        if not wanted:
            return set()
        self.report(f"verifying {some(wanted)}")
        self.made.append(verify(self.loaded, wanted))
        failed = {check.server for check in self.made[-1].failed()}
        # A test of the user's own may name no server; then it speaks of all of them.
        return failed if failed <= set(wanted) else set(wanted)


def _finish(outcome: Outcome, verification: Verification | None, *, as_json: bool) -> Never:
    """Print what was done and what the assertions found; end with the exit code."""
    from standfast.cli.presentation import (
        print_errors,
        print_json,
        print_outcome,
        print_totals,
    )
    from standfast.cli.verification_presentation import print_verification

    if as_json:
        print_json(outcome.as_json(verification.as_json() if verification else None))
    else:
        print_outcome(outcome)
        if verification:
            print_verification(verification)
    print_errors(outcome.errors)
    if not as_json:
        print_totals(outcome)
    raise click.exceptions.Exit(outcome.exit_code)
