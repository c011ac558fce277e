"""Addresses, dumps and declarations: what needs no server."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from standfast.host.backup.faults import WrongConfiguration
from standfast.host.schema import address, draft_file, dump, migrations, security
from standfast.host.schema.catalogue import Catalogue, Key
from standfast.host.schema.comparison import Ignored, covered
from standfast.host.schema.draft import Draft
from standfast.host.schema.migrations import DJANGO, PRISMA, SQL, Project
from standfast.host.schema.security import Declared, Protected

ADDRESSES = {
    # URL: (database, options, password, Prisma's schema)
    "postgresql://app:secret@db.example:5433/shop": (
        "shop",
        ("--host", "db.example", "--port", "5433", "--username", "app"),
        "secret",
        None,
    ),
    "postgres://app:p@ss:w/o#rd?%@127.0.0.1/shop?schema=app&connection_limit=5": (
        "shop",
        ("--host", "127.0.0.1", "--username", "app"),
        "p@ss:w/o#rd?%",
        "app",
    ),
    "postgresql://app:p%40ss%2Fw@[::1]:5432/My%20Shop": (
        "My Shop",
        ("--host", "::1", "--port", "5432", "--username", "app"),
        "p@ss/w",
        None,
    ),
    "postgresql://app@%2Fvar%2Frun%2Fpostgresql/shop": (
        "shop",
        ("--host", "/var/run/postgresql", "--username", "app"),
        "",
        None,
    ),
    "postgresql:///shop?host=/srv/here&user=app": (
        "shop",
        ("--host", "/srv/here", "--username", "app"),
        "",
        None,
    ),
    "postgresql+psycopg://app@localhost/a=b": (
        "dbname='a=b'",
        ("--host", "localhost", "--username", "app"),
        "",
        None,
    ),
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_addresses_are_read_and_passwords_stay_out_of_arguments(url: str) -> None:
    database, options, password, schema = ADDRESSES[url]
    reach, found = address.reach(url)
    assert (reach.database, reach.options, found) == (database, options, schema)
    assert reach.environment.get("PGPASSWORD", "") == password
    if password:
        assert password not in " ".join(reach.command("psql")) + repr(reach) + reach.words


@pytest.mark.parametrize(
    "url", ["mysql://app:hunter2@host/shop", "hunter2", "postgresql://hunter2@ho st/x/y", ""]
)
def test_what_is_no_address_is_not_repeated(url: str) -> None:
    with pytest.raises(WrongConfiguration) as raised:
        address.reach(url)
    assert "hunter2" not in str(raised.value)


DUMP = r"""
--
-- PostgreSQL database dump
--
\restrict abc
-- Dumped from database version 17.1
SET statement_timeout = 0;

--
-- Name: users; Type: TABLE; Schema: public; Owner: app
--

CREATE TABLE public.users (
    id integer,
    name text
);

--
-- Name: FUNCTION add(a integer); Type: ACL; Schema: public; Owner: app
--

