"""``standfast schema --local`` from beginning to end: a live database and the migrations of a project."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.documents import valid
from tests.sizes import sized
from tests.unit import prisma
from tests.unit.schema import projects
from tests.unit.schema.conftest import PASSWORD, Live
from tests.unit.schema.injected import BASE, INJECTED

COMMAND = [sys.executable, "-m", "standfast.cli.main", "schema"]


def schema(
    live: Live, database: str, *arguments: str | Path, expect: int, url: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command; the password must never be seen."""
    environment = {**os.environ, "SHOP_URL": url or live.url(database), "TMPDIR": str(live.room)}
    done = subprocess.run(
        [*COMMAND, "--local", "SHOP_URL", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == expect, done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def left(live: Live) -> list[Path]:
    """Throwaway servers that are still there."""
    return sorted(live.room.glob("standfast-schema-*"))


@pytest.fixture
def shop(live: Live, tmp_path: Path) -> tuple[str, Path]:
    """A database that its SQL files have built, and their folder."""
    folder = projects.sql(tmp_path / "migrations")
    name = live.database("shop", projects.FIRST, projects.SECOND, (folder / "10_more.sql").read_text())
    return name, folder


def test_plain_sql_incident_1(live: Live, shop: tuple[str, Path]) -> None:
    name, folder = shop
    clean = schema(live, name, "--migrations", folder, expect=0)
    assert "no differences" in clean.stdout
    live.sql(projects.BY_HAND, name, "app")
    found = schema(live, name, "--migrations", folder, expect=2)
    assert "+ table public.lesson_sessions" in found.stdout
    assert "1 policy, row level security on" in found.stdout
    assert "1 difference" in found.stdout
    draft = folder / "11_adopt.sql"
    adopted = schema(live, name, "--migrations", folder, "--adopt", draft, expect=2)
    assert str(draft) in adopted.stderr
    assert "CREATE POLICY own_sessions" in draft.read_text()
    assert "OWNER TO" not in draft.read_text()  # whoever runs it owns it
    schema(live, name, "--migrations", folder, expect=0)
    again = schema(live, name, "--migrations", folder, "--adopt", draft, expect=3)
    assert "there is such a file already" in again.stderr
    assert left(live) == []


TOGETHER = (
    *("table", "column", "column default", "column nullable", "column type", "check", "unique", "index"),
    *("index another", "sequence", "view another", "function", "function another", "trigger", "enum value"),
    *("grant", "comment", "schema", "security on", "policy", "policy of others", "security no longer forced"),
    "procedure gone",
)


def test_everything_by_hand_at_once_and_adopted(live: Live, tmp_path: Path) -> None:
    """All that can be made beside one another; what a draft must not take away is told."""
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "1.sql").write_text(BASE)
    name = live.database("everything", BASE)
    schema(live, name, "--migrations", folder, expect=0)
    chosen = [each for each in INJECTED if each in TOGETHER]
    for each in chosen:
        live.sql(INJECTED[each][0], name, "app")
    done = schema(live, name, "--migrations", folder, "--json", "--adopt", folder / "2.sql", expect=2)
    (answer,) = valid(json.loads(done.stdout))["databases"]
    side = answer["sides"][0]
    found = {(each["object"], each["what"]) for each in side["differences"]}
    assert found == set().union(*(INJECTED[each][1] for each in chosen))
    assert side["unexplained"] == []
    assert answer["draft"]["leaves"] == [
        "procedure public.nothing(): only other",
        "table public.users: row level security",
    ]
    assert (
        "table public.users: row level security is on, in the migrations on and forced: not drafted"
        in answer["draft"]["notes"]
    )
    text = (folder / "2.sql").read_text()
    assert "procedure public.nothing(): the migrations make it" in text


def test_django_incident_1(live: Live, tmp_path: Path, django_python: str) -> None:
    folder = projects.django(tmp_path / "school")
    name = live.database("school")
    live_django(live, name, folder, django_python)
    arguments = ("--migrations", folder, "--python", django_python)
    clean = schema(live, name, *arguments, expect=0)
    assert "table public.django_migrations" in clean.stdout
    assert "Django's own list" in clean.stdout
    live.sql(projects.BY_HAND, name, "app")
    found = schema(live, name, *arguments, expect=2)
    assert "+ table public.lesson_sessions" in found.stdout
    draft = folder / "lessons/migrations/0002_adopt.py"
    schema(live, name, *arguments, "--adopt", draft, expect=2)
    assert 'dependencies = [("lessons", "0001_initial")]' in draft.read_text()
    schema(live, name, *arguments, expect=0)
    live.sql("ALTER TABLE lessons_lesson DROP COLUMN title", name)
    assert "- column public.lessons_lesson.title" in schema(live, name, *arguments, expect=2).stdout


def live_django(live: Live, name: str, folder: Path, python: str) -> None:
    """Run the migrations on the live database, as a deployment does."""
    settings = f"\nDATABASES['default'].update(NAME={name!r}, HOST={str(live.root)!r}, PORT='{live.port}', USER='app')\n"
    path = folder / "school/settings.py"
    before = path.read_text()
    path.write_text(before + settings)
    code = "import django; django.setup(); from django.core.management import call_command as c; c('migrate')"
    subprocess.run(
        [python, "-c", code],
        cwd=folder,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "school.settings"},
        check=True,
        capture_output=True,
    )
    path.write_text(before)


