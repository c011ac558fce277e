"""Every way around the guards of a developer's machine is tried; docs/guards.md says what happened."""

from __future__ import annotations

import pytest

from tests.unit import prisma
from tests.unit.guard.conftest import Laptop, Server, psql
from tests.unit.guard.ways_around import PASSES, STOPPED, WAYS, Way, shown, table

NOTES = """
CREATE TABLE notes (id serial PRIMARY KEY); INSERT INTO notes SELECT FROM generate_series(1, 10);
CREATE FUNCTION empty_notes() RETURNS void LANGUAGE sql AS 'DELETE FROM notes';
"""


@pytest.fixture(scope="module")
def machine(postgresql: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Laptop, str]:
    """A laptop with the guards installed, and the line for its shell."""
    folder = tmp_path_factory.mktemp("machine")
    made = Laptop(folder / "home", folder / "shop")
    made.home.mkdir()
    (made.project / ".git").mkdir(parents=True)
    prisma.project(made.project, postgresql.url("notes"))
    made.write("clear.sql", "-- all of them\nTRUNCATE notes;\n")
    made.write("package.json", '{"scripts": {"clear": "psql \\"$DATABASE_URL\\" -qc \\"TRUNCATE notes\\""}}')
    return made, made.guard("install").stdout


@pytest.mark.parametrize("way", WAYS, ids=[way.told for way in WAYS])
def test_a_way_around(postgresql: Server, machine: tuple[Laptop, str], way: Way) -> None:
    laptop, line = machine
    postgresql.database("notes", NOTES)
    script = f"{line}\nexport DATABASE_URL='{postgresql.url('notes')}'\n{way.line.replace('{psql}', psql())}"
    done = laptop.run("bash", "--norc", "-c", script)
    left = postgresql.sql("SELECT count(*) FROM notes", "notes")
    assert (STOPPED if left == ["10"] else PASSES) == way.result
    if way.result == STOPPED:
        assert "was not run" in done.stderr  # and not for another reason


def test_the_page_says_what_happened() -> None:
    # The results above are held against these rows one by one, so what stands here was seen.
    assert shown() == table({way.told: way.result for way in WAYS}), (
        "run `python -m tests.unit.guard.ways_around`"
    )
