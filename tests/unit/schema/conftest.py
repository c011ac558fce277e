"""A real PostgreSQL for the tests of schemas: the live side, with every statement in its log."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from standfast.host.schema import throwaway
from standfast.host.schema.reach import Reach

PASSWORD = "p@ss:w/o#rd?%&' \"x\\"  # whatever people have in theirs


@dataclass(frozen=True)
class Live:
    """The server."""

    root: Path
    folder: str
    port: int
    room: Path
    """Where the command puts its throwaway servers: those of other runs are none of ours."""

    @property
    def log(self) -> Path:
        return self.root / "log"

    def reach(self, database: str = "postgres", user: str = "postgres") -> Reach:
        """The way that reads only."""
        options = ("--host", str(self.root), "--port", str(self.port), "--username", user)
        return Reach(f"{database} on the test's server", database, folder=self.folder, options=options)

    def sql(self, script: str, database: str = "postgres", user: str = "postgres") -> list[str]:
        """Do something to it, as a person would."""
        command = [f"{self.folder}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d", database]
        options = ["-h", str(self.root), "-p", str(self.port), "-U", user]
        done = subprocess.run([*command, *options], input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def database(self, name: str, *scripts: str, owner: str = "app") -> str:
        """A new database, made by its owner with these scripts; one of the same name goes."""
        self.sql(f'DROP DATABASE IF EXISTS "{name}"')
        self.sql(f'CREATE DATABASE "{name}" OWNER {owner}')
        for script in scripts:
            self.sql(script, name, owner)
        return name

    def url(self, database: str, password: str = PASSWORD) -> str:
        return f"postgresql://app:{password}@127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="session")
def live() -> Iterator[Live]:
    folder = next((found for major in range(18, 11, -1) if (found := throwaway.programs_of(major))), None)
    assert folder, "PostgreSQL is not installed: script/bootstrap installs it"
    root = Path(tempfile.mkdtemp(prefix="standfast-test-"))
    room = Path(tempfile.mkdtemp(prefix="standfast-room-"))
    room.chmod(0o755)  # the account that PostgreSQL runs as goes through it
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    account = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    os.chown(root, account.pw_uid, account.pw_gid)
    initdb = [
        f"{folder}/initdb",
        "-D",
        str(root / "data"),
        "-U",
        "postgres",
        "--no-sync",
        "--locale",
        "C.UTF-8",
    ]
    initdb += ["--auth-local", "trust", "--auth-host", "scram-sha-256"]
    subprocess.run(initdb, cwd=root, user=account.pw_uid, check=True, capture_output=True)
    settings = ["fsync=off", "listen_addresses=127.0.0.1", "log_statement=all", "log_line_prefix=%a|%d|"]
    command = [f"{folder}/postgres", "-D", str(root / "data"), "-k", str(root), "-p", str(port)]
    command += [f"--{setting}" for setting in settings]
    server = Live(root, folder, port, room)
    with server.log.open("wb") as log:
        process = subprocess.Popen(command, cwd=root, user=account.pw_uid, stdout=log, stderr=log)
    try:
        for _ in range(600):
            ready = [f"{folder}/pg_isready", "-q", "-h", str(root), "-p", str(port)]
            if subprocess.run(ready, check=False).returncode == 0:
                break
            time.sleep(0.1)
        quoted = PASSWORD.replace("'", "''")
        server.sql(f"CREATE ROLE app LOGIN PASSWORD '{quoted}'; CREATE ROLE reader; CREATE ROLE writer;")
        yield server
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(room, ignore_errors=True)


@pytest.fixture(scope="session")
def django_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python that has Django and psycopg, installed as the example wants them."""
    folder = tmp_path_factory.mktemp("django")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    wanted = ["Django>=5.2,<5.3", "psycopg[binary]>=3.2,<4"]
    pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", *wanted]
    subprocess.run(pip, check=True)
    return str(folder / "bin/python")
