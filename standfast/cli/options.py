"""Arguments that commands share: they mean the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

environment = click.argument("environment", metavar="ENV")
limit = click.option("--limit", multiple=True, metavar="HOST", help="Only this host; can be given again.")
only = click.option(
    "--only",
    multiple=True,
    metavar="SUBJECT",
    help="Only this subject, for example caddy; can be given again.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
yes = click.option("--yes", is_flag=True, help="Do not ask before changing anything.")

elsewhere = click.option(
    "--i-am-elsewhere",
    "elsewhere",
    is_flag=True,
    help="Let the firewall shut out the address that you come from now.",
)


def selection(command: F) -> F:
    """``ENV --limit HOST --only SUBJECT --json``."""
    for option in (as_json, only, limit, environment):
        command = option(command)
    return command
