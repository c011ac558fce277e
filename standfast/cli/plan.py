"""``standfast plan``: what apply would do."""

from __future__ import annotations

import json
from pathlib import Path

import click

from standfast.cli import options
from standfast.errors import UsageError

DIFFERENCES = 2


@click.command()
@options.selection
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Save the plan for `apply FILE`."
)
@options.elsewhere
def plan(
    environment: str,
    limit: tuple[str, ...],
    only: tuple[str, ...],
    as_json: bool,
    output: Path | None,
    elsewhere: bool,
) -> None:
    """Show every change that apply would make to the servers of ENV, with a diff. Writes nothing.

    ENV is the name of an inventory (`production` is inventories/production.yml) or a path.

    \b
    Examples:
      standfast plan production
      standfast plan production --limit web-1 --only caddy
      standfast plan inventories/lab.yml --json
      standfast plan production -o monday.plan.json

    \b
    Exit codes: 0 no changes; 2 there are changes; 1 a server could not be reached or compared;
    3 the inventory or the command line is wrong; 6 refused, for example a port is taken.
    """
    from standfast.cli.presentation import print_errors, print_json, print_plan
    from standfast.cli.run import exit_with, open_servers
    from standfast.cli.whole_file import whole_file
    from standfast.engine import saved_plan
    from standfast.engine.audit import remember_plan
    from standfast.engine.caller import caller

    if output:
        saved_plan.check_place(output)
    unsaved: UsageError | None = None
    with (
        whole_file(output) as save,
        open_servers(environment, limit, only, quiet=as_json, elsewhere=elsewhere) as (servers, waiting),
    ):
        planned = servers.plan(only)
        remember_plan(servers.loaded, caller(servers.loaded, "plan"), planned, waiting.tell)
        if output:
            saved = saved_plan.document(planned, servers.loaded, limit, only)
            try:
                save(json.dumps(saved, indent=2, ensure_ascii=False) + "\n")
            except UsageError as error:  # the plan is shown nevertheless
                unsaved = error
    if as_json:
        print_json(planned.as_json())
    else:
        print_plan(planned)
    print_errors(planned.errors)
    if unsaved:
        raise unsaved
    exit_with(planned.errors, otherwise=DIFFERENCES if planned.has_changes else 0)
