"""``standfast init``: a new infrastructure repository."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from standfast.cli import options


@click.command()
@click.argument("folder", metavar="[DIR]", default=".")
@options.as_json
def init(folder: str, as_json: bool) -> None:
    """Write a new infrastructure repository into DIR (here, when it is left out).

    An inventory in which every setting is explained, one for a throwaway server on this machine, a
    small application, a test and a workflow for pull requests. No existing file is overwritten.

    \b
    Examples:
      standfast init infra
      standfast init                a repository in this folder

    \b
    Exit codes: 0 written; 1 writing failed; 3 a file exists, or DIR is no folder: nothing was written.
    """
    from standfast.inventory.new_repository import SECRETS, write

    written = write(Path(folder))
    if as_json:
        click.echo(json.dumps({"folder": str(Path(folder).absolute()), "files": written}, indent=2))
        return
    click.echo(f"Wrote {len(written)} files into {'this folder' if folder == '.' else folder}:")
    for name in written:
        click.echo(f"  {name}")
    click.echo("\nNext:")
    if folder != ".":
        click.echo(f"  cd {shlex.quote(folder)}")
    for variable in SECRETS.values():
        click.echo(f"  export {variable}=…")
    click.echo("  edit inventories/production.yml: address, ssh, and the site's name")
    click.echo("  standfast plan production      # what would change; writes nothing")
    click.echo("Or first on a throwaway server: standfast lab up web-1 && standfast apply lab")
