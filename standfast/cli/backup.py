"""``standfast backup``: a backup now."""

from __future__ import annotations

import sys

import click

from standfast.cli import options
from standfast.errors import UsageError


@click.command()
@options.environment
@options.limit
@options.as_json
@click.option("--database", "databases", multiple=True, metavar="NAME", help="Only this; can be given again.")
@click.option("--volume", "volumes", multiple=True, metavar="NAME", help="Only this; can be given again.")
@click.option(
    "--check-password",
    is_flag=True,
    help="Only look whether your copy of the repository's password opens it: typed, or on standard input.",
)
def backup(
    environment: str,
    limit: tuple[str, ...],
    as_json: bool,
    databases: tuple[str, ...],
    volumes: tuple[str, ...],
    check_password: bool,
) -> None:
    """Back up the databases and volumes of ENV now.

    Each database is dumped and counted in one snapshot, read whole, and only then stored; the writers of a
    volume stand still for a moment. The earlier backups stay as they are, whatever happens.

    \b
    Examples:
      standfast backup production
      standfast backup production --database toybox
      standfast backup production --check-password      does the team's copy of the password work?

    \b
    Exit codes: 0 stored, or the password is right; 1 failed, the message says what; 3 the inventory or
    the command line is wrong; 5 another run is at work; 6 refused;
    130 interrupted, what was begun on a server goes on to its end there.
    """
    if check_password and (databases or volumes):
        raise UsageError("--check-password: expected without --database and --volume")
    password = _password() if check_password else ""
    from standfast.cli.presentation import print_errors, print_json
    from standfast.cli.run import exit_with, open_servers
    from standfast.engine.caller import caller
    from standfast.recovery import backups as library

    with open_servers(environment, limit, (), quiet=as_json) as (servers, waiting):
        if check_password:
            by = caller(servers.loaded, "check password")
            results = library.password(servers, password, by, waiting.step)
        else:
            by = caller(servers.loaded, "backup")
            results = library.back_up(servers, databases, volumes, by, waiting.step)
        errors = dict(servers.failures)
    if as_json:
        print_json({"environment": environment, "hosts": [each.as_json() for each in results]})
    for each in [] if as_json else results:
        if each.error is None:
            click.echo(f"{click.style('✓', fg='green')} {each.name}  {each.seconds:.1f} s")
            for line in (
                each.lines if check_password else [line for line in each.lines if line.startswith("✓")]
            ):
                click.echo(f"  {line}")
    print_errors(errors)
    exit_with(errors, otherwise=0)


def _password() -> str:
    """From the terminal without an echo, or standard input; never from an argument."""
    if sys.stdin.isatty():
        return str(click.prompt("Password of the repository", hide_input=True, err=True))
    text = sys.stdin.read().rstrip("\r\n")
    if not text:
        raise UsageError("--check-password: expected the password on standard input, found nothing there")
    return text
