"""``standfast drift``: what differs from the declaration, and what nobody declared."""

from __future__ import annotations

import click

from standfast.cli import options
from standfast.errors import UsageError

DIFFERENCES = 2


@click.command()
@options.selection
@click.option("--accept-all", is_flag=True, help="Print YAML that accepts everything found; edit nothing.")
@click.option("--reason", metavar="TEXT", help="With --accept-all: why it may stay.")
def drift(
    environment: str,
    limit: tuple[str, ...],
    only: tuple[str, ...],
    as_json: bool,
    accept_all: bool,
    reason: str | None,
) -> None:
    """Show what differs from the inventory on the servers of ENV, and what nobody declared. Writes nothing.

    \b
    changed    declared, or brought by a package, and not as it was
    missing    declared and not there
    unmanaged  there and declared by nobody
    noted      worth knowing; does not count

    What you want to keep and not to declare goes into the inventory's `accept:` list, with a reason.

    \b
    Examples:
      standfast drift production
      standfast drift production --limit web-1 --only firewall
      standfast drift production --json
      standfast drift production --accept-all --reason "came with the server"

    \b
    Exit codes: 0 as declared; 2 there are differences; 1 a server could not be reached or compared;
    3 the inventory or the command line is wrong; 6 a part of a server could not be read.
    """
    if (reason is None) == accept_all:
        raise UsageError("--accept-all and --reason belong together: why may it stay?")
    if accept_all and as_json:
        raise UsageError("--accept-all prints YAML: leave out --json")
    from standfast.cli.drift_presentation import print_acceptance, print_drift
    from standfast.cli.presentation import print_errors, print_json
    from standfast.cli.run import exit_with, open_servers
    from standfast.drift.finding import Finding
    from standfast.engine.drift import drift as compare
    from standfast.recovery import schemas

    with open_servers(environment, limit, only, quiet=as_json) as (servers, waiting):
        further: dict[str, list[Finding]] = {}
        unread: dict[str, Exception] = {}
        if not only and schemas.declared(servers):
            further, unread = schemas.findings(servers, waiting.step)
        found = compare(servers, only, further, unread)
    if as_json:
        print_json(found.as_json())
    elif accept_all:
        print_acceptance(found, reason or "")
    else:
        print_drift(found, f"standfast apply {environment}")
    print_errors(found.errors)
    exit_with(found.errors, otherwise=DIFFERENCES if found.has_differences else 0)
