"""``standfast restore``: bring back what a backup holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from standfast.cli import options
from standfast.cli.duration import duration, shown, since
from standfast.cli.replacing import files, print_kept, replace
from standfast.cli.waiting import require_answer
from standfast.errors import UsageError
from standfast.host.backup.faults import WrongConfiguration
from standfast.host.restore import selection

if TYPE_CHECKING:  # this imports pyinfra, and `--help` must not
    from standfast.recovery.restore import Restore

TABLES_SHOWN = 12


@click.command()
@options.environment
@options.limit
@options.as_json
@click.option(
    "--database", "databases", multiple=True, metavar="NAME", help="This database; can be given again."
)
@click.option("--volume", "volumes", multiple=True, metavar="NAME", help="This volume; can be given again.")
@click.option("--all", "everything", is_flag=True, help="Every database and volume of the backups.")
@click.option("--at", metavar="TIME|ID", help="The last copy of that time or before, or exactly this copy.")
@click.option("--to", metavar="NAME", help="Into a new database or volume; nothing is replaced.")
@click.option("--without-copy", is_flag=True, help="Go on where no copy of what is there now can be taken.")
@options.yes
def restore(
    environment: str,
    limit: tuple[str, ...],
    as_json: bool,
    databases: tuple[str, ...],
    volumes: tuple[str, ...],
    everything: bool,
    at: str | None,
    to: str | None,
    without_copy: bool,
    yes: bool,
) -> None:
    """Bring back databases and volumes of ENV from their backups; show what is replaced and ask first.

    First a verified copy of what is there now is taken. Then the backup is loaded beside it, compared with
    its manifest, and swapped in. A restore that fails or is killed leaves the old data or the new,
    complete. What was replaced stays on the server under another name, until you remove it.

    \b
    Examples:
      standfast restore production --all
      standfast restore production --database toybox
      standfast restore production --database toybox --at 2026-11-22T03:00
      standfast restore production --database toybox --at 4f1c09ab --to toybox_yesterday
      standfast restore production --volume toybox_media

    \b
    Exit codes: 0 restored, compared and answering; 1 failed, the message says what is there now;
    3 the inventory or the command line is wrong; 5 somebody else is at work; 6 refused, nothing was
    changed; 130 interrupted, what was begun on a server goes on to its end there.
    """
    if everything == bool(databases or volumes):
        raise UsageError("expected either --all, or --database NAME and --volume NAME")
    if to and len(databases) + len(volumes) != 1:
        raise UsageError("--to: expected exactly one --database or --volume with it")
    if at is not None:
        try:
            selection.understood(at)
        except WrongConfiguration as error:
            raise UsageError(str(error)) from None
    require_answer("restore asks before it replaces anything", yes=yes)
    from standfast.recovery import restore as library

    wanted = library.Wanted(databases, volumes, everything, at, to, without_copy)
    replace(
        environment,
        limit,
        called="restore",
        look=lambda servers, report: library.look(servers, wanted, report),
        show=_print_prospects,
        show_done=_print_done,
        as_json=as_json,
        yes=yes,
    )


def _print_prospects(restore: Restore) -> None:
    click.echo(f"{click.style(restore.name, bold=True)}  {restore.address}")
    for sentence in restore.left:
        click.echo(f"  {click.style('!', fg='yellow')} {sentence}")
    for each in restore.prospects:
        verb = "made" if each["new"] else "replaced"
        click.echo(
            f"  {click.style('~', fg='yellow')} {each['kind']} {each['target']}  {verb}: copy "
            f"{each['snapshot'][:8]} of {shown(each['time'])}, {since(each['time'])} ago"
        )
        if each["doubtful"]:
            click.echo(f"      {click.style('!', fg='yellow')} this copy is one of doubt: {each['doubtful']}")
        _print_amounts(each)


def _print_amounts(item: dict[str, Any]) -> None:
    now, then = item["now"], item["then"]
    if now is None:
        reason = (
            f"what is there now cannot be looked at: {item['silent']}"
            if item["silent"]
            else "nothing is there"
        )
        total = f"{sum(then.values()):,} rows" if item["kind"] == "database" else f"{then['files']:,} files"
        click.echo(f"      now: {reason}; then: {total}")
        return
    if item["kind"] == "volume":
        click.echo(f"      now: {files(now)}; then: {files(then)}")
        return
    different = [name for name in sorted({*now, *then}) if now.get(name) != then.get(name)]
    width = max((len(name) for name in different), default=0)
    for name in different[:TABLES_SHOWN]:
        click.echo(f"      {name:<{width}}  {_rows(now.get(name))} now, {_rows(then.get(name))} then")
    if len(different) > TABLES_SHOWN:
        click.echo(f"      and {len(different) - TABLES_SHOWN} more tables with other numbers")
    click.echo(
        f"      all tables: {sum(now.values()):,} rows now, {sum(then.values()):,} then"
        + ("" if different else "; the numbers are the same in every table")
    )


def _rows(number: int | None) -> str:
    return "no table" if number is None else f"{number:,} rows"


def _print_done(name: str, done: dict[str, Any]) -> None:
    click.echo(f"{click.style('✓', fg='green')} {name}")
    for note in [*done["left"], *done["without_copy"]]:
        click.echo(f"  {click.style('!', fg='yellow')} {note}")
    for item in done["copies"]:
        click.echo(f"  {item['kind']} {item['name']}: copy of before: {item['snapshot'][:8]}")
    for item in done["items"]:
        then = item["then"]
        amount = files(then) if item["kind"] == "volume" else f"{sum(then.values()):,} rows"
        click.echo(f"  {item['kind']} {item['target']}: {amount}, as the manifest says")
        click.echo(f"      RPO {since(item['time'])}: it is as it was on {shown(item['time'])}")
        print_kept(item["kind"], item)
        for note in item["notes"]:
            click.echo(f"      {click.style('!', fg='yellow')} {note}")
    answers = ", ".join(done["answering"])
    click.echo(f"  RTO {duration(done['seconds'])}{f', until {answers} answered' if answers else ''}")
