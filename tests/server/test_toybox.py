"""The example application and its images on a real server: what tests of data stand on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from standfast.inventory.schema import Host
from standfast.inventory.secrets import SecretValue
from standfast.lab import nspawn
from standfast.lab.nspawn import Server
from standfast.lab.processes import wait_until
from standfast.rendering import render

TOYBOX = Path(__file__).resolve().parents[2] / "examples/toybox"
SECRETS = {"postgres_password": 'p$a\\s "#{w}&ord% é', "django_secret_key": "k$x{y}" * 8}


@dataclass(frozen=True)
class Toybox:
    """A server with Docker, toybox's images and its folder; the toolkit itself has no part in it."""

    server: Server

    def sh(self, command: str, *, check: bool = True) -> str:
        """Run as root in toybox's folder; stdout and stderr."""
        quoted = command.replace("'", "'\\''")
        done = self.server.run(f"cd toybox && sudo sh -c '{quoted}' 2>&1", check=False)
        if check:
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def send(self, source: Path) -> None:
        """Load an image archive."""
        argv = ["ssh", "-F", str(self.server.ssh_config), self.server.name, "sudo docker load --quiet"]
        with source.open("rb") as file:
            subprocess.run(argv, stdin=file, check=True, capture_output=True, timeout=120)

    def put(self, name: str, text: str) -> None:
        """Write a file of toybox's folder."""
        self.server.run(f"cat > toybox/{name}", input=text)

    def up(self) -> None:
        """What a user does, and wait until all is healthy."""
        self.sh("docker compose up --detach --wait")

    def manage(self, command: str) -> str:
        """Run a command of the application."""
        return self.sh(f"docker compose exec -T web python3 manage.py {command}")

    def counts(self) -> dict[str, Any]:
        """Rows, pictures and hashes of everything."""
        taken: dict[str, Any] = json.loads(self.manage("counts --json --hash"))
        return taken

    def get(self, path: str, options: str = "") -> str:
        """Ask the application as Caddy would."""
        return self.sh(f"curl -sS -m 10 {options} http://127.0.0.1:8000{path}")

    def wait_healthy(self, seconds: float = 60) -> float:
        """Nobody helps: the time until the application answers that it is well."""
        started = time.monotonic()
        while time.monotonic() < started + seconds:
            answer = self.sh("curl -s -m 5 http://127.0.0.1:8000/healthz", check=False)
            if '"ok"' in answer:
                return time.monotonic() - started
            time.sleep(0.5)
        raise AssertionError(self.sh("docker compose ps --all; docker compose logs --tail 30"))


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images, built or from the cache."""
    folder = tmp_path_factory.mktemp("images")
    build = [sys.executable, str(TOYBOX / "build-images"), str(folder)]
    subprocess.run(build, check=True, timeout=600)
    subprocess.run([*build, "--only", "web", "--web-version", "2"], check=True, timeout=600)
    return folder


@pytest.fixture(scope="module")
def toybox(lab_server: Callable[[str], Server], archives: Path) -> Toybox:
    """Toybox in service with the data of 300 users."""
    server = lab_server("test-toybox")
    server.run(
        "mkdir -p toybox && sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive "
        "apt-get install -y -qq docker.io docker-cli docker-compose curl",
        timeout=300,
    )
    toybox = Toybox(server)
    for archive in sorted(archives.glob("*.tar")):
        toybox.send(archive)
    toybox.put("compose.yml", (TOYBOX / "compose.yml").read_text())
    toybox.put(".env", environment())
    toybox.sh("docker volume create toybox_pgdata && docker volume create toybox_media")
    toybox.up()
    toybox.manage("fill --users 300")
    return toybox


def environment() -> str:
    """The environment file as the toolkit renders it."""
    host = Host.model_validate(
        {
            "address": "web-1",
            "timezone": "Asia/Tokyo",
            "caddy": {"sites": {"toybox.example.com": {"proxy": "127.0.0.1:8000"}}},
        }
    )
    secrets = {name: SecretValue(value) for name, value in SECRETS.items()}
    return render((TOYBOX / "env.j2").read_text(), "env.j2", {"host": host}, secrets).text


def test_the_secrets_arrive_as_they_are(toybox: Toybox) -> None:
    told = json.loads(
        toybox.sh(
            'docker compose exec -T web python3 -c "import json, os; print(json.dumps(dict(os.environ)))"'
        )
    )
    assert told["POSTGRES_PASSWORD"] == SECRETS["postgres_password"]
    assert told["DJANGO_SECRET_KEY"] == SECRETS["django_secret_key"]


def test_the_application_passes_its_own_tests(toybox: Toybox) -> None:
    assert "\nOK" in toybox.manage("test --noinput")
    assert "No changes detected" in toybox.manage("makemigrations --check")


def test_pages_show_rows_and_link_previews(toybox: Toybox) -> None:
    page = toybox.get("/")
    assert '<td id="rows-reactions">3000</td>' in page
    assert '"og:image" content="https://toybox.example.com/static/board/preview.png"' in page
    assert "image/png" in toybox.get("/static/board/preview.png", "-I")
    assert "Bad Request" in toybox.get("/", "-H 'Host: elsewhere.example'")


def test_somebody_who_is_logged_in_stays_so_through_a_new_container(toybox: Toybox) -> None:
    key = toybox.sh(
        "docker compose exec -T web python3 manage.py shell --verbosity 0 --command "
        '"from board import filling; print(filling.session_key(1, 7))"'
    ).strip()
    toybox.sh("docker compose up --detach --wait --force-recreate web")
    assert "Log out filled-0000007" in toybox.get("/", f"--cookie sessionid={key}")


def power_cut(toybox: Toybox) -> None:
    nspawn.power_cut(toybox.server.name)
    nspawn.power_on(toybox.server.name)


def down_with_volumes(toybox: Toybox) -> None:
    toybox.sh("docker compose down --volumes")
    toybox.up()


def containers_removed(toybox: Toybox) -> None:
    toybox.sh("docker rm --force $(docker ps --all --quiet)")
    toybox.up()


def killed(toybox: Toybox) -> None:
    toybox.sh("docker compose kill")
    toybox.up()


@pytest.mark.parametrize("destroy", [power_cut, down_with_volumes, containers_removed, killed])
def test_no_row_and_no_picture_is_lost(toybox: Toybox, destroy: Callable[[Toybox], None]) -> None:
    before = toybox.counts()
    assert before["tables"]["board_post"] == 1500
    destroy(toybox)
    toybox.wait_healthy()
    assert toybox.counts() == before


def test_another_version_shares_every_layer(toybox: Toybox) -> None:
    assert '<span id="version">1</span>' in toybox.get("/")
    layers = [
        toybox.sh(f"docker image inspect --format '{{{{.RootFS.Layers}}}}' toybox/web:{version}")
        for version in (1, 2)
    ]
    assert layers[0] == layers[1]
    before = toybox.counts()
    toybox.sh("sed -i s,toybox/web:1,toybox/web:2, compose.yml")
    toybox.up()
    assert '<span id="version">2</span>' in toybox.get("/")
    assert toybox.counts() == before


def test_healthz_tells_that_the_database_is_away_and_back(toybox: Toybox) -> None:
    log = toybox.sh("docker compose stop db && docker compose logs --tail 20 db")
    assert "received fast shutdown request" in log
    assert "database system is shut down" in log
    answer = toybox.get("/healthz", "-w '%{http_code}'")
    assert answer.endswith("503")
    assert "database unavailable" in answer
    toybox.sh("docker compose start db")
    assert toybox.wait_healthy() < 30


# The image of PostgreSQL alone.


@dataclass(frozen=True)
class Database:
    """One container of toybox/postgres:17 with a volume of its own."""

    toybox: Toybox
    options: str = "-e POSTGRES_USER=hana -e POSTGRES_DB=wood -e POSTGRES_PASSWORD=secret"
    mount: str = "-v one_data:/var/lib/postgresql/data"

    def start(self) -> None:
        self.toybox.sh(f"docker run -d --name one {self.mount} {self.options} toybox/postgres:17")

    def kill(self) -> None:
        self.toybox.sh("docker kill one; docker rm one")

    def wait_ready(self) -> None:
        check = "docker exec one pg_isready -q -h 127.0.0.1 && echo ready"
        for _ in range(60):
            if "ready" in self.toybox.sh(check, check=False):
                return
            time.sleep(0.25)
        raise AssertionError(self.toybox.sh("docker logs one"))

    def in_volume(self, script: str) -> str:
        """Run a script in the data folder, from outside, with no server running."""
        return self.toybox.sh(f"set -e; cd /var/lib/docker/volumes/one_data/_data; {script}")

    def refused(self, options: str = "") -> str:
        """Start it in the foreground and have it fail."""
        done = self.toybox.sh(
            f"timeout 30 docker run --rm {self.mount} {options} toybox/postgres:17; echo exit $?"
        )
        assert done.rstrip().endswith("exit 1"), done
        return done


@pytest.fixture
def database(toybox: Toybox) -> Iterator[Database]:
    """Not started yet; its volume is empty."""
    toybox.sh("docker rm -f -v one; docker volume rm -f one_data; docker volume create one_data")
    yield Database(toybox)
    toybox.sh("docker rm -f -v one; docker volume rm -f one_data")


def login(database: Database) -> str:
    return database.toybox.sh(
        "docker exec -e PGPASSWORD=secret one psql -h 127.0.0.1 -U hana -d wood -AXt -c "
        '"select current_user, current_database()"'
    ).strip()


def test_killed_at_any_moment_it_leaves_no_half_database(database: Database) -> None:
    seen = set()
    for moment in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6):
        database.start()
        time.sleep(moment)
        database.kill()
        found = database.in_volume("ls -A").split()
        state = next((name for name in (".making", ".made", "PG_VERSION") if name in found), "empty")
        seen.add(state)
        database.start()
        database.wait_ready()
        assert login(database) == "hana|wood", state
        assert not {".making", ".made"} & set(database.in_volume("ls -A").split())
        database.kill()
        database.in_volume("find . -mindepth 1 -delete")
    assert ".making" in seen, f"killed too early or too late to tell: {seen}"


def test_it_goes_on_where_moving_up_was_interrupted(database: Database) -> None:
    database.start()
    database.wait_ready()
    database.toybox.sh("docker stop one && docker rm one")
    database.in_volume("mkdir .made; mv PG_VERSION base global pg_wal .made")
    database.start()
    database.wait_ready()
    assert login(database) == "hana|wood"
    assert ".made" not in database.in_volume("ls -A")


def test_a_failing_script_does_not_leave_a_database_behind(database: Database) -> None:
    database.toybox.put("ok.sql", "CREATE TABLE blocks AS SELECT 7 AS n;\n")
    database.toybox.put("bad.sql", "SELECT this is wrong;\n")
    scripts = "-v $PWD/{}.sql:/docker-entrypoint-initdb.d/1.sql"
    bad = Database(database.toybox, f"{database.options} {scripts.format('bad')}")
    assert "syntax error" in bad.toybox.sh(
        f"! docker run --name one {bad.mount} {bad.options} toybox/postgres:17"
    )
    assert "PG_VERSION" not in database.in_volume("ls -A").split()
    database.toybox.sh("docker rm one")
    good = Database(database.toybox, f"{database.options} {scripts.format('ok')}")
    good.start()
    good.wait_ready()
    assert good.toybox.sh("docker exec one psql -U hana -d wood -AXtc 'table blocks'").strip() == "7"


def test_a_restart_with_another_password_leaves_the_database_as_it_is(database: Database) -> None:
    database.start()
    database.wait_ready()
    database.toybox.sh("docker exec one psql -U hana -d wood -c 'create table kept as select 1'")
    database.kill()
    other = Database(database.toybox, "-e POSTGRES_USER=eve -e POSTGRES_PASSWORD=other")
    other.start()
    other.wait_ready()
    assert login(database) == "hana|wood"
    assert "kept" in database.toybox.sh("docker exec one psql -U hana -d wood -c '\\dt'")


def test_a_folder_with_other_things_in_it_is_refused_and_left(database: Database) -> None:
    database.in_volume("echo hello > letter")
    assert "it has letter and no PG_VERSION" in database.refused(database.options)
    assert database.in_volume("ls -A; cat letter").split() == ["letter", "hello"]


def test_without_a_password_it_says_so(database: Database) -> None:
    assert "POSTGRES_PASSWORD is missing or empty" in database.refused()
    assert database.in_volume("ls -A").split() == []


def test_secrets_from_files_and_a_folder_below_the_mount(database: Database) -> None:
    database.toybox.put("word", "from a file")
    options = "-v $PWD/word:/run/word:ro -e POSTGRES_PASSWORD_FILE=/run/word -e POSTGRES_USER=hana"
    mount = "-v one_data:/data -e PGDATA=/data/deep/pg"
    other = Database(database.toybox, f"{options} -e POSTGRES_DB=wood", mount)
    other.start()
    other.wait_ready()
    told = other.toybox.sh(
        "docker exec -e 'PGPASSWORD=from a file' one psql -h 127.0.0.1 -U hana -d wood -AXtc 'show data_directory'"
    )
    assert told.strip() == "/data/deep/pg"
    wrong = other.toybox.sh(
        "docker exec -e PGPASSWORD=wrong one psql -h 127.0.0.1 -U hana -d wood -c 'select 1'", check=False
    )
    assert "password authentication failed" in wrong


# Building the images, on this machine.


def test_a_second_build_takes_what_is_there(archives: Path, tmp_path: Path) -> None:
    build = [sys.executable, str(TOYBOX / "build-images"), str(tmp_path)]
    done = subprocess.run(build, check=True, timeout=300, stderr=subprocess.PIPE, text=True)
    assert done.stderr == ""  # each build of a root filesystem is told
    for archive in tmp_path.iterdir():
        assert archive.read_bytes() == (archives / archive.name).read_bytes()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_build_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache/images/toybox"
    build = subprocess.Popen(
        [sys.executable, str(TOYBOX / "build-images"), str(out), "--only", "postgres"],
        env={**os.environ, "STANDFAST_CACHE_DIR": str(tmp_path / "cache")},
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_until(lambda: any(cache.glob("postgres-*/mmdebstrap.*/usr/bin")), 30)
        build.send_signal(how)
        assert build.wait(timeout=30) == (-9 if how == signal.SIGKILL else 130)
        assert wait_until(lambda: not programs_with(str(cache)), 60)
    finally:
        build.kill()
    assert str(cache) not in Path("/proc/self/mounts").read_text()
    assert list(out.iterdir()) == []
    if how != signal.SIGKILL:
        assert [path.name for path in cache.iterdir()] == [".lock"]


def programs_with(argument: str) -> list[str]:
    """Command lines of this machine with this text in them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if argument in line]
