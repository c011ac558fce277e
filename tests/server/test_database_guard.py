"""The guard inside a database on a real server: who is refused what, and that backups and restores go on."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

import pytest

from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.subject import Subject
from tests.server.toybox import EXAMPLE

COMPOSE = json.dumps(
    {
        "services": {
            "db": {
                "image": "toybox/postgres:17",
                "environment": {"POSTGRES_USER": "boss", "POSTGRES_PASSWORD": "x", "POSTGRES_DB": "toy"},
                "volumes": ["pgdata:/var/lib/postgresql/data"],
                "healthcheck": {
                    "test": "pg_isready --host 127.0.0.1 --username boss --dbname toy",
                    "interval": "1s",
                    "start_period": "60s",
                },
                "stop_grace_period": "20s",
            }
        },
        "volumes": {"pgdata": {"external": True}},
    }
)
FILLED = """
CREATE TABLE posts (id int PRIMARY KEY, author text, body text);
INSERT INTO posts SELECT n, 'app', 'text ' || n FROM generate_series(1, 3000) n;
CREATE TABLE lesson_sessions (id int); INSERT INTO lesson_sessions VALUES (1), (2);
CREATE TABLE events (at int, what text) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100); INSERT INTO events VALUES (1, 'x');
CREATE TABLE may_go (id int); INSERT INTO may_go VALUES (1);
ALTER TABLE posts ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON posts USING (author = current_user);
"""
ROWS = "SELECT (SELECT count(*) FROM posts), (SELECT count(*) FROM lesson_sessions), (SELECT count(*) FROM events)"
RESET = 'DROP SCHEMA "public" CASCADE; CREATE SCHEMA "public"'
"""What `prisma migrate reset` sends: incident 1."""

# What loses data or takes the guard away, and what PostgreSQL itself says where it refuses first.
REFUSED = (
    RESET,
    "DROP TABLE posts",
    "DROP TABLE IF EXISTS lesson_sessions CASCADE",
    "DROP TABLE events_1",
    "ALTER TABLE posts DROP COLUMN body",
    "TRUNCATE posts",
    "TRUNCATE posts, lesson_sessions CASCADE",
    "TRUNCATE events",
    "DO $$ BEGIN EXECUTE 'DROP TABLE posts'; END $$",
    "DROP OWNED BY migrate CASCADE",
    "ALTER TABLE posts DISABLE TRIGGER ALL",
    "ALTER TABLE posts DISABLE TRIGGER standfast_guard_truncate",
    "DROP TRIGGER standfast_guard_truncate ON posts",
    "DROP FUNCTION standfast_guard.on_truncate CASCADE",
    "DROP TABLE standfast_guard.windows CASCADE",
    "SET session_replication_role = replica; DROP TABLE posts",
    "SET session_replication_role = replica; TRUNCATE posts",
    "INSERT INTO standfast_guard.windows (closes, by_person, reason) VALUES ('infinity', 'x', 'x')",
    "DELETE FROM standfast_guard.record",
    "ALTER EVENT TRIGGER standfast_guard_drop DISABLE",
    "SET event_triggers = off",
)
PASSWORDS = {"app": "it's $app", "migrate": 'a "word"'}
BORDER = "-- the next statement"
OF_POSTGRESQL = ("must be owner of", "permission denied")

ORDINARY = """
CREATE TABLE fresh (id int PRIMARY KEY, a int, b text); ALTER TABLE fresh ADD COLUMN c int;
ALTER TABLE fresh RENAME COLUMN c TO d; ALTER TABLE fresh ALTER COLUMN a TYPE bigint;
CREATE INDEX fresh_a ON fresh (a); DROP INDEX fresh_a; CREATE VIEW seen AS SELECT * FROM fresh; DROP VIEW seen;
ALTER TABLE fresh ADD CONSTRAINT positive CHECK (a > 0); ALTER TABLE fresh DROP CONSTRAINT positive;
CREATE TEMP TABLE brief AS SELECT 1 AS a; ALTER TABLE brief DROP COLUMN a; TRUNCATE brief; DROP TABLE brief;
CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP FUNCTION one; CREATE SCHEMA more;
CREATE TABLE more.made AS SELECT 1 AS a; CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (100) TO (200);
INSERT INTO posts VALUES (0, 'migrate', ''); UPDATE posts SET body = '' WHERE id = 0; DELETE FROM posts WHERE id = 0;
VACUUM posts; REINDEX TABLE posts; TRUNCATE may_go;
"""


@pytest.fixture(scope="module")
def site(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A server with a guarded database, which was filled before it got its guard, and one backup."""
    repository = Repository(tmp_path_factory.mktemp("guarded"))
    images = tmp_path_factory.mktemp("images")
    build = [sys.executable, str(EXAMPLE / "build-images"), str(images), "--only", "postgres"]
    subprocess.run(build, check=True, capture_output=True)
    repository.write("compose.yml", COMPOSE)
    repository.write("password", "pa$$ w0rd\n").chmod(0o600)
    subject = Subject(repository, lab_server("test-database"), "databases")
    archive = next(images.glob("*.tar*"))
    database = {"app": "toy", "name": "toy", "user": "boss", "may_shrink": ["public.may_*"]}
    secrets = {f"{role}_password": {"file": role} for role in PASSWORDS}
    for role, password in PASSWORDS.items():
        repository.write(role, f"{password}\n").chmod(0o600)
    subject.declare(
        docker={"volumes": {"pgdata": {"backup": "dump"}}},
        guards={"docker": True},
        apps={
            "toy": {
                "compose": "compose.yml",
                "images": {"toybox/postgres:17": str(archive)},
                "secrets": secrets,
            }
        },
        databases={"toy": database},
        backups={"repository": "/var/backups/restic", "password": {"file": "password"}, "drill": "never"},
    )
    repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    subject.root(
        f"docker exec -i toy-db-1 psql -qX -v ON_ERROR_STOP=1 -U boss -d toy -c {shlex.quote(FILLED)}"
    )
    roles = {role: {"name": role, "password": f"{role}_password"} for role in PASSWORDS}
    subject.declare(databases={"toy": {**database, "roles": roles, "protect": True}})
    assert [
        (each["target"], each["detail"]) for each in subject.changes() if "database " in each["target"]
    ] == [
        ("role migrate of database toy", "owns the tables; for migrations"),
        ("role app of database toy", "owns nothing; for the application"),
        ("owner of 5 tables of database toy", "→ migrate"),
        ("guard of database toy", "it refuses DROP and TRUNCATE outside of a window; environment lab"),
    ]
    subject.apply()
    subject.root("standfast-host backup databases")
    return subject


