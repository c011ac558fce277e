"""``standfast verify``: assertions against the live servers."""

from __future__ import annotations

from pathlib import Path

import click

from standfast.cli import options


@click.command()
@options.environment
@options.limit
@options.as_json
def verify(environment: str, limit: tuple[str, ...], as_json: bool) -> None:
    """Check that the servers of ENV behave as the inventory declares. Changes nothing.

    The assertions are derived from the inventory and made by pytest-testinfra over SSH. Your own
    tests in `tests/` beside `inventories/` run with them and may use the `host` fixture.

    \b
    Examples:
      standfast verify production
      standfast verify production --limit web-1 --json

    \b
    Exit codes: 0 every assertion holds; 1 one does not, or could not be made;
    3 the inventory or the command line is wrong.
    """
    from standfast.cli.machine import print_json
    from standfast.cli.verification_presentation import print_verification
    from standfast.cli.waiting import Waiting
    from standfast.documents import FORMAT, VerifyDocument
    from standfast.inventory.choice import chosen_hosts
    from standfast.inventory.loader import find, load
    from standfast.verification.run import verify as make_assertions

    loaded = load(find(environment, cwd=Path.cwd()))
    names = chosen_hosts(loaded, limit)
    with Waiting(quiet=as_json) as waiting:
        waiting.step(f"verifying {', '.join(names)}")
        verification = make_assertions(loaded, names)
    if as_json:
        document: VerifyDocument = {"format": FORMAT, "kind": "verify", **verification.as_json()}
        print_json(document)
    else:
        print_verification(verification)
    raise click.exceptions.Exit(1 if verification.failed() else 0)
