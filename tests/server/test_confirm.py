"""Changes of the rules and of sshd that nobody confirms: the server is as before, by itself and in time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote

import pytest

from standfast.lab import nspawn
from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.subject import Subject
from tests.server.test_firewall import is_open, listen
from tests.server.test_lock import wait_for

SECONDS = 10
"""For what is going to be undone. What is going to be confirmed has time also on a busy machine."""
BEFORE = {"confirm_seconds": 60, "allow": [{"port": 8081}]}
OTHER_SSHD = {"settings": {"MaxAuthTries": "4"}}
DECLARED = {"firewall": BEFORE, "ssh_server": {"settings": {"MaxAuthTries": "5"}}}
APPLY = ("apply", "lab", "--yes", "--no-verify", "--only", "ssh", "--only", "firewall")
AFTER = {"confirm_seconds": 60, "allow": [{"port": 8081}, {"port": 9999}]}
WATCHED = ("dport 9999 ", "MaxAuthTries 4")
"""What only the new rules, and only the new configuration of sshd, have."""
# Each line: a time, in how many families the new rules are in force, whether sshd has the new setting.
SAMPLE = f"""while :; do
  rules=$(iptables-save -t filter; ip6tables-save -t filter); now=$(date +%s.%N)
  echo "$now $(echo "$rules" | grep -c '{WATCHED[0]}') $(
    grep -c '{WATCHED[1]}' /etc/ssh/sshd_config.d/00-standfast.conf)"
  sleep 0.1
