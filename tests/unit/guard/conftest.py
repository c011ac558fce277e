"""A real PostgreSQL, a real Prisma, and a home folder that is nobody's."""

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
from urllib.parse import quote

import pytest

from tests.unit import prisma

PASSWORD = "p@ss:w/o?rd#%&' \"x\\"  # whatever people have in theirs
ENCODED = quote(PASSWORD, safe="")
STANDFAST = (sys.executable, "-m", "standfast.cli.main")


@dataclass(frozen=True)
class Server:
    """PostgreSQL on a port of loopback; its local socket trusts everybody."""

    root: Path
    port: int

    def sql(self, script: str, database: str = "postgres", user: str = "postgres") -> list[str]:
        """Do something to it, past every guard."""
        command = [psql(), "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", str(self.root), "-p", str(self.port)]
        command += ["-U", user, "-d", database, "-f", "-"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def database(self, name: str, *scripts: str) -> str:
        """A new database of the role `shop`."""
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.sql(f'CREATE DATABASE "{name}" OWNER shop')
        for script in scripts:
            self.sql(script, name, "shop")
        return name

    def url(self, database: str, password: str = ENCODED) -> str:
        """For `shop`, who must give the password."""
        return f"postgresql://shop:{password}@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        """As when somebody forgot to start it."""
        self._control("stop", "-m", "fast")

    def start(self) -> None:
        """On the same port again."""
        options = f"-p {self.port} -k {self.root} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._control("start", "-l", str(self.root / "log"), "-o", options)

    def _control(self, verb: str, *arguments: str) -> None:
        command = [str(binaries() / "pg_ctl"), "-D", str(self.root / "data"), "-w", verb, *arguments]
        subprocess.run(command, cwd=self.root, user=account().pw_uid, check=True, stdout=subprocess.DEVNULL)


def binaries() -> Path:
    """Folder of PostgreSQL's own programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    assert found, "PostgreSQL is not installed: script/bootstrap installs it"
    return found[-1].parent


def psql() -> str:
    return str(binaries() / "psql")


def account() -> pwd.struct_passwd:
    """PostgreSQL does not run as root."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    root = Path(tempfile.mkdtemp(prefix="standfast-guard-"))
    os.chown(root, account().pw_uid, account().pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        running = Server(root, free.getsockname()[1])
    command = [str(binaries() / "initdb"), "-D", str(root / "data"), "-U", "postgres", "--no-sync"]
    command += ["--locale", "C.UTF-8", "--auth-local", "trust", "--auth-host", "scram-sha-256"]
    subprocess.run(command, cwd=root, user=account().pw_uid, check=True, capture_output=True)
    running.start()
    quoted = PASSWORD.replace("'", "''")
    running.sql(f"CREATE ROLE shop LOGIN CREATEDB PASSWORD '{quoted}'; CREATE ROLE viewer;")
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(root, ignore_errors=True)


@dataclass(frozen=True)
class Laptop:
    """Somebody's machine: a home, a project in a repository, nothing else."""

    home: Path
    project: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a shell would have."""
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "USER": "kim",
            **prisma.ENVIRONMENT,
        }

    def run(self, *command: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Without a terminal."""
        started = time.monotonic()
        done = subprocess.run(
            [str(each) for each in command],
            cwd=self.project,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        print(
            f"{command} → {done.returncode} in {time.monotonic() - started:.1f} s\n{done.stdout}{done.stderr}"
        )
        assert PASSWORD not in done.stdout + done.stderr
        assert ENCODED not in done.stdout + done.stderr
        return done

    def guard(self, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        """`standfast guard …`"""
        return self.run(*STANDFAST, "guard", *arguments, **more)

    def write(self, name: str, text: str) -> None:
        """A file of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    made = Laptop(tmp_path / "home", tmp_path / "shop")
    made.home.mkdir()
    (made.project / ".git").mkdir(parents=True)
    return made
