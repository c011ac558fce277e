"""What the firewall's rules do on a real server: SSH at a limited rate, a log, many rules in one swap."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable

import pytest

from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.subject import Subject

LOWEST = 20
"""The lowest rate that an inventory may set for SSH."""
LIMITED = {"ssh": {"per_minute": LOWEST}, "log_drops": 6}

# Neighbours on an interface of their own: a network namespace with addresses of two kinds.
NEIGHBOURS = """ip netns add near && ip link add v0 type veth peer name v1 netns near
ip addr add 192.0.2.1/24 dev v0; ip addr add 2001:db8:0:1::1/64 dev v0 nodad; ip addr add 2001:db8:0:2::1/64 dev v0 nodad
ip link set v0 up; ip -n near link set lo up; ip -n near link set v1 up
for i in 2 3; do ip -n near addr add 192.0.2.$i/24 dev v1; ip -n near addr add 2001:db8:0:1::$i/64 dev v1 nodad; done
ip -n near addr add 2001:db8:0:2::2/64 dev v1 nodad"""

# tries TIMES SOURCE TARGET PORT: how many of so many connections at the same time were accepted
TRIES = """
import socket, sys, threading
times, source, target, port = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
accepted = []
def connect():
    try:
        socket.create_connection((target, port), timeout=2, source_address=(source, 0)).close()
        accepted.append(1)
    except OSError:
        pass
threads = [threading.Thread(target=connect) for _ in range(times)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(accepted))
"""


@pytest.fixture(scope="module")
def firewall(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Subject:
    server = lab_server("test-rules")
    subject = Subject(Repository(tmp_path_factory.mktemp("rules")), server, "firewall")
    subject.root(NEIGHBOURS)
    subject.declare(firewall=LIMITED)
    subject.apply()
    return subject


def accepted(subject: Subject, times: int, source: str, port: int = 22) -> int:
    """How many of so many connections at once from a neighbour of this address are accepted."""
    target = {"1": "192.0.2.1", "2": "2001:db8:0:1::1", "3": "2001:db8:0:2::1"}[
        "1" if "." in source else "2" if ":1::" in source else "3"
    ]
    subject.root(f"cat > /run/tries.py << 'END'\n{TRIES}END")
    return int(subject.root(f"ip netns exec near python3 /run/tries.py {times} {source} {target} {port}"))


def packets(subject: Subject, pattern: str) -> int:
    """How many packets have met our IPv4 and IPv6 rules that fit a pattern."""
    listed = subject.root("iptables -vS STANDFAST-INPUT; ip6tables -vS STANDFAST-INPUT")
    counts = [re.search(r" -c (\d+) ", line) for line in listed.splitlines() if re.search(pattern, line)]
    return sum(int(count[1]) for count in counts if count)


def logins(subject: Subject) -> int:
    """How many SSH connections the server has seen so far."""
    return int(subject.root("journalctl --quiet --output=cat -t sshd-session --grep='^Accepted ' | wc -l"))


def test_own_runs_stay_below_the_lowest_rate(firewall: Subject) -> None:
    before = logins(firewall)
    firewall.declare(firewall=LIMITED | {"allow": [{"port": "1000-8000"}]})
    arguments = ("lab", "--only", "firewall")
    firewall.repository.standfast("apply", *arguments, "--yes", expect=0)
    firewall.repository.standfast("drift", *arguments, expect=0)
    used = logins(firewall) - before
    print(f"apply and drift together took {used} new SSH connections")
    assert used < LOWEST


def test_rate_of_ssh_for_each_address(firewall: Subject) -> None:
    many = 3 * LOWEST
    assert LOWEST <= accepted(firewall, many, "192.0.2.2") < many
    assert LOWEST <= accepted(firewall, many, "2001:db8:0:1::2") < many
    assert accepted(firewall, 5, "192.0.2.3") == 5, "another address"
    assert accepted(firewall, LOWEST, "2001:db8:0:1::3") < LOWEST, "the same /64 network"
    assert accepted(firewall, 5, "2001:db8:0:2::2") == 5, "another /64 network"


def test_dropped_packets_are_logged_at_a_limited_rate(firewall: Subject) -> None:
    assert accepted(firewall, 50, "192.0.2.2", port=8099) == 0
    logged, dropped = packets(firewall, "INPUT -m limit .*-j LOG"), packets(firewall, "INPUT -c .*-j DROP")
    print(f"{logged} of {dropped} dropped packets were logged")
    assert dropped >= 50
    assert 0 < logged < dropped


def test_another_rate_holds_at_once(firewall: Subject) -> None:
    firewall.declare(firewall={"ssh": {"per_minute": 1000}})
    firewall.apply()
    assert accepted(firewall, 3 * LOWEST, "192.0.2.2") == 3 * LOWEST


# Stands in front of the real program and writes down how it is called.
SHIM = """#!/bin/sh
echo "$0 $*" >> /run/restored
exec /usr/sbin/${0##*/} "$@"
"""


def test_a_thousand_rules_are_one_swap(firewall: Subject) -> None:
    allow = [
        {"port": 10000 + i, "protocol": ["tcp", "udp"][i % 2 :], "from": [f"10.{i // 250}.{i % 250}.0/24"]}
        for i in range(1000)
    ]
    firewall.declare(firewall={"allow": allow})
    shims = [f"/usr/local/sbin/{tool}" for tool in ("iptables-restore", "ip6tables-restore")]
    for shim in shims:
        firewall.root(f"printf %s {shlex.quote(SHIM)} > {shim}; chmod +x {shim}")
    began = time.monotonic()
    firewall.apply()
    print(f"1,000 rules were planned, applied and compared again in {time.monotonic() - began:.1f} s")
    calls = firewall.root(f"cat /run/restored; rm /run/restored {' '.join(shims)}").splitlines()
    swaps = [call.split()[0] for call in calls if "--noflush" in call and "--test" not in call]
    assert sorted(swaps) == sorted(shims), "one swap for each family"
    assert firewall.root("iptables -S STANDFAST-INPUT | grep -c 'dport 1....'").strip() == "1500"


def test_show_tells_ours_and_others_apart(firewall: Subject) -> None:
    firewall.declare(firewall={"allow": [{"port": 8081}]})
    firewall.apply()
    said = firewall.repository.standfast("firewall", "lab", "show", expect=0).stdout
    assert "host       let in tcp 8081\n" in said
    assert "of others: nothing" in said
    firewall.root(
        "iptables -D STANDFAST-INPUT -p tcp --dport 8081 -j ACCEPT; iptables -A INPUT -p tcp --dport 25 -j DROP; "
        "ip6tables -A STANDFAST-INPUT -p tcp --dport 6379 -j ACCEPT"
    )
    shown = json.loads(firewall.repository.standfast("firewall", "lab", "show", "--json", expect=2).stdout)
    host = shown["hosts"][0]
    different = [(each["family"], each["state"], each["words"]) for each in host["ours"]]
    assert ("ipv4", "missing", "host       let in tcp 8081") in different
    assert ("ipv6", "not declared", "host       let in tcp 6379") in different
    assert [each for each in host["foreign"] if "--dport 25 -j DROP" in each]
    assert host["confirmed"]["confirmed"] is True
    firewall.root("iptables -D INPUT -p tcp --dport 25 -j DROP")
    firewall.apply()
