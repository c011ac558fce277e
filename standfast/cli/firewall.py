"""``standfast firewall``: look at the rules, try the inventory's, have the last confirmed ones again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from standfast.cli import options
from standfast.cli.firewall_show import show

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.group()
@options.environment
@click.pass_context
def firewall(ctx: click.Context, environment: str) -> None:
    """Show the rules of ENV, try them, or put the last confirmed ones back.

    No change of rules or of sshd stays unless a new connection from here has confirmed it: apply does
    that by itself. docs/firewall.md tells how, and what to do when you are locked out all the same.

    \b
    Examples:
      standfast firewall production show           what is in force beside what is declared
      standfast firewall production test           a trial; the server is as before afterwards
      standfast firewall production test --hold    the same, until the server's own timer ends it
      standfast firewall production revert         the rules that were confirmed last

    \b
    Exit codes: 0 done; 1 failed, the message says what was changed; 2 `show` found differences;
    3 the inventory or the command line is wrong; 4 nobody got in with these rules, and the server has
    undone them; 5 somebody else is at work; 6 refused, nothing was changed.
    """
    ctx.obj = environment


firewall.add_command(show)


@firewall.command()
@options.limit
@click.option("--hold", is_flag=True, help="Leave the rules in force until the server's timer ends.")
@click.pass_obj
def test(environment: str, limit: tuple[str, ...], hold: bool) -> None:
    """Put the rules of the inventory in force, prove that we get in, and put back what was there."""
    from standfast.cli.run import open_servers
    from standfast.engine import firewall_trial
    from standfast.engine.caller import caller
    from standfast.engine.holds import holding

    with (
        open_servers(environment, limit, (), quiet=False) as (servers, waiting),
        holding(servers, caller(servers.loaded, "firewall test"), report=waiting.step, tell=waiting.tell),
    ):
        said = firewall_trial.test(servers, hold=hold, report=waiting.step)
    _finish(said, servers.failures)


@firewall.command()
@options.limit
@click.pass_obj
def revert(environment: str, limit: tuple[str, ...]) -> None:
    """Put the rules that were confirmed last in force again, and end a trial."""
    from standfast.cli.run import open_servers
    from standfast.engine import firewall_trial
    from standfast.engine.caller import caller
    from standfast.engine.holds import holding

    with (
        open_servers(environment, limit, (), quiet=False) as (servers, waiting),
        holding(servers, caller(servers.loaded, "firewall revert"), report=waiting.step, tell=waiting.tell),
    ):
        said = firewall_trial.revert(servers)
    _finish(said, servers.failures)


def _finish(said: Mapping[str, str], failures: Mapping[str, Exception]) -> None:
    from standfast.cli.presentation import print_errors
    from standfast.cli.run import exit_with

    for name, sentence in said.items():
        click.echo(f"{name}: {sentence}")
    print_errors(dict(failures))
    exit_with(failures, otherwise=0)
