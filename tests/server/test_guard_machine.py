"""
The guard of a developer's machine where Docker and cron are: a database in a container, and the daily copy.

The laptop is a lab server; PostgreSQL in its container is the laptop's own, shown to the container.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import standfast
from standfast.lab.nspawn import Server
from tests.server.small_images import busybox, write

PREPARE = """set -e
export DEBIAN_FRONTEND=noninteractive
sudo apt-get -qq update
sudo -E apt-get -qq install -y --no-install-recommends docker.io docker-cli docker-compose postgresql \
  python3-yaml cron > /dev/null
sudo mkdir -p /opt/standfast /srv/shop/.git
base64 -d | sudo tar -xz -C /opt/standfast
"""
COMPOSE = """
x-laptop: &laptop
  image: small:1
  volumes:
    - {type: bind, source: /usr, target: /usr, read_only: true}
    - {type: bind, source: /usr/lib, target: /lib, read_only: true}
    - {type: bind, source: /usr/lib64, target: /lib64, read_only: true}
    - {type: bind, source: /usr/bin, target: /bin, read_only: true}
    - {type: bind, source: /etc, target: /etc, read_only: true}
    - {type: bind, source: /srv/pg, target: /srv/pg}
services:
  db:
    <<: *laptop
    tmpfs: ["/var/run/postgresql:mode=1777"]
    user: ${POSTGRES_ID}
    environment: {PATH: "/usr/lib/postgresql/17/bin:/usr/bin", POSTGRES_USER: app, POSTGRES_DB: shop}
    command: ["/usr/bin/sh", "-c", "exec postgres -D /srv/pg/data"]
  web:
    <<: *laptop
    environment: {PATH: /usr/bin, DATABASE_URL: "postgres://app:s3cret@db:5432/shop"}