def test_prisma_incident_1(live: Live, tmp_path: Path) -> None:
    folder = tmp_path / "school"
    folder.mkdir()
    name = live.database("prisma")
    url = live.url(name, quote(PASSWORD, safe=""))
    prisma.project(folder, url)
    prisma.migrate(folder, url, "deploy")
    clean = schema(live, name, "--migrations", folder, expect=0)
    assert "Prisma's own list of migrations" in clean.stdout
    live.sql(projects.BY_HAND, name, "app")
    live.sql(
        'ALTER TABLE "Lesson" ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON "Lesson" USING (true)',
        name,
        "app",
    )
    assert "up to date" in prisma.migrate(folder, url, "status")  # it looks at its list only
    found = schema(live, name, "--migrations", folder, expect=2)
    for words in (
        "+ table public.lesson_sessions",
        "+ policy mine on public.Lesson",
        "~ table public.Lesson",
    ):
        assert words in found.stdout
    assert "3 differences" in found.stdout
    draft = folder / "prisma/migrations/29990101000000_adopt"
    schema(live, name, "--migrations", folder, "--adopt", draft, expect=2)
    schema(live, name, "--migrations", folder, expect=0)
    prisma.migrate(folder, url, "resolve", "--applied", draft.name)
    assert "up to date" in prisma.migrate(folder, url, "status")


def test_nothing_is_written_to_the_live_database(live: Live, shop: tuple[str, Path]) -> None:
    name, folder = shop
    live.sql(projects.BY_HAND, name, "app")
    time.sleep(1.2)  # the statistics of the sessions before arrive within a second
    before, position = statistics(live, name), live.log.stat().st_size
    schema(live, name, "--migrations", folder, expect=2)
    time.sleep(1.2)
    assert statistics(live, name) == before
    statements = ours(live, position, name)
    assert len(statements) > 10
    allowed = (
        "SELECT",
        "SHOW",
        "SET",
        "BEGIN",
        "COMMIT",
        "LOCK TABLE",
        "DECLARE",
        "FETCH",
        "CLOSE",
        "PREPARE",
        "EXECUTE",
    )
    assert [each for each in statements if not each.lstrip().upper().startswith(allowed)] == []
    locks = [each for each in statements if "LOCK TABLE" in each.upper()]
    assert locks
    assert all("IN ACCESS SHARE MODE" in each for each in locks)
    position = live.log.stat().st_size
    schema(live, name, "--migrations", folder, "--without-dump", expect=2)
    assert [each for each in ours(live, position, name) if "LOCK TABLE" in each.upper()] == []


def statistics(live: Live, name: str) -> list[str]:
    """Rows written since ever, and the place in the log of changes."""
    return live.sql(
        f"SELECT tup_inserted, tup_updated, tup_deleted FROM pg_stat_database WHERE datname = '{name}'"  # noqa: S608 - ours
    ) + live.sql("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_all_tables", name)


def ours(live: Live, position: int, database: str) -> list[str]:
    """Statements of this comparison in the server's log."""
    with live.log.open(errors="replace") as file:
        file.seek(position)
        lines = file.read().splitlines()
    words = [line.partition("LOG:  ")[2] for line in lines if f"|{database}|LOG:  " in line]
    return [text.partition(": ")[2] for text in words if text.startswith(("statement: ", "execute "))]