@pytest.fixture(autouse=True)
def nothing_lost(site: Subject) -> Iterator[None]:
    yield
    assert sql(site, "boss", ROWS) == "3000|2|1"


def sql(subject: Subject, role: str, *statements: str) -> str:
    """What PostgreSQL says to a role; each statement on its own."""
    words = ["docker", "exec", "-i", "toy-db-1", "psql", "-qXAt", "-U", role, "-d", "toy"]
    for each in statements:
        words += ["-c", each]
    return subject.root(f"{shlex.join(words)} 2>&1", check=False).strip()


def complaints(subject: Subject, role: str, statements: Sequence[str]) -> list[str]:
    """What PostgreSQL objects to each of these, in one session."""
    script = "".join(f"\\warn {BORDER}\nRESET ALL;\n{each};\n" for each in statements)
    command = f"docker exec -i toy-db-1 psql -qXAt -U {role} -d toy 2>&1 > /dev/null"
    said = subject.server.run(f"sudo {command}", input=script, check=False).stdout
    return said.split(f"{BORDER}\n")[1:]


@pytest.mark.parametrize("role", ["app", "migrate", "boss"])
def test_what_loses_data_is_refused_whoever_asks(site: Subject, role: str) -> None:
    """The application's role, the one of the migrations, and a superuser."""
    # A superuser may do the last four: the page says so.
    asked = REFUSED[:-4] if role == "boss" else REFUSED
    for statement, said in zip(asked, complaints(site, role, asked), strict=True):
        own = "refused by standfast: " in said
        assert own or (role != "boss" and any(each in said for each in OF_POSTGRESQL)), f"{statement}: {said}"
        if own:
            assert "in the protected database toy (lab)" in said
            assert 'sudo standfast-host guard allow --for 10m --reason "…"' in said


def test_every_table_also_a_new_one(site: Subject) -> None:
    assert (
        sql(
            site, "migrate", *[f"{each};" for each in ORDINARY.replace("\n", " ").split("; ") if each.strip()]
        )
        == ""
    )
    for table in ("fresh", "more.made", "events_2"):
        assert f"TRUNCATE of the table {'' if '.' in table else 'public.'}{table}" in sql(
            site, "migrate", f"TRUNCATE {table}"
        )
    site.root("standfast-host guard allow --for 1m --reason 'tidying up'")
    assert sql(site, "migrate", "DROP TABLE fresh, events_2", "DROP SCHEMA more CASCADE").startswith("NOTICE")
    site.root("standfast-host guard close")
    assert "refused by standfast" in sql(site, "migrate", "DROP TABLE events_1")


