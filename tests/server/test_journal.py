"""An apply that is cut off anywhere: the next one says what was left half-way, and finishes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from standfast.lab import nspawn
from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.test_engine import only_this_deploy, remote
from tests.server.test_lock import SLOW, apply_at_work

SECRET = "s3cr3t-v4lue"
STEPS = [
    "create /etc/trial/data/",
    "create /etc/trial/env",
    "create /etc/trial/service.conf, trial: reload trial service",
    "remove /etc/trial/old",
    "update trial.service, trial: start trial.service",
    "update time zone",
    "create account trial",
    "run write a line",
]
DEPLOY = f"""
from pyinfra.operations import files as stock
from standfast.operations import accounts, system, systemd
from standfast.operations.change import Change
files.directory("/etc/trial/data", mode="750")
files.file("/etc/trial/env", Rendered("KEY={SECRET}\\n", "KEY=‹key›\\n"), mode="600")
reload = files.Activation(Change("reload", "trial service"), "date > /etc/trial/data/reloaded")
files.file("/etc/trial/service.conf", "new\\n", activate=reload)
files.absent("/etc/trial/old")
systemd.service("trial.service")
system.timezone("Asia/Tokyo")
accounts.account("trial")
stock.line("/etc/trial/lines", "password = {SECRET}", name="write a line")
"""
BEFORE = """
systemctl disable --now trial.service 2>/dev/null; userdel -rf trial 2>/dev/null
ln -sf ../usr/share/zoneinfo/Etc/UTC /etc/localtime; echo Etc/UTC > /etc/timezone
rm -rf /etc/trial; mkdir /etc/trial; touch /etc/trial/old /etc/trial/lines
printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' > /etc/systemd/system/trial.service
systemctl daemon-reload
rm -rf /var/lib/standfast/journal; mkdir -p -m 700 /var/lib/standfast
"""
AFTER = """
set -e; stat -c %a /etc/trial/data /etc/trial/env; cat /etc/trial/env /etc/trial/service.conf; test ! -e /etc/trial/old
systemctl is-active trial.service; systemctl is-enabled trial.service; readlink /etc/localtime; id -un trial
cat /etc/trial/lines; ls /etc/trial; ls -A /var/lib/standfast/journal
"""
CONVERGED = f"""750
600
KEY={SECRET}
new
active
enabled
/usr/share/zoneinfo/Asia/Tokyo
trial
password = {SECRET}
data
env
lines
service.conf
"""


def dying(repository: Repository, way: str, moment: str, number: int) -> subprocess.CompletedProcess[str]:
    """An apply that ends at a chosen moment."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "tests.server.dying_controller", way, moment, str(number)),
            *("apply", "lab", "--yes", "--no-verify"),
        ],
        cwd=repository.root,
        env={
            **os.environ,
            "XDG_STATE_HOME": str(repository.root / ".state"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def half_done(repository: Repository, spare_server: Server) -> Repository:
    """A repository with eight changes of different kinds, of which none was made."""
    only_this_deploy(repository, spare_server, DEPLOY)
    remote(spare_server, BEFORE)
    return repository


def next_apply(repository: Repository, server: Server) -> str:
    """Everything is as declared after it; returns what it reported."""
    done = repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    assert remote(server, AFTER).replace("../usr", "/usr") == CONVERGED
    return done.stderr


@pytest.mark.parametrize("number", range(len(STEPS)))
@pytest.mark.parametrize("way", ["kill", "cut"])
def test_cut_off_between_two_commands(
    half_done: Repository, spare_server: Server, way: str, number: int
) -> None:
    died = dying(half_done, way, "before", number)
    assert died.returncode == (-9 if way == "kill" else 1)
    if way == "cut":
        assert "the connection was lost" in died.stderr
        assert "It is safe to run apply again" in died.stderr
    told = next_apply(half_done, spare_server)
    if number == 0:
        assert "was cut off before its first change" in told
    else:
        assert f"was cut off after: trial: {STEPS[number - 1]}; not begun: trial: {STEPS[number]}" in told


@pytest.mark.parametrize("number", range(len(STEPS)))
@pytest.mark.parametrize("way", ["kill", "cut"])
def test_cut_off_when_a_command_was_sent(
    half_done: Repository, spare_server: Server, way: str, number: int
) -> None:
    """The server may have received it or not, and its input has not come: each of these ends is right."""
    died = dying(half_done, way, "sent", number)
    assert died.returncode == (-9 if way == "kill" else 1)
    told = next_apply(half_done, spare_server)
    last = number == len(STEPS) - 1 and "was cut off after its last change, before its check" in told
    assert last or f"trial: {STEPS[number]}" in told.partition("This apply goes on")[0]


def test_cut_off_before_the_check(half_done: Repository, spare_server: Server) -> None:
    dying(half_done, "kill", "after", len(STEPS) - 1)
    assert "was cut off after its last change, before its check" in next_apply(half_done, spare_server)


def test_secrets_are_neither_in_the_journal_nor_in_a_log(half_done: Repository, spare_server: Server) -> None:
    dying(half_done, "kill", "after", len(STEPS) - 2)
    places = "/var/lib/standfast /var/log/standfast /run/standfast"
    assert "write a line" in remote(spare_server, "cat /var/lib/standfast/journal/last")
    assert remote(spare_server, f"grep -rl {SECRET} {places} || true") == ""
    next_apply(half_done, spare_server)
    assert remote(spare_server, f"grep -rl {SECRET} {places} || true") == ""
    own = subprocess.run(["grep", "-rl", SECRET, half_done.root / ".state"], check=False, capture_output=True)
    assert own.stdout == b""


def test_a_failed_apply_is_told_too(repository: Repository, spare_server: Server) -> None:
    remote(spare_server, BEFORE)
    only_this_deploy(
        repository,
        spare_server,
        'files.file("/etc/trial/one", "1\\n")\n'
        'files.file("/etc/trial/two", "2\\n", validate="test -e /etc/trial/may")\n'
        'files.file("/etc/trial/three", "3\\n")',
    )
    repository.standfast("apply", "lab", "--yes", expect=1)
    remote(spare_server, "touch /etc/trial/may")
    told = repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0).stderr
    assert "failed at: trial: create /etc/trial/two; not begun: trial: create /etc/trial/three. " in told
    silent = repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0).stderr
    assert "last apply" not in silent


