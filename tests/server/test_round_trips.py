"""Facts in one round trip: counted, and right whatever has happened to the server or to the list on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from shlex import quote

import pytest

from standfast.engine import fact_trace
from standfast.facts.answer import STATUS
from standfast.facts.files import File
from standfast.lab.nspawn import Server
from tests.server.conftest import Repository, wait_for_sshd
from tests.server.test_engine import only_this_deploy, remote
from tests.sizes import sized

ROOT = str(Path(__file__).parents[2])
TRACE = "/var/lib/standfast/facts"
COUNT = sized(200, long=2000)
MANY = """
for number in range({count}):
    files.file(f"/etc/trial/{{number}}", f"{{number}}\\n")
"""
# An unprivileged account may do everything but read the list.
GUEST = "guest ALL=(root) NOPASSWD: ALL, !/usr/bin/sh -c *run.sh*"


@pytest.fixture(autouse=True)
def clean(spare_server: Server) -> None:
    remote(spare_server, f"rm -rf /etc/trial {TRACE}; mkdir /etc/trial")


def turns(repository: Repository, *arguments: str, expect: int = 0) -> int:
    """Round trips of a command with its one server, after the handshake."""
    file = repository.root / "turns"
    done = subprocess.run(
        [sys.executable, "-m", "tests.server.turns", str(file), *arguments],
        cwd=repository.root,
        env={**os.environ, "XDG_STATE_HOME": str(repository.root / ".state"), "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    (counted,) = json.loads(file.read_text())
    print(f"{' '.join(arguments)}: {counted} round trips")
    return int(counted)


def apply(repository: Repository) -> None:
    repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)


def write_by_hand(server: Server, count: int) -> None:
    """Bring about what `MANY` declares, in one go."""
    remote(server, f"cd /etc/trial; for n in $(seq 0 {count - 1}); do echo $n > $n; done")


@pytest.mark.parametrize("count", [20, COUNT])
def test_plan_and_drift_take_three_round_trips_at_most(
    repository: Repository, spare_server: Server, count: int
) -> None:
    only_this_deploy(repository, spare_server, MANY.format(count=count))
    write_by_hand(spare_server, count)
    without_list = turns(repository, "plan", "lab")
    apply(repository)
    assert turns(repository, "plan", "lab") <= 3
    assert turns(repository, "drift", "lab", "--only", "trial") <= 3
    assert without_list <= 9, "what the list lacks is asked together as well"


def test_a_change_takes_two_round_trips(repository: Repository, spare_server: Server) -> None:
    """The next session is opened meanwhile; the protocol wants one for the command and one for its input."""
    counted = []
    for count in (2, 12):
        only_this_deploy(repository, spare_server, MANY.format(count=count))
        remote(spare_server, "rm -rf /etc/trial; mkdir /etc/trial")
        counted.append(turns(repository, "apply", "lab", "--yes", "--no-verify"))
        assert remote(spare_server, "ls /etc/trial | wc -l").strip() == str(count)
    assert counted[1] - counted[0] == 2 * (12 - 2)


def test_a_server_that_allows_two_sessions_is_changed_as_well(
    repository: Repository, spare_server: Server
) -> None:
    """One holds the lock, one is for commands; a third one is refused and done without."""
    only_this_deploy(repository, spare_server, MANY.format(count=5))
    few = "/etc/ssh/sshd_config.d/00-few.conf"
    try:
        remote(spare_server, f"echo MaxSessions 2 > {few}; systemctl reload ssh")
        apply(repository)
        assert repository.targets() == []
    finally:
        remote(spare_server, f"rm {few}; systemctl reload ssh")
        wait_for_sshd(spare_server)


TRIAL = """
from standfast.operations import accounts, system, systemd
for name in ("text", "appended", "emptied", "mode", "owner", "group", "gone", "touched", "longer"):
    files.file(f"/etc/trial/{name}", f"{name}\\n")
files.file("/etc/trial/binary", bytes(range(256)))
files.file("/etc/trial/large", "0123456789\\n" * 40_000)
files.file("/etc/trial/it's $(odd)", "odd\\n")
for name in ("dir-mode", "dir-gone", "dir-owner"):
    files.directory(f"/etc/trial/{name}", mode="750")
