"""What every command that works on servers does first and last."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Never

import click

import deploys
from standfast.cli.waiting import Waiting, ticking
from standfast.engine.audit import remember_refusal
from standfast.engine.caller import caller
from standfast.engine.declarations import declarations
from standfast.engine.rollout import Rollout
from standfast.engine.saved_plan import SavedPlan, check_sources
from standfast.engine.servers import Servers, connected, exit_code
from standfast.errors import Refused, UsageError
from standfast.inventory.choice import chosen_hosts
from standfast.inventory.loader import Loaded, find, load

NAMED = 5  # servers in a progress line; more are counted


@contextmanager
def open_servers(
    environment: str,
    limit: Collection[str],
    only: Collection[str],
    *,
    quiet: bool,
    saved: SavedPlan | None = None,
    elsewhere: bool = False,
    rollout: Rollout | None = None,
) -> Iterator[tuple[Servers, Waiting]]:
    """
    Load the inventory, fetch the secrets, connect; disconnect at the end.

    + saved: a plan from a file, whose sources must not have changed
    + elsewhere: whether the firewalls may shut out this machine
    + rollout: whose canaries must be among the servers
    """
    loaded = load(find(environment, cwd=Path.cwd()))
    if saved:
        _check_saved(saved, loaded)
    deploys.use_repository(loaded.root)
    _check_subjects(only)
    if rollout:
        rollout.check(chosen_hosts(loaded, limit))
    chosen = declarations(loaded, limit, elsewhere=elsewhere)
    with Waiting(quiet=quiet) as waiting:
        waiting.step(f"connecting to {some([each.name for each in chosen])}")
        with ticking(waiting), connected(loaded, chosen) as servers:
            yield servers, waiting


def some(names: Sequence[str]) -> str:
    """Names of servers in a progress line."""
    return ", ".join(names) if len(names) <= NAMED else f"{len(names)} servers"


def _check_saved(saved: SavedPlan, loaded: Loaded) -> None:
    try:
        check_sources(saved, loaded)
    except Refused as error:
        remember_refusal(loaded, caller(loaded, "apply"), error, lambda text: click.echo(text, err=True))
        raise


def _check_subjects(only: Collection[str]) -> None:
    known = deploys.subjects()
    for name in only:
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(known)}"
            raise UsageError(f"--only {name}: there is no such subject; {hint}")


def exit_with(errors: Mapping[str, Exception], *, otherwise: int) -> Never:
    """End the command with the exit code for `errors`, or `otherwise` when there are none."""
    raise click.exceptions.Exit(exit_code(list(errors.values())) if errors else otherwise)
