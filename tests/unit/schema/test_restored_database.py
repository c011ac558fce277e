"""What a backup and a restore do with a database, on a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from standfast.host.backup import census, databases, postgres
from standfast.host.backup.configuration import Database
from standfast.host.backup.faults import Fault
from standfast.host.backup.postgres import Place
from standfast.host.restore import database
from standfast.host.restore.database import Files
from tests.unit.schema.conftest import Live


@pytest.fixture
def place(live: Live) -> Place:
    """The test's server, with the programs of its own version."""
    surroundings = ("env", f"PGPORT={live.port}", f"PATH={live.folder}:/usr/bin:/bin")
    return Place(surroundings, "postgres", str(live.root))


def test_a_database_called_postgres_is_replaced_in_place(live: Live, place: Place, tmp_path: Path) -> None:
    live.sql("CREATE TABLE who (name text); INSERT INTO who VALUES ('then');")
    made = databases.dumped("main", "web-1", Database("postgres", "postgres"), place, None, tmp_path, {})
    live.sql("UPDATE who SET name = 'now';")
    files = Files(tmp_path, str(tmp_path / "dump.pgc"))
    dumped_schema = database.load(place, files, made, "postgres_restoring_1")
    assert database.compared(made, database.counted(place, "postgres_restoring_1"), dumped_schema)[0] == []

    database.swap(place, "postgres", "postgres_restoring_1", "postgres_before_1")
    assert live.sql("SELECT name FROM who;") == ["then"]
    assert live.sql("SELECT name FROM who;", "postgres_before_1") == ["now"]

    database.swap(place, "postgres", "postgres_before_1", "postgres_restoring_1")
    database.drop(place, "postgres_restoring_1")
    assert live.sql("SELECT name FROM who;") == ["now"]
    live.sql("DROP TABLE who;")


def test_a_locked_table_does_not_keep_the_schema_waiting_for_ever(
    live: Live, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.database("locked", "CREATE TABLE held (id int);")
    monkeypatch.setattr(postgres, "LOCK_MILLISECONDS", 200)
    with place.session("locked") as other:
        other.ask("SET idle_in_transaction_session_timeout = '5s'; BEGIN; LOCK TABLE public.held;")
        with pytest.raises(Fault, match="statement timeout"):
            census.schema_hash(place, "locked")
