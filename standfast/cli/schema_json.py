"""``standfast schema-json``: the inventory's JSON Schema."""

from __future__ import annotations

import click


@click.command("schema-json")
def schema_json() -> None:
    """Print the JSON Schema of inventories (draft 2020-12), for editors and other programs.

    \b
    Examples:
      standfast schema-json > inventories/.inventory.schema.json
      an inventory then begins with
      # yaml-language-server: $schema=.inventory.schema.json

    \b
    Exit codes: 0 printed.
    """
    from standfast.inventory.reference import json_schema_text

    click.echo(json_schema_text(), nl=False)