WRONG: dict[str, tuple[list[str], str, int]] = {
    # what: (arguments, words of the message, exit code)
    "no migrations": (["--migrations", "."], "expected migrations", 3),
    "no folder": (["--migrations", "nowhere"], "expected a folder with migrations", 3),
    "no --migrations": ([], "--migrations DIR", 3),
    "ignore without a reason": (["--migrations", "sql", "--ignore", "table x"], "WHAT=WHY", 3),
    "another framework": (["--migrations", "sql", "--adopt", "x/0002_x.py"], "--adopt", 3),
    "two frameworks": (["--migrations", "two"], "found those of prisma and django", 3),
    "one of the two, for MySQL": (["--migrations", "prisma:two"], "not for mysql", 3),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_command_lines(
    live: Live, shop: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    arguments, words, code = WRONG[what]
    (tmp_path / "here" / "two/prisma/migrations/1_x").mkdir(parents=True)
    (tmp_path / "here" / "two/manage.py").write_text("")
    (tmp_path / "here" / "two/prisma/migrations/1_x/migration.sql").write_text("SELECT 1;")
    (tmp_path / "here" / "two/prisma/migrations/migration_lock.toml").write_text('provider = "mysql"\n')
    projects.sql(tmp_path / "here" / "sql")
    if what == "two frameworks":
        (tmp_path / "here" / "two/prisma/migrations/migration_lock.toml").unlink()
    monkeypatch.chdir(tmp_path / "here")
    done = schema(live, shop[0], *arguments, expect=code)
    assert words in done.stderr
    assert done.stdout == ""


def test_a_migration_that_fails_half_way(live: Live, shop: tuple[str, Path]) -> None:
    name, folder = shop
    (folder / "3_bad.sql").write_text('SELECT 1;\n\nALTER TABLE "Lesson" ADD COLUMN "title" TEXT;\n')
    done = schema(live, name, "--migrations", folder, expect=1)
    assert "migration 3_bad.sql failed (2 of 4 had run)" in done.stderr
    assert 'line 3: ERROR:  column "title" of relation "Lesson" already exists' in done.stderr
    assert left(live) == []


def test_databases_that_do_not_answer(live: Live, shop: tuple[str, Path]) -> None:
    name, folder = shop
    nobody = schema(
        live, name, "--migrations", folder, expect=1, url=f"postgresql://app:{PASSWORD}@127.0.0.1:1/shop"
    )
    assert "Connection refused" in nobody.stderr
    missing = schema(live, "nope", "--migrations", folder, expect=1)
    assert 'database "nope" does not exist' in missing.stderr
    wrong = schema(
        live,
        name,
        "--migrations",
        folder,
        expect=1,
        url=f"postgresql://app:x{PASSWORD}@127.0.0.1:{live.port}/shop",
    )
    assert "password authentication failed" in wrong.stderr
    unreadable = schema(
        live, name, "--migrations", folder, expect=3, url=f"mysql://app:{PASSWORD}@127.0.0.1/shop"
    )
    assert "cannot be read" in unreadable.stderr


def test_a_schema_other_than_public(live: Live, tmp_path: Path) -> None:
    folder = projects.sql(tmp_path / "sql")
    name = live.database("apart", 'CREATE SCHEMA "My School"')
    for each in (projects.FIRST, projects.SECOND, (folder / "10_more.sql").read_text()):
        live.sql(f'SET search_path = "My School"; {each}', name, "app")
    found = schema(live, name, "--migrations", folder, expect=2)
    assert "table My School.Lesson" in found.stdout
    schema(live, name, "--migrations", folder, "--schema", "My School", expect=0)
    schema(
        live,
        name,
        "--migrations",
        folder,
        expect=0,
        url=live.url(name) + "?schema=My%20School&connection_limit=5",
    )


def test_extensions(live: Live, tmp_path: Path) -> None:
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "1.sql").write_text("CREATE TABLE people (name citext);")
    name = live.database("extended")
    live.sql("CREATE EXTENSION citext", name)
    live.sql("CREATE TABLE people (name citext)", name, "app")
    failed = schema(live, name, "--migrations", folder, expect=1)
    assert 'type "citext" does not exist' in failed.stderr
    assert "--extension" in failed.stderr
    schema(live, name, "--migrations", folder, "--extension", "citext", expect=0)
    (folder / "0.sql").write_text("CREATE EXTENSION no_such_thing;")
    absent = schema(live, name, "--migrations", folder, expect=1)
    assert "is not available" in absent.stderr
    assert "install its package here" in absent.stderr


def test_what_is_ignored_is_shown_with_its_reason(live: Live, shop: tuple[str, Path]) -> None:
    name, folder = shop
    live.sql(projects.BY_HAND, name, "app")
    done = schema(
        live, name, "--migrations", folder, "--ignore", "table public.lesson_*=kept by the school", expect=0
    )
    assert "kept by the school" in done.stdout


def test_what_standfast_itself_puts_into_a_database(live: Live, shop: tuple[str, Path]) -> None:
    name, folder = shop
    live.sql(
        """CREATE SCHEMA standfast_guard; CREATE TABLE standfast_guard.record (id serial PRIMARY KEY, what text);
        GRANT USAGE ON SCHEMA standfast_guard TO PUBLIC;
        GRANT SELECT ON ALL TABLES IN SCHEMA standfast_guard TO PUBLIC;
        CREATE FUNCTION standfast_guard.stop() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
        CREATE FUNCTION standfast_guard.hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE EVENT TRIGGER standfast_guard_start ON ddl_command_start EXECUTE FUNCTION standfast_guard.stop();
        CREATE TRIGGER standfast_guard_truncate BEFORE TRUNCATE ON "User"
        EXECUTE FUNCTION standfast_guard.hold();""",
        name,
    )
    done = schema(live, name, "--migrations", folder, expect=0)
    assert "schema standfast_guard                       standfast's own guard" in done.stdout


def test_a_database_that_was_restored_one_day(live: Live, tmp_path: Path) -> None:
    """PostgreSQL writes this check in another way when it was read from a dump."""
    folder = tmp_path / "sql"
    folder.mkdir()
    script = "CREATE TABLE orders (id integer, state varchar(9) CHECK (state IN ('new', 'paid')), n integer);"
    (folder / "1.sql").write_text(script)
    before = live.database("before_restore", script)
    text = live.reach(before).run("pg_dump", "--schema-only").output
    name = live.database("restored")
    live.sql(text, name)
    definition = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'orders_state_check'"
    assert live.sql(definition, before) != live.sql(definition, name)
    schema(live, name, "--migrations", folder, expect=0)
    live.sql("ALTER TABLE orders ALTER n SET DEFAULT 1", name)
    done = schema(live, name, "--migrations", folder, expect=2)
    assert "1 difference\n" in done.stdout


def test_roles_that_migrations_make(live: Live, tmp_path: Path) -> None:
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "1.sql").write_text(
        "CREATE ROLE auditor; CREATE TABLE notes (id integer); GRANT SELECT ON notes TO auditor;"
    )
    live.sql("CREATE ROLE maker SUPERUSER LOGIN")
    name = live.database("roles", (folder / "1.sql").read_text(), owner="maker")
    refused = schema(live, name, "--migrations", folder, expect=1)
    assert "permission denied for table notes" in refused.stderr
    arguments = ("--migrations", folder, "--without-dump")  # the role of the URL may read the catalogues only
    schema(live, name, *arguments, expect=0)
    live.sql("ALTER ROLE auditor BYPASSRLS")
    found = schema(live, name, *arguments, expect=2)
    assert "role auditor" in found.stdout
    assert "bypasses row level security: yes; in the migrations: none" in found.stdout


