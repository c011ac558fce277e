"""Backups on a real server: faults injected for real, none reported as success, none losing an earlier copy."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from standfast.lab.nspawn import Server
from tests.server import toybox
from tests.server.conftest import Repository
from tests.sizes import sized

ROUNDS = sized(2, long=20)
REPOSITORY = "/var/backups/standfast"
FETCHED = "/srv/fetched"
STATE = "/var/lib/standfast/backups"
PATIENCE = 120
PROGRAM = "/usr/local/sbin/standfast-host"


@dataclass
class Site:
    """A server that runs toybox, with backups declared and applied."""

    repository: Repository
    server: Server
    first: str = ""
    """What the first backup has said."""

    def root(self, script: str, *, check: bool = True, timeout: float = 300) -> str:
        """Output of a script, as root."""
        return self.server.run("sudo bash -s", input=script, check=check, timeout=timeout).stdout

    def backup(self, arguments: str, expect: int = 0, *, before: str = "") -> str:
        """Run ``standfast-host backup``; returns everything that it said."""
        done = self.server.run(f"sudo {before} {PROGRAM} backup {arguments}", check=False, timeout=600)
        said = done.stdout + done.stderr
        assert done.returncode == expect, f"exit {done.returncode}\n{said}"
        return said

    def status(self) -> dict[str, Any]:
        """What the server says about its backups."""
        done = self.server.run(f"sudo {PROGRAM} backup status --json", check=False)
        answer: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (0 if answer["ok"] else 1)
        return answer

    def copy(self, name: str) -> dict[str, Any]:
        """What the status says of one database or volume."""
        (found,) = [each for each in self.status()["copies"] if each["name"] == name]
        return dict(found)

    def restic(self, arguments: str, *, check: bool = True) -> str:
        """Ask the repository itself."""
        prefix = f"RESTIC_PASSWORD_FILE=/etc/standfast/backup-password restic -r {REPOSITORY}"
        return self.root(f"{prefix} {arguments}", check=check)

    def copies(self, tag: str = "standfast") -> list[dict[str, Any]]:
        """Snapshots with a tag, the oldest first."""
        found: list[dict[str, Any]] = json.loads(self.restic(f"snapshots --json --tag {tag}"))
        return found

    def sql(self, statement: str, database: str = "toybox") -> str:
        """Ask the database."""
        return self.root(
            f"docker exec -i toybox-db-1 psql -XAtq -v ON_ERROR_STOP=1 -U toybox -d {database} <<'SQL'\n{statement}\nSQL"
        ).strip()

    def wait(self, condition: str, *, seconds: float = PATIENCE) -> None:
        """Wait until a shell condition holds."""
        script = (
            f"for i in $(seq {int(seconds * 5)}); do if {condition}; then exit 0; fi; sleep 0.2; done; exit 1"
        )
        done = self.server.run("sudo bash -s", input=script, check=False, timeout=seconds * 10)
        assert done.returncode == 0, f"this did not come about: {condition}"

    def up(self) -> None:
        """Wait until the database answers."""
        self.wait("docker exec toybox-db-1 pg_isready -q -h 127.0.0.1 -U toybox -d toybox")

    @contextmanager
    def configured(self, **changes: object) -> Iterator[None]:
        """Another configuration for a while; the applied one comes back."""
        path = "/etc/standfast/backups.json"
        before = self.root(f"cat {path}")
        self.root(f"cat > {path} <<'END'\n{json.dumps({**json.loads(before), **changes})}\nEND")
        try:
            yield
        finally:
            self.root(f"cat > {path} <<'END'\n{before}END")

    @contextmanager
    def failing(self, name: str = "toybox") -> Iterator[None]:
        """Whatever fails inside: nothing is lost, nothing new counts as good, and the status says so."""
        before, good = self.copies(), self.copy(name)["last_good"]
        yield
        after = {each["id"] for each in self.copies()}
        assert {each["id"] for each in before} <= after
        assert self.copy(name)["last_good"] == good
        assert self.status()["runs"][-1]["outcome"] in ("failed", "killed")
        assert not self.status()["writers_held"]


@pytest.fixture(scope="module")
def site(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Site:
    server = lab_server("test-backup")
    images = tmp_path_factory.mktemp("images")
    toybox.build_images(images)
    repository = Repository(tmp_path_factory.mktemp("repository"))
    toybox.full_toybox(repository, server, images)
    inventory = repository.root / "inventories/lab.yml"
    text = inventory.read_text()
    text = text.replace("toybox_pgdata: {}", "toybox_pgdata: {backup: dump}")
    text = text.replace("toybox_media: {}", "toybox_media: {backup: weekly}")
    text += (
        "    databases:\n      toybox: {app: toybox}\n"
        "    backups:\n"
        f"      repository: {REPOSITORY}\n"
        "      password: {file: build/secrets/backup}\n"
        "      drill: never\n"
    )
    repository.write("inventories/lab.yml", text)
    repository.write("build/secrets/backup", "correct horse\n").chmod(0o600)
    made = Site(repository, server)
    repository.standfast("apply", "lab", "--yes", expect=0, timeout=900)
    # Nothing must begin by itself while a test looks on.
    made.root("systemctl stop cron; apt-get install -y -q faketime > /dev/null 2>&1")
    toybox.manage(server, "fill --users 300")
    made.first = made.backup("all")
    return made


@pytest.fixture(autouse=True)
def in_order(site: Site) -> None:
    """Every test finds the application running and a good copy."""
    site.up()
    assert site.copy("toybox")["last_good"], site.status()


def test_first_use_says_what_the_password_is_worth_and_everything_is_stored(site: Site) -> None:
    assert "Without this password the backups are lost" in site.first
    assert "Without this password" not in site.backup("databases")
    status = site.status()
    assert [each["problem"] for each in status["copies"]] == [None, None]
    assert status["dumped"] == ["toybox_pgdata"]
    manifest = stored_manifest(site, "database", "toybox")
    tables = list(manifest["census"]["tables"])
    counted = {name: int(site.sql(f"select count(*) from {name};")) for name in tables}  # noqa: S608
    assert counted == {name: table["rows"] for name, table in manifest["census"]["tables"].items()}
    assert manifest["volume"] == "toybox_pgdata"
    assert manifest["image"] == "toybox/postgres:17"
    pictures = int(site.root("find /var/lib/docker/volumes/toybox_media/_data -type f | wc -l"))
    assert stored_manifest(site, "volume", "toybox_media")["files"] == pictures > 0
    assert site.root(f"find {STATE}/staging -name dump.pgc") == ""


def test_secrets_are_for_root_only_and_in_no_record(site: Site) -> None:
    assert site.root(
        "stat -c '%a %U' /etc/standfast/backup-password /etc/standfast/backups.json"
    ).split() == [
        *("600", "root"),
        *("600", "root"),
    ]
    assert site.root(f"grep -rl 'correct horse' /etc/cron.d {STATE} /var/log/standfast || true") == ""
    said = site.server.run(f"echo 'correct horse' | sudo {PROGRAM} backup check-password").stderr
    assert "opens the repository" in said
    wrong = site.server.run(f"echo 'wrong horse' | sudo {PROGRAM} backup check-password", check=False)
    assert wrong.returncode == 1
    assert "does not open" in wrong.stderr


def test_the_dump_restored_is_what_the_manifest_says(site: Site) -> None:
    manifest = stored_manifest(site, "database", "toybox")
    folder = fetched(site, "database", "toybox")
    site.root(
        f"docker exec toybox-db-1 createdb -U toybox copied\n"
        f"docker exec -i toybox-db-1 pg_restore -U toybox -d copied --exit-on-error < {folder}/dump.pgc"
    )
    try:
        assert census(site, "copied") == manifest["census"]
        site.sql(
            "update board_post set text = text || '.' where id = (select min(id) from board_post);", "copied"
        )
        assert census(site, "copied")["tables"] != manifest["census"]["tables"]
    finally:
        site.root("docker exec toybox-db-1 dropdb -U toybox copied")


def test_plan_refuses_a_volume_that_nobody_thought_of(site: Site) -> None:
    inventory = site.repository.root / "inventories/lab.yml"
    text = inventory.read_text()
    try:
        inventory.write_text(text.replace("toybox_media: {backup: weekly}", "toybox_media: {}"))
        refused = site.repository.standfast("plan", "lab", expect=6).stderr
        assert "service web mounts the volume toybox_media, and it is in no backup" in refused
        inventory.write_text(text.replace("environment: lab", "environment: production"))
        planned = site.repository.standfast("plan", "lab").stdout
        assert "the only backups are on the server itself" in planned
    finally:
        inventory.write_text(text)
    assert site.repository.targets("--only", "backups") == []


# What can be seen of a run from outside, in its order.
MOMENTS = (
    "true",
    f"ls {STATE}/runs | grep -q -v -x -F -f /run/runs.before",
    f"[ -e {STATE}/staging/database/toybox ]",
    f"[ -s {STATE}/staging/database/toybox/dump.pgc ]",
    f"[ -e {STATE}/staging/database/toybox/globals.sql ]",
    f"[ -e {STATE}/staging/database/toybox/manifest.json ]",
    f"[ -e {STATE}/staging/database/toybox/manifest.json ] && pgrep -x restic > /dev/null",
    f"[ -e {STATE}/held.json ]",
    "docker ps --filter status=paused | grep -q toybox-web-1",
    f"[ -e {STATE}/staging/volume/toybox_media/manifest.json ] && pgrep -x restic > /dev/null",
)[sized(1, long=0) :: sized(2, long=1)]  # every second one, or all


def test_killed_at_each_moment(site: Site) -> None:
    killed = 0
    for moment in MOMENTS:
        before, good = site.copies(), site.copy("toybox")["last_good"]
        site.root(
            f"ls {STATE}/runs > /run/runs.before; rm -rf {STATE}/staging\n"
            f"setsid {PROGRAM} backup all > /dev/null 2>&1 & pid=$!\n"
            f"while kill -0 $pid 2> /dev/null; do if {moment}; then kill -9 -- -$pid; break; fi; done; wait",
            check=False,
        )
        running = "docker ps --filter status=running --format '{{.Names}}' | grep -c -E '^toybox-(db|web)-1$'"
        site.wait(f'[ "$({running})" = 2 ] && [ ! -e {STATE}/held.json ]')
        assert {each["id"] for each in before} <= {each["id"] for each in site.copies()}
        last = site.status()["runs"][-1]
        assert last["outcome"] in ("killed", "done")
        dumped = any(item["kind"] == "database" and item["ok"] for item in last["items"])
        assert dumped or site.copy("toybox")["last_good"] == good
        killed += last["outcome"] == "killed"
    print(f"\n{killed} of {len(MOMENTS)} runs were killed in the middle")
    assert killed > len(MOMENTS) / 2
    site.backup("all")
    assert "whole" in site.backup("check --all")
    site.backup("prune")
    assert site.restic("list locks --no-lock") == ""
    assert site.copies("standfast-warm") == []


def test_writers_go_on_after_a_kill_while_they_are_held(site: Site) -> None:
    with site.failing("toybox_media"), slow_volume(site):
        site.root(f"setsid {PROGRAM} backup volumes > /dev/null 2>&1 & echo $! > /run/backup.pid")
        site.wait("[ \"$(docker inspect -f '{{.State.Status}}' toybox-web-1)\" = paused ]")
        copies = len(site.copies())
        site.root("kill -9 $(cat /run/backup.pid)")  # and not what it has started
        site.wait("[ \"$(docker inspect -f '{{.State.Status}}' toybox-web-1)\" = running ]")
        site.wait("! pgrep -x restic")
        assert len(site.copies()) == copies
        site.wait(f"[ ! -e {STATE}/held.json ]")


def test_stopped_writers_start_again_also_by_the_next_run(site: Site) -> None:
    media = {"toybox_media": {"when": "weekly", "writers": "stop", "seconds": 60}}
    with site.configured(volumes=media):
        assert "toybox/web stood still" in site.backup("volumes")
        site.wait("[ \"$(docker inspect -f '{{.State.Status}}' toybox-web-1)\" = running ]")
        # As after a power cut: what was stopped stays stopped, and the note is there.
        identity = site.root("docker inspect -f '{{.Id}}' toybox-web-1").strip()
        note = {"how": "stop", "since": "then", "pid": 1, "containers": [{"id": identity, "name": "web"}]}
        site.root(f"docker stop toybox-web-1; echo {shlex.quote(json.dumps(note))} > {STATE}/held.json")
        assert "they go on" in site.backup("scheduled prune")
        assert "running" in site.root("docker inspect -f '{{.State.Status}}' toybox-web-1")


@pytest.mark.parametrize("how", ["pause", "stop"])
def test_writers_that_stand_still_are_not_taken_for_ill(site: Site, how: str) -> None:
    with standing_still(site, how):
        plan = json.loads(site.repository.standfast("plan", "lab", "--json", expect=0).stdout)
    assert plan["hosts"][0]["changes"] == []
    with standing_still(site, how):
        done = site.repository.standfast("verify", "lab", "--json")
    failed = {each["check"] for each in json.loads(done.stdout)["checks"] if each["outcome"] == "failed"}
    assert failed == {"test_unit_is_at_work[test-backup-cron.service]"}  # the fixture's doing


def test_disk_full(site: Site) -> None:
    site.root(f"mount -t tmpfs -o size=1m tmpfs {STATE}/staging")
    try:
        with site.failing():
            assert "MB are free there" in site.backup("databases", expect=1)
    finally:
        site.root(f"umount {STATE}/staging")
    # The repository's disk; the database fits into staging here.
    site.root("mkdir -p /mnt/small; mount -t tmpfs -o size=64k tmpfs /mnt/small")
    try:
        with site.failing(), site.configured(repository="/mnt/small/repository"):
            assert "no space left" in site.backup("databases", expect=1)
    finally:
        site.root("umount /mnt/small")


def test_container_stopped(site: Site) -> None:
    site.root("docker stop toybox-db-1")
    try:
        with site.failing():
            assert "expected a running container, it is exited" in site.backup("databases", expect=1)
    finally:
        site.root("docker start toybox-db-1")


def test_database_restarts_in_the_middle(site: Site) -> None:
    with site.failing(), locked_table(site):
        site.root(f"{PROGRAM} backup databases > /run/backup.out 2>&1 & echo $! > /run/backup.pid")
        site.wait(waiting_dump(site))
        site.root("docker restart -t 30 toybox-db-1")
        site.wait("! kill -0 $(cat /run/backup.pid)")
        assert "✗ database toybox" in site.root("cat /run/backup.out")
    site.up()


def test_wrong_password(site: Site) -> None:
    site.root("cp -a /etc/standfast/backup-password /run/kept; echo wrong > /etc/standfast/backup-password")
    try:
        said = site.backup("databases", expect=1)
    finally:
        site.root("cp -a /run/kept /etc/standfast/backup-password; rm /run/kept")
    assert "the password in /etc/standfast/backup-password does not open the repository" in said
    assert site.status()["runs"][-1]["outcome"] == "failed"


def test_a_repository_that_is_gone_is_not_made_anew(site: Site) -> None:
    site.root(f"mv {REPOSITORY} {REPOSITORY}.away")
    try:
        assert "is gone" in site.backup("databases", expect=1)
        assert site.root(f"ls {REPOSITORY} 2>/dev/null || true") == ""
    finally:
        site.root(f"mv {REPOSITORY}.away {REPOSITORY}")


def test_corrupted_and_deleted_packs(site: Site) -> None:
    other = "/var/backups/other"
    # What a killed run has left, half a pack or one that is in no index, nobody reads and nobody misses.
    packs = f"find {other}/data -type f ! -name '*-tmp-*' -printf '%s %p\\n'"
    largest = f"{packs} | sort -n | tail -1 | cut -d' ' -f2"
    copy = (
        f"rm -rf {other}; cp -a {REPOSITORY} {other}\n"
        f"RESTIC_PASSWORD_FILE=/etc/standfast/backup-password restic -q -r {other} prune"
    )
    first, second = (int(site.backup("check").partition("; part ")[2].split()[0]) for _ in range(2))
    assert second == first % 14 + 1
    site.root(copy)
    with site.configured(repository=other):
        site.backup("check --all")
        site.root(
            f'pack=$({largest}); chmod u+w "$pack"; printf XXXX | dd of="$pack" bs=1 seek=1000 conv=notrunc'
        )
        assert "is damaged" in site.backup("check --part 1/1", expect=1)
        assert site.status()["runs"][-1]["outcome"] == "failed"
        site.root(f"{copy}\nrm -f $({largest})")
        assert "is damaged" in site.backup("check", expect=1)
    site.root(f"rm -rf {other}")
    site.backup("check")


def test_volume_missing_moved_or_emptied(site: Site) -> None:
    with site.configured(volumes={"toybox_gone": {"when": "daily"}}):
        assert "no such volume" in site.backup("volumes", expect=1)
    data = "/var/lib/docker/volumes/toybox_media/_data"
    site.root(f"mkdir {data}.kept; mv {data}/* {data}.kept/")
    try:
        with site.failing("toybox_media"):
            assert "it is empty; it had" in site.backup("volumes", expect=1)
        assert site.copies("standfast,volume:toybox_media")[-1]["tags"].count("suspect") == 1
    finally:
        site.root(f"mv {data}.kept/* {data}/; rmdir {data}.kept")
    site.backup("volumes")


def test_dump_cut_short(site: Site) -> None:
    """A pg_dump that loses the end of its stream and says that all is well."""
    inside = "docker exec -i -u root toybox-db-1 sh -c"
    path = site.root(f"{inside} 'command -v pg_dump'").strip()
    wrapper = (
        "#!/bin/sh\n"
        f'case " $* " in *custom*) {path}.whole "$@" | head -c 50000; exit 0 ;; esac\n'
        f'exec {path}.whole "$@"\n'
    )
    replace = f"mv {path} {path}.whole && cat > {path} && chmod 755 {path}"
    site.root(f"{inside} '{replace}' <<'END'\n{wrapper}END")
    try:
        with site.failing():
            assert "the dump cannot be read to its end" in site.backup("databases", expect=1)
    finally:
        site.root(f"{inside} 'mv {path}.whole {path}'")


def test_repository_unreachable_in_the_middle(site: Site) -> None:
    with sftp_through_a_proxy(site, cut_after=100_000):
        place = "sftp://ops@127.0.0.1:2200//home/ops/repository"
        with site.failing(), site.configured(repository=place):
            assert "✗ database toybox: restic could not store everything" in site.backup(
                "databases", expect=1
            )
    with sftp_through_a_proxy(site, cut_after=0), site.configured(repository=place):
        site.backup("databases")
        site.backup("check --all")


def test_role_that_does_not_see_every_row(site: Site) -> None:
    site.sql(
        "create role bound login; grant usage on schema public to bound;"
        "grant select on all tables in schema public to bound; grant select on all sequences in schema public to bound;"
        "alter table board_post enable row level security;"
        "create policy own on board_post to bound using (author_id = 1);"
    )
    databases = {"toybox": {"database": "toybox", "user": "bound", "app": "toybox", "service": "db"}}
    try:
        with site.failing(), site.configured(databases=databases):
            said = site.backup("databases", expect=1)
        assert "row-level security hides rows of public.board_post from the role bound" in said
        # The owner's copy knows of it.
        site.backup("databases")
        security = stored_manifest(site, "database", "toybox")["census"]["row_security"]["public.board_post"]
        assert security["enabled"]
        assert "own" in security["policies"][0]
    finally:
        site.sql(
            "drop policy own on board_post; alter table board_post disable row level security;"
            "drop owned by bound; drop role bound;"
        )


def test_clock_set_back(site: Site) -> None:
    """The last copy was made two days ahead of now: the same as a clock that was set back since."""
    site.root(f"cp -a {STATE}/good {STATE}/good.kept; cp -a {STATE}/runs {STATE}/runs.kept")
    site.backup("databases", before="faketime -f +2d")
    ahead = site.copies()[-1]
    try:
        said = site.backup("databases", expect=1)
        assert "the clock was set back" in said
        assert site.copies()[-1]["id"] == ahead["id"]
        assert [each for each in site.copies() if "suspect" in each["tags"]]
        assert "from the future" in site.copy("toybox")["problem"]
    finally:
        site.restic(f"forget {ahead['id']}")
        site.root(f"cd {STATE} && rm -rf good runs && mv good.kept good && mv runs.kept runs")


def test_two_runs_at_once(site: Site) -> None:
    with locked_table(site):
        site.root(f"( {PROGRAM} backup databases; echo $? > /run/backup.code ) > /run/backup.out 2>&1 &")
        site.wait(waiting_dump(site))
        copies = len(site.copies())
        said = site.backup("databases", expect=5)
        assert "another run is at work: databases, pid" in said
        assert len(site.copies()) == copies
    site.wait("[ -e /run/backup.code ]")
    assert site.root("cat /run/backup.code").strip() == "0", site.root("cat /run/backup.out")
    site.root("rm /run/backup.code")


def test_half_the_rows_deleted_just_before(site: Site) -> None:
    site.backup("databases")
    rows = int(site.sql("select count(*) from board_reaction;"))
    site.sql("create table kept as select * from board_reaction;")
    site.backup("databases")
    half = f"select id from board_reaction limit {rows // 2}"  # noqa: S608
    site.sql(f"delete from board_reaction where id in ({half});")  # noqa: S608
    try:
        with site.failing():
            said = site.backup("databases", expect=1)
            assert f"table public.board_reaction has {rows - rows // 2:,} rows; it had {rows:,}" in said
            site.backup("databases", expect=1)
        good = site.copy("toybox")["last_good"]["snapshot"]
        site.backup("prune")
        assert good in {each["id"] for each in site.copies()}
        site.backup("databases --accept toybox")
        site.backup("databases")
    finally:
        site.sql(
            "insert into board_reaction select * from kept where id not in (select id from board_reaction);"
            "drop table kept;"
        )
        site.backup("databases --accept toybox")


def test_what_is_on_the_server_and_in_no_backup_fails_the_run(site: Site) -> None:
    site.root(
        "docker run -d --name stray -v stray_data:/data --entrypoint sleep toybox/web:1 600;"
        "docker exec toybox-db-1 createdb -U toybox forgotten"
    )
    try:
        said = site.backup("databases", expect=1)
        assert "the volume stray_data, which container stray mounts at /data, is in no backup" in said
        assert "the database forgotten of toybox/db is in no backup" in said
        assert "✓ database toybox" in said
    finally:
        site.root(
            "docker rm -f stray; docker volume rm stray_data; docker exec toybox-db-1 dropdb -U toybox forgotten"
        )
    site.backup("databases")


def test_dead_mans_switch(site: Site) -> None:
    listener = (
        "import http.server\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    def do_POST(self):\n"
        "        body = self.rfile.read(int(self.headers['Content-Length'])).decode()\n"
        "        open('/run/pings', 'a').write(f'{self.path} {body[:60]!r}\\n')\n"
        "        self.send_response(200); self.end_headers()\n"
        "http.server.HTTPServer(('127.0.0.1', 8999), Handler).serve_forever()\n"
    )
    site.root(
        f"rm -f /run/pings; cat > /run/listener.py <<'END'\n{listener}END\n"
        "systemd-run --quiet --collect --unit=pings python3 /run/listener.py"
    )
    site.wait("ss -ltn | grep -q :8999")
    try:
        with site.configured(ping={"databases": "http://127.0.0.1:8999/db"}):
            site.backup("databases")
            site.root("docker stop toybox-db-1")
            site.backup("databases", expect=1)
    finally:
        site.root("docker start toybox-db-1; systemctl stop pings")
    told = [line.split(" ")[0] for line in site.root("cat /run/pings").splitlines()]
    assert told == ["/db/start", "/db", "/db/start", "/db/fail"]


def test_what_was_missed_is_caught_up_and_nothing_is_done_twice(site: Site) -> None:
    site.backup("all")
    before = len(site.status()["runs"])
    site.backup("scheduled databases volumes")
    assert len(site.status()["runs"]) == before
    site.root(f"mv {STATE}/runs {STATE}/runs.kept")
    try:
        said = site.backup("scheduled databases volumes")
        assert "✓ database toybox" in said
        assert "✓ volume toybox_media" in said
    finally:
        site.root(
            f"cp -a {STATE}/runs/. {STATE}/runs.kept/; rm -rf {STATE}/runs; mv {STATE}/runs.kept {STATE}/runs"
        )


@contextmanager
def served(site: Site, package: str, command: str, port: int) -> Iterator[None]:
    """A storage server of Debian's on the server's own loopback."""
    site.root(
        f"""set -e; apt-get install -y -q --no-install-recommends {package} > /dev/null 2>&1
        systemd-run --quiet --collect --unit=storage {command}"""
    )
    site.wait(f"ss -ltn | grep -q 127.0.0.1:{port}")
    try:
        yield
    finally:
        site.root("systemctl stop storage", check=False)


def there_and_back(site: Site, place: str, **more: object) -> None:
    """A backup into another repository, a check of all its data, and a volume and a database back out of it."""
    known = sum_of_pictures(site, "toybox_media")
    rows = site.sql("SELECT count(*) FROM board_card")
    with site.configured(repository=place, **more):
        site.backup("all")
        site.backup("check --all")
        site.root(f"{PROGRAM} restore --volume toybox_media --to media_back --yes", timeout=600)
        site.root(f"{PROGRAM} restore --database toybox --to toybox_back --yes", timeout=600)
    try:
        assert known == sum_of_pictures(site, "media_back")
        assert rows == site.sql("SELECT count(*) FROM board_card", "toybox_back")
    finally:
        site.root("docker volume rm media_back")
        site.sql("DROP DATABASE toybox_back")


def sum_of_pictures(site: Site, volume: str) -> str:
    """A hash of all names and contents in a volume."""
    found = site.root(
        f"cd /var/lib/docker/volumes/{volume}/_data && find . -type f | sort | xargs sha256sum | sha256sum"
    )
    assert site.root(f"find /var/lib/docker/volumes/{volume}/_data -type f | head -n 1")
    return found


def test_rest_server_append_only(site: Site) -> None:
    place = "rest:http://127.0.0.1:8100/web-1"
    server = "restic-rest-server --no-auth --append-only --listen 127.0.0.1:8100 --path /srv/rest"
    with served(site, "restic-rest-server", server, 8100):
        there_and_back(site, place, append_only=True)
        ask = f"RESTIC_PASSWORD_FILE=/etc/standfast/backup-password restic -r {place}"
        before = json.loads(site.root(f"{ask} snapshots --json --tag standfast"))
        assert len(before) == 2
        assert "403" in site.root(f"{ask} forget {before[0]['id']} 2>&1", check=False)
        with site.configured(
            repository=place, append_only=True, keep={"daily": 1, "weekly": 0, "monthly": 0}
        ):
            site.backup("all")
            site.backup("prune")
        after = json.loads(site.root(f"{ask} snapshots --json --tag standfast"))
        assert {each["id"] for each in before} < {each["id"] for each in after}


@pytest.mark.long
def test_s3_with_access_keys_from_the_inventorys_file(site: Site) -> None:
    keys = "/etc/standfast/backup-credentials"
    with served(site, "python3-moto python3-flask-cors", "moto_server -H 127.0.0.1 -p 5005", 5005):
        site.root(
            "curl -fsS -X PUT http://127.0.0.1:5005/backups"
        )  # restic waits for minutes for a missing bucket
        site.root(f"umask 077; printf 'AWS_ACCESS_KEY_ID=a\\nAWS_SECRET_ACCESS_KEY=b\\n' > {keys}")
        try:
            there_and_back(site, "s3:http://127.0.0.1:5005/backups/web-1")
        finally:
            site.root(f"rm {keys}")


def test_copies_beside_a_continuous_writer_hold_its_invariant(site: Site) -> None:
    """Money moves between accounts all the time; the sum is the same in every copy."""
    site.sql(
        "create table account (id int primary key, money bigint not null);"
        "insert into account select n, 1000 from generate_series(1, 200) n;"
    )
    transfer = "update account set money = money + case id when :a then -:m else :m end where id in (:a, :b);"
    script = (
        "while :; do a=$((RANDOM % 100 + 1)); b=$((a + RANDOM % 100 + 1)); m=$((RANDOM % 50));"
        f' echo "{transfer}" | sed "s/:a/$a/g; s/:b/$b/g; s/:m/$m/g"; done'
        " | docker exec -i toybox-db-1 psql -XAtq -U toybox -d toybox > /dev/null"
    )
    site.root(
        f"cat > /run/writer.sh <<'END'\n{script}\nEND\nsystemd-run --quiet --collect --unit=writer bash /run/writer.sh"
    )
    volumes = {"toybox_pgdata": {"when": "daily", "writers": "pause", "seconds": 60}}
    away = []
    try:
        with site.configured(volumes=volumes, dumped=[], excluded={"toybox_media": "not now"}):
            for _ in range(ROUNDS):
                moved = site.sql("select sum(xmin::text::bigint) from account;")
                site.backup("all")
                away.append(site.copy("toybox_pgdata")["last_good"]["data"]["away_seconds"])
                assert site.sql("select sum(xmin::text::bigint) from account;") != moved, "nobody has written"
                assert restored_dump_sum(site) == 200_000
                assert started_copy_sum(site) == 200_000
    finally:
        site.root("systemctl stop writer", check=False)
        site.sql("drop table account;")
        site.backup("databases --accept toybox")
    print(f"\nthe database stood still for {min(away)} to {max(away)} s in {len(away)} copies of its volume")


def stored_manifest(site: Site, kind: str, name: str) -> dict[str, Any]:
    """The manifest of the newest copy, out of the repository."""
    newest = site.copies(f"standfast,{kind}:{name}")[-1]["id"]
    found: dict[str, Any] = json.loads(
        site.restic(f"dump {newest} {STATE}/staging/{kind}/{name}/manifest.json")
    )
    return found


def fetched(site: Site, kind: str, name: str) -> str:
    """The newest copy's own files, restored into a folder."""
    newest = site.copies(f"standfast,{kind}:{name}")[-1]["id"]
    site.root(f"rm -rf {FETCHED}")
    site.restic(f"restore {newest} --target {FETCHED}")
    return f"{FETCHED}{STATE}/staging/{kind}/{name}"


