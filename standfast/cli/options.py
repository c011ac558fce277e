"""Arguments that commands share: they mean the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def inventories(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """For completion: the inventories of the repository in the working directory."""
    return [path.stem for path in sorted(Path("inventories").glob(f"{incomplete}*.yml"))]


environment = click.argument("environment", metavar="ENV", shell_complete=inventories)
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
    help="Let rules shut out your address; somebody has to confirm them from where SSH is allowed.",
)


def selection(command: F) -> F:
    """``ENV --limit HOST --only SUBJECT --json``."""
    for option in (as_json, only, limit, environment):
        command = option(command)
    return command


class LimitType(click.ParamType[Any]):
    """``3`` servers, or ``10%`` of them."""

    name = "limit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click's
        from standfast.engine.rollout import parse_limit  # not before it is needed: `--help` is quick

        try:
            return parse_limit(str(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


serial = click.option("--serial", type=click.IntRange(min=1), metavar="N", help="N servers at a time.")
canary = click.option(
    "--canary",
    multiple=True,
    metavar="HOST",
    help="This server first; the others only if it is well. Can be given again.",
)
max_failures = click.option(
    "--max-failures",
    type=LimitType(),
    metavar="N|P%",
    help="After more failed servers than that, no further one is begun. Default, when not all at once: 0.",
)


def rollout(command: F) -> F:
    """``--serial N --canary HOST --max-failures N|P%``."""
    for option in (max_failures, canary, serial):
        command = option(command)
    return command
