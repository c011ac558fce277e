"""Name, time zone, packages, accounts and security updates on a real server."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from standfast.lab import nspawn
from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.subject import Subject
from tests.server.test_lock import wait_for


@pytest.fixture(scope="module")
def base(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Subject:
    subject = Subject(Repository(tmp_path_factory.mktemp("base")), lab_server("test-base"), "base")
    key = subject.repository.root / "hanako"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    subject.declare(
        hostname="web-1",
        timezone="Asia/Tokyo",
        packages=["tree"],
        upgrades={"reboot_at": "04:30"},
        users={"hanako": {"keys": ["hanako.pub"], "sudo": True, "groups": ["adm"], "shell": "/bin/sh"}},
    )
    expected = [
        "hostname",
        "/etc/hosts",
        "package unattended-upgrades",
        "package tree",
        "time zone",
        "account hanako",
        "hanako's authorized_keys",
        "/etc/sudoers.d/standfast-hanako",
        "/etc/apt/apt.conf.d/20auto-upgrades",
        "/etc/apt/apt.conf.d/52standfast",
    ]
    assert [target for target in subject.targets() if target in expected] == expected
    return subject


def hanako(base: Subject, command: str) -> str:
    """What a command says to hanako, who logs in with her own key."""
    key = str(base.repository.root / "hanako")
    return base.ssh("-o", f"IdentityFile={key}", "-l", "hanako", command=command).stdout.strip()


def test_first_apply(base: Subject) -> None:
    before = base.root("cat /home/ops/.ssh/authorized_keys; getent passwd ops; id ops")
    base.apply()
    assert base.targets() == []
    assert base.root("hostname; getent hosts web-1").split() == ["web-1", "127.0.1.1", "web-1"]
    assert base.root("date +%Z").strip() == "JST"
    assert hanako(base, "sudo -n id -un") == "root"
    assert base.root("id -Gn hanako").split() == ["hanako", "adm"]
    assert base.root("stat -c '%U %a' /home/hanako/.ssh /home/hanako/.ssh/authorized_keys").split() == [
        *("hanako", "700"),
        *("hanako", "600"),
    ]
    assert base.root("cat /home/ops/.ssh/authorized_keys; getent passwd ops; id ops") == before


def test_security_updates_only(base: Subject) -> None:
    said = base.root("unattended-upgrade --dry-run --verbose 2>&1")
    assert "Allowed origins are:" in said
    allowed = next(line for line in said.splitlines() if "Allowed origins are:" in line)
    assert all("security" in origin.lower() for origin in allowed.partition(":")[2].split(", "))
    assert 'Automatic-Reboot-Time "04:30"' in base.root("apt-config dump")


def test_cron_knows_the_new_time_zone(base: Subject) -> None:
    started = base.root("stat -c %Y /proc/$(systemctl show -p MainPID --value cron)")
    changed = base.root("stat -c %Y /etc/localtime")
    assert int(started) >= int(changed)


def test_a_zone_that_is_another_name_for_one(base: Subject) -> None:
    """In the time zone database UTC is a link to Etc/UTC."""
    base.declare(timezone="UTC")
    base.apply()
    verification = json.loads(base.repository.standfast("verify", "lab", "--json").stdout)
    outcomes = {check["check"].partition("[")[0]: check["outcome"] for check in verification["checks"]}
    assert outcomes["test_timezone"] == "passed"
    base.declare(timezone="Asia/Tokyo")
    base.apply()


def test_repair(base: Subject) -> None:
    base.root(
        "export DEBIAN_FRONTEND=noninteractive; set -e; echo other > /etc/hostname; sed -i /web-1/d /etc/hosts;"
        "ln -sf ../usr/share/zoneinfo/Europe/Paris /etc/localtime; chmod 666 /etc/sudoers.d/standfast-hanako;"
        "gpasswd -d hanako adm; usermod -s /bin/bash hanako; systemctl disable --now apt-daily.timer;"
        "rm /etc/apt/apt.conf.d/52standfast; apt-get -qq remove -y tree"
    )
    assert sorted(set(base.targets())) == [
        "/etc/apt/apt.conf.d/52standfast",
        "/etc/hosts",
        "/etc/sudoers.d/standfast-hanako",
        "account hanako",
        "apt-daily.timer",
        "hostname",
        "package tree",
        "time zone",
    ]
    base.apply()


@pytest.mark.parametrize(
    "damage",
    [
        "echo '# mine' >> authorized_keys",
        "chmod 666 authorized_keys",
        "chown -R root:root .",
        "rm authorized_keys; ln -s /etc/shadow authorized_keys",
    ],
)
def test_keys_are_repaired_without_following_links(base: Subject, damage: str) -> None:
    base.root(f"cd /home/hanako/.ssh; {damage}")
    assert base.targets() == ["hanako's authorized_keys"]
    base.apply()
    assert hanako(base, "sudo -n id -un") == "root"
    assert base.root("stat -c '%U %a' /etc/shadow").split() == ["root", "640"]


def test_interrupted_dpkg_is_repaired(base: Subject) -> None:
    base.root("cd /tmp; apt-get -qq download jq; dpkg --unpack jq_*.deb || :")
    base.declare(packages=["tree", "jq"])
    assert [change["detail"] for change in base.changes()] == ["its installation was cut off (unpacked)"]
    base.apply()
    assert base.root("echo 1 | jq .; dpkg --audit").strip() == "1"


def test_unknown_package(base: Subject) -> None:
    base.declare(packages=["tree", "jq", "no-such-package"])
    said = base.apply(expect=1)
    assert "Unable to locate package no-such-package" in said
    assert "package sources" in said
    base.declare(packages=["tree", "jq"])


def test_an_installation_outlives_the_controller(base: Subject) -> None:
    base.declare(packages=["tree", "jq", "postgresql-client"])
    installing = ("apply", "lab", "--yes", "--no-verify", "--only", "base")
    controller = base.repository.started(*installing, stderr=subprocess.DEVNULL)
    wait_for(lambda: base.root("pgrep -x apt-get || :").strip() != "", 60)
    controller.send_signal(signal.SIGKILL)
    controller.wait()
    # It goes on; one apt-get follows the other there, and in between none runs.
    wait_for(lambda: base.root("command -v psql; pgrep -x apt-get || :").strip() == "/usr/bin/psql", 60)
    assert base.root("dpkg --audit").strip() == ""
    base.apply()


def test_own_key_cannot_be_taken_away(base: Subject) -> None:
    base.declare(users=base.host["users"] | {"ops": {"keys": ["hanako.pub"], "sudo": True}})
    assert "with which standfast itself is logged in as ops" in base.refusal()
    base.repository.write("ops.pub", Path(base.server.ssh_config).with_name("id_ed25519.pub").read_text())
    base.declare(users=base.host["users"] | {"ops": {"keys": ["ops.pub", "hanako.pub"], "sudo": True}})
    base.apply()
    base.declare(users=base.host["users"] | {"ops": {"keys": ["ops.pub"], "sudo": False}})
    assert "users.ops.sudo: expected true" in base.refusal()
    base.declare(users={"hanako": base.host["users"]["hanako"]})


def test_accounts_that_are_no_longer_declared_stay(base: Subject) -> None:
    declared = base.host["users"]
    base.declare(users={})
    base.apply()
    assert hanako(base, "id -un") == "hanako"
    base.declare(users=declared)


def test_reboot(base: Subject) -> None:
    nspawn.reboot(base.server.name)
    assert base.targets() == []
    assert base.root("hostname; date +%Z").split() == ["web-1", "JST"]
