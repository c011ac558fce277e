"""``standfast drill``: prove that the backups can be restored."""

from __future__ import annotations

from typing import Any

import click

from standfast.cli import options


@click.command()
@options.environment
@options.limit
@click.option("--on", metavar="HOST", help="On this server of ENV, instead of each on its own.")
@options.as_json
def drill(environment: str, limit: tuple[str, ...], on: str | None, as_json: bool) -> None:
    """Bring the newest backups of ENV back into throwaway containers, and see that the application works.

    Databases and volumes are compared with their manifests; then the application's own images are
    started on them, in a network that leads nowhere, and asked for its page. Nothing in service is touched,
    and nothing stays. Cron does the same on the server every month.

    With --on HOST the backups of the other servers are brought back there, one server after the other. HOST
    needs Docker and restic; images come along. The repository's password and the applications' settings are
    there in memory, for as long as it takes.

    \b
    Examples:
      standfast drill production
      standfast drill production --limit web-1 --json
      standfast drill production --on spare-1     also proves that the repository opens without web-1

    \b
    Exit codes: 0 everything came back and the application answered; 1 something did not, or could not be
    tried; 3 the inventory or the command line is wrong; 5 another run is at work; 6 refused;
    130 interrupted, what was begun on a server goes on to its end there.
    """
    from standfast.cli.presentation import print_errors, print_json
    from standfast.cli.run import exit_with, open_servers
    from standfast.engine.caller import caller
    from standfast.recovery import backups, drill_elsewhere

    chosen = (*limit, on) if limit and on else limit
    with open_servers(environment, chosen, (), quiet=as_json) as (servers, waiting):
        by = caller(servers.loaded, "drill")
        results = (
            drill_elsewhere.drill(servers, on, by, waiting.step)
            if on
            else backups.drill(servers, by, waiting.step)
        )
        errors = dict(servers.failures)
    if as_json:
        print_json({"environment": environment, "hosts": [each.as_json() for each in results]})
    for each in [] if as_json else results:
        sign = click.style("✗", fg="red") if each.error else click.style("✓", fg="green")
        click.echo(f"{sign} {each.name}  {each.seconds:.1f} s")
        _print((each.document or {}).get("items", []))
    print_errors(errors)
    exit_with(errors, otherwise=0)


def _print(items: list[dict[str, Any]]) -> None:
    for item in items:
        sign = click.style("✓", fg="green") if item["ok"] else click.style("✗", fg="red")
        click.echo(f"  {sign} {item['kind']} {item['name']}: {item['message']}")
