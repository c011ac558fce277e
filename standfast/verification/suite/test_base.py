"""Name, time zone, packages, accounts, security updates, and that systemd keeps what is declared at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from standfast.inventory.public_keys import key_lines
from standfast.inventory.schema import Host
from standfast.verification.seen import Seen

# These give up on a server that is very busy, and then say nothing about it: the password prompts of the
# console, and the wait for a network, over which we have just come.
SAYS_NOTHING = ("systemd-ask-password-", "systemd-networkd-wait-online")
SECURITY = ("label=Debian-Security", "suite=${distro_codename}-security")
TOLERANCE = 60
"""Seconds by which clocks may differ, and within which the journal has heard of our own visit."""


def told(seen: Seen, look: str, user: str) -> str:
    """What a look says about one account: the rest of the line that begins with its name."""
    lines = [line for line in seen.lines(look) if line.split(" ")[0].split(":")[0] == user]
    return lines[0] if lines else ""


def test_hostname(seen: Seen, declared: Host, server: str) -> None:
    assert seen.text("name").strip() == (declared.hostname or server)


def test_own_name_resolves(seen: Seen) -> None:
    assert seen.text("own address").strip()


def test_timezone(seen: Seen, declared: Host) -> None:
    assert seen.text("time zone").strip().endswith(f"/zoneinfo/{declared.timezone}")


def test_clock_is_near_ours(seen: Seen) -> None:
    assert abs(int(seen.text("clock")) - seen.at) < TOLERANCE


def test_package_is_installed(seen: Seen, package: str) -> None:
    assert f"{package} ii" in [line.strip() for line in seen.lines("packages")]


def test_unit_is_at_work(seen: Seen, unit: str) -> None:
    assert state(seen, unit)["ActiveState"] == "active"


def test_unit_starts_at_boot(seen: Seen, unit: str) -> None:
    # `static`: started by others, and not to be enabled, for example the journal.
    assert state(seen, unit)["UnitFileState"] in ("enabled", "static")


def state(seen: Seen, unit: str) -> dict[str, str]:
    """What systemd says about a unit; empty values when it does not know it."""
    blocks = [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in seen.text("units").split("\n\n")
    ]
    return next(
        (block for block in blocks if block.get("Id") == unit), {"ActiveState": "", "UnitFileState": ""}
    )


def test_no_unit_has_failed(seen: Seen) -> None:
    failed = {line.split()[0] for line in seen.lines("failed units")}
    assert {unit for unit in failed if not unit.startswith(SAYS_NOTHING)} == set()


def test_root_file_system_can_be_written(seen: Seen) -> None:
    assert seen.text("writing") == ""


def test_journal_takes_what_is_said(seen: Seen) -> None:
    newest = seen.text("journal").split(" ")[0]
    assert abs(float(newest) - int(seen.text("clock"))) < TOLERANCE


def test_security_updates_are_installed_daily(seen: Seen, declared: Host) -> None:
    value = f'APT::Periodic::Unattended-Upgrade "{int(declared.upgrades.enabled)}";'
    assert value in seen.lines("upgrades")


def test_only_security_updates_are_installed(seen: Seen) -> None:
    prefixes = ("Unattended-Upgrade::Origins-Pattern:: ", "Unattended-Upgrade::Allowed-Origins:: ")
    origins = [line for line in seen.lines("upgrades") if line.startswith(prefixes)]
    assert any(SECURITY[0] in line for line in origins)
    assert [line for line in origins if "ecurity" not in line and "ESM" not in line] == []


def test_reboots_only_when_declared(seen: Seen, declared: Host) -> None:
    at = declared.upgrades.reboot_at
    lines = seen.lines("upgrades")
    assert f'Unattended-Upgrade::Automatic-Reboot "{"true" if at else "false"}";' in lines
    assert not at or f'Unattended-Upgrade::Automatic-Reboot-Time "{at}";' in lines


def test_user_exists(seen: Seen, declared: Host, user: str) -> None:
    assert told(seen, "accounts", user).rpartition(":")[2] == declared.users[user].shell


def test_user_is_in_its_groups(seen: Seen, declared: Host, user: str) -> None:
    assert set(declared.users[user].groups) <= set(told(seen, "groups", user).split()[1:])


def test_user_may_use_sudo_as_declared(seen: Seen, declared: Host, user: str) -> None:
    may = any("NOPASSWD: ALL" in line for line in seen.lines("sudo") if line.startswith(f"{user} "))
    assert may == declared.users[user].sudo


def test_user_has_the_declared_keys_and_no_other(seen: Seen, declared: Host, user: str, root: Path) -> None:
    beginning = f"key {user} "
    found = [line.removeprefix(beginning) for line in seen.lines("keys") if line.startswith(beginning)]
    assert found == key_lines(declared.users[user].keys, root)


def test_only_the_user_may_write_its_keys(seen: Seen, declared: Host, user: str) -> None:
    if not declared.users[user].keys:
        pytest.skip("no keys are declared")
    assert f"file {user} {user} 600" in seen.lines("keys")


def rights(seen: Seen, path: str) -> tuple[str, str, int]:
    """Owner, group and mode of a file that must be there."""
    for line in seen.lines("files"):
        owner, group, mode, name = line.split(" ", 3)
        if name == path:
            return owner, group, int(mode, 8)
    raise AssertionError(f"{path}: it does not exist")


def test_only_root_may_read(seen: Seen, private_file: str) -> None:
    owner, group, mode = rights(seen, private_file)
    assert (owner, oct(mode & 0o007)) == ("root", "0o0")
    assert group == "root" or not mode & 0o070


def test_only_root_may_write(seen: Seen, root_only_file: str) -> None:
    owner, _, mode = rights(seen, root_only_file)
    assert (owner, oct(mode & 0o022)) == ("root", "0o0")


def test_our_program_runs(seen: Seen) -> None:
    assert seen.text("program").startswith("{")