def census(site: Site, database: str) -> dict[str, Any]:
    """The program's own census of a database on the server."""
    script = (
        f"import sys, json, dataclasses; sys.path.insert(0, {PROGRAM!r})\n"
        "from standfast.host.backup import census, postgres\n"
        "place = postgres.in_container('toybox-db-1', 'toybox')\n"
        f"print(json.dumps(dataclasses.asdict(census.of(place, {database!r}))))\n"
    )
    found: dict[str, Any] = json.loads(site.root(f"python3 - <<'END'\n{script}END"))
    return found


@contextmanager
def locked_table(site: Site) -> Iterator[None]:
    """A session that keeps everybody from reading a table: a dump waits for it."""
    site.root(
        "systemd-run --quiet --collect --unit=locker docker exec toybox-db-1 psql -U toybox -d toybox -c "
        "'begin; lock table board_post; select pg_sleep(600)'"
    )
    site.wait(f'[ "$({asked("granted")})" -ge 1 ]')
    try:
        yield
    finally:
        site.root(
            "docker exec toybox-db-1 psql -U toybox -d toybox -c "
            "\"select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(600)%' "
            'and pid <> pg_backend_pid()"; systemctl stop locker',
            check=False,
        )


def asked(granted: str) -> str:
    """A command that counts the strong locks on the table that are held, or the weak ones that wait."""
    mode = "AccessExclusiveLock" if granted == "granted" else "AccessShareLock"
    where = f"relation = 'board_post'::regclass and mode = '{mode}' and {granted}"
    ask = "docker exec toybox-db-1 psql -XAtq -U toybox -d toybox -c"
    return f'{ask} "select count(*) from pg_locks where {where}"'  # noqa: S608 - our own words


