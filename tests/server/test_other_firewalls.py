"""Other firewalls on a real server: named and refused, or switched off with the user's word."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.subject import Subject

TABLES = """flush ruleset
table inet mine { chain input { type filter hook input priority 0; policy accept; tcp dport 8081 drop; }; }"""

OTHERS = {
    "ufw": "ufw --force enable",
    "nftables": f"echo '{TABLES}' > /etc/nftables.conf; systemctl enable --now nftables",
    "firewalld": "systemctl enable --now firewalld",
    "iptables-legacy": "iptables-legacy -P FORWARD DROP; iptables-legacy -A INPUT -p tcp --dport 8081 -j DROP; "
    "ip6tables-legacy -N mine; ip6tables-legacy -A INPUT -j mine; ip6tables-legacy -A mine -p tcp --dport 8081 -j DROP",
}


@pytest.fixture(scope="module")
def firewall(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Subject:
    subject = Subject(Repository(tmp_path_factory.mktemp("others")), lab_server("test-others"), "firewall")
    subject.root(
        "DEBIAN_FRONTEND=noninteractive apt-get -qq update && "
        "DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends ufw nftables firewalld; "
        "systemctl disable --now firewalld; iptables -t nat -N DOCKER"
    )
    subject.declare(firewall={})
    subject.apply()
    return subject


@pytest.mark.parametrize("name", OTHERS)
def test_refused_and_with_the_users_word_switched_off(firewall: Subject, name: str) -> None:
    firewall.declare(firewall={})
    firewall.root(OTHERS[name])
    assert f"Say `replace: [{name}]`" in firewall.refusal()
    firewall.declare(firewall={"replace": [name], "allow": [{"port": 8081}]})
    if name == "nftables":  # it has just flushed everything
        firewall.root("iptables -t nat -N DOCKER")
    assert name in firewall.targets()
    firewall.apply()
    assert firewall.targets() == []
    for tool in ("iptables", "ip6tables"):
        rules = firewall.root(f"{tool} -S").splitlines()
        assert "-A INPUT -j STANDFAST-INPUT" in rules
        assert "-P INPUT ACCEPT" in rules
        assert [rule for rule in rules if "ufw" in rule] == []
    assert firewall.root("nft list tables | grep inet || :") == ""
    assert firewall.root("iptables-legacy-save; ip6tables-legacy-save").count("8081") == 0
    assert "-N DOCKER\n" in firewall.root("iptables -t nat -S"), "Docker's rules stay"
    assert firewall.ssh().returncode == 0


def test_that_they_start_at_boot_is_enough(firewall: Subject) -> None:
    firewall.declare(firewall={})
    firewall.root("systemctl enable firewalld")
    assert "found firewalld, which runs or starts at boot" in firewall.refusal()
    firewall.root("systemctl disable firewalld")
    assert "firewalld" not in firewall.targets(), "and the plan is not refused"
