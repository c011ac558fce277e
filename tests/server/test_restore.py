"""Restores and drills of the full example on a real server: what comes back, and what a kill leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from standfast.lab.nspawn import Server
from tests.server.backed_up import PASSWORD, counted, declare_backups, host, rows, sql
from tests.server.conftest import STANDFAST, Repository, heard
from tests.server.toybox import ask, build_images, full_toybox, manage

PATIENCE = 240  # seconds; protects from hanging only
POLICY = """
CREATE ROLE auditor;
CREATE POLICY only_own ON board_card USING (true);
ALTER TABLE board_card ENABLE ROW LEVEL SECURITY;
CREATE TABLE marks (n integer);
INSERT INTO marks VALUES (1), (2);
CREATE TABLE orders (id integer, state varchar(9) CHECK (state IN ('new', 'paid')));
CREATE POLICY open_ones ON orders USING (state IN ('new', 'paid'));
CREATE MATERIALIZED VIEW paid AS SELECT * FROM orders WHERE state IN ('paid', 'new');
SELECT lo_from_bytea(0, 'large');
"""
FORGE = """
import json, shutil, subprocess, sys
sys.path.insert(0, "/usr/local/sbin/standfast-host")
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from standfast.host.backup import configuration, layout, manifest, manifests, state
from standfast.host.backup.manifest import stored_file
from standfast.host.backup.restic import Repository
from standfast.host.restore import fetching, selection

