"""``standfast snapshot``: volumes of a moment, on the server's own disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from standfast.cli import options
from standfast.cli.duration import duration, shown, since
from standfast.cli.replacing import files, print_kept, replace
from standfast.cli.waiting import require_answer
from standfast.errors import UsageError

if TYPE_CHECKING:  # these import pyinfra, and `--help` must not
    from standfast.recovery.snapshots import Return


@click.command()
@options.environment
@options.limit
@options.as_json
@click.option("--volume", "volumes", multiple=True, metavar="NAME", help="Only this; can be given again.")
@click.option("--name", metavar="NAME", help="A name of yours: the snapshot stays until you remove it.")
@click.option("--list", "listing", is_flag=True, help="Only show what there is; changes nothing.")
@click.option("--restore", "key", metavar="ID", help="Bring one --volume back from this snapshot, or name.")
@click.option("--to", metavar="NAME", help="With --restore: into a new volume; nothing is replaced.")
@options.yes
def snapshot(
    environment: str,
    limit: tuple[str, ...],
    as_json: bool,
    volumes: tuple[str, ...],
    name: str | None,
    listing: bool,
    key: str | None,
    to: str | None,
    yes: bool,
) -> None:
    """Take a read-only snapshot of the volumes of ENV now, list them, or bring a volume back from one.

    Nothing stands still for it: all volumes of one btrfs subvolume are of exactly one moment. It is on the
    server's own disk, so it is no backup. `--restore` copies the volume beside what is there, stops the
    containers that use it, and swaps; what was there is kept under another name.

    \b
    Examples:
      standfast snapshot production
      standfast snapshot production --name before-upgrade      stays until you remove it
      standfast snapshot production --list
      standfast snapshot production --restore before-upgrade --volume toybox_media
      standfast snapshot production --restore 20261126-0312 --volume toybox_pgdata --to toybox_look

    \b
    Exit codes: 0 taken, listed or restored; 1 failed, the message says what is there now; 3 the inventory
    or the command line is wrong; 5 somebody else is at work; 6 refused, nothing was changed: for example no
    volume is on btrfs; 130 interrupted, what was begun on a server goes on to its end there.
    """
    _consistent(volumes, name, to, key, listing=listing, yes=yes)
    from standfast.cli.presentation import print_errors, print_json
    from standfast.cli.run import exit_with, open_servers
    from standfast.engine.caller import caller
    from standfast.recovery import snapshots as library

    if key is not None:
        replace(
            environment,
            limit,
            called="restore a snapshot",
            look=lambda servers, report: library.look(servers, key, volumes[0], to, report),
            show=_print_prospect,
            show_done=_print_done,
            as_json=as_json,
            yes=yes,
        )
    with open_servers(environment, limit, (), quiet=as_json) as (servers, waiting):
        if listing:
            results = library.listed(servers, waiting.step)
        else:
            by = caller(servers.loaded, "snapshot")
            results = library.take(servers, volumes, name, by, waiting.step)
        errors = dict(servers.failures)
    if as_json:
        print_json({"environment": environment, "hosts": [each.as_json() for each in results]})
    for each in [] if as_json else results:
        if each.document and "error" not in each.document:
            click.echo(f"{click.style(each.name, bold=True)}  {each.seconds:.1f} s")
            (_print_list if listing else _print_taken)(each.document)
    print_errors(errors)
    exit_with(errors, otherwise=0)


def _consistent(
    volumes: tuple[str, ...], name: str | None, to: str | None, key: str | None, *, listing: bool, yes: bool
) -> None:
    """
    Options that do not go together are refused before a server is asked.

    Raises:
        UsageError: nothing was done.
    """
    if listing and (key or volumes or name):
        raise UsageError("--list: expected without --restore, --volume and --name")
    if key is None:
        if to:
            raise UsageError("--to: expected together with --restore")
        return
    if len(volumes) != 1:
        raise UsageError(f"--restore: expected exactly one --volume with it, found {len(volumes)}")
    if name:
        raise UsageError("--name: expected without --restore")
    require_answer("--restore asks before it replaces anything", yes=yes)


def _print_taken(document: dict[str, Any]) -> None:
    one = document["snapshot"]
    click.echo(f"  {click.style('✓', fg='green')} {one['id']}  {', '.join(one['volumes'])}{_moments(one)}")
    if one["name"]:
        click.echo(f"      called {one['name']}: it stays until you remove it")
    for each in document["removed"]:
        click.echo(f"      removed, to keep no more than declared: {each}")
    _print_uncovered(document)


def _print_list(document: dict[str, Any]) -> None:
    for one in document["snapshots"]:
        name = f"  {one['name']}" if one["name"] else ""
        click.echo(
            f"  {one['id']}  {shown(one['time'])}, {since(one['time'])} ago  {one['reason']}{name}  "
            f"{', '.join(one['volumes'])}"
        )
        if one["damage"]:
            click.echo(f"      {click.style('!', fg='yellow')} not what was taken: {one['damage']}")
    if not document["snapshots"]:
        click.echo("  there is none yet")
    _print_uncovered(document)


def _print_uncovered(document: dict[str, Any]) -> None:
    for name, reason in document["uncovered"].items():
        click.echo(f"  {click.style('!', fg='yellow')} volume {name} is in no snapshot: {reason}")


def _moments(one: dict[str, Any]) -> str:
    count = one["moments"]
    return "" if count == 1 else f"  ({count} subvolumes, taken one after the other)"


def _print_prospect(one: Return) -> None:
    made = one.prospect
    click.echo(f"{click.style(one.name, bold=True)}  {one.address}")
    verb = "made" if made["now"] is None else "replaced"
    taken = made["snapshot"]["time"]
    click.echo(
        f"  {click.style('~', fg='yellow')} volume {made['target']}  {verb}: snapshot "
        f"{made['snapshot']['id']} of {shown(taken)}, {since(taken)} ago"
    )
    now = "nothing is there" if made["now"] is None else files(made["now"])
    click.echo(f"      now: {now}; then: {files(made['then'])}")
    if made["stops"]:
        click.echo(f"      stopped for a moment: {', '.join(made['stops'])}")


def _print_done(name: str, done: dict[str, Any]) -> None:
    made = done["done"]
    click.echo(f"{click.style('✓', fg='green')} {name}")
    click.echo(
        f"  volume {made['target']}: {files(made['then'])}, as it was on {shown(made['snapshot']['time'])}"
    )
    print_kept("volume", made)
    answers = ", ".join(done["answering"])
    click.echo(
        f"  RTO {duration(done['seconds'])}, containers away for {made['away_seconds']:.1f} s"
        f"{f'; {answers} answers' if answers else ''}"
    )
