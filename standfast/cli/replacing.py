"""What commands have in common that replace data on servers: look, show, ask, do, show what was done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Never, TypeVar

import click

if TYPE_CHECKING:  # these import pyinfra, and `--help` must not
    from standfast.engine.servers import Servers
    from standfast.recovery.replacing import Replacement, Report

R = TypeVar("R", bound="Replacement")


def replace(
    environment: str,
    limit: tuple[str, ...],
    *,
    called: str,
    look: Callable[[Servers, Report], Sequence[R]],
    show: Callable[[R], None],
    show_done: Callable[[str, dict[str, Any]], None],
    as_json: bool,
    yes: bool,
) -> Never:
    """
    Replace data on servers, and end the command with its exit code.

    + called: what it is to the audit log, and to those who come second
    + show_done: given a server's name and what was done there
    """
    from standfast.cli.presentation import print_errors, print_json
    from standfast.cli.run import exit_with, open_servers
    from standfast.engine.caller import caller
    from standfast.engine.holds import holding
    from standfast.recovery.replacing import perform

    with (
        open_servers(environment, limit, (), quiet=as_json) as (servers, waiting),
        holding(servers, caller(servers.loaded, called), report=waiting.step, tell=waiting.tell) as holds,
    ):
        found = look(servers, waiting.step)
        holds.planned([each.plan() for each in found], whole=False)
        waiting.pause()
        for each in [] if as_json else found:
            show(each)
        if found and not yes:
            waiting.agreed("Do this?", holds)
        perform(servers, found, holds, waiting.step)
        errors = dict(servers.failures)
    if as_json:
        print_json({"environment": environment, "hosts": [each.as_json() for each in found]})
    for each in [] if as_json else found:
        if each.done is not None:
            show_done(each.name, each.done)
    print_errors(errors)
    exit_with(errors, otherwise=0)


def files(amount: dict[str, int]) -> str:
    """How much is in a volume."""
    return f"{amount['files']:,} files, {amount['bytes'] / 1e6:,.1f} MB"


def print_kept(kind: str, item: dict[str, Any]) -> None:
    """Say under which name what was replaced still is, and how it goes."""
    if not item["kept"]:
        return
    removal = (
        f"`docker volume rm {item['kept']}` on the server"
        if kind == "volume"
        else f'`DROP DATABASE "{item["kept"]}"`'
    )
    size = f"{item['kept_bytes'] / 1e6:,.1f} MB"
    click.echo(
        f"      what was there is kept as {kind} {item['kept']}, {size}; {removal} when nobody needs it"
    )