done"""


@pytest.fixture(scope="module")
def shared(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Subject:
    subject = Subject(Repository(tmp_path_factory.mktemp("confirm")), lab_server("test-confirm"), "firewall")
    subject.declare(**DECLARED)
    both(subject)
    return subject


@pytest.fixture
def trial(shared: Subject) -> Iterator[Subject]:
    """A server with confirmed rules, whose state is noted ten times a second; afterwards as before."""
    shared.root(
        "systemctl stop -q samples; "
        f"systemd-run -q --collect -u samples -p StandardOutput=truncate:/run/samples sh -c {quote(SAMPLE)}",
    )
    yield shared
    subprocess.run(["ip", "link", "set", shared.server.link, "up"], check=True)
    wait_for(lambda: shared.ssh().returncode == 0, 60)
    shared.declare(**DECLARED)
    both(shared)


def both(subject: Subject) -> None:
    """Apply what is tried here, and nothing else."""
    subject.repository.standfast(*APPLY, expect=0)


def careless(
    subject: Subject, moment: str, way: str, command: str = "", expect: int | None = None
) -> subprocess.CompletedProcess[str]:
    """An apply to which something happens right after a change was put on trial."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.server.careless_controller", moment, way, command, *APPLY],
        cwd=subject.repository.root,
        env={
            **os.environ,
            "XDG_STATE_HOME": str(subject.repository.root / ".state"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert expect is None or done.returncode == expect, done.stdout + done.stderr
    return done


def state(subject: Subject) -> str:
    """All rules, whoever made them, and all that sshd reads."""
    counted = subject.root(
        "iptables-save; ip6tables-save; tail -n +1 /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*"
    )
    return "\n".join(line for line in counted.splitlines() if not line.startswith(("#", ":")))


def on_trial(subject: Subject, column: int) -> float:
    """For how many seconds the new state was in force; it must have been, or nothing was tried."""
    lines = [line.split() for line in subject.root("cat /run/samples").splitlines()]
    times = [float(line[0]) for line in lines if len(line) == 3 and line[column] != "0"]
    assert times, "the change was never in force"
    assert int(lines[-1][column]) == 0, "it is in force still"
    return times[-1] - times[0]


def went_back(subject: Subject) -> bool:
    """Whether the server has gone back, or cannot say so yet."""
    done = subject.ssh(command="sudo standfast-host firewall status --json")
    return done.returncode == 0 and json.loads(done.stdout)["trial"] is None


def test_what_is_confirmed_stays_and_is_there_after_a_power_cut(trial: Subject) -> None:
    listen(trial, 8081, 9999)
    trial.declare(firewall=AFTER, ssh_server=OTHER_SSHD)
    started = time.monotonic()
    both(trial)
    print(f"two confirmed changes in {time.monotonic() - started:.1f} s")
    assert "standfast-firewall-revert" not in trial.root("systemctl list-timers --all")
    assert is_open(trial.server.address, 9999)
    assert is_open(trial.server.address6, 9999)
    assert WATCHED[1] in state(trial)
    nspawn.power_cut(trial.server.name)
    nspawn.power_on(trial.server.name)
    assert state(trial).count(WATCHED[0]) == 2  # in both families
    assert WATCHED[1] in state(trial)
    trial.repository.standfast("plan", *APPLY[1:2], "--only", "ssh", "--only", "firewall", expect=0)


def test_a_login_shell_that_complains_changes_nothing(trial: Subject) -> None:
    """As bash does about a locale that the server does not have, at each command."""
    trial.root("sed -i '1i echo complaint >&2' /home/ops/.bashrc")
    try:
        assert "complaint" in trial.ssh().stderr
        trial.declare(firewall=AFTER, ssh_server=OTHER_SSHD)
        both(trial)
        trial.repository.standfast("firewall", "lab", "test", expect=0)
    finally:
        trial.root("sed -i 1d /home/ops/.bashrc")
    assert state(trial).count(WATCHED[0]) == 2
    assert WATCHED[1] in state(trial)


@pytest.mark.parametrize(("moment", "column"), [("the firewall", 1), ("sshd", 2)])
def test_a_controller_that_is_killed_right_after_the_swap(trial: Subject, moment: str, column: int) -> None:
    before = state(trial)
    trial.declare(**changed(moment))
    assert careless(trial, moment, "kill").returncode == -9
    assert state(trial) != before
    wait_for(lambda: went_back(trial), 60)
    assert state(trial) == before
    print(f"{moment}: the controller was killed; in force for {on_trial(trial, column):.1f} s of {SECONDS}")
    said = trial.repository.standfast(*APPLY, expect=0).stderr
    assert f"a change of {moment}, made at " in said
    assert "(nobody confirmed it in time); the server went back by itself at " in said


def changed(moment: str) -> dict[str, object]:
    """A declaration that changes one of the two, with little time to confirm it."""
    if moment == "sshd":
        return {"firewall": BEFORE | {"confirm_seconds": SECONDS}, "ssh_server": OTHER_SSHD}
    return {"firewall": AFTER | {"confirm_seconds": SECONDS}}


def test_the_next_apply_waits_until_the_server_has_gone_back(trial: Subject) -> None:
    trial.declare(firewall=AFTER)
    careless(trial, "the firewall", "kill")
    said = trial.repository.standfast(*APPLY, expect=0).stderr
    assert "waiting for the server to undo a change that the last run has left on trial" in said
    assert state(trial).count(WATCHED[0]) == 2  # in both families


@pytest.mark.parametrize(
    ("moment", "damage", "reason"),
    [
        (
            "the firewall",
            "systemctl stop ssh.service ssh.socket; systemctl mask --quiet ssh.service",
            "new SSH",
        ),
        ("sshd", "echo Nonsense > /etc/ssh/sshd_config.d/99.conf; systemctl restart ssh", "new SSH"),
        ("the firewall", "kill -STOP $(systemctl show -p MainPID --value ssh.service)", "new SSH"),
        ("the firewall", "iptables -I INPUT -p tcp --dport 22 -j DROP", "new SSH"),
        ("the firewall", "iptables -I INPUT -p tcp --dport 8081 -j DROP", "port 8081 answered before"),
    ],
)
def test_damage_right_after_the_swap_is_undone(trial: Subject, moment: str, damage: str, reason: str) -> None:
    listen(trial, 8081)
    before = state(trial)
    trial.declare(**changed(moment))
    column = 1 if moment == "the firewall" else 2
    started = time.monotonic()
    # The reload that sshd refuses fails by itself; what is on trial is told either way.
    said = careless(trial, moment, "there", f"{damage} || :", expect=4).stderr
    print(f"{damage}: undone and reached after {time.monotonic() - started:.1f} s")
    assert f"the change of {moment} could not be confirmed: " in said
    assert reason in said
    assert "The server went back by itself" in said
    print(f"in force for {on_trial(trial, column):.1f} s of {SECONDS}")
    assert state(trial) == before
    records = json.loads(trial.repository.standfast("audit", "lab", "--json", expect=0).stdout)["records"]
    assert (records[-1]["outcome"], records[-1]["exit"]) == ("undone", 4)


def test_a_network_that_is_cut_right_after_the_swap(trial: Subject) -> None:
    before = state(trial)
    trial.declare(**changed("the firewall"))
    link = trial.server.link
    mended = f"(sleep {SECONDS + 12}; ip link set {link} up) > /dev/null 2>&1 &"
    said = careless(trial, "the firewall", "here", f"ip link set {link} down; {mended}", expect=4).stderr
    assert "a new SSH connection was not possible" in said
    print(f"the network was cut; in force for {on_trial(trial, 1):.1f} s of {SECONDS}")
    assert state(trial) == before


@pytest.mark.parametrize("moment", ["the firewall", "sshd"])
def test_a_power_cut_before_the_confirmation(trial: Subject, moment: str) -> None:
    before = state(trial)
    trial.declare(**({"firewall": AFTER} if moment == "the firewall" else {"ssh_server": OTHER_SSHD}))
    started = time.monotonic()
    careless(trial, moment, "kill")
    cut = time.monotonic()
    nspawn.power_cut(trial.server.name)
    nspawn.power_on(trial.server.name)
    print(
        f"{moment}: power cut {cut - started:.1f} s after the apply began; "
        f"it answers {time.monotonic() - cut:.1f} s after the cut"
    )
    assert state(trial) == before
    said = trial.repository.standfast(*APPLY, expect=0).stderr
    assert "(the server was rebooted before it was confirmed)" in said


def test_an_address_that_sshd_does_not_listen_on_any_more(trial: Subject) -> None:
    before = state(trial)
    trial.declare(**changed("sshd"))
    trial.declare(ssh_server={"settings": {"ListenAddress": "127.0.0.1"}})
    done = trial.repository.standfast(*APPLY)
    assert done.returncode == 4, done.stderr
    assert "the change of sshd could not be confirmed: a new SSH connection was not possible" in done.stderr
    assert "Changed before that: nothing." in done.stderr
    assert state(trial) == before


def test_a_trial_by_hand_leaves_nothing(trial: Subject) -> None:
    before = state(trial)
    assert "there is nothing to try" in command(trial, "test").stdout
    trial.declare(firewall=AFTER | {"confirm_seconds": 20})
    said = command(trial, "test").stdout
    assert "a new SSH connection works with these rules" in said
    print(f"a trial by hand: in force for {on_trial(trial, 1):.1f} s")
    assert state(trial) == before
    assert trial.targets() != []
    held = command(trial, "test", "--hold").stdout
    assert int(re.findall(r"in force for (\d+) s", held)[0]) >= 19
    assert state(trial) == before


def test_back_to_the_confirmed_rules(trial: Subject) -> None:
    before = state(trial)
    # The watchdog would put a flushed chain back within four seconds; apply starts it again.
    trial.root(
        "systemctl stop standfast-watchdog; "
        "iptables -I STANDFAST-INPUT -p tcp --dport 9998 -j ACCEPT; ip6tables -F STANDFAST-DOCKER"
    )
    assert state(trial) != before
    assert "the last confirmed rules are in force" in command(trial, "revert").stdout
    assert state(trial) == before


def command(subject: Subject, *words: str) -> subprocess.CompletedProcess[str]:
    """``standfast firewall``."""
    return subject.repository.standfast("firewall", "lab", *words, expect=0)


def test_stock_pyinfra_confirms_as_well(trial: Subject) -> None:
    trial.declare(firewall=AFTER)
    pyinfra = Path(sys.executable).with_name("pyinfra")
    done = subprocess.run(
        [str(pyinfra), "-y", "@standfast/lab", "deploys.firewall.deploy"],
        cwd=trial.repository.root,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert went_back(trial)
    assert trial.root("grep -c 9999 /etc/standfast/firewall/ipv4.rules") == "2\n"