def waiting_dump(site: Site) -> str:
    """A condition: pg_dump waits for the locked table."""
    return f'[ "$({asked("not granted")})" -ge 1 ]'


@contextmanager
def slow_volume(site: Site) -> Iterator[None]:
    """So much new data in the volume that its second pass takes a while: written between the passes."""
    data = "/var/lib/docker/volumes/toybox_media/_data/slow"
    script = (
        "until [ -e " + STATE + "/held.json ]; do sleep 0.02; done; "
        f"mkdir -p {data}; head -c 400M /dev/urandom > {data}/big"
    )
    site.root(f"systemd-run --quiet --collect --unit=slow bash -c {shlex.quote(script)}")
    try:
        yield
    finally:
        site.root(f"systemctl stop slow; rm -rf {data}", check=False)


@contextmanager
def standing_still(site: Site, how: str) -> Iterator[None]:
    """The web service's container is held as by a backup, for some seconds that have just begun."""
    script = (
        f"import sys, time; sys.path.insert(0, {PROGRAM!r})\n"
        "from standfast.host.backup import containers, writers\n"
        f"with writers.held([containers.service('toybox', 'web')], {how!r}, print): time.sleep(5)\n"
    )
    site.root(f"systemd-run --quiet --collect --unit=standing-still python3 -c {shlex.quote(script)}")
    states = {"pause": "paused", "stop": "exited"}
    site.wait(f"[ \"$(docker inspect -f '{{{{.State.Status}}}}' toybox-web-1)\" = {states[how]} ]")
    try:
        yield
    finally:
        site.wait(f"[ ! -e {STATE}/held.json ]")


