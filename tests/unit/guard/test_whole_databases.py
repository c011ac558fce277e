"""A whole database is dropped through another one, which is empty: the one that would be gone is looked into."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.unit.guard import terminals
from tests.unit.guard.conftest import Laptop, Server

ROWS = "CREATE TABLE users AS SELECT generate_series(1, 3) AS a"
RESET = "\\connect shop\nDROP TABLE users;\n"


@pytest.fixture
def shop(postgresql: Server, laptop: Laptop) -> str:
    """The line for a shell on a machine with shims, where only `shop` holds anything."""
    postgresql.database("shop", ROWS)
    postgresql.database("other", ROWS)
    laptop.write("reset.sql", RESET)
    laptop.write("unsure.sql", "\\set name shop\n\\connect :name\nDROP TABLE users;\n")
    dump = ["pg_dump", "-h", str(postgresql.root), "-p", str(postgresql.port), "-U", "postgres", "-Fc"]
    with (laptop.project / "shop.dump").open("wb") as file:
        subprocess.run([*dump, "shop"], stdout=file, check=True)
    laptop.write(
        "docker", DOCKER.replace("{root}", str(postgresql.root)).replace("{port}", f"{postgresql.port}")
    )
    (laptop.project / "docker").chmod(0o755)
    return (
        f"PATH={laptop.project}:$PATH\n{laptop.guard('install').stdout}\n"
        f"export PGHOST={postgresql.root} PGPORT={postgresql.port}\n"
    )


# Docker as far as the guard asks it, with the PostgreSQL of this machine in its only container.
DOCKER = """#!/bin/sh
export PGHOST={root} PGPORT={port}
case "$1 $2" in
    "compose ps") echo 0123 ;;
    "inspect "*) echo '[{"Id": "0123", "Name": "/shop-db-1", "Config": {"Env": ["POSTGRES_USER=postgres"]}}]' ;;
    "compose exec") shift 4; exec "$@" ;;
    "exec "*) shift 3; exec "$@" ;;
esac
"""

DROPS = [
    "dropdb -U postgres shop",
    "dropdb --force --if-exists -U postgres shop",
    'dropdb -h "$PGHOST" -p "$PGPORT" -U postgres -e shop',
    "dropdb --maintenance-db='user=postgres dbname=template1' shop",
    "PGSERVICE=live dropdb -U postgres shop",
    "dropdb --maintenance-db='service=live' shop",
    "psql -U postgres -d postgres -c 'DROP DATABASE shop'",
    "psql -U postgres -c 'SELECT 1' -c 'drop database if exists \"shop\" with (force);'",
    "psql -U postgres postgres -f reset.sql",
    "psql -U postgres postgres < reset.sql",
    "psql -U postgres -f unsure.sql",
    "psql -U postgres -v name=shop -d postgres -c 'DROP DATABASE :name'",
    "pg_restore -U postgres -C -c -d postgres shop.dump",
    "pg_restore -U postgres --clean --create -d postgres < shop.dump",
    "docker compose exec -T db dropdb -U postgres --force shop",
    "docker compose exec -T db psql -U postgres -d postgres -c 'DROP DATABASE shop'",
]
UNKNOWN = ("live", "unsure.sql", ":name", "< shop.dump")


@pytest.mark.parametrize("line", DROPS)
def test_it_is_refused_without_a_terminal(postgresql: Server, laptop: Laptop, shop: str, line: str) -> None:
    done = laptop.run("bash", "--norc", "-c", f"{shop}{line}")
    assert done.returncode == 6, done.stderr
    if any(each in line for each in UNKNOWN):
        assert "could not look: " in done.stderr
    else:
        assert "/shop  (" in done.stderr
        assert "3 rows in 1 table" in done.stderr
    assert postgresql.sql("SELECT count(*) FROM users", "shop") == ["3"]


def test_each_of_them_is_copied_and_asked_for(postgresql: Server, laptop: Laptop, shop: str) -> None:
    code, screen = terminals.typed(
        ["bash", "--norc", "-c", f"{shop}psql -U postgres -c 'DROP DATABASE shop' -c 'DROP DATABASE other'"],
        {"to go on, shop:": "shop", "to go on, other:": "other"},
        cwd=laptop.project,
        environment=laptop.environment,
    )
    assert code == 0, screen
    assert screen.count("A verified copy was taken: 3 rows in 1 table") == 2
    record = json.loads(laptop.guard("log", "--json").stdout)["records"][-1]
    assert record["outcome"] == "confirmed"
    assert {Path(each).parent.name.partition("-")[0] for each in record["copy"]} == {
        f"localhost_{postgresql.port}_{name}" for name in ("shop", "other")
    }
    assert postgresql.sql("SELECT datname FROM pg_database WHERE datname IN ('shop', 'other')") == []


@pytest.mark.parametrize(
    "line",
    [
        "dropdb -U postgres --if-exists not_yet",
        "psql -U postgres -d postgres -qc 'DROP DATABASE IF EXISTS not_yet'",
        "dropdb -U postgres empty",
        "psql -U postgres -d shop -qc 'DROP DATABASE empty'",
    ],
)
def test_what_holds_nothing_is_dropped_in_silence(
    postgresql: Server, laptop: Laptop, shop: str, line: str
) -> None:
    postgresql.database("empty")
    done = laptop.run("bash", "--norc", "-c", f"{shop}{line}")
    assert done.returncode == 0, done.stderr
    assert "standfast" not in done.stderr


@pytest.mark.parametrize("line", ["sh -c 'dropdb -U postgres $WHICH'", "dropdb -U postgres '{}'"])
def test_a_name_that_only_a_shell_knows_is_not_missing(laptop: Laptop, shop: str, line: str) -> None:
    done = laptop.run("bash", "--norc", "-c", f"{shop}{line}")
    assert done.returncode == 6, done.stderr


def test_a_role_is_asked_about_by_this_machines_name(laptop: Laptop, shop: str) -> None:
    done = laptop.run("bash", "--norc", "-c", f"{shop}dropuser -U postgres viewer")
    assert done.returncode == 6
    assert "hits        services, on this machine" in done.stderr