files.absent("/etc/trial/unwanted")
systemd.service("trial-stopped.service")
systemd.service("trial-disabled.service")
systemd.service("trial-unwanted.service", running=False, enabled=False)
system.timezone("Asia/Tokyo")
accounts.account("trial", groups=["adm"])
"""
UNIT = "[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n"
UNITS = " ".join(f"trial-{name}.service" for name in ("stopped", "disabled", "unwanted"))
PREPARE = f"""
for unit in {UNITS}; do printf '{UNIT}' > /etc/systemd/system/$unit; done; systemctl daemon-reload
"""
RESET = f"""
systemctl disable -q --now {UNITS}; cd /etc/systemd/system && rm -f {UNITS}; systemctl daemon-reload
userdel -rf trial 2>/dev/null; ln -sf ../usr/share/zoneinfo/Etc/UTC /etc/localtime; echo Etc/UTC > /etc/timezone
"""
# What is done by hand: the target of the change that the next plan must show.
BY_HAND = {
    "echo other > /etc/trial/text": "/etc/trial/text",
    "echo more >> /etc/trial/appended": "/etc/trial/appended",
    ": > /etc/trial/emptied": "/etc/trial/emptied",
    "chmod 666 /etc/trial/mode": "/etc/trial/mode",
    "chown daemon /etc/trial/owner": "/etc/trial/owner",
    "chgrp adm /etc/trial/group": "/etc/trial/group",
    "rm /etc/trial/gone": "/etc/trial/gone",
    "echo longer than before > /etc/trial/longer": "/etc/trial/longer",
    "printf x | dd of=/etc/trial/binary bs=1 seek=9 conv=notrunc status=none": "/etc/trial/binary",
    "printf x | dd of=/etc/trial/large bs=1 seek=300000 conv=notrunc status=none": "/etc/trial/large",
    "rm '/etc/trial/it'\\''s $(odd)'": "/etc/trial/it's $(odd)",
    "chmod 777 /etc/trial/dir-mode": "/etc/trial/dir-mode/",
    "rmdir /etc/trial/dir-gone": "/etc/trial/dir-gone/",
    "chown daemon /etc/trial/dir-owner": "/etc/trial/dir-owner/",
    "echo here > /etc/trial/unwanted": "/etc/trial/unwanted",
    "systemctl stop trial-stopped": "trial-stopped.service",
    "systemctl disable -q trial-disabled": "trial-disabled.service",
    "systemctl start trial-unwanted": "trial-unwanted.service",
    "ln -sf ../usr/share/zoneinfo/Europe/Berlin /etc/localtime": "time zone",
    "gpasswd -d trial adm": "account trial",
}


def test_a_server_that_has_changed_since_is_reported_as_it_is(
    repository: Repository, spare_server: Server
) -> None:
    assert len(BY_HAND) == 20
    only_this_deploy(repository, spare_server, TRIAL)
    try:
        remote(spare_server, PREPARE)
        apply(repository)
        assert repository.targets() == []
        remote(spare_server, "set -e\n" + "\n".join(BY_HAND))
        assert set(repository.targets()) == set(BY_HAND.values())
        apply(repository)
        assert repository.targets() == []
    finally:
        remote(spare_server, RESET)


@pytest.mark.parametrize(
    "damage",
    [
        "rm -r {folder}",
        "rm {folder}/run.sh",
        "rm {folder}/sum",
        ": > {folder}/run.sh",
        "truncate -s 700 {folder}/run.sh",
        "truncate -s -1 {folder}/run.sh",
        "head -c 5000 /dev/urandom > {folder}/run.sh",
        "head -c 5000 /dev/urandom > {folder}/sum",
        # It would answer, and lie: this file is not as declared.
        "sed -i s,/etc/trial/1,/etc/trial/0,g {folder}/run.sh",
        "chmod 000 {folder} {folder}/run.sh",
        "chown -R nobody {folder}; chmod 400 {folder}/run.sh",
        "rm -r {folder}; mkdir -p {folder}/run.sh {folder}/sum",
        "rm -r {folder}; touch {folder}",
    ],
)
def test_a_damaged_list_costs_time_and_nothing_else(
    repository: Repository, spare_server: Server, damage: str
) -> None:
    only_this_deploy(repository, spare_server, MANY.format(count=3))
    write_by_hand(spare_server, 3)
    apply(repository)
    remote(spare_server, f"echo other > /etc/trial/1; {damage.format(folder=TRACE)}")
    assert repository.targets() == ["/etc/trial/1"]


def test_a_list_that_hangs_is_given_up(repository: Repository, spare_server: Server) -> None:
    only_this_deploy(repository, spare_server, MANY.format(count=3))
    write_by_hand(spare_server, 3)
    apply(repository)
    hanging = "printf '# 1 second\\nsleep 1000\\n' > run.sh; sha256sum run.sh > sum"
    remote(spare_server, f"cd {TRACE}; {hanging}; echo other > /etc/trial/1")
    assert repository.targets() == ["/etc/trial/1"]
    assert "sleep 1000" not in remote(spare_server, "ps -eo args")


def test_what_a_command_that_was_ended_says_last_is_no_answer(
    repository: Repository, spare_server: Server
) -> None:
    """stat(1) is dead, and its shell, which hears of the end a moment later, says that it failed."""
    only_this_deploy(repository, spare_server, MANY.format(count=3))
    write_by_hand(spare_server, 3)
    apply(repository)
    answer = fact_trace.name(File().command("/etc/trial/1").get_raw_value())
    late = f"# 1 second\ntrap : TERM\nsleep 1000 || echo {STATUS}3 > {answer}\n"
    remote(spare_server, f"cd {TRACE}; printf %s {quote(late)} > run.sh; sha256sum run.sh > sum")
    remote(spare_server, "echo other > /etc/trial/1")
    assert repository.targets() == ["/etc/trial/1"]


def test_an_account_that_may_not_read_the_list_asks_as_usual(
    repository: Repository, spare_server: Server
) -> None:
    only_this_deploy(repository, spare_server, MANY.format(count=3))
    write_by_hand(spare_server, 3)
    apply(repository)
    remote(
        spare_server,
        "id guest 2>/dev/null || useradd -m guest; mkdir -p ~guest/.ssh; "
        "cp ~ops/.ssh/authorized_keys ~guest/.ssh/; chown -R guest ~guest/.ssh; "
        f"echo '{GUEST}' > /etc/sudoers.d/guest; echo other > /etc/trial/1",
    )
    try:
        inventory = (repository.root / "inventories/lab.yml").read_text()
        repository.write("inventories/lab.yml", inventory.replace("ssh: {", "ssh: {user: guest, "))
        assert repository.targets() == ["/etc/trial/1"]
    finally:
        remote(spare_server, "rm /etc/sudoers.d/guest; userdel -rf guest")