settings = configuration.load()
repository = Repository(settings)
every = repository.snapshots(layout.TAG)
copy = selection.choose(every, "database", "toybox", None, timezone.utc)
made = manifests.stored(repository, copy)
folder = layout.staging("database", "toybox")
fetched = Path("/tmp/forged")
fetching.fetch(repository, copy.id, fetched)
shutil.copytree(fetched / folder.relative_to("/"), folder)
psql = ["docker", "exec", "-i", "toybox-db-1"]
if sys.argv[1] == "cut":
    dump = folder / layout.DUMP
    dump.write_bytes(dump.read_bytes()[: dump.stat().st_size // 2])
else:
    subprocess.run([*psql, "psql", "-qU", "toybox", "-v", "ON_ERROR_STOP=1"], input=sys.argv[2].encode(), check=True)
    with (folder / layout.DUMP).open("wb") as out:
        subprocess.run([*psql, "pg_dump", "-U", "toybox", "-Fc", "-Z0", "toybox"], stdout=out, check=True)
    with (folder / layout.GLOBALS).open("wb") as out:
        subprocess.run([*psql, "pg_dumpall", "-U", "toybox", "-g"], stdout=out, check=True)
    subprocess.run([*psql, "psql", "-qU", "toybox", "-v", "ON_ERROR_STOP=1"], input=sys.argv[3].encode(), check=True)
files = {name: stored_file(folder / name) for name in made.files}
now = datetime.now(timezone.utc)
state.write(folder / layout.MANIFEST, manifest.text(replace(made, files=files)))
print(repository.backup([folder], [layout.TAG, "database:toybox"], time=now).snapshot)
shutil.rmtree(folder)
shutil.rmtree(fetched)
"""

FORGET = """
import sys
sys.path.insert(0, "/usr/local/sbin/standfast-host")
from standfast.host.backup import configuration
from standfast.host.backup.restic import Repository
Repository(configuration.load()).forget(sys.argv[1])
"""


@pytest.fixture(scope="module")
def toybox(lab_server: Callable[[str], Server]) -> Server:
    return lab_server("test-restore")


@pytest.fixture(scope="module")
def infra(tmp_path_factory: pytest.TempPathFactory, toybox: Server) -> Repository:
    """The example in service with the data of 60 users, and one backup of everything."""
    images = tmp_path_factory.mktemp("images")
    build_images(images)
    repository = Repository(tmp_path_factory.mktemp("infra"))
    full_toybox(repository, toybox, images)
    declare_backups(repository, "/var/backups/restic")
    repository.standfast("apply", "lab", "--yes", expect=0)
    manage(toybox, "fill --users 60")
    sql(toybox, POLICY)
    repository.standfast("backup", "lab", expect=0)
    return repository


@pytest.fixture(scope="module")
def good(infra: Repository, toybox: Server) -> dict[str, Any]:
    """What the backup holds."""
    return counted(toybox)


def spoil(toybox: Server) -> dict[str, int]:
    """Lose rows and a picture; the rows that are left."""
    sql(
        toybox,
        "DELETE FROM board_reaction WHERE id % 3 = 0; UPDATE marks SET n = 9 WHERE n = 1;",
    )
    toybox.run("sudo sh -c 'cd /var/lib/docker/volumes/toybox_media/_data && rm $(find . -type f | head -1)'")
    return rows(toybox)


def test_everything_comes_back_and_what_was_there_is_kept(
    infra: Repository, toybox: Server, good: dict[str, Any]
) -> None:
    left = spoil(toybox)
    assert counted(toybox) != good
    done = infra.standfast("restore", "lab", "--all", "--yes", expect=0)
    print(done.stdout)
    assert counted(toybox) == good
    assert ask(toybox).returncode == 0
    assert (
        f"{left['board_reaction']:,} rows now, {good['tables']['board_reaction']:,} rows then" in done.stdout
    )
    kept = next(name for name in sql(toybox, "SELECT datname FROM pg_database;") if "_before_" in name)
    assert kept in done.stdout
    assert sql(toybox, "SELECT count(*) FROM board_reaction;", kept) == [str(left["board_reaction"])]
    volumes = toybox.run("sudo docker volume ls -q").stdout.split()
    assert [name for name in volumes if "restoring" in name] == []
    assert len([name for name in volumes if name.startswith("toybox_media_before_")]) == 1
    infra.standfast("plan", "lab", expect=0)


def test_the_list_tells_what_was_restored(infra: Repository, good: dict[str, Any]) -> None:
    document = json.loads(infra.standfast("backups", "lab", "--json", expect=0).stdout)
    items = {(item["kind"], item["name"]): item for item in document["hosts"][0]["items"]}
    database, media = items["database", "toybox"], items["volume", "toybox_media"]
    tried = [copy for copy in database["copies"] if copy["restored"]]
    assert [copy["figures"]["rows"] for copy in tried] == [sum(good["tables"].values())]
    assert database["rto_seconds"] > 0
    assert database["rpo_seconds"] > 0
    assert media["copies"][0]["figures"]["files"] == good["media"]["files"]
    before = [copy for copy in database["copies"] if "before a restore" in copy["doubtful"]]
    assert before
    assert "restored" in infra.standfast("backups", "lab", expect=0).stdout


def test_beside_under_another_name(infra: Repository, toybox: Server, good: dict[str, Any]) -> None:
    before = rows(toybox)
    infra.standfast("restore", "lab", "--database", "toybox", "--to", "Look here", "--yes", expect=0)
    assert rows(toybox) == before
    found = sql(toybox, "SELECT count(*) FROM board_reaction;", "'Look here'")
    assert found == [str(good["tables"]["board_reaction"])]
    again = infra.standfast("restore", "lab", "--database", "toybox", "--to", "Look here", "--yes", expect=6)
    assert "there is such a database already" in again.stderr
    sql(toybox, 'DROP DATABASE "Look here";')


def test_where_nothing_may_be_written_in_the_container(infra: Repository, toybox: Server) -> None:
    before = rows(toybox)
    inside = "sudo docker exec -u root toybox-db-1 sh -c"
    toybox.run(f"{inside} 'mv /tmp /tmp.away && touch /tmp'")
    try:
        infra.standfast("backup", "lab", expect=0)
        infra.standfast("restore", "lab", "--database", "toybox", "--to", "slowly", "--yes", expect=0)
    finally:
        toybox.run(f"{inside} 'rm /tmp && mv /tmp.away /tmp'")
    found = sql(toybox, "SELECT count(*) FROM board_reaction;", "slowly")
    assert found == [str(before["board_reaction"])]
    sql(toybox, "DROP DATABASE slowly;")


def test_nothing_stays_in_the_container(infra: Repository, toybox: Server) -> None:
    infra.standfast("backup", "lab", expect=0)
    assert toybox.run("sudo docker exec toybox-db-1 ls -A /tmp").stdout == ""


def test_only_what_is_there_can_be_restored(infra: Repository, toybox: Server, good: dict[str, Any]) -> None:
    before = rows(toybox)
    missing = infra.standfast("restore", "lab", "--database", "nope", "--yes", expect=6)
    assert "toybox" in missing.stderr
    old = infra.standfast("restore", "lab", "--all", "--at", "2001-01-01", "--yes", expect=1)
    assert "no good copy of database toybox of 2001-01-01 or before" in old.stderr
    infra.standfast("restore", "lab", "--all", expect=3)
    infra.standfast("restore", "lab", "--yes", expect=3)
    assert rows(toybox) == before


def test_the_password_can_be_tried(infra: Repository) -> None:
    for text, code in ((PASSWORD, 0), ("another one", 1)):
        command = [*STANDFAST, "backup", "lab", "--check-password"]
        done = subprocess.run(
            command, cwd=infra.root, input=text + "\n", capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        assert text not in done.stdout + done.stderr


KILLS = (
    "loading",
    "comparing",
    "volume toybox_media: fetching",
    "database toybox: swapping",
    "volume toybox_media: swapping",
)


def test_killed_at_five_moments(infra: Repository, toybox: Server, good: dict[str, Any]) -> None:
    """Each next one begins with what the last one has left; after each the data are the old or the new."""
    for moment in KILLS:
        left, pictures = spoil(toybox), pictures_in(toybox)
        killed(toybox, moment)
        shown = host(toybox, "restore --all").stdout
        found = rows(toybox)
        said = next(
            (line for line in shown.splitlines() if "a restore of database toybox was cut off" in line), ""
        )
        print(f"killed at {moment!r}: {said}")
        if found == good["tables"]:
            assert "it has the new data, complete" in said or not said
        else:
            assert found == left
            assert "it has the old data, complete" in said
        assert pictures_in(toybox) in (good["media"]["files"], pictures)
    infra.standfast("restore", "lab", "--all", "--yes", expect=0)
    assert counted(toybox) == good
    assert [name for name in sql(toybox, "SELECT datname FROM pg_database;") if "restoring" in name] == []
    assert "restoring" not in toybox.run("sudo docker volume ls -q").stdout
    assert ask(toybox).returncode == 0
    infra.standfast("backup", "lab", expect=0)


def pictures_in(toybox: Server) -> int:
    """Number of the files in the volume in service."""
    return len(toybox.run("sudo find /var/lib/docker/volumes/toybox_media/_data -type f").stdout.splitlines())


def killed(toybox: Server, moment: str) -> None:
    """Start a restore on the server, and SIGKILL it when it has come to a moment."""
    toybox.run(
        "sudo sh -c 'nohup standfast-host restore --all --yes > /tmp/restore.log 2>&1 & echo $! > /tmp/restore.pid'"
    )
    wait = f"until grep -q '{moment}' /tmp/restore.log || ! sudo kill -0 $(cat /tmp/restore.pid); do sleep 0.05; done"
    toybox.run(
        f"{wait}; sudo kill -KILL $(cat /tmp/restore.pid); cat /tmp/restore.log",
        check=False,
        timeout=PATIENCE,
    )
    log = toybox.run("cat /tmp/restore.log").stdout
    assert moment in log, log


def test_whoever_does_not_wait_for_a_restore_hears_how_it_ended(
    infra: Repository, toybox: Server, good: dict[str, Any]
) -> None:
    spoil(toybox)
    said = interrupted(infra, "restore", "lab", "--all", "--yes", at="loading")
    assert "✗ test-restore: interrupted; what was begun there goes on to its end, and leaves the old" in said
    following = infra.standfast("apply", "lab", "--yes", expect=0)
    restored = "restore: update database toybox, restore: update volume toybox_media"
    assert f"was not waited for, and has ended well: {restored}." in following.stderr
    assert "! test-restore: the last restore (" in following.stderr
    assert counted(toybox) == good
    (record,) = [each for each in records(infra) if each["outcome"] == "interrupted"]
    assert (record["action"], record["exit"], record["changed"], record["not_done"]) == (
        "restore",
        130,
        [],
        [],
    )
    assert record["cut_off_in"] == restored.split(", ")


def test_whoever_does_not_wait_for_a_backup_or_a_drill_is_told_so(infra: Repository, toybox: Server) -> None:
    before = toybox.run("sudo standfast-host copies --json").stdout.count('"id"')
    said = interrupted(infra, "backup", "lab", at="database toybox")
    assert "✗ test-restore: interrupted; the backup goes on to its end there; `standfast backups lab`" in said
    said = interrupted(infra, "drill", "lab", at="loading")
    assert "✗ test-restore: interrupted; the drill goes on to its end there, removes what it has made" in said
    after = toybox.run("sudo standfast-host copies --json").stdout.count('"id"')
    assert after == before + 2, "the drill has waited for the backup, of a database and a volume"
    told = [(each["action"], each["outcome"], each["exit"]) for each in records(infra)[-2:]]
    assert told == [("backup", "interrupted", 130), ("drill", "interrupted", 130)]
    assert soon_without_traces(toybox)


def interrupted(infra: Repository, *arguments: str, at: str) -> str:
    """Press Ctrl-C when a command has told something; what it says on standard error."""
    with infra.started(*arguments) as command:
        said = heard(command, at)
        command.send_signal(signal.SIGINT)
        said += command.communicate()[1]
    assert command.returncode == 130, said
    return said


def records(infra: Repository) -> list[dict[str, Any]]:
    """Audit records, of the server and of this machine."""
    document = json.loads(infra.standfast("audit", "lab", "--json", expect=0).stdout)
    found: list[dict[str, Any]] = document["records"]
    return found


def soon_without_traces(toybox: Server) -> bool:
    """Whether a drill that goes on, or its clean-up, comes to its end."""
    deadline = time.monotonic() + PATIENCE
    while traces(toybox) and time.monotonic() < deadline:
        time.sleep(0.5)
    return traces(toybox) == ""


def test_a_drill_passes_and_leaves_nothing(infra: Repository, toybox: Server, good: dict[str, Any]) -> None:
    before = counted(toybox)
    done = infra.standfast("drill", "lab", expect=0)
    print(done.stdout)
    assert "application toybox: /healthz answered" in done.stdout
    assert counted(toybox) == before
    assert traces(toybox) == ""


def traces(toybox: Server) -> str:
    """What is left of drills."""
    label = "--filter label=standfast.drill"
    return toybox.run(
        f"sudo docker ps -aq {label}; sudo docker volume ls -q {label}; sudo docker network ls -q {label}; "
        "sudo ls -A /run/standfast/drill 2> /dev/null || true"
    ).stdout.strip()


@pytest.mark.parametrize(
    ("fault", "spoil", "repair", "found"),
    [
        (
            "row changed",
            "UPDATE marks SET n = 3 WHERE n = 2;",
            "UPDATE marks SET n = 2 WHERE n = 3;",
            "table public.marks has other content in its 2 rows",
        ),
        (
            "row missing",
            "DELETE FROM marks WHERE n = 2;",
            "INSERT INTO marks VALUES (2);",
            "table public.marks has 1 rows, it had 2",
        ),
        (
            "policy dropped",
            "DROP POLICY only_own ON board_card;",
            "CREATE POLICY only_own ON board_card USING (true);",
            "policy on public.board_card is missing",
        ),
        ("role missing", "DROP ROLE auditor;", "CREATE ROLE auditor;", "role auditor is missing"),
        ("cut", "", "", "database toybox:"),
    ],
)
def test_a_drill_finds(
    infra: Repository, toybox: Server, good: dict[str, Any], fault: str, spoil: str, repair: str, found: str
) -> None:
    snapshot = forged(toybox, fault, spoil, repair)
    try:
        done = infra.standfast("drill", "lab", "--json", expect=1)
    finally:
        forgotten(toybox, snapshot)
    items = {item["kind"]: item for item in json.loads(done.stdout)["hosts"][0]["items"]}
    assert not items["database"]["ok"], fault
    assert found in f"database toybox: {items['database']['message']}"
    assert not items["application"]["ok"]
    assert traces(toybox) == ""


def forged(toybox: Server, fault: str, spoil: str, repair: str) -> str:
    """A newest copy whose dump is not what its manifest says."""
    words = " ".join(
        f"'{each.replace(chr(39), chr(39) + chr(92) + chr(39) + chr(39))}'" for each in (fault, spoil, repair)
    )
    return toybox.run(f"sudo python3 - {words}", input=FORGE, timeout=PATIENCE).stdout.strip()


def forgotten(toybox: Server, snapshot: str) -> None:
    toybox.run(f"sudo python3 - {snapshot}", input=FORGET, timeout=PATIENCE)


def test_a_drill_finds_an_application_that_does_not_start(
    infra: Repository, toybox: Server, good: dict[str, Any]
) -> None:
    compose = "/srv/apps/toybox/compose.yml"
    toybox.run(f"sudo sed -i.good 's,image: toybox/web:1,&\\n    command: [\"false\"],' {compose}")
    try:
        done = infra.standfast("drill", "lab", "--json", expect=1)
    finally:
        toybox.run(f"sudo mv {compose}.good {compose}")
    items = {item["kind"]: item for item in json.loads(done.stdout)["hosts"][0]["items"]}
    assert items["database"]["ok"]
    assert "toybox/web ended with exit code 1" in items["application"]["message"]
    assert traces(toybox) == ""


def test_nothing_stays_of_a_killed_drill(infra: Repository, toybox: Server, good: dict[str, Any]) -> None:
    before = counted(toybox)
    toybox.run("sudo sh -c 'nohup standfast-host drill > /tmp/drill.log 2>&1 & echo $! > /tmp/drill.pid'")
    toybox.run(
        "until grep -q loading /tmp/drill.log || ! sudo kill -0 $(cat /tmp/drill.pid); do sleep 0.1; done; "
        "sudo kill -KILL $(cat /tmp/drill.pid)",
        timeout=PATIENCE,
    )
    assert soon_without_traces(toybox)
    assert counted(toybox) == before


def test_no_change_of_production_without_a_copy_first(
    infra: Repository, toybox: Server, good: dict[str, Any]
) -> None:
    text = (infra.root / "inventories/lab.yml").read_text()
    infra.write(
        "inventories/production.yml",
        text.replace("environment: lab", "environment: production").replace(
            "packages: [htop]", "packages: [htop, tree]"
        ),
    )
    done = json.loads(
        infra.standfast("apply", "production", "--only", "base", "--yes", "--json", expect=0).stdout
    )
    rows_then = sum(good["tables"].values())
    assert f"of toybox, {rows_then:,} rows" in done["hosts"][0]["safety_copy"]