@contextmanager
def sftp_through_a_proxy(site: Site, *, cut_after: int) -> Iterator[None]:
    """The server's own sshd as a repository's host, behind a proxy that ends after so many bytes; 0: never."""
    proxy = (
        "import os, socket, sys, threading\n"
        "limit, seen = int(sys.argv[1]), 0\n"
        "listener = socket.socket(); listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        "listener.bind(('127.0.0.1', 2200)); listener.listen()\n"
        "def pump(source, target, counted):\n"
        "    global seen\n"
        "    while data := source.recv(4096):\n"
        "        seen += len(data) if counted else 0\n"
        "        if limit and seen > limit: os._exit(0)\n"
        "        target.sendall(data)\n"
        "    target.shutdown(socket.SHUT_WR)\n"
        "while True:\n"
        "    near, _ = listener.accept(); far = socket.create_connection(('127.0.0.1', 22))\n"
        "    threading.Thread(target=pump, args=(near, far, True), daemon=True).start()\n"
        "    threading.Thread(target=pump, args=(far, near, False), daemon=True).start()\n"
    )
    key = "/etc/standfast/backup-ssh-key"
    site.root(
        f"[ -e {key} ] || {{ ssh-keygen -q -t ed25519 -N '' -f {key}; "
        f"cat {key}.pub >> /home/ops/.ssh/authorized_keys; }}\n"
        "sed 's/^/[127.0.0.1]:2200 /' /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f1-3 "
        "> /etc/standfast/backup-known-hosts\n"
        f"cat > /run/proxy.py <<'END'\n{proxy}END\n"
        f"systemd-run --quiet --collect --unit=proxy python3 /run/proxy.py {cut_after}"
    )
    site.wait("ss -ltn | grep -q 127.0.0.1:2200")
    try:
        yield
    finally:
        site.root("systemctl stop proxy", check=False)
        site.wait("! ss -ltn | grep -q 127.0.0.1:2200")


