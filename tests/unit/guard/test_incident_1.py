"""
Incident 1, replayed with the real Prisma on a real PostgreSQL: `npx prisma migrate reset --skip-seed --force`.

Rows, a table that is in no migration, row-level security and grants. Twice through the shims, once around them.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jinja2 import StrictUndefined, Template

from standfast.guard.addresses import parse, with_defaults
from standfast.guard.looking import reached
from standfast.host.backup import census
from standfast.host.backup.manifest import Census
from tests.unit import prisma
from tests.unit.guard import terminals
from tests.unit.guard.conftest import ENCODED, PASSWORD, Laptop, Server

PSQL = 'psql -q "$DATABASE_URL" -c'
COMMAND = ("npx", "prisma", "migrate", "reset", "--skip-seed", "--force")


def counted(postgresql: Server) -> Census:
    """Every row, table, policy and grant, as hashes."""
    address = with_defaults(parse(postgresql.url("shop"), "the test"), {}, "")
    with reached(address) as place:
        return census.of(place, "shop")


@pytest.fixture
def shop(postgresql: Server, laptop: Laptop) -> Census:
    """The development database of that day."""
    postgresql.database("shop", prisma.MIGRATION, prisma.ROWS, prisma.BY_HAND)
    prisma.project(laptop.project, postgresql.url("shop"))
    return counted(postgresql)


def shell(laptop: Laptop, postgresql: Server, line: str) -> list[str]:
    """A shell in which the line that `guard install` prints has run."""
    done = laptop.guard("install")
    assert done.returncode == 0, done.stderr
    return ["bash", "--norc", "-c", f"{done.stdout}\nexport DATABASE_URL='{postgresql.url('shop')}'\n{line}"]


def test_through_the_shim_without_a_terminal_it_is_refused(
    postgresql: Server, laptop: Laptop, shop: Census
) -> None:
    done = laptop.run(*shell(laptop, postgresql, " ".join(COMMAND)))
    assert done.returncode == 6
    assert "there is no terminal to ask at" in done.stderr
    assert "650 rows in 3 tables" in done.stderr
    assert "unknown: neither the database nor guard.yml says" in done.stderr
    assert counted(postgresql) == shop
    log = json.loads(laptop.guard("log", "--json").stdout)["records"]
    assert [(each["outcome"], each["entry"], each["command"]) for each in log] == [
        ("refused", "prisma-migrate-reset", " ".join(COMMAND))
    ]


@pytest.mark.parametrize(
    "line",
    [
        "npm run db:reset",
        "./node_modules/.bin/prisma migrate reset --force",
        'env -i PATH="$PATH" HOME="$HOME" DATABASE_URL="$DATABASE_URL" npx prisma migrate reset -f',
        "cd prisma && npx prisma migrate reset --force --schema schema.prisma",
        "export PRISMA_USER_CONSENT_FOR_DANGEROUS_AI_ACTION=yes; npx prisma migrate reset --force",
        "/usr/bin/env npx prisma db push --force-reset",
    ],
)
def test_other_spellings_are_refused_too(postgresql: Server, laptop: Laptop, shop: Census, line: str) -> None:
    assert laptop.run(*shell(laptop, postgresql, line)).returncode == 6
    assert counted(postgresql) == shop


def test_with_the_name_typed_it_runs_and_one_command_brings_everything_back(
    postgresql: Server, laptop: Laptop, shop: Census
) -> None:
    command = shell(laptop, postgresql, " ".join(COMMAND))
    environment = laptop.environment
    code, screen = terminals.typed(
        command, {"Type the database's name": "shop"}, cwd=laptop.project, environment=environment
    )
    assert code == 0, screen
    assert "A verified copy was taken: 650 rows in 3 tables" in screen
    assert "Database reset successful" in screen
    assert PASSWORD not in screen
    assert ENCODED not in screen
    empty = counted(postgresql)
    assert empty.tables['public."User"'].rows == 0
    assert "public.lesson_sessions" not in empty.tables
    assert empty.row_security == {}

    done = laptop.guard("restore", "--yes")
    assert done.returncode == 0, done.stderr
    assert "650 rows in 3 tables, every hash equal" in done.stdout
    assert counted(postgresql) == shop
    assert postgresql.sql("SELECT count(*) FROM lesson_sessions", "shop", "shop") == ["250"]
    kept = postgresql.sql("SELECT datname FROM pg_database WHERE datname LIKE 'shop_before_%'")
    assert len(kept) == 1  # nothing was deleted
    postgresql.sql(f'DROP DATABASE "{kept[0]}"')
    outcomes = [each["outcome"] for each in json.loads(laptop.guard("log", "--json").stdout)["records"]]
    assert outcomes == ["confirmed", "restored"]


def test_another_name_typed_stops_it(postgresql: Server, laptop: Laptop, shop: Census) -> None:
    code, screen = terminals.typed(
        shell(laptop, postgresql, " ".join(COMMAND)),
        {"Type the database's name": "yes"},
        cwd=laptop.project,
        environment=laptop.environment,
    )
    assert code == 6
    assert "something else was typed" in screen
    assert counted(postgresql) == shop


def test_around_everything_the_daily_copy_brings_it_back(
    postgresql: Server, laptop: Laptop, shop: Census
) -> None:
    done = laptop.guard("backup", "--drill")
    assert done.returncode == 0, done.stderr
    assert "restored in a drill" in done.stdout
    around = laptop.run("node_modules/.bin/prisma", *COMMAND[2:], DATABASE_URL=postgresql.url("shop"))
    assert around.returncode == 0, around.stderr
    assert "public.lesson_sessions" not in counted(postgresql).tables
    restored = laptop.guard("restore", "--yes")
    assert restored.returncode == 0, restored.stderr
    assert counted(postgresql) == shop
    for name in postgresql.sql("SELECT datname FROM pg_database WHERE datname LIKE 'shop_before_%'"):
        postgresql.sql(f'DROP DATABASE "{name}"')


GUARD = Path(__file__).parents[3] / "templates/guards/database.sql.j2"
APPLICATION = """
DO $$ BEGIN CREATE ROLE application LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT USAGE ON SCHEMA public TO application;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO application;
"""


# Prisma's first attempt, DROP SCHEMA, is refused as well; it tells of its second one.
REFUSED = 'refused by standfast: DROP TABLE of the table public."Lesson" in the protected database shop (production)'


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("application", "must be owner of"),  # it owns nothing: PostgreSQL itself refuses
        ("shop", REFUSED),
        ("postgres", REFUSED),
    ],
)
def test_around_the_shim_a_protected_database_refuses(
    postgresql: Server, laptop: Laptop, shop: Census, role: str, words: str
) -> None:
    guard = Template(GUARD.read_text(), undefined=StrictUndefined).render(
        database="shop", environment="production", exempt=[], many=1000, version="1"
    )
    postgresql.sql(guard, "shop")
    postgresql.sql(APPLICATION, "shop")
    quoted = PASSWORD.replace("'", "''")
    postgresql.sql(f"ALTER ROLE {role} PASSWORD '{quoted}'")
    before = counted(postgresql)
    url = postgresql.url("shop").replace("//shop:", f"//{role}:")
    done = laptop.run("node_modules/.bin/prisma", *COMMAND[2:], DATABASE_URL=url)
    assert done.returncode != 0
    assert words in " ".join((done.stdout + done.stderr).split())
    assert counted(postgresql) == before


def test_a_role_that_is_no_superuser_copies_a_protected_database(
    postgresql: Server, laptop: Laptop, shop: Census
) -> None:
    guard = Template(GUARD.read_text(), undefined=StrictUndefined).render(
        database="shop", environment="production", exempt=[], many=1000, version="1"
    )
    postgresql.sql(guard, "shop")
    before = counted(postgresql)
    done = laptop.guard("backup", DATABASE_URL=postgresql.url("shop"))
    assert done.returncode == 0, done.stderr
    assert counted(postgresql) == before


def test_declared_as_disposable_it_runs_in_silence(postgresql: Server, laptop: Laptop, shop: Census) -> None:
    laptop.write("guard.yml", "databases:\n  shop: disposable\n")
    done = laptop.run(*shell(laptop, postgresql, f"{PSQL} 'TRUNCATE lesson_sessions'"))
    assert done.returncode == 0
    assert done.stderr == ""
    assert counted(postgresql).tables["public.lesson_sessions"].rows == 0


def test_production_says_so_itself_whatever_guard_yml_says(
    postgresql: Server, laptop: Laptop, shop: Census
) -> None:
    laptop.write("guard.yml", "databases:\n  '*': disposable\n")
    postgresql.sql("ALTER DATABASE shop SET standfast.environment = 'production'")
    done = laptop.run(*shell(laptop, postgresql, " ".join(COMMAND)))
    assert done.returncode == 6
    assert "production: the database says so itself" in done.stderr
    assert counted(postgresql) == shop


def test_a_window_lets_it_run_after_a_copy(postgresql: Server, laptop: Laptop, shop: Census) -> None:
    assert laptop.guard("allow", "--for", "10m", "--reason", "new fixtures").returncode == 0
    command = shell(laptop, postgresql, f"{PSQL} 'TRUNCATE lesson_sessions'")
    done = laptop.run(*command)
    assert done.returncode == 0, done.stderr
    assert "A verified copy was taken: 650 rows" in done.stderr
    record = json.loads(laptop.guard("log", "--json").stdout)["records"][-1]
    assert record["outcome"] == "let pass in a window"
    assert "new fixtures" in record["window"]
    assert Path(record["copy"][0], "dump.pgc").is_file()
    assert not Path(record["copy"][0]).stat().st_mode & 0o077
    assert laptop.guard("allow", "--end").returncode == 0
    postgresql.sql("INSERT INTO lesson_sessions(lesson) VALUES (1)", "shop", "shop")
    assert laptop.run(*command).returncode == 6
