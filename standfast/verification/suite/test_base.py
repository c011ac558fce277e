"""Name, time zone, packages, accounts, security updates."""

from __future__ import annotations

import time

from testinfra.host import Host as LiveHost

from standfast.inventory.schema import Host

# These give up on a server that is very busy, and then say nothing about it: the password prompts of the
# console, and the wait for a network, over which we have just come.
SAYS_NOTHING = ("systemd-ask-password-", "systemd-networkd-wait-online")


def test_hostname(host: LiveHost, declared: Host, server: str) -> None:
    assert host.check_output("hostname") == (declared.hostname or server)


def test_own_name_resolves(host: LiveHost, declared: Host, server: str) -> None:
    assert host.addr(declared.hostname or server).is_resolvable


def test_timezone(host: LiveHost, declared: Host) -> None:
    assert host.check_output("readlink -f /etc/localtime").endswith(f"/zoneinfo/{declared.timezone}")


def test_package_is_installed(host: LiveHost, package: str) -> None:
    assert host.package(package).is_installed


def test_user_exists(host: LiveHost, declared: Host, user: str) -> None:
    assert host.user(user).shell == declared.users[user].shell


def test_user_may_use_sudo_as_declared(host: LiveHost, declared: Host, user: str) -> None:
    may = host.run("sudo -l -U %s 2>/dev/null | grep -q 'NOPASSWD: ALL'", user).rc == 0
    assert may == declared.users[user].sudo


def test_security_updates_are_installed_daily(host: LiveHost, declared: Host) -> None:
    value = host.check_output("apt-config shell value APT::Periodic::Unattended-Upgrade")
    assert ("1" in value) == declared.upgrades.enabled


def test_no_unit_has_failed(host: LiveHost) -> None:
    listed = host.check_output("systemctl --failed --no-legend --plain").splitlines()
    failed = {line.split()[0] for line in listed}
    assert {unit for unit in failed if not unit.startswith(SAYS_NOTHING)} == set()


def test_root_file_system_can_be_written(host: LiveHost) -> None:
    # After an ext4 error the mount options may still say rw: only writing tells.
    probe = "f=$(mktemp /var/lib/.probe.XXXXXX) && echo probe > $f && sync $f && rm $f"
    assert host.run(probe).rc == 0


def test_clock_is_near_ours(host: LiveHost) -> None:
    assert abs(int(host.check_output("date +%s")) - time.time()) < 60
