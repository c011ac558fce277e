"""``standfast schema``: the live database, its migrations and the declaration held against each other."""

from __future__ import annotations

import click

from standfast.cli import options


@click.command()
@click.argument("environment", metavar="[ENV]", required=False, shell_complete=options.inventories)
@options.limit
@click.option("--database", multiple=True, metavar="NAME", help="Only this one; can be given again.")
@click.option("--local", metavar="VARIABLE", help="A database of this machine: the variable with its URL.")
@click.option(
    "--migrations",
    multiple=True,
    metavar="DIR",
    help="With --local: folder of Prisma's, Django's or SQL migrations; can be given again.",
)
@click.option("--schema", "name", metavar="NAME", help="With --local: where unqualified names go.")
@click.option("--role", metavar="ROLE", help="With --local: who runs the migrations. Default: the owner.")
@click.option("--extension", multiple=True, metavar="NAME", help="With --local: made before the migrations.")
@click.option("--ignore", multiple=True, metavar="WHAT=WHY", help="With --local: do not compare this.")
@click.option("--image", metavar="IMAGE", help="With --local: Docker image of the throwaway PostgreSQL.")
@click.option("--python", metavar="FILE", help="With --local: the Python that has Django.")
@click.option("--without-dump", is_flag=True, help="Do not run pg_dump: no locks, catalogues only.")
@click.option("--adopt", metavar="FILE", help="Write a migration draft for what no migration makes.")
@options.as_json
def schema(
    environment: str | None,
    limit: tuple[str, ...],
    database: tuple[str, ...],
    local: str | None,
    migrations: tuple[str, ...],
    name: str | None,
    role: str | None,
    extension: tuple[str, ...],
    ignore: tuple[str, ...],
    image: str | None,
    python: str | None,
    without_dump: bool,
    adopt: str | None,
    as_json: bool,
) -> None:
    """Hold a live database against what its migrations build, row level security included.

    Frameworks compare histories; this compares databases: a throwaway PostgreSQL of the same version is built
    from the migrations, and every object, owner, grant and policy is compared. Nothing is written to the live
    database; the throwaway one is gone afterwards.

    \b
    Examples:
      standfast schema production
      standfast schema --local DATABASE_URL --migrations prisma/migrations
      standfast schema --local DATABASE_URL --migrations . --adopt board/migrations/0007_adopt.py

    \b
    Exit codes: 0 they agree; 2 there are differences; 1 the database does not answer, a migration failed;
    3 the inventory or the command line is wrong; 6 no database declares `schema`.
    """
    from standfast.cli import schema_presentation
    from standfast.errors import UsageError

    if (local is None) == (environment is None):
        raise UsageError("schema: expected ENV, or --local VARIABLE with --migrations DIR.")
    if environment is not None:
        from standfast.cli import schema_servers

        if migrations or name or role or extension or ignore or image or python:
            raise UsageError(
                "schema ENV: the inventory says what it is held against (`databases.NAME.schema`)."
            )
        code = schema_servers.compared(
            environment, limit, database, adopt, dump=not without_dump, as_json=as_json
        )
        raise click.exceptions.Exit(code)
    from standfast.cli import schema_local

    given = schema_local.Given(
        local or "", migrations, name, role, extension, ignore, image, python, not without_dump
    )
    answer, file = schema_local.compared(given, adopt, quiet=as_json)
    schema_presentation.show([answer], {}, as_json=as_json)
    if file:
        schema_presentation.say_adopted(answer, file)
    raise click.exceptions.Exit(0 if answer["equal"] else 2)
