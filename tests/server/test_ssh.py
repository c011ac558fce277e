"""The SSH server on a real server: what it allows, and that nobody is locked out."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.subject import Subject

DROP_IN = "/etc/ssh/sshd_config.d/00-standfast.conf"


@pytest.fixture(scope="module")
def shared(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Subject:
    subject = Subject(Repository(tmp_path_factory.mktemp("ssh")), lab_server("test-ssh"), "ssh")
    # As rented servers come: open, and with a file of the provider's.
    subject.root("sed -i 's/ no$/ yes/' /etc/ssh/sshd_config.d/*")
    # These tests ask for entry without a key again and again; sshd would shut us out for that.
    subject.root("echo 'PerSourcePenalties no' > /etc/ssh/sshd_config.d/90-test.conf; systemctl reload ssh")
    wait_for_sshd(subject)
    return subject


def wait_for_sshd(subject: Subject) -> None:
    """sshd starts itself anew for a reload and is away for a moment."""
    for _ in range(50):
        if subject.ssh().returncode == 0:
            return
        time.sleep(0.2)


@pytest.fixture
def ssh(shared: Subject) -> Iterator[Subject]:
    shared.declare(ssh_server={})
    shared.apply()
    yield shared
    # The last test moves sshd under a socket and back; for a while afterwards nobody gets in.
    shared.root("rm -f /etc/ssh/sshd_config.d/*-hand.conf", check=False)


def ways_in(ssh: Subject) -> str:
    """What sshd offers to a stranger, for example ``publickey,password``."""
    said = ssh.ssh("-o", "PreferredAuthentications=none", "-o", "LogLevel=INFO").stderr
    return said.rpartition("(")[2].partition(")")[0]


def test_password_login_ends_and_open_connections_stay(shared: Subject) -> None:
    assert "password" in ways_in(shared)
    with subprocess.Popen(
        ["ssh", "-F", str(shared.server.ssh_config), shared.server.name, "cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as connection:
        assert connection.stdin is not None
        assert connection.stdout is not None
        print("before", file=connection.stdin, flush=True)
        assert connection.stdout.readline() == "before\n"
        shared.declare(ssh_server={"settings": {"MaxAuthTries": "3"}})
        shared.apply()
        assert ways_in(shared) == "publickey"
        print("after", file=connection.stdin, flush=True)
        assert connection.stdout.readline() == "after\n"
    effective = shared.root("sshd -T").splitlines()
    assert "permitrootlogin no" in effective
    assert "maxauthtries 3" in effective
    assert "x11forwarding no" in effective


def test_edit_by_hand_is_found_and_repaired(ssh: Subject) -> None:
    ssh.root(
        f"sed -i 's/PasswordAuthentication no/PasswordAuthentication yes/' {DROP_IN}; systemctl reload ssh"
    )
    (change, reload) = ssh.changes()
    assert "-PasswordAuthentication yes\n+PasswordAuthentication no" in change["diff"]
    assert (reload["action"], reload["target"]) == ("reload", "ssh.service")
    ssh.apply()
    assert ways_in(ssh) == "publickey"


def test_later_file_does_no_harm(ssh: Subject) -> None:
    ssh.root("echo 'PermitRootLogin yes' > /etc/ssh/sshd_config.d/99-hand.conf")
    assert ssh.targets() == []


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("00-hand.conf", "PermitRootLogin yes", "/etc/ssh/sshd_config.d/00-hand.conf:1: permitrootlogin yes"),
        (
            "90-hand.conf",
            "Match User *\nPasswordAuthentication yes",
            "90-hand.conf:2: passwordauthentication",
        ),
    ],
)
def test_file_that_wins_over_ours_is_named(ssh: Subject, file: str, text: str, said: str) -> None:
    ssh.root(f"printf '{text}\\n' > /etc/ssh/sshd_config.d/{file}")
    assert said in ssh.refusal()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"MaxAuthTriez": "3"}, "Bad configuration option: MaxAuthTriez"),
        ({"AllowUsers": "hanako"}, "keeps out ops"),
        ({"DenyUsers": "o*"}, "keeps out ops"),
        ({"AllowGroups": "wheel"}, "keeps out ops"),
        ({"Port": "2222"}, "port 22"),
        ({"PubkeyAuthentication": "no"}, "logs in by key"),
    ],
)
def test_settings_that_lock_out_are_refused(ssh: Subject, settings: dict[str, str], said: str) -> None:
    before = ssh.root(f"cat {DROP_IN}")
    ssh.declare(ssh_server={"settings": settings})
    assert said in ssh.refusal()
    assert ssh.root(f"cat {DROP_IN}") == before


def test_old_file_is_back_when_the_reload_fails(ssh: Subject) -> None:
    before = ssh.root(f"cat {DROP_IN}")
    unit = "/run/systemd/system/ssh.service.d"
    ssh.root(
        f"mkdir -p {unit}; printf '[Service]\\nExecReload=\\nExecReload=/bin/false\\n' > {unit}/test.conf"
    )
    ssh.root("systemctl daemon-reload")
    ssh.declare(ssh_server={"settings": {"MaxAuthTries": "2"}})
    assert "the file is as it was before" in ssh.apply(expect=1)
    assert ssh.root(f"cat {DROP_IN}") == before
    ssh.root(f"rm -r {unit}; systemctl daemon-reload")
    ssh.apply()
    assert "maxauthtries 2" in ssh.root("sshd -T").splitlines()


def test_socket_activation(ssh: Subject) -> None:
    ssh.root("systemctl disable -q --now ssh.service; systemctl start ssh.socket")
    try:
        ssh.declare(ssh_server={"settings": {"MaxAuthTries": "4"}})
        ssh.apply()
        assert ways_in(ssh) == "publickey"
    finally:
        ssh.root(
            "systemctl stop ssh.socket; systemctl enable -q ssh.service; systemctl restart ssh.service",
            check=False,
        )
        wait_for_sshd(ssh)
