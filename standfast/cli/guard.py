"""``standfast guard``: what stands in front of destructive commands on this machine."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from standfast.cli import options
from standfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.documents import GuardCheckDocument
    from standfast.host.guard.classification import Verdict

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}
command_line = click.argument(
    "command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND"
)
_PASSED_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.group()
def guard() -> None:
    """Stand in front of commands that destroy data: look, copy, ask, record.

    For your machine and for CI; docs/guards.md says what each guard stops, and what passes around it.

    \b
    Examples:
      standfast guard check -- npx prisma migrate reset     would it be refused?
      standfast guard run -- npx prisma migrate reset       ask first, with a copy taken
      standfast guard install                               the same, for whatever you type from now on
      standfast guard restore                               bring the project's database back

    \b
    Exit codes: 0 harmless, or done; 1 failed, the message says what was changed; 3 the command line is
    wrong; 6 refused, nothing was run; `guard run` ends as its command does.
    """


@guard.command(context_settings=_PASSED_ON)
@command_line
@options.as_json
def check(command: tuple[str, ...], as_json: bool) -> None:
    """Say whether a command would be refused, and why. Runs nothing, contacts nothing.

    \b
    Example:
      standfast guard check -- docker compose down -v

    \b
    Exit codes: 0 harmless; 3 the command line is wrong; 6 it would be refused without somebody to ask.
    """
    from standfast.guard import dangers, knowledge

    known = knowledge.here(Path.cwd())
    verdicts = dangers.judged(dangers.shell_text(command), known, Path.cwd(), stdin=None)
    if as_json:
        from standfast.cli.presentation import print_json

        print_json(_check_document(verdicts, known.faults))
    else:
        for fault in known.faults:
            click.echo(f"{click.style('!', fg='yellow')} {fault}", err=True)
        for verdict in verdicts:
            entry = verdict.entry.name if verdict.entry else "unknown"
            where = f" in {verdict.inside}" if verdict.inside else ""
            click.echo(f"{click.style(entry, bold=True)}{where}: {verdict.reason}")
            click.echo(f"    hits: {', '.join(verdict.hits) or 'not known'}")
        if not verdicts:
            click.echo("harmless")
    raise click.exceptions.Exit(6 if verdicts else 0)


@guard.command(context_settings=_PASSED_ON)
@command_line
def run(command: tuple[str, ...]) -> None:
    """Run a command; when it is destructive, only after a copy and the database's name, typed.

    Without a terminal it refuses, whatever flags the command has. Databases that guard.yml declares as
    disposable, and empty ones, pass in silence.

    \b
    Example:
      standfast guard run -- npx prisma migrate reset --force

    \b
    Exit codes: those of the command; 6 refused, and nothing was run; 127 there is no such program.
    """
    from standfast.guard import running

    running.run(command, _Terminal())


def _check_document(verdicts: Sequence[Verdict], faults: Sequence[str]) -> GuardCheckDocument:
    from standfast.documents import FORMAT
    from standfast.guard import masking

    return {
        "format": FORMAT,
        "kind": "guard-check",
        "outcome": "refused" if verdicts else "harmless",
        "findings": [
            {
                "level": "unknown" if each.level == "unknown" else "destructive",
                "entry": each.entry.name if each.entry else None,
                "reason": each.reason,
                "hits": list(each.hits),
                "command": masking.masked(each.command),
                "inside": each.inside or None,
            }
            for each in verdicts
        ],
        "faults": list(faults),
    }


class _Terminal:
    """The person in front of this."""

    @property
    def present(self) -> bool:
        from standfast.guard import terminal

        return terminal.present()

    def tell(self, text: str) -> None:
        click.echo(text, err=True)

    def ask(self, question: str) -> str:
        from standfast.guard import terminal

        return terminal.asked(question)


@guard.command()
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path, file_okay=False), help="Where the shims stand."
)
@click.option("--uninstall", is_flag=True, help="Remove the shims.")
def install(folder: Path | None, uninstall: bool) -> None:
    """Put guards in front of npx, prisma, manage.py, psql, docker and others, by your PATH.

    It writes small programs of these names into a folder and prints the line for your shell that puts the
    folder first. Harmless commands go straight on.

    \b
    Examples:
      standfast guard install                 then add the line that it prints to ~/.bashrc or ~/.zshrc
      standfast guard install --uninstall

    \b
    Exit codes: 0 done; 1 a file could not be written; 6 there is a file that is no shim; nothing was written.
    """
    from standfast.guard import knowledge, layout, records, shims

    place = (folder or layout.shims()).absolute()
    if uninstall:
        count = shims.uninstall(place)
        records.add(Path.cwd(), "uninstalled", (), reason=f"{count} shims in {place}")
        click.echo(f"removed {count} shims from {place}")
        return
    written = shims.install(place, knowledge.here(Path.cwd()).catalogue)
    click.echo(
        f"{len(written)} guards in {place}; add this to ~/.bashrc or ~/.zshrc, as its last line:\n", err=True
    )
    click.echo(shims.shell_line(place))


@guard.command()
@click.option("--for", "lasting", metavar="TIME", help="How long: 10m, 1h; at most 24h.")
@click.option("--reason", help="Why; it is kept in the audit log.")
@click.option("--end", is_flag=True, help="Close the window now.")
def allow(lasting: str | None, reason: str | None, end: bool) -> None:
    """Open a window in which destructive commands run without a question. It is recorded.

    A copy is still taken first, and a database that cannot be looked into is still refused.

    \b
    Examples:
      standfast guard allow --for 10m --reason "new fixtures"
      standfast guard allow --end

    \b
    Exit codes: 0 open, or closed; 3 the command line is wrong.
    """
    from standfast.guard import records, windows

    if end:
        was_open = windows.closed()
        if was_open:
            records.add(Path.cwd(), "window closed", ())
        click.echo("the window is closed" if was_open else "no window was open")
        return
    if not (reason or "").strip():
        raise UsageError("--reason: expected why, for those who read the audit log")
    span = _span(lasting)
    # First the record: a window that nobody can find later must not open.
    records.add(Path.cwd(), "window opened", (), reason=reason, seconds=int(span.total_seconds()))
    window = windows.opened(span, str(reason), records.who())
    click.echo(
        f"until {window.until} destructive commands run here without a question; copies are still taken"
    )


def _span(text: str | None) -> timedelta:
    from standfast.guard import windows

    match = re.fullmatch(r"(\d{1,6})([smh])", text or "")
    if match is None:
        raise UsageError(f"--for: expected for how long, such as 10m or 1h, not {text or 'nothing'}")
    span = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if not timedelta() < span <= windows.LONGEST:
        raise UsageError(f"--for: expected at most 24h, not {text}")
    return span


@guard.command()
@click.option(
    "--url-from", metavar="NAME", help="Variable with the connection string; else the project's own."
)
@click.option("--drill", is_flag=True, help="Restore the copy beside the database, compare, remove it again.")
@click.option("--schedule", is_flag=True, help="From now on every day, for this folder's project.")
@click.option("--unschedule", is_flag=True, help="Not every day any more.")
@click.option("--scheduled", is_flag=True, hidden=True, help="All scheduled projects; what the timer calls.")
def backup(url_from: str | None, drill: bool, schedule: bool, unschedule: bool, scheduled: bool) -> None:
    """Take a verified copy of the project's database, now or every day.

    Counted and hashed in the dump's own snapshot, read to its end, and kept on this machine: the newest 14
    daily ones, and all that were taken before a destructive command.

    \b
    Examples:
      standfast guard backup
      standfast guard backup --drill
      standfast guard backup --schedule

    \b
    Exit codes: 0 done; 1 a copy could not be taken, or failed its drill; 3 the command line is wrong;
    6 the database could not be found or looked into.
    """
    from standfast.guard import backing_up
    from standfast.guard import schedule as schedules

    here = Path.cwd()
    if unschedule:
        was = schedules.remove(here)
        click.echo("no longer copied every day" if was else "it was not copied every day")
        return
    if schedule:
        address = backing_up.project(here, url_from)
        click.echo(f"{address.name} will be copied {schedules.add(here)}")
    folders = schedules.folders() if scheduled else [here]
    failed = backing_up.back_up(folders, url_from, drill=drill, report=click.echo)
    for message in failed:
        click.echo(f"{click.style('✗', fg='red')} {message}", err=True)
    raise click.exceptions.Exit(1 if failed else 0)


@guard.command()
@click.argument("database", required=False)
@click.option(
    "--copy", "which", metavar="TIME", help="Not the newest copy: the beginning of its folder's name."
)
@click.option(
    "--url-from",
    metavar="NAME",
    help="Variable with the connection string of a role that may create databases.",
)
@options.yes
def restore(database: str | None, which: str | None, url_from: str | None, yes: bool) -> None:
    """Bring a database back from its newest copy on this machine: every row, table, policy and grant.

    It is loaded beside what is there, compared with the copy's hashes, then swapped in by one transaction.
    What was there stays, as NAME_before_TIME.

    \b
    Examples:
      standfast guard restore                              the project's database, its newest copy
      standfast guard restore localhost/shop --copy 20261126T12

    \b
    Exit codes: 0 restored and compared; 1 failed, the database is as it was; 3 the command line is wrong;
    6 the database could not be found, or nobody said yes.
    """
    from standfast.guard import backing_up, copies, records, restoring, terminal

    here = Path.cwd()
    address = backing_up.project(here, url_from, database)
    copy = copies.chosen(database or address.name, which)
    click.echo(f"{address.name}: the copy of {copy.manifest.time} ({copy.why}), {copy.told}", err=True)
    if not yes and not (
        terminal.present() and terminal.asked("Bring it back? [y/N] ").lower() in ("y", "yes")
    ):
        raise backing_up.NotAgreed("nothing was restored: say yes at a terminal, or give --yes")
    done = restoring.restore(address, copy, lambda text: click.echo(f"  {text}", err=True))
    records.add(here, "restored", (), database=address.name, copy=[str(copy.folder)], kept=done.kept)
    click.echo(f"{address.name} is as it was at {copy.manifest.time}: {copy.told}, every hash equal")
    for note in done.notes:
        click.echo(f"{click.style('!', fg='yellow')} {note}", err=True)
    if done.kept:
        click.echo(f"what was there is kept as {done.kept}", err=True)


@guard.command()
@options.as_json
def log(as_json: bool) -> None:
    """Show the decisions that were made in this repository, and whether their chain is whole.

    \b
    Example:
      standfast guard log

    \b
    Exit codes: 0 shown, and the chain is whole; 1 a record was altered, removed or inserted.
    """
    from standfast.engine import chain, controller_log
    from standfast.guard import records

    here = Path.cwd()
    faults = chain.check(controller_log.read(records.path(here)))
    entries = records.read(here)
    if as_json:
        from standfast.cli.presentation import print_json
        from standfast.documents import FORMAT, AuditDocument

        document: AuditDocument = {"format": FORMAT, "kind": "audit", "records": entries}
        print_json(document)
    for entry in [] if as_json else entries:
        time = str(entry.get("time", ""))[:19].replace("T", " ")
        command = entry.get("command") or ""
        about = f"  {entry['database']}" if entry.get("database") else ""
        outcome = click.style(str(entry.get("outcome")), bold=True)
        click.echo(f"{time}  {outcome}  {entry.get('who')}{about}  {command}")
        for label, value in (("", entry.get("reason")), ("copy: ", (entry.get("copy") or [None])[0])):
            if value:
                click.echo(f"    {label}{value}")
    for fault in faults:
        click.echo(f"{click.style('✗', fg='red')} {fault.what}", err=True)
    raise click.exceptions.Exit(1 if faults else 0)
