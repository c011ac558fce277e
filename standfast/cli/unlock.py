"""``standfast unlock``: take the lock away from a run that does not end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from standfast.cli import options
from standfast.cli.waiting import require_answer
from standfast.errors import UsageError

if TYPE_CHECKING:
    from standfast.engine.journal import LastRun


@click.command()
@options.environment
@options.limit
@click.option("--reason", required=True, help="Why; it is kept in the audit log and told to the owner.")
@options.yes
def unlock(environment: str, limit: tuple[str, ...], reason: str, yes: bool) -> None:
    """End the run that holds the servers of ENV, after asking.

    There are no stale locks: a lock is free as soon as its owner's connection has ended, and 30 seconds
    after a network was cut. This is for an apply that waits or hangs while its owner is away.
    The command that is running on a server is not killed; the next apply waits for it.

    \b
    Examples:
      standfast unlock production --reason "left open on kim's desk"
      standfast unlock production --limit web-1 --reason "laptop stolen" --yes

    \b
    Exit codes: 0 unlocked, or there was nothing to unlock; 1 a server could not be reached or unlocked;
    3 the inventory or the command line is wrong.
    """
    if not reason.strip():
        raise UsageError("--reason: expected why, for those who read the audit log")
    require_answer("unlock asks before it ends somebody's run", yes=yes)
    from standfast.cli.presentation import print_errors
    from standfast.cli.run import exit_with, open_servers
    from standfast.engine import unlock as library
    from standfast.engine.caller import caller

    with open_servers(environment, limit, (), quiet=False) as (servers, waiting):
        owners = {}
        waiting.pause()
        for name, lock in library.look(servers).items():
            if lock.owner:
                owners[name] = lock.owner
                click.echo(f"{name}: held by {lock.owner.told()}", err=True)
            else:
                click.echo(f"{name}: nothing to unlock{_still_running(lock.running)}")
        if owners and not yes and not waiting.confirmed("End this?"):
            click.echo("nothing was unlocked", err=True)
            raise click.exceptions.Exit(0)
        by = caller(servers.loaded, "unlock")
        if owners:
            waiting.step("waiting until what was ended has written its records, up to 30 s")
        ended = library.unlock(servers, by, owners, reason, waiting.tell)
        waiting.pause()
        for name, running in ended.items():
            click.echo(f"{name}: unlocked{_still_running(running)}")
        errors = dict(servers.failures)
    print_errors(errors)
    exit_with(errors, otherwise=0)


def _still_running(run: LastRun | None) -> str:
    if run is None:
        return ""
    return (
        f". A command of {run.who}'s run is still running there, pid {run.pid}: {run.running}. "
        "The next apply waits for it"
    )
