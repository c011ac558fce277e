"""
A restored database against its manifest: PostgreSQL spells some of a schema anew, and that is no fault.

Here with the PostgreSQL of this machine; `tests/server/test_restore.py` does it on servers.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from standfast.guard.addresses import parse, with_defaults
from standfast.guard.looking import reached
from standfast.host.backup import census, layout
from standfast.host.backup.manifest import DatabaseManifest
from standfast.host.backup.postgres import Place
from standfast.host.restore import database
from standfast.host.restore.database import Files
from tests.unit.guard.conftest import Server

NAME, BESIDE = "spelled", "spelled_restoring"
RESPELLED = """
CREATE TABLE orders (id serial PRIMARY KEY, n integer CHECK (n BETWEEN 1 AND 9),
    state varchar(9) DEFAULT 'new' CHECK (state IN ('new', 'paid')));
CREATE INDEX waiting ON orders (id) WHERE state IN ('new', 'paid');
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY open_ones ON orders TO viewer USING (state IN ('new', 'paid'));
INSERT INTO orders (n) VALUES (1), (2);
"""
OTHERS = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE DOMAIN colour AS varchar(9) CHECK (VALUE IN ('red', 'blue'));
CREATE TABLE parted (id bigint GENERATED ALWAYS AS IDENTITY, day date NOT NULL, feels mood, has colour,
    twice integer GENERATED ALWAYS AS (extract(day FROM day)::integer * 2) STORED) PARTITION BY RANGE (day);
CREATE TABLE parted_2026 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE "More Orders" (CHECK (n > 0)) INHERITS (orders);
CREATE UNLOGGED TABLE fleeting (id integer);
CREATE MATERIALIZED VIEW paid AS SELECT * FROM orders WHERE state IN ('paid', 'new');
CREATE VIEW all_of_them AS SELECT id, CASE WHEN state IN ('new', 'paid') THEN 1 END AS known FROM orders;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE TRIGGER noted BEFORE UPDATE ON orders FOR EACH ROW WHEN (OLD.state IN ('new', 'paid'))
    EXECUTE FUNCTION noted();
CREATE STATISTICS both_of ON n, state FROM orders;
CREATE RULE kept AS ON DELETE TO "More Orders" DO INSTEAD NOTHING;
COMMENT ON TABLE orders IS 'what people -- buy';
GRANT SELECT ON orders, parted TO viewer;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO viewer;
SELECT lo_from_bytea(0, 'large');
"""


@pytest.fixture
def place(postgresql: Server) -> Iterator[Place]:
    postgresql.database(NAME, RESPELLED, OTHERS)
    address = with_defaults(parse(postgresql.url(NAME), "the test"), {}, "")
    with reached(address) as found:
        yield found
        database.drop(found, BESIDE)


def copied(place: Place, folder: Path) -> DatabaseManifest:
    """A copy of the database in a folder, and what its manifest says."""
    (folder / layout.GLOBALS).touch()
    with (folder / layout.DUMP).open("wb") as dump:
        _run(place.command("pg_dump", "--format", "custom", "--dbname", NAME), dump)
    return DatabaseManifest(NAME, "laptop", "then", NAME, "shop", census.of(place, NAME), {}, {})


def _run(command: list[str], output: IO[bytes]) -> None:
    subprocess.run(command, stdout=output, check=True)


def test_what_postgresql_spells_anew_is_no_fault(place: Place, tmp_path: Path) -> None:
    manifest = copied(place, tmp_path)
    dumped = database.load(place, Files(tmp_path), manifest, BESIDE)
    found = database.counted(place, BESIDE)
    assert found.schema_sha256 != manifest.census.schema_sha256, "nothing was spelled anew"
    assert found.row_security != manifest.census.row_security, "no policy was spelled anew"
    assert database.compared(manifest, found, dumped) == ([], [])


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ("DROP INDEX waiting", "the schema is another one"),
        ("DROP TRIGGER noted ON orders", "the schema is another one"),
        ("DROP POLICY open_ones ON orders", "policy on public.orders is missing or changed: open_ones"),
        ("ALTER POLICY open_ones ON orders USING (true)", "policy on public.orders is missing or changed"),
    ],
)
def test_what_a_dump_lacks_is_one(
    place: Place, postgresql: Server, tmp_path: Path, lost: str, told: str
) -> None:
    manifest = copied(place, tmp_path)
    postgresql.sql(f"{lost};", NAME, "shop")
    copied(place, tmp_path)  # over the dump of before
    dumped = database.load(place, Files(tmp_path), manifest, BESIDE)
    faults, _ = database.compared(manifest, database.counted(place, BESIDE), dumped)
    assert any(each.startswith(told) for each in faults), faults
