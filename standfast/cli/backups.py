"""``standfast backups``: what there is, and whether it was ever restored."""

from __future__ import annotations

from typing import Any

import click

from standfast.cli import options
from standfast.cli.duration import duration, shown

SHOWN = 8


@click.command()
@options.environment
@options.limit
@options.as_json
def backups(environment: str, limit: tuple[str, ...], as_json: bool) -> None:
    """List the backups of ENV: when, what is in them, whether they were ever restored. Changes nothing.

    RPO is what would be lost now, and the longest time between two backups; RTO is how long the last
    restore or drill took, until the application answered. Both are measured, never hoped.

    \b
    Examples:
      standfast backups production
      standfast backups production --json | jq '.hosts[].items[].rpo_seconds'

    \b
    Exit codes: 0 listed; 1 a server or its repository could not be read; 3 the inventory or the command
    line is wrong; 6 no backups are declared there.
    """
    from standfast.cli.presentation import print_errors, print_json
    from standfast.cli.run import exit_with, open_servers
    from standfast.recovery import backups as library

    with open_servers(environment, limit, (), quiet=as_json) as (servers, waiting):
        results = library.copies(servers, waiting.step)
        errors = dict(servers.failures)
    if as_json:
        print_json({"environment": environment, "hosts": [each.as_json() for each in results]})
    for each in [] if as_json else results:
        if each.error is None and each.document:
            _print(each.name, each.document)
    print_errors(errors)
    exit_with(errors, otherwise=0)


def _print(name: str, document: dict[str, Any]) -> None:
    click.echo(f"{click.style(name, bold=True)}  {document['repository']}")
    for sentence in document["left"]:
        click.echo(f"  {click.style('!', fg='yellow')} {sentence}")
    for item in document["items"]:
        click.echo(f"  {item['kind']} {item['name']}  {_figures(item)}")
        for copy in item["copies"][:SHOWN]:
            click.echo(f"      {copy['id'][:8]}  {shown(copy['time'])}  {_contents(copy)}{_restored(copy)}")
        if len(item["copies"]) > SHOWN:
            click.echo(f"      and {len(item['copies']) - SHOWN} older ones (see --json)")
    for volume in document["dumped"]:
        click.echo(f"  volume {volume}  holds nothing but databases that are dumped")
    for volume, reason in document["excluded"].items():
        click.echo(f"  volume {volume}  in no backup: {reason}")


def _figures(item: dict[str, Any]) -> str:
    if item["rpo_seconds"] is None:
        return click.style("no backup at all", fg="red")
    gap = item["longest_gap_seconds"]
    longest = f", longest gap {duration(gap)}" if gap else ""
    rto = f"RTO {duration(item['rto_seconds'])}" if item["rto_seconds"] else "never restored, so no RTO"
    return f"RPO {duration(item['rpo_seconds'])} now{longest}; {rto}"


def _contents(copy: dict[str, Any]) -> str:
    figures = copy["figures"]
    size = f", {figures['bytes'] / 1e6:,.1f} MB" if "bytes" in figures else ""
    if "rows" in figures:
        return f"{figures['rows']:,} rows in {figures['tables']} tables{size}"
    return f"{figures['files']:,} files{size}" if "files" in figures else "not counted on this server"


def _restored(copy: dict[str, Any]) -> str:
    doubt = f"  {click.style('!', fg='yellow')} {copy['doubtful']}" if copy["doubtful"] else ""
    if not copy["restored"]:
        return doubt
    last = copy["restored"][-1]
    words = "restored" if last["how"] == "restore" else "drilled"
    result = "" if last["ok"] else click.style(" and FAILED", fg="red")
    return f"{doubt}  {words} {shown(last['time'])}{result}"
