"""Databases of a real server held against their migrations: Django in its image, SQL from this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from standfast.lab.nspawn import Server
from tests.documents import valid
from tests.server.backed_up import declare_backups, sql
from tests.server.conftest import Repository
from tests.server.toybox import build_images, full_toybox

BEFORE = "    databases:\n      toybox: {app: toybox}\n"
DATABASES = """\
    databases:
      toybox:
        app: toybox
        schema:
          migrations: [{service: web}]
          row_security: {tables: {}, bypass: []}
      school:
        app: toybox
        user: toybox
        schema:
          migrations: [{folder: school}]
"""
FIRST = 'CREATE TABLE "User" (id serial PRIMARY KEY, email text NOT NULL UNIQUE);'
BY_HAND = """
CREATE TABLE lesson_sessions (id serial PRIMARY KEY, at timestamptz DEFAULT now());
ALTER TABLE lesson_sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON lesson_sessions USING (true);
"""


@pytest.fixture(scope="module")
def toybox(lab_server: Callable[[str], Server]) -> Server:
    return lab_server("test-schema")


@pytest.fixture(scope="module")
def infra(tmp_path_factory: pytest.TempPathFactory, toybox: Server) -> Repository:
    images = tmp_path_factory.mktemp("images")
    build_images(images)
    repository = Repository(tmp_path_factory.mktemp("infra"))
    full_toybox(repository, toybox, images)
    declare_backups(repository, "/var/backups/restic")
    path = repository.root / "inventories/lab.yml"
    text = path.read_text()
    assert BEFORE in text
    path.write_text(text.replace(BEFORE, DATABASES))
    repository.write("school/migration_lock.toml", 'provider = "postgresql"\n')
    repository.write("school/20260101000000_init/migration.sql", FIRST)
    repository.standfast("apply", "lab", "--yes", expect=0)
    sql(toybox, "CREATE DATABASE school;")
    sql(toybox, FIRST, "school")
    repository.standfast("backup", "lab", expect=0)
    return repository


def traces(toybox: Server) -> str:
    """What comparisons have left."""
    return toybox.run(
        "sudo docker ps -aq --filter label=standfast.schema; sudo docker volume ls -qf dangling=true"
    ).stdout


def compared(infra: Repository, *arguments: str, expect: int) -> dict[str, dict[str, Any]]:
    """The answers, by database."""
    done = infra.standfast("schema", "lab", "--json", *arguments, expect=expect)
    return {each["database"]: each for each in valid(json.loads(done.stdout))["databases"]}


def test_clean_databases_agree(infra: Repository, toybox: Server) -> None:
    done = infra.standfast("schema", "lab", expect=0)
    print(done.stdout, done.stderr)
    assert "no differences" in done.stdout
    assert "table public.django_migrations" in done.stdout
    assert done.stdout.count("as in the backup of ") == 2
    assert traces(toybox) == ""


def test_incident_1_on_a_server(infra: Repository, toybox: Server) -> None:
    sql(toybox, BY_HAND)
    sql(toybox, BY_HAND, "school")
    sql(toybox, "CREATE ROLE auditor BYPASSRLS; ALTER TABLE board_card DISABLE TRIGGER ALL;")
    done = infra.standfast("schema", "lab", expect=2)
    print(done.stdout)
    assert done.stdout.count("+ table public.lesson_sessions") == 2
    answers = compared(infra, expect=2)
    sides = {side["against"]: side for side in answers["database toybox"]["sides"]}
    assert [(each["object"], each["what"]) for each in sides["the declaration"]["differences"]] == [
        ("table public.lesson_sessions", "row level security"),
        ("role auditor", "bypasses row level security"),
    ]
    drifts = json.loads(infra.standfast("drift", "lab", "--json", expect=2).stdout)
    names = [
        each["id"] for host in drifts["hosts"] for each in host["findings"] if each["subject"] == "schema"
    ]
    assert "schema:school/table public.lesson_sessions" in names
    assert "schema:toybox/role auditor" in names
    draft = infra.root / "school/20260102000000_adopt"
    infra.standfast("schema", "lab", "--database", "school", "--adopt", str(draft), expect=2)
    assert "CREATE POLICY own" in (draft / "migration.sql").read_text()
    infra.standfast("schema", "lab", "--database", "school", expect=0)
    assert traces(toybox) == ""


def test_what_the_last_backup_held(infra: Repository, toybox: Server) -> None:
    sql(toybox, "ALTER TABLE lesson_sessions ADD COLUMN note text; CREATE TABLE later (n integer);", "school")
    noted = infra.standfast("schema", "lab", "--database", "school", expect=2).stdout
    assert "· table public.later                           new since then" in noted
    sql(
        toybox,
        'DROP TABLE later; ALTER TABLE lesson_sessions DROP COLUMN note; ALTER TABLE "User" RENAME TO "Users";',
        "school",
    )
    infra.standfast("backup", "lab", "--database", "school", expect=0)
    sql(toybox, 'DROP TABLE lesson_sessions; ALTER TABLE "Users" RENAME TO "User";', "school")
    gone = compared(infra, "--database", "school", expect=2)["database school"]
    last = next(side for side in gone["sides"] if side["against"].startswith("the backup of"))
    assert {(each["object"], each["what"]) for each in last["differences"]} == {
        ("table public.Users", "only other"),
        ("table public.lesson_sessions", "only other"),
    }
    sql(toybox, BY_HAND, "school")
    infra.standfast("backup", "lab", "--database", "school", expect=0)
    infra.standfast("schema", "lab", "--database", "school", expect=0)


def test_a_drill_compares_the_schema_too(infra: Repository, toybox: Server) -> None:
    done = infra.standfast("drill", "lab", expect=0)
    assert "database school: the copy of" in done.stdout


def test_what_cannot_be_compared_is_said(infra: Repository, toybox: Server) -> None:
    bad = infra.write(
        "school/20260103000000_bad/migration.sql", "SELECT 1;\nALTER TABLE nowhere ADD COLUMN x text;"
    )
    failed = infra.standfast("schema", "lab", "--database", "school", expect=1)
    assert "migration 20260103000000_bad failed" in failed.stderr
    assert 'relation "nowhere" does not exist' in failed.stderr
    bad.unlink()
    bad.parent.rmdir()
    missing = infra.standfast("schema", "lab", "--database", "nope", expect=6)
    assert "nope" in missing.stderr
    toybox.run("sudo docker stop toybox-web-1")
    stopped = infra.standfast("schema", "lab", "--database", "toybox", expect=1)
    assert "toybox/web: expected a running container, it is exited" in stopped.stderr
    toybox.run("sudo docker start toybox-web-1")


def test_a_kill_on_the_server_leaves_nothing(infra: Repository, toybox: Server) -> None:
    slow = infra.write("school/20260103000000_slow/migration.sql", "SELECT pg_sleep(120);")
    wish = {
        "databases": [
            {
                "name": "school",
                "place": {"database": "school", "user": "toybox", "app": "toybox", "service": "db"},
                "wish": {
                    "projects": [
                        {
                            "framework": "sql",
                            "words": "x",
                            "scripts": [{"name": "1", "sql": slow.read_text()}],
                        }
                    ]
                },
            }
        ]
    }
    toybox.run("cat > /tmp/wish.json", input=json.dumps(wish))
    toybox.run(
        "sudo sh -c 'nohup standfast-host schema < /tmp/wish.json > /tmp/schema.log 2>&1 & echo $! > /tmp/schema.pid'"
    )
    toybox.run(
        "until sudo docker ps -q --filter label=standfast.schema | grep -q .; do sleep 0.1; done", timeout=60
    )
    toybox.run("sudo kill -KILL $(cat /tmp/schema.pid)")
    deadline = time.monotonic() + 30
    while traces(toybox):
        assert time.monotonic() < deadline, traces(toybox)
        time.sleep(0.5)
    slow.unlink()
    slow.parent.rmdir()
