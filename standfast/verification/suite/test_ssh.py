"""What the SSH server allows, as it says itself."""

from __future__ import annotations

import pytest

from standfast.inventory.schema import Host
from standfast.verification.seen import Seen


@pytest.fixture
def effective(seen: Seen) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in seen.lines("sshd") if " " in line)


def own(declared: Host, setting: str) -> bool:
    """Whether the inventory says something else about a setting."""
    return setting in map(str.lower, declared.ssh_server.settings)


def test_root_login(effective: dict[str, str], declared: Host) -> None:
    allowed = effective["permitrootlogin"] != "no"
    assert allowed == declared.ssh_server.root_login
    assert effective["permitrootlogin"] != "yes"


def test_password_login(effective: dict[str, str], declared: Host) -> None:
    assert (effective["passwordauthentication"] == "yes") == declared.ssh_server.password_login


def test_password_login_by_another_door(effective: dict[str, str]) -> None:
    assert effective["kbdinteractiveauthentication"] == "no"


def test_no_login_without_a_password(effective: dict[str, str], declared: Host) -> None:
    assert own(declared, "permitemptypasswords") or effective["permitemptypasswords"] == "no"


def test_keys_are_accepted(effective: dict[str, str], declared: Host) -> None:
    assert own(declared, "pubkeyauthentication") or effective["pubkeyauthentication"] == "yes"


def test_nothing_draws_on_our_screens(effective: dict[str, str], declared: Host) -> None:
    assert own(declared, "x11forwarding") or effective["x11forwarding"] == "no"


def test_settings(effective: dict[str, str], declared: Host) -> None:
    found = {name: effective.get(name.lower()) for name in declared.ssh_server.settings}
    assert found == declared.ssh_server.settings


def test_ssh_starts_at_boot(seen: Seen) -> None:
    assert "enabled" in seen.lines("sshd at boot")