REVOKE ALL ON FUNCTION public.add(a integer) FROM PUBLIC;
\unrestrict abc
"""


def test_a_dump_becomes_objects() -> None:
    found = dump.parse(DUMP)
    assert [(part.kind, part.schema, part.object) for part in found] == [
        ("TABLE", "public", "users"),
        ("ACL", "public", "add(a integer)"),
    ]
    other = dict(found)
    (table, acl) = found
    other[table] = found[table].replace("name text", "name text,\n    more text")
    assert dump.unexplained(found, other, [], []) == ["TABLE public.users:", "  -     more text"]
    assert dump.unexplained(found, other, [], [Key("table", "public", "users")]) == []
    del other[acl]
    assert "  + REVOKE ALL ON FUNCTION public.add(a integer) FROM PUBLIC;" in dump.unexplained(
        found, other, [], []
    )


def test_what_is_ignored_takes_what_a_table_has_with_it() -> None:
    ignored = [Ignored("table public.spatial_*", "of PostGIS"), Ignored("function *", "generated")]
    assert covered(Key("table", "public", "spatial_ref_sys"), ignored)
    assert covered(Key("column", "public", "srid", "spatial_ref_sys"), ignored)
    assert covered(Key("function", "public", "x(integer)"), ignored)
    assert not covered(Key("column", "public", "srid", "users"), ignored)


def test_declared_row_level_security() -> None:
    live = Catalogue(
        {
            Key("table", "public", "users"): {"row level security": "on"},
            Key("policy", "public", "own", "users"): {},
            Key("table", "public", "notes"): {"row level security": "off"},
            Key("table", "billing", "invoices"): {"row level security": "on"},
            Key("role", "", "postgres"): {"bypasses row level security": "yes"},
            Key("role", "", "auditor"): {"bypasses row level security": "yes"},
        }
    )
    good = Declared(
        {"users": Protected("on", ("own",)), "billing.invoices": Protected("on")}, bypass=("auditor",)
    )
    assert security.differences(good, live, "postgres") == []
    wrong = Declared(
        {"users": Protected("forced", ("mine",)), "notes": Protected("on"), "gone": Protected("on")},
        bypass=("boss",),
    )
    found = [
        (each.object, each.what, each.live, each.other)
        for each in security.differences(wrong, live, "postgres")
    ]
    assert found == [
        ("table public.gone", "only other", "", "row level security on"),
        ("table public.notes", "row level security", "off", "on"),
        ("table public.users", "row level security", "on", "on and forced"),
        ("policy own on public.users", "only live", "a policy", ""),
        ("policy mine on public.users", "only other", "", "a policy"),
        ("table billing.invoices", "row level security", "on", "not declared"),
        ("role auditor", "bypasses row level security", "yes", "not declared"),
        ("role boss", "bypasses row level security", "no", "yes"),
    ]


def test_sql_files_come_in_the_order_that_people_mean(tmp_path: Path) -> None:
    for name in ("10_c.sql", "2_b.sql", "1_a.sql", "2_b.down.sql", "1_a_undo.sql", "notes.txt"):
        (tmp_path / name).write_text("-- +goose Up\nSELECT 1;\n-- +goose Down\nDROP TABLE x;\n")
    project = migrations.found(tmp_path)
    assert [each.name for each in project.scripts] == ["1_a.sql", "2_b.sql", "10_c.sql"]
    assert "DROP" not in project.scripts[0].sql


def test_drafts_keep_to_the_ways_of_each_framework(tmp_path: Path) -> None:
    (tmp_path / "shop/migrations").mkdir(parents=True)
    (tmp_path / "shop/migrations/0001_initial.py").write_text("")
    file = tmp_path / "shop/migrations/0002_adopt.py"
    awkward = Draft("SELECT 'a\\b', '\"\"\"';", ("table x: the migrations make it",))
    text = draft_file.text(awkward, ["role y: superuser"], file, DJANGO)
    (value,) = [each.value for each in ast.parse(text).body if isinstance(each, ast.Assign)]
    assert ast.literal_eval(value) == awkward.sql
    assert "# role y: superuser" not in text.splitlines()[0]
    assert 'dependencies = [("shop", "0001_initial")]' in text
    prisma = draft_file.target(tmp_path / "m/2026_x", [Project(PRISMA, "m")])
    assert prisma == (tmp_path / "m/2026_x/migration.sql", PRISMA)
    assert "resolve --applied 2026_x" in draft_file.text(awkward, [], *prisma)
    assert draft_file.target(tmp_path / "2_x.sql", [Project(SQL, "m")])[1] == SQL
    for path, framework in ((file, SQL), (tmp_path / "2_x.sql", DJANGO), (tmp_path / "x.py", DJANGO)):
        with pytest.raises(WrongConfiguration):
            draft_file.target(path, [Project(framework, "m")])
