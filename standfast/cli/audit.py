"""``standfast audit``: who did what to which server."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from standfast.cli import options
from standfast.errors import UsageError

if TYPE_CHECKING:
    from standfast.engine.timeline import Verdict

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
SHOWN = 6  # changes of one record


@click.command()
@options.environment
@options.limit
@options.as_json
@click.option("--since", metavar="TIME", help="Nothing older: 7d, 12h, 2026-11-01, 2026-11-01T12:00 (UTC).")
@click.option("--verify", is_flag=True, help="Prove that no record was altered, removed or inserted.")
def audit(environment: str, limit: tuple[str, ...], as_json: bool, since: str | None, verify: bool) -> None:
    """Show who did what to the servers of ENV, as one timeline. Changes nothing.

    The records of each server, and what only this machine knows: plans, and servers that could not be
    reached. With --verify: whether the logs are whole, and where they are not.

    \b
    Examples:
      standfast audit production
      standfast audit production --since 7d --limit web-1
      standfast audit production --json | jq 'select(.outcome != "done")'
      standfast audit production --verify

    \b
    Exit codes: 0 shown, or every log is whole; 1 a log is not whole, or a server could not be read;
    3 the inventory or the command line is wrong.
    """
    start = _start(since)
    from standfast.cli.presentation import print_errors, print_json
    from standfast.cli.run import exit_with, open_servers
    from standfast.documents import FORMAT, AuditDocument, AuditProofDocument
    from standfast.engine import timeline

    with open_servers(environment, limit, (), quiet=as_json) as (servers, _):
        logs = timeline.read_servers(servers)
        verdicts = timeline.verify(servers, logs) if verify else []
        entries = [] if verify else timeline.timeline(servers, logs, start)
        errors = dict(servers.failures)
    if verify and as_json:
        proof: AuditProofDocument = {
            "format": FORMAT,
            "kind": "audit-proof",
            "logs": [verdict.as_json() for verdict in verdicts],
        }
        print_json(proof)
    elif as_json:
        document: AuditDocument = {"format": FORMAT, "kind": "audit", "records": entries}
        print_json(document)
    for verdict in [] if as_json else verdicts:
        _print_verdict(verdict)
    for entry in [] if as_json else entries:
        _print_entry(entry)
    print_errors(errors)
    exit_with(errors, otherwise=1 if any(verdict.faults for verdict in verdicts) else 0)


def _start(since: str | None) -> str:
    """The moment that ``--since`` means, as records write it."""
    if since is None:
        return ""
    if match := re.fullmatch(r"(\d+)([mhdw])", since):
        moment = datetime.now(UTC) - timedelta(**{UNITS[match[2]]: int(match[1])})
    else:
        try:
            moment = datetime.fromisoformat(since)
        except ValueError:
            raise UsageError(f"--since: expected 30m, 12h, 7d, 2w or 2026-11-01, not {since!r}") from None
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _print_verdict(verdict: Verdict) -> None:
    sign = click.style("✗", fg="red") if verdict.faults else click.style("✓", fg="green")
    known = f", {verdict.known} of them copied here" if verdict.known else ""
    state = "not whole" if verdict.faults else "none altered, removed or inserted"
    click.echo(f"{sign} {verdict.name}  {verdict.records} records{known}: {state}")
    for fault in verdict.faults:
        click.echo(f"    {click.style('✗', fg='red')} {fault}")
    for note in verdict.notes:
        click.echo(f"    {click.style('!', fg='yellow')} {note}")


def _print_entry(entry: dict[str, Any]) -> None:
    time = str(entry.get("time", ""))[:19].replace("T", " ")
    where = f" from {entry['from']}" if entry.get("from") else ""
    changed = "+" if entry.get("dirty") else ""
    revision = f", revision {entry['revision'][:7]}{changed}" if entry.get("revision") else ""
    seconds = f", {entry['seconds']} s" if entry.get("seconds") is not None else ""
    outcome = str(entry.get("outcome"))
    colour = {"done": "green", "no changes": None, "changes": None}.get(outcome, "yellow")
    click.echo(
        f"{time}  {entry.get('host') or '-'}  {click.style(str(entry.get('action')), bold=True)}: "
        f"{click.style(outcome, fg=colour)}  {entry.get('who')}{where}{revision}{seconds}"
    )
    for label, key in (
        ("", "changed"),
        ("cut off in: ", "cut_off_in"),
        ("not done: ", "not_done"),
    ):
        _print_changes(label, entry.get(key) or [])
    if entry.get("reason"):
        for line in entry["reason"].splitlines():
            click.echo(f"    {line.strip()}")


def _print_changes(label: str, changes: list[str]) -> None:
    for change in changes[:SHOWN]:
        click.echo(f"    {label}{change}")
    if len(changes) > SHOWN:
        click.echo(f"    {label}{len(changes) - SHOWN} more (see --json)")