def restored_dump_sum(site: Site) -> int:
    """All money in the newest dump."""
    folder = fetched(site, "database", "toybox")
    text = site.root(
        f"docker exec -i toybox-db-1 pg_restore --data-only --table account --file - < {folder}/dump.pgc"
    )
    rows = [line.split("\t") for line in text.splitlines() if line[:1].isdigit()]
    assert len(rows) == 200
    return sum(int(money) for _, money in rows)


def started_copy_sum(site: Site) -> int:
    """All money in the newest copy of the volume, asked of PostgreSQL started on it; its pages are whole."""
    fetched(site, "volume", "toybox_pgdata")
    data = f"{FETCHED}/var/lib/docker/volumes/toybox_pgdata/_data"
    start = f"docker run -d --name copied -v {data}:/var/lib/postgresql/data -e POSTGRES_PASSWORD=x"
    site.root(f"docker rm -f copied 2>/dev/null; {start} toybox/postgres:17")
    try:
        site.wait("docker exec copied pg_isready -q -h 127.0.0.1 -U toybox -d toybox")
        site.root("docker exec copied pg_amcheck -U toybox --install-missing -d toybox")
        return int(
            site.root("docker exec copied psql -XAtq -U toybox -d toybox -c 'select sum(money) from account'")
        )
    finally:
        site.root("docker rm -f copied")