def test_a_kill_leaves_no_throwaway_server(live: Live, shop: tuple[str, Path]) -> None:
    name, folder = shop
    (folder / "3_slow.sql").write_text("SELECT pg_sleep(60);")
    process = subprocess.Popen(
        [*COMMAND, "--local", "SHOP_URL", "--migrations", str(folder)],
        env={**os.environ, "SHOP_URL": live.url(name), "TMPDIR": str(live.room)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not any((each / "data/postmaster.pid").exists() for each in left(live)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (place,) = left(live)
    postmaster = int((place / "data/postmaster.pid").read_text().splitlines()[0])
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 60
    while left(live) or Path(f"/proc/{postmaster}").exists():
        assert time.monotonic() < deadline, left(live)
        time.sleep(0.1)


TABLES = sized(400, long=2000)
MANY = """
DO $$ BEGIN FOR n IN FIRST..LAST LOOP
EXECUTE format('CREATE TABLE t%s (id serial PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT now())', n);
EXECUTE format('CREATE INDEX ON t%s (name)', n);
EXECUTE format('ALTER TABLE t%s ENABLE ROW LEVEL SECURITY', n);
EXECUTE format('CREATE POLICY own ON t%s USING (true)', n);
END LOOP; END $$;
"""


def test_very_many_tables(live: Live, tmp_path: Path) -> None:
    """As many questions for 2,000 tables as for one; `script/test --long` tries 2,000."""
    folder = tmp_path / "sql"
    folder.mkdir()
    parts = [
        MANY.replace("FIRST", str(first)).replace("LAST", str(min(first + 199, TABLES)))
        for first in range(1, TABLES + 1, 200)
    ]
    for number, part in enumerate(parts):
        (folder / f"{number}.sql").write_text(part)
    name = live.database("large", *parts)
    live.sql("CREATE TABLE lesson_sessions (id integer)", name, "app")
    position = live.log.stat().st_size
    done = schema(live, name, "--migrations", folder, "--json", "--without-dump", expect=2)
    assert len(ours(live, position, name)) < 50
    answer: dict[str, Any] = json.loads(done.stdout)["databases"][0]
    assert [each["object"] for each in answer["sides"][0]["differences"]] == ["table public.lesson_sessions"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = json.loads(schema(live, name, "--migrations", folder, "--json", expect=2).stdout)["databases"][0]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{TABLES} tables, {answer['objects']:,} objects: {answer['seconds']} s, {busy:.1f} s of a processor"
    )