def test_the_application_owns_nothing_and_logs_in_with_its_password(site: Subject) -> None:
    owners = "SELECT string_agg(DISTINCT tableowner, ' ') FROM pg_tables WHERE schemaname = 'public'"
    assert sql(site, "app", owners) == "migrate"
    for role, password in PASSWORDS.items():
        given = shlex.quote(f"PGPASSWORD={password}")
        login = f"psql -XAtq -h 127.0.0.1 -U {role} -d toy -c 'SELECT current_user' 2>&1"
        assert site.root(f"docker exec -e {given} toy-db-1 {login}") == f"{role}\n"
        assert "failed" in site.root(f"docker exec -e PGPASSWORD=x toy-db-1 {login}", check=False)
    assert sql(site, "app", "INSERT INTO posts VALUES (-1, 'app', ''); DELETE FROM posts WHERE id = -1") == ""
    sql(site, "boss", "CREATE TABLE strange (id int)")
    assert site.targets() == ["owner of 1 tables of database toy"]
    site.apply()
    site.root("standfast-host guard allow --for 1m --reason 'tidying up'")
    assert sql(site, "migrate", "DROP TABLE strange") == ""
    site.root("standfast-host guard close")


def test_what_is_recorded(site: Subject) -> None:
    """DDL, TRUNCATE and large deletes in a table; refusals in the server's log, which no rollback undoes."""
    sql(
        site,
        "migrate",
        "CREATE TABLE copy (id int)",
        "INSERT INTO copy SELECT * FROM generate_series(1, 5000)",
    )
    sql(
        site,
        "migrate",
        "DELETE FROM copy WHERE id <= 1500",
        "DELETE FROM copy WHERE id = 2000",
        "DROP TABLE copy",
    )
    site.root("standfast-host guard allow --for 1m --reason 'a copy'")
    sql(site, "migrate", "TRUNCATE copy", "DROP TABLE copy")
    site.root("standfast-host guard close")
    lines = sql(
        site,
        "app",
        "SELECT what, role, rows, through_window IS NOT NULL FROM standfast_guard.record WHERE object = 'public.copy' "
        "ORDER BY at",
    )
    assert lines.splitlines() == [
        "CREATE TABLE|migrate||f",
        "deleted rows|migrate|1500|f",
        "truncated table|migrate||t",
        "dropped table|migrate||t",
    ]
    assert sql(site, "app", "SELECT reason FROM standfast_guard.windows ORDER BY id DESC LIMIT 1") == "a copy"
    log = site.root("docker logs toy-db-1 2>&1 | grep -A9 'refused by standfast' | grep 'STATEMENT'")
    assert "DROP TABLE copy" in log


def test_the_environments_name_stands_inside(site: Subject) -> None:
    assert sql(site, "app", "SHOW standfast.environment") == "lab"
    sql(site, "boss", "ALTER DATABASE toy SET standfast.environment = 'playground'")
    (change,) = site.changes()
    assert change["detail"] == "environment playground → lab"
    site.apply()
    assert sql(site, "app", "SHOW standfast.environment") == "lab"


def test_what_a_superuser_can_still_do(site: Subject) -> None:
    """The page says so; the plan finds it and puts it back."""
    for way in ("SET event_triggers = off; ", "ALTER EVENT TRIGGER standfast_guard_drop DISABLE; "):
        sql(site, "boss", "CREATE TABLE victim (id int)")
        assert "refused" not in sql(site, "boss", f"{way}DROP TABLE victim")
    assert site.changes()[0]["detail"] == "event trigger standfast_guard_drop is off"
    assert "permission denied" in sql(site, "migrate", "SET event_triggers = off")
    site.apply()


def test_backup_drill_and_restore_of_a_guarded_database(site: Subject) -> None:
    """
    A restored database has its guard, and the one that was replaced can be dropped for good.

    The guard of Docker is in force too: a drill removes its own containers and volumes.
    """
    sql(site, "app", "DELETE FROM lesson_sessions")
    done = site.repository.standfast("restore", "lab", "--database", "toy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sql(site, "boss", ROWS) == "3000|2|1"
    assert "refused by standfast" in sql(site, "boss", RESET)
    before = sql(site, "boss", "SELECT datname FROM pg_database WHERE datname LIKE 'toy_before_%'")
    assert sql(site, "boss", f'DROP DATABASE "{before}"') == ""
    site.root("standfast-host backup databases; standfast-host drill")


def test_a_database_that_is_down_is_guarded_when_it_runs(site: Subject) -> None:
    site.root("docker stop toy-db-1")
    (change,) = [each for each in site.changes() if "guard" in each["target"]]
    assert change["detail"].startswith("made whole when the database runs")
    site.repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)


def test_taken_out_and_put_back(site: Subject) -> None:
    database = site.host["databases"]["toy"]
    site.declare(databases={"toy": {**database, "protect": False}})
    assert site.targets() == ["guard of database toy", "/etc/standfast/guarded-databases.json"]
    site.apply()
    assert sql(site, "migrate", "CREATE TABLE gone (id int)", "TRUNCATE gone", "DROP TABLE gone") == ""
    site.declare(databases={"toy": database})
    site.apply()
    assert "database toy: in force" in site.root("standfast-host guard status")
    assert site.targets() == []
