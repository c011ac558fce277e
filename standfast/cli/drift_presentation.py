"""How drift looks on a terminal: one line a difference, the calm ones dimmed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import click

from standfast.cli.alike import grouped, said, together
from standfast.cli.presentation import widths
from standfast.drift.acceptance import Verdict
from standfast.drift.finding import Finding
from standfast.engine.drift import Drift, HostDrift

COLOURS = {"changed": "yellow", "missing": "red", "unmanaged": "magenta"}
WHAT_WIDTH = 34
DIFF_LINES = 12
LISTED = 3  # packages that were installed by hand; more are counted


def print_drift(drift: Drift, command: str) -> None:
    """
    Print differences for people.

    + command: the apply command that repairs what can be repaired
    """
    looked = [host for host in drift.hosts if host.error is None or host.verdicts]
    calm_first = sorted(looked, key=lambda host: bool(host.counting))
    for hosts in grouped(calm_first, _found_on):
        _print_alike(hosts, widths(looked))
    click.echo(_summary(drift, command))


def print_acceptance(drift: Drift, reason: str) -> None:
    """Print what to paste into the inventory so that everything found is accepted; JSON is YAML as well."""
    for host in drift.hosts:
        entries = [each.finding for each in host.verdicts if each.counts and not each.finding.repair]
        if not entries:
            continue
        click.echo(f"# hosts.{host.name}: put these under its `accept:`")
        click.echo("accept:")
        for finding in entries:
            what = json.dumps(finding.id, ensure_ascii=False)
            click.echo(f"  - {{what: {what}, reason: {json.dumps(reason, ensure_ascii=False)}}}")


def _found_on(host: HostDrift) -> str:
    """What is to be said about a server, apart from when and by whom it was changed."""
    found = [{**each.as_json(), "since": None, "by": None} for each in host.verdicts]
    return said([found, host.remarks], host.name, host.address)


def _print_alike(hosts: Sequence[HostDrift], columns: tuple[int, int]) -> None:
    """Print servers with the same differences: a line each, and the differences once."""
    for host in hosts:
        _print_heading(host, columns)
    if len(hosts) > 1 and (hosts[0].verdicts or hosts[0].remarks):
        click.echo(f"  {together(len(hosts), hosts[0].name)}")
    _print_found(hosts[0])


def _print_heading(host: HostDrift, columns: tuple[int, int]) -> None:
    count = len(host.counting)
    accepted = sum(each.accepted is not None for each in host.verdicts)
    shown = f"{count} difference{'' if count == 1 else 's'}" if count else "as declared"
    notes = f", {accepted} accepted" if accepted else ""
    name_width, address_width = columns
    click.echo(
        f"{click.style(host.name, bold=True)}{' ' * (name_width - len(host.name))}  "
        f"{host.address:<{address_width}}  {shown}{notes}  {click.style(f'{host.seconds:.1f} s', dim=True)}"
    )


def _print_found(host: HostDrift) -> None:
    zone = ZoneInfo(host.timezone)
    for verdict in host.verdicts:
        if verdict.counts:
            _print_finding(verdict.finding, zone)
    for verdict in host.verdicts:
        if verdict.accepted is not None:
            _print_accepted(verdict)
    _print_noted([each.finding for each in host.verdicts if not each.counts and each.accepted is None], zone)
    for remark in host.remarks:
        click.echo(f"  {click.style('!', fg='yellow')} {remark}")


def _print_finding(finding: Finding, zone: ZoneInfo) -> None:
    kind = click.style(f"{finding.kind:<10}", fg=COLOURS[finding.kind])
    click.echo(f"  {kind} {_harmless(f'{finding.what:<{WHAT_WIDTH}} {finding.why}')}{_when(finding, zone)}")
    lines = finding.diff.splitlines()
    for line in lines[:DIFF_LINES]:
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        click.echo(click.style(f"               {line}", fg=colour))
    if len(lines) > DIFF_LINES:
        click.echo(click.style(f"               … {len(lines) - DIFF_LINES} more lines", dim=True))


def _print_accepted(verdict: Verdict) -> None:
    if verdict.accepted is None:
        return
    until = f", until {verdict.accepted.until}" if verdict.accepted.until else ""
    text = f"  {'accepted':<10} {verdict.finding.what:<{WHAT_WIDTH}} {verdict.accepted.reason}{until}"
    click.echo(click.style(_harmless(text), dim=True))


def _print_noted(findings: Sequence[Finding], zone: ZoneInfo) -> None:
    packages = [each for each in findings if each.id.startswith("package:")]
    if len(packages) > LISTED:
        names = ", ".join(each.id.removeprefix("package:") for each in packages)
        text = f"{len(packages)} packages installed by hand, not declared: {names}"
        click.echo(click.style(f"  {'noted':<10} {text}", dim=True))
        findings = [each for each in findings if each not in packages]
    for each in findings:
        text = f"  {'noted':<10} {each.what:<{WHAT_WIDTH}} {each.why}{_when(each, zone)}"
        click.echo(click.style(_harmless(text), dim=True))


def _harmless(text: str) -> str:
    """Names on a server can be anything; on a terminal they are text."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _when(finding: Finding, zone: ZoneInfo) -> str:
    if finding.since is None:
        return ""
    by = f" by {_harmless(finding.by)}" if finding.by else ""
    return f"  ({_moment(finding.since.astimezone(zone), datetime.now(UTC).astimezone(zone))}{by})"


def _moment(when: datetime, now: datetime) -> str:
    """``today 18:22``, ``yesterday 18:22``, ``1 Nov 18:22``, ``1 Nov 2025``."""
    if when.date() == now.date():
        return f"today {when:%H:%M}"
    if when.date() == now.date() - timedelta(days=1):
        return f"yesterday {when:%H:%M}"
    return f"{when:%-d %b %H:%M}" if when.year == now.year else f"{when:%-d %b %Y}"


def _summary(drift: Drift, command: str) -> str:
    findings = [each for host in drift.hosts for each in host.counting]
    looked = [host for host in drift.hosts if host.error is None]
    bad = [host.name for host in drift.hosts if host.error is not None]
    unread = f"; not or not fully compared: {', '.join(bad)}" if bad else ""
    if not findings:
        if not looked:
            return "no server could be compared"
        names = looked[0].name if len(looked) == 1 else f"{len(looked)} servers"
        return f"no differences: {names} as declared{unread}"
    repaired = sum(each.repair for each in findings)
    left = len(findings) - repaired
    differing = sum(bool(host.counting) for host in drift.hosts)
    where = f" on {differing} of {len(drift.hosts)} servers" if len(drift.hosts) > 1 else ""
    text = f"{len(findings)} difference{'' if len(findings) == 1 else 's'}{where}{unread}. "
    if repaired:
        text += f"`{command}` repairs {repaired if left else 'it' if repaired == 1 else 'them'}"
        text += "; " if left else "."
    if left:
        rest = "" if not repaired else "the other " if left == 1 else "the others "
        subject = rest or ("It " if left == 1 else "They ")
        need = "needs" if left == 1 else "need"
        text += f"{subject}{need} your decision: remove, declare, or accept (`accept:` in the inventory)."
    return text
