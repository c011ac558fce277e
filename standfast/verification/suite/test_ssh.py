"""What the SSH server allows, as it says itself."""

from __future__ import annotations

import pytest
from testinfra.host import Host as LiveHost

from standfast.inventory.schema import Host


@pytest.fixture
def effective(host: LiveHost) -> dict[str, str]:
    lines = host.check_output("sshd -T").splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


def test_root_login(effective: dict[str, str], declared: Host) -> None:
    allowed = effective["permitrootlogin"] != "no"
    assert allowed == declared.ssh_server.root_login
    assert effective["permitrootlogin"] != "yes"


def test_password_login(effective: dict[str, str], declared: Host) -> None:
    assert (effective["passwordauthentication"] == "yes") == declared.ssh_server.password_login


def test_settings(effective: dict[str, str], declared: Host) -> None:
    found = {name: effective.get(name.lower()) for name in declared.ssh_server.settings}
    assert found == declared.ssh_server.settings


def test_ssh_starts_at_boot(host: LiveHost) -> None:
    assert any(host.service(name).is_enabled for name in ("ssh", "ssh.socket"))
