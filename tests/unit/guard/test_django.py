"""A real Django project, with SQLite and with PostgreSQL: which database is meant, its copy, the way back."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from tests.unit.guard import django, terminals
from tests.unit.guard.conftest import PASSWORD, Laptop, Server

ROWS = (
    "from django.contrib.auth.models import User; [User.objects.create(username=f'u{i}') for i in range(7)]"
)


@pytest.fixture
def shell(laptop: Laptop) -> str:
    """What a developer's shell has run: the guards' line, then the virtual environment, then a prompt."""
    django.project(laptop.project)
    line = laptop.guard("install").stdout
    return f"{line}\n. .venv/bin/activate\n_standfast_guards\n"


def users(laptop: Laptop) -> int:
    with closing(sqlite3.connect(laptop.project / "school.sqlite3")) as connection:
        return int(connection.execute("SELECT count(*) FROM auth_user").fetchone()[0])


def test_sqlite_copied_flushed_and_brought_back(laptop: Laptop, shell: str) -> None:
    made = laptop.run(
        "bash", "--norc", "-c", f'{shell} python manage.py migrate && python manage.py shell -c "{ROWS}"'
    )
    assert made.returncode == 0, made.stderr
    assert users(laptop) == 7
    for line in (
        "python manage.py flush --noinput",
        "./manage.py flush --no-input",
        "cd school; python ../manage.py flush",
    ):
        refused = laptop.run("bash", "--norc", "-c", f"{shell} {line}")
        assert refused.returncode == 6, line
        assert "school.sqlite3" in refused.stderr
        assert users(laptop) == 7
    command = ["bash", "--norc", "-c", f"{shell} python manage.py flush --noinput"]
    code, screen = terminals.typed(
        command,
        {"Type the database's name": "school.sqlite3"},
        cwd=laptop.project,
        environment=laptop.environment,
    )
    assert code == 0, screen
    assert users(laptop) == 0
    done = laptop.guard("restore", "--yes")
    assert done.returncode == 0, done.stderr
    assert "every hash equal" in done.stdout
    assert users(laptop) == 7
    assert len(list(laptop.project.glob("school.sqlite3_before_*"))) == 1
    assert laptop.guard("backup", "--drill").returncode == 0


def test_postgresql_as_the_settings_choose(postgresql: Server, laptop: Laptop, shell: str) -> None:
    postgresql.database("school", "CREATE TABLE t AS SELECT 1 AS a")
    chosen = "|".join(("school", "127.0.0.1", str(postgresql.port), "shop", PASSWORD))
    done = laptop.run("bash", "--norc", "-c", f"{shell} python manage.py flush --noinput", SCHOOL_DB=chosen)
    assert done.returncode == 6
    assert f"localhost:{postgresql.port}/school  (DATABASES['default'] of school.settings)" in done.stderr
    assert "1 rows in 1 table" in done.stderr
    record = json.loads(laptop.guard("log", "--json").stdout)["records"][-1]
    assert record["database"] == f"localhost:{postgresql.port}/school"


def test_settings_that_do_not_load_are_could_not_look(laptop: Laptop, shell: str) -> None:
    laptop.write("school/settings.py", "import nothing_of_that_name\n")
    done = laptop.run("bash", "--norc", "-c", f"{shell} python manage.py flush --noinput")
    assert done.returncode == 6
    assert "Django could not be asked which database school.settings names" in done.stderr
    assert "ModuleNotFoundError" in done.stderr
