"""One apply at a time on a server, and no lock that outlives its owner."""

from __future__ import annotations

import getpass
import json
import os
import pty
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from standfast.lab.nspawn import Server
from tests.server.conftest import STANDFAST, Repository, heard
from tests.server.test_engine import only_this_deploy, remote

OWNER = f"{getpass.getuser()}@{socket.gethostname()}"
GO = "/run/trial-go"
# The slow command lasts until somebody lets it go on, at most for some seconds.
SLOW = """
files.file("/etc/trial/one", "1\\n")
files.file("/etc/trial/slow", "1\\n", validate="touch /etc/trial/started; "
    "n={seconds}0; while [ ! -e /run/trial-go ] && [ $n -gt 0 ]; do sleep 0.1; n=$((n - 1)); done")
files.file("/etc/trial/two", "2\\n")
"""
LONG = 300  # seconds, for a command that the test itself lets go on


@pytest.fixture(autouse=True)
def clean(spare_server: Server) -> None:
    remote(spare_server, "rm -rf /etc/trial; mkdir /etc/trial")


def go_on(server: Server) -> None:
    """Let the slow command of `apply_at_work` end."""
    remote(server, f"touch {GO}")


def wait_for(condition: Callable[[], bool], seconds: float) -> float:
    """Wait until a condition holds; returns how long that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - started


def free(server: Server) -> bool:
    """Whether nobody holds the server."""
    return server.run("sudo flock -n /run/standfast/lock true", check=False).returncode == 0


@contextmanager
def apply_at_work(
    repository: Repository, server: Server, seconds: int = LONG
) -> Iterator[subprocess.Popen[str]]:
    """An apply in the middle of a slow command, which goes on afterwards."""
    remote(server, f"rm -f {GO}")
    only_this_deploy(repository, server, SLOW.format(seconds=seconds))
    process = repository.started("apply", "lab", "--yes", "--no-verify", stdout=subprocess.PIPE)
    try:
        wait_for(lambda: "started" in remote(server, "ls /etc/trial"), 120)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        server.run(f"sudo touch {GO}", check=False)


def test_the_second_of_two_applies_hears_who_is_at_work(repository: Repository, spare_server: Server) -> None:
    with apply_at_work(repository, spare_server) as first:
        started, busy = time.monotonic(), children_seconds()
        second = repository.standfast("apply", "lab", "--yes", expect=5)
        print(
            f"the second apply ended after {time.monotonic() - started:.1f} s, "
            f"{children_seconds() - busy:.1f} s of them on this machine's processor"
        )
        assert f"is locked by {OWNER} (" in second.stderr
        assert "UTC, doing: apply, 3 changes. Nothing was changed there." in second.stderr
        assert "standfast unlock lab --reason" in second.stderr
        go_on(spare_server)
        _, errors = first.communicate(timeout=120)
        assert first.returncode == 0, errors
    assert free(spare_server)
    repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)


def children_seconds() -> float:
    """Processor time of all processes that this one has waited for."""
    used = os.times()
    return used.children_user + used.children_system


def test_a_plan_needs_no_lock(repository: Repository, spare_server: Server) -> None:
    with apply_at_work(repository, spare_server):
        repository.standfast("plan", "lab", expect=2)


def test_the_lock_of_a_killed_apply_is_free_at_once(repository: Repository, spare_server: Server) -> None:
    with apply_at_work(repository, spare_server) as first:
        assert not free(spare_server)
        first.send_signal(signal.SIGKILL)
        print(f"free after {wait_for(lambda: free(spare_server), 30):.1f} s")


def test_the_next_apply_waits_for_a_command_that_still_runs(
    repository: Repository, spare_server: Server
) -> None:
    with apply_at_work(repository, spare_server) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        with repository.started("apply", "lab", "--yes", "--no-verify") as second:
            following = heard(second, "waiting for a command of the last apply")
            go_on(spare_server)
            following += second.communicate()[1]
        assert second.returncode == 0, following
    assert "waiting for a command of the last apply to end: trial: create /etc/trial/slow (pid " in following
    assert f"the last apply ({OWNER}, " in following
    assert (
        "was cut off after: trial: create /etc/trial/slow; not begun: trial: create /etc/trial/two. "
        in following
    )
    assert remote(spare_server, "ls /etc/trial") == "one\nslow\nstarted\ntwo\n"
    repository.standfast("plan", "lab", expect=0)


def test_a_cut_network_frees_the_lock_and_the_next_apply_goes_on(
    repository: Repository, spare_server: Server
) -> None:
    with apply_at_work(repository, spare_server, 45) as first:
        subprocess.run(["ip", "link", "set", spare_server.link, "down"], check=True)
        cut = time.time()
        try:
            _, errors = first.communicate(timeout=60)
            noticed = time.time() - cut
        finally:
            subprocess.run(["ip", "link", "set", spare_server.link, "up"], check=True)
    assert first.returncode == 1
    assert noticed < 45
    assert "the connection was lost" in errors
    assert "It happened while: trial: create /etc/trial/slow; whether the server has finished that" in errors
    assert (
        "Changed before that: /etc/trial/one. Not done: 2 of 3 changes. It is safe to run apply again"
        in errors
    )
    wait_for(lambda: spare_server.run("true", check=False).returncode == 0, 20)
    noted = remote(spare_server, "grep ^cut /var/lib/standfast/journal/last").split()[1]
    there = float(remote(spare_server, f"date -d {noted} +%s"))
    assert there - cut < 36, "the lock was free by then"
    following = repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0).stderr
    assert "was cut off" in following
    repository.standfast("plan", "lab", expect=0)


def test_unlock_ends_a_run_and_its_owner_hears_why(repository: Repository, spare_server: Server) -> None:
    with apply_at_work(repository, spare_server) as first:
        assert "add --yes" in repository.standfast("unlock", "lab", "--reason", "x", expect=3).stderr
        assert "--reason" in repository.standfast("unlock", "lab", "--yes", expect=3).stderr
        # As on a disk so busy that the run's own record takes long.
        remote(spare_server, "setsid flock /run/standfast/audit.lock sleep 8 < /dev/null > /dev/null 2>&1 &")
        done = repository.standfast("unlock", "lab", "--reason", 'forgot it, "really"', "--yes", expect=0)
        assert f"held by {OWNER}" in done.stderr
        assert "test-spare: unlocked. A command of" in done.stdout
        assert "waiting until what was ended has written its records" in done.stderr
        assert "create /etc/trial/slow. The next apply waits for it" in done.stdout
        go_on(spare_server)
        _, errors = first.communicate(timeout=60)
    assert first.returncode == 1
    assert f'{OWNER} has taken the lock away: forgot it, "really".' in errors
    assert "Changed before that: /etc/trial/one, /etc/trial/slow. Not done: 1 of 3 changes." in errors
    assert "two" not in remote(spare_server, "ls /etc/trial"), "what has lost its lock changes nothing"
    again = repository.standfast("unlock", "lab", "--reason", "x", "--yes", expect=0)
    assert again.stdout == "test-spare: nothing to unlock\n"
    records = json.loads(repository.standfast("audit", "lab", "--json", expect=0).stdout)["records"]
    assert [(each["action"], each["outcome"]) for each in records[-2:]] == [
        ("apply", "cut off"),
        ("unlock", "unlocked"),
    ]
    assert records[-1]["reason"] == 'forgot it, "really"'
    assert records[-1]["holder"]["who"] == OWNER


def test_a_second_ctrl_c_leaves_at_once_and_the_next_apply_knows(
    repository: Repository, spare_server: Server
) -> None:
    with apply_at_work(repository, spare_server) as first:
        first.send_signal(signal.SIGINT)
        time.sleep(0.5)
        first.send_signal(signal.SIGINT)
        _, errors = first.communicate(timeout=120)  # the command would last for longer
        assert first.returncode == 130, errors
        go_on(spare_server)
        following = repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0).stderr
    assert (
        "was interrupted after: trial: create /etc/trial/slow; not begun: trial: create /etc/trial/two"
        in following
    )


def test_whoever_thinks_about_a_plan_holds_the_server(repository: Repository, spare_server: Server) -> None:
    only_this_deploy(repository, spare_server, 'files.file("/etc/trial/one", "1\\n")')
    with on_a_terminal(repository, "apply", "lab", "--no-verify") as terminal:
        shown = read_until(terminal, "Make these changes? [y/N]: ")
        assert "+1" in shown
        second = repository.standfast("apply", "lab", "--yes", expect=5)
        assert "doing: showing its plan and asking" in second.stderr
        time.sleep(7)
        os.write(terminal, b"y\n")
        assert "1 change" in read_until(terminal, "✓")
    assert remote(spare_server, "cat /etc/trial/one") == "1\n"


def test_a_locked_server_keeps_no_other_one_waiting(
    repository: Repository, spare_server: Server, lab_server: Callable[[str], Server]
) -> None:
    other = lab_server("test-spare-2")
    remote(other, "rm -rf /etc/trial; mkdir /etc/trial")
    with apply_at_work(repository, spare_server):
        host = f"  {other.name}: {{address: {other.name}, ssh: {{config: {other.ssh_config}}}}}\n"
        only_this_deploy(repository, spare_server, 'files.file("/etc/trial/both", "1\\n")', host)
        done = repository.standfast("apply", "lab", "--yes", "--no-verify", expect=1)
        assert f"test-spare is locked by {OWNER}" in done.stderr
        assert "✓ test-spare-2  1 change" in done.stdout
    assert remote(other, "cat /etc/trial/both") == "1\n"
    assert "both" not in remote(spare_server, "ls /etc/trial")


@contextmanager
def on_a_terminal(repository: Repository, *arguments: str) -> Iterator[int]:
    """Run a command as a person does; gives the terminal's other end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*STANDFAST, *arguments],
        cwd=repository.root,
        env={**os.environ, "XDG_STATE_HOME": str(repository.root / ".state")},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        yield ours
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(terminal: int, text: str) -> str:
    """What a terminal shows until a text has come."""
    shown = b""
    deadline = time.monotonic() + 30
    while text.encode() not in shown:
        ready, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
        assert ready, shown.decode(errors="replace")
        shown += os.read(terminal, 65536)
    return shown.decode(errors="replace")


def test_only_root_sees_the_lock(repository: Repository, spare_server: Server) -> None:
    only_this_deploy(repository, spare_server, 'files.file("/etc/trial/one", "1\\n")')
    repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    folders = "/run/standfast /var/lib/standfast /var/log/standfast"
    assert remote(spare_server, f"stat -c '%U %a' {folders}").split("\n")[:3] == ["root 700"] * 3
    folder = repository.root / ".state/standfast/audit" / repository.root.name
    assert oct(folder.stat().st_mode) == "0o40700"
    assert oct((folder / "lab.jsonl").stat().st_mode) == "0o100600"