def test_a_run_limited_to_a_subject_that_is_whole_forgets_nothing(
    half_done: Repository, spare_server: Server
) -> None:
    dying(half_done, "kill", "before", 5)
    half_done.write("deploys/other.py", "def deploy():\n    pass\n")
    half_done.standfast("apply", "lab", "--yes", "--only", "other", expect=0)
    assert f"not begun: trial: {STEPS[5]}" in next_apply(half_done, spare_server)


def test_without_a_journal_nothing_is_changed(repository: Repository, spare_server: Server) -> None:
    """Enough space for the preflight, too little for the journal."""
    remote(spare_server, BEFORE + "mount -t tmpfs -o size=72k,mode=700 none /var/lib/standfast")
    try:
        only_this_deploy(repository, spare_server, 'files.file("/etc/trial/one", "1\\n")')
        remote(spare_server, "head -c 20000 /dev/zero > /var/lib/standfast/filler")
        refused = repository.standfast("apply", "lab", "--yes", expect=6)
        assert (
            "the journal could not be written: No space left on device. Nothing was changed" in refused.stderr
        )
        assert "one" not in remote(spare_server, "ls /etc/trial")
    finally:
        remote(spare_server, "umount /var/lib/standfast")
    repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)


def test_a_disk_that_fills_up_half_way(repository: Repository, spare_server: Server) -> None:
    """Journal and files on one small disk; the second command fills it to the last byte."""
    disk = "mount -t tmpfs -o size=400k,mode=700 none /var/lib/standfast; mkdir /var/lib/standfast/trial"
    remote(spare_server, BEFORE + disk + "; echo old > /var/lib/standfast/trial/three")
    fill = "head -c 9M /dev/zero > /var/lib/standfast/filler 2>/dev/null || true"
    try:
        only_this_deploy(
            repository,
            spare_server,
            'files.file("/etc/trial/one", "1\\n")\n'
            f'files.file("/etc/trial/two", "2\\n", validate="test -e /etc/trial/freed || {{ {fill}; }}")\n'
            'files.file("/var/lib/standfast/trial/three", "3\\n" * 9000)\n'
            'files.file("/etc/trial/four", "4\\n")',
        )
        failed = repository.standfast("apply", "lab", "--yes", "--no-verify", expect=1)
        assert "No space left on device" in failed.stderr
        assert (
            "Changed before that: /etc/trial/one, /etc/trial/two. Not done: 2 of 4 changes." in failed.stderr
        )
        assert remote(spare_server, "cat /var/lib/standfast/trial/three") == "old\n"
        assert remote(spare_server, "ls -A /var/lib/standfast/trial") == "three\n"
        records = json.loads(repository.standfast("audit", "lab", "--json").stdout)["records"]
        assert records[-1]["outcome"] == "failed", "the reserve was for this"
        refused = repository.standfast("apply", "lab", "--yes", expect=6)
        assert "the journal could not be written: No space left on device" in refused.stderr
        remote(spare_server, "rm /var/lib/standfast/filler; touch /etc/trial/freed")
        told = repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0).stderr
        assert (
            "failed at: trial: update /var/lib/standfast/trial/three; not begun: trial: create /etc/trial/four"
            in told
        )
        repository.standfast("plan", "lab", expect=0)
    finally:
        remote(spare_server, "umount /var/lib/standfast")


def test_a_power_cut_of_the_server(repository: Repository, spare_server: Server) -> None:
    """Nobody was left to write that the run was cut off: the next apply does."""
    remote(spare_server, "rm -rf /etc/trial; mkdir /etc/trial")
    with apply_at_work(repository, spare_server, 30) as first:
        nspawn.power_cut(spare_server.name)
        first.kill()
    nspawn.power_on(spare_server.name)
    only_this_deploy(repository, spare_server, SLOW.format(seconds=0))
    told = repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0).stderr
    assert (
        "was cut off while: trial: create /etc/trial/slow; not begun: trial: create /etc/trial/two. " in told
    )
    assert remote(spare_server, "cat /etc/trial/one /etc/trial/slow /etc/trial/two") == "1\n1\n2\n"
    records = json.loads(repository.standfast("audit", "lab", "--json", expect=0).stdout)["records"]
    cut, done = records[-2:]
    assert (cut["outcome"], cut["changed"], cut["cut_off_in"]) == (
        "cut off",
        ["trial: create /etc/trial/one"],
        ["trial: create /etc/trial/slow"],
    )
    assert done["outcome"] == "done"
    assert "none altered" in repository.standfast("audit", "lab", "--verify", expect=0).stdout