"""
DATABASE = """set -e
sudo install -d -o postgres -m 700 /srv/pg
sudo -u postgres /usr/lib/postgresql/17/bin/initdb -D /srv/pg/data -U app -A trust > /dev/null
cd /srv/shop
echo "POSTGRES_ID=$(id -u postgres):$(id -g postgres)" | sudo tee .env > /dev/null
sudo docker compose --progress quiet up -d
for i in $(seq 100); do sudo docker compose exec -T db pg_isready -q -U app && break; sleep 0.2; done
sudo docker compose exec -T db createdb -U app shop
"""
GUARD = "sudo env PYTHONPATH=/opt/standfast HOME=/root python3 -m standfast.cli.main guard"


def package() -> str:
    """The program as it is installed, with its own click: Debian's is older."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for module in (standfast, click):
            root = Path(str(module.__file__)).parent
            tar.add(root, root.name, filter=lambda each: None if "__pycache__" in each.name else each)
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture(scope="module")
def laptop(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    server = lab_server("guard-machine")
    server.run(PREPARE, input=package(), timeout=300)
    archive = tmp_path_factory.mktemp("image") / "small.tar"
    write(archive, "small:1", busybox(server))
    server.run(
        "base64 -d | sudo docker load", input=base64.b64encode(archive.read_bytes()).decode(), timeout=120
    )
    server.run("sudo tee /srv/shop/compose.yml > /dev/null", input=COMPOSE)
    server.run(DATABASE, timeout=120)
    return server


def guard(server: Server, arguments: str, folder: str = "/srv/shop") -> subprocess.CompletedProcess[str]:
    """In the project's folder, without a terminal."""
    done = server.run(f"cd {folder} && {GUARD} {arguments} < /dev/null", check=False, timeout=120)
    print(done.args, done.returncode, done.stdout, done.stderr)
    assert "s3cret" not in done.stdout + done.stderr
    return done


def sql(server: Server, statements: str) -> list[str]:
    return server.run(
        "cd /srv/shop && sudo docker compose exec -T db psql -XAtqU app shop", input=statements
    ).stdout.splitlines()


def test_a_database_in_a_container(laptop: Server) -> None:
    sql(laptop, "CREATE TABLE IF NOT EXISTS users AS SELECT generate_series(1, 40) AS id;")
    for command in (
        "docker compose exec -T db psql -U app shop -c 'DROP TABLE users'",
        "docker exec shop-db-1 psql -U app -d shop -c 'TRUNCATE users'",
        "docker-compose exec web alembic downgrade base",  # by the environment of web, whose host is a service
    ):
        done = guard(laptop, f"run -- {command}")
        assert done.returncode == 6, command
        assert "container:shop-db-1/shop" in done.stderr, command
        assert "40 rows in 1 table" in done.stderr, command
    down = guard(laptop, "run -- docker compose exec nothing psql -c 'DROP TABLE users'")
    assert down.returncode == 6
    assert "could not look" in down.stderr
    volume = guard(laptop, "run -- docker compose down -v")
    assert volume.returncode == 6
    assert sql(laptop, "SELECT count(*) FROM users;") == ["40"]


def test_its_copy_brings_it_back(laptop: Server) -> None:
    sql(laptop, "CREATE TABLE IF NOT EXISTS users AS SELECT generate_series(1, 40) AS id;")
    assert guard(laptop, "allow --for 5m --reason test").returncode == 0
    done = guard(laptop, "run -- docker compose exec -T db psql -U app shop -c 'DROP TABLE users'")
    assert done.returncode == 0, done.stderr
    assert "A verified copy was taken: 40 rows in 1 table" in done.stderr
    assert sql(laptop, "SELECT to_regclass('users');") == [""]
    back = guard(laptop, "restore container:shop-db-1/shop --yes")
    assert back.returncode == 0, back.stderr
    assert sql(laptop, "SELECT count(*) FROM users;") == ["40"]
    assert guard(laptop, "allow --end").returncode == 0


def test_the_daily_copy_by_cron(laptop: Server) -> None:
    laptop.run("sudo -u postgres createdb own; sudo -u postgres psql -qc 'CREATE TABLE t AS SELECT 1' own")
    laptop.run("sudo install -d -o postgres /srv/own /srv/own/.git")
    laptop.run(
        "sudo -u postgres tee /srv/own/.env", input="DATABASE_URL=postgresql:///own?host=/run/postgresql\n"
    )
    as_postgres = GUARD.replace("sudo env", "sudo -u postgres env").replace("/root", "/var/lib/postgresql")
    done = laptop.run(f"cd /srv/own && {as_postgres} backup --schedule")
    assert "every day at 12:30 by cron" in done.stdout
    line = laptop.run("sudo -u postgres crontab -l").stdout
    assert line.startswith("30 12 * * * /usr/bin/python3 -I -m standfast.cli.main guard backup --scheduled")
    # cron's own environment has no PYTHONPATH; an installed standfast needs none.
    ran = laptop.run(f"cd / && {as_postgres} backup --scheduled")
    assert "localhost/own: 1 rows in 1 table" in ran.stdout
    copies = laptop.run(
        "sudo find /var/lib/postgresql/.local/share/standfast/copies -name manifest.json"
    ).stdout
    assert len(copies.splitlines()) == 2
    manifest = json.loads(laptop.run(f"sudo cat '{copies.splitlines()[0]}'").stdout)
    assert manifest["census"]["tables"]["public.t"]["rows"] == 1
    assert "no longer" in laptop.run(f"cd /srv/own && {as_postgres} backup --unschedule").stdout
    assert "standfast" not in laptop.run("sudo -u postgres crontab -l", check=False).stdout


def test_the_daily_copy_by_a_user_timer(laptop: Server) -> None:
    """Where the account has a systemd of its own, that runs what the timer names, and makes a copy."""
    laptop.run(
        "sudo -u postgres createdb timed; sudo -u postgres psql -qc 'CREATE TABLE t AS SELECT 1' timed"
    )
    laptop.run("sudo install -d -o postgres /srv/timed /srv/timed/.git")
    laptop.run(
        "sudo -u postgres tee /srv/timed/.env",
        input="DATABASE_URL=postgresql:///timed?host=/run/postgresql\n",
    )
    # A timer's program sees no PYTHONPATH; an installed standfast needs none.
    laptop.run("echo /opt/standfast | sudo tee /usr/lib/python3/dist-packages/standfast.pth")
    laptop.run("sudo apt-get -qq install -y libpam-systemd > /dev/null; sudo loginctl enable-linger postgres")
    own = "sudo -u postgres env XDG_RUNTIME_DIR=/run/user/$(id -u postgres) HOME=/var/lib/postgresql"
    laptop.run(f"for n in $(seq 50); do {own} systemctl --user is-system-running && break; sleep 0.2; done")
    program = f"{own} python3 -m standfast.cli.main guard"
    try:
        done = laptop.run(f"cd /srv/timed && {program} backup --schedule")
        assert "by the systemd user timer standfast-guard-backup" in done.stdout
        listed = laptop.run(f"{own} systemctl --user list-timers --no-legend --plain").stdout
        assert "standfast-guard-backup.timer" in listed
        laptop.run(f"{own} systemctl --user start standfast-guard-backup.service", timeout=120)
        said = laptop.run("sudo journalctl --quiet -o cat _COMM=python3 --lines 20").stdout
        assert "localhost/timed: 1 rows in 1 table" in said
    finally:
        gone = laptop.run(f"cd /srv/timed && {program} backup --unschedule", check=False).stdout
    assert "no longer" in gone
    assert "standfast" not in laptop.run(f"{own} systemctl --user list-timers --all --no-legend").stdout
