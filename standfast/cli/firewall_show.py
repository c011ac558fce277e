"""``standfast firewall ENV show``: what is in force beside what is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from standfast.cli import options

if TYPE_CHECKING:  # it imports pyinfra, and `--help` must not
    from standfast.engine.firewall_show import HostFirewall

DIFFERENCES = 2
SIGNS = {"as declared": (" ", None), "missing": ("+", "green"), "not declared": ("-", "red")}
FAMILIES = {"ipv4": "IPv4", "ipv6": "IPv6"}


@click.command()
@options.limit
@options.as_json
@click.pass_obj
def show(environment: str, limit: tuple[str, ...], as_json: bool) -> None:
    """Show the rules in force beside the declared ones, ours and those of others apart. Writes nothing.

    `+` is declared and not in force, `-` is in force and not declared.

    \b
    Examples:
      standfast firewall production show
      standfast firewall production show --limit web-1 --json

    \b
    Exit codes: 0 as declared; 2 there are differences; 1 a server could not be reached; 3 the inventory or
    the command line is wrong; 6 a server could not be read.
    """
    from standfast.cli.presentation import print_errors, print_json
    from standfast.cli.run import exit_with, open_servers
    from standfast.engine.firewall_show import FORMAT_VERSION
    from standfast.engine.firewall_show import show as look

    with open_servers(environment, limit, (), quiet=as_json) as (servers, _):
        found = look(servers)
    if as_json:
        print_json({"format": FORMAT_VERSION, "hosts": [each.as_json() for each in found]})
    else:
        for each in found:
            if each.error is None:
                _print(each)
    errors = {each.name: each.error for each in found if each.error is not None}
    print_errors(errors)
    exit_with(errors, otherwise=DIFFERENCES if any(each.differs for each in found) else 0)


def _print(found: HostFirewall) -> None:
    from standfast.facts.rule_words import in_words

    click.echo(f"{click.style(found.name, bold=True)}  {found.address}")
    for family in dict.fromkeys(each.family for each in found.ours):
        click.echo(f"  ours, {FAMILIES[family]}")
        for each in (each for each in found.ours if each.family == family):
            sign, colour = SIGNS[each.state]
            click.echo(click.style(f"    {sign} {in_words(each.rule)}", fg=colour))
    if not found.ours:
        click.echo("  ours: nothing, iptables is not installed")
    click.echo(f"  of others: {'nothing' if not found.foreign else ''}".rstrip())
    for line in found.foreign:
        click.echo(click.style(f"      {_harmless(line)}", fg="magenta"))
    if found.refused:
        click.echo(f"  {click.style('!', fg='yellow')} the declared rules would be refused: {found.refused}")
    for line in _confirmed(found.confirmed):
        click.echo(f"  {line}")


def _confirmed(known: dict[str, object] | None) -> list[str]:
    """What the host program has told, in words."""
    if known is None:
        return ["confirmed: not known, the host program is not there"]
    lines = [f"confirmed: {'yes' if known.get('confirmed') else 'no rules ever'}"]
    for name, words in (("trial", "on trial now"), ("last_trial", "last trial")):
        told = known.get(name)
        if isinstance(told, dict):
            shown = ", ".join(
                str(told[key]) for key in ("what", "outcome", "armed", "ended", "why") if told.get(key)
            )
            lines.append(f"{words}: {_harmless(shown)}")
    return lines


def _harmless(text: str) -> str:
    """Names on a server can be anything; on a terminal they are text."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
