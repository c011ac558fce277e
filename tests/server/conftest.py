"""Real servers for tests: one shared by the whole run, others for tests that break theirs."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from standfast.lab import nspawn, processes
from standfast.lab.drivers import DRIVERS
from standfast.lab.nspawn import Server
from tests.documents import valid

STANDFAST = [sys.executable, "-m", "standfast.cli.main"]

# In a shell's background job SIGINT is ignored, and all programs that tests start would inherit that.
with suppress(ValueError):  # not in the main thread
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A lab of their own for every run, and in it for each process: nobody's servers are touched, and none that
# an earlier run was killed beside is taken for a new one. xdist's workers are children of the run.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
LABS = Path("/var/lib/standfast")
LAB = LABS / f"test-{os.getppid() if WORKER else os.getpid()}-{WORKER or 'main'}"
os.environ["STANDFAST_LAB_DIR"] = str(LAB)

LONGEST = (
    "test_killed_apply",
    "test_incident_2",
    "test_drift",
    "test_every_operation",
    "test_backup",
    "test_restore",
    "test_main_job",
    "test_schema",
    "test_firewall",
    "test_bench",
    "test_random_rulesets",
    "test_toybox",
    "test_docker_guard",
    "test_snapshots",
    "test_lock",
    "test_watchdog",
)
"""Files that take minutes: begun first, so that not one worker alone goes on at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a real server; files that take long are begun first."""
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker("server")
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@dataclass(frozen=True)
class Repository:
    """A user's infrastructure repository in a folder of its own."""

    root: Path

    def write(self, name: str, text: str) -> Path:
        """Put a file into the repository."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def standfast(
        self,
        *arguments: str,
        expect: int | None = None,
        timeout: float = 600,
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line as a user would; `expect` is the exit code that must come back."""
        done = subprocess.run(
            [*STANDFAST, *arguments],
            cwd=self.root,
            env={**os.environ, "XDG_STATE_HOME": str(self.root / ".state"), **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if expect is not None:
            assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def started(
        self, *arguments: str, stdout: int = subprocess.DEVNULL, stderr: int | IO[str] = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Begin a command as a user would, for a test that does something meanwhile."""
        return subprocess.Popen(
            [*STANDFAST, *arguments],
            cwd=self.root,
            env={**os.environ, "XDG_STATE_HOME": str(self.root / ".state")},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )

    def plan(self, environment: str = "lab", *arguments: str) -> dict[str, Any]:
        """The plan as data; fails on errors."""
        done = self.standfast("plan", environment, "--json", *arguments)
        assert done.returncode in (0, 2), done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        valid(document)
        return document

    def targets(self, *arguments: str) -> list[str]:
        """Targets of all planned changes on all servers."""
        return [
            change["target"] for host in self.plan("lab", *arguments)["hosts"] for change in host["changes"]
        ]


def heard(command: subprocess.Popen[str], text: str) -> str:
    """What a command says on standard error, until it has said this."""
    assert command.stderr is not None
    said = ""
    while text not in said:
        line = command.stderr.readline()
        assert line, f"it never said {text!r}:\n{said}"
        said += line
    return said


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository."""
    return Repository(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def no_lab_left_behind() -> Iterator[None]:
    """Labs of runs that were killed go before the first test, our own after the last one."""
    if WORKER in ("", "gw0"):
        remove_labs_of_killed_runs()
    yield
    _remove(LAB)


def remove_labs_of_killed_runs() -> None:
    """Take away every test lab whose run is no more."""
    LABS.mkdir(parents=True, exist_ok=True)
    with (LABS / "removing").open("w") as lock:  # several runs may begin at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        for lab in LABS.glob("test-*"):
            owner = lab.name.split("-")[1]
            if not (owner.isdecimal() and Path("/proc", owner).exists()):
                _remove(lab)


def _remove(lab: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STANDFAST_LAB_DIR", str(lab))
        for driver in DRIVERS.values():
            for name in driver.names():
                driver.destroy(name)
    shutil.rmtree(lab, ignore_errors=True)  # a test without servers has made none


@pytest.fixture(scope="module")
def lab_server() -> Iterator[Callable[[str], Server]]:
    """Starts servers by name; they are gone after the tests of the file, so only a few are up at once."""
    started: list[str] = []

    def up(name: str, release: str = "trixie") -> Server:
        started.append(name)
        return nspawn.up(name, release=release, report=lambda _: None)

    yield up
    for name in set(started) & set(nspawn.names()):
        nspawn.destroy(name)


def wait_for_sshd(server: Server) -> None:
    """sshd starts itself anew for a reload, and for a moment nobody listens."""
    assert processes.wait_until(lambda: server.run("true", check=False).returncode == 0, 10)


@pytest.fixture(scope="session")
def server() -> Server:
    """The server that tests share; they must leave it usable."""
    return nspawn.up("test-shared")


@pytest.fixture(scope="session")
def spare_server() -> Server:
    """A server for tests that lock it, cut its network or fill its disk."""
    return nspawn.up("test-spare")
