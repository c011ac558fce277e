"""What the watchdog takes for a lock-out, and what it leaves alone."""

from __future__ import annotations

import pytest

from standfast.host.firewall import docker
from standfast.host.firewall.inspection import inspect
from standfast.host.firewall.packets import Backend, parse

IPTABLES = Backend("ipv4", "iptables")
LEGACY = Backend("ipv4", "iptables-legacy")
SSH = "-A STANDFAST-INPUT -p tcp -m tcp --dport 22 -m comment --comment ssh -j ACCEPT"
LIMITED = (
    "-A STANDFAST-INPUT -s 203.0.113.0/24 -p tcp -m tcp --dport 22 -m hashlimit --hashlimit-upto 6/min "
    "--hashlimit-burst 6 --hashlimit-mode srcip --hashlimit-name ssh-6 -m comment --comment ssh -j ACCEPT"
)
OURS = f"""*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER-USER - [0:0]
:STANDFAST-DOCKER - [0:0]
:STANDFAST-INPUT - [0:0]
-A INPUT -j STANDFAST-INPUT
-A DOCKER-USER -j STANDFAST-DOCKER
-A STANDFAST-DOCKER -m conntrack --ctstate DNAT -j DROP
-A STANDFAST-INPUT -i lo -j ACCEPT
-A STANDFAST-INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
{SSH}
-A STANDFAST-INPUT -p tcp -m tcp --dport 22 -j DROP
-A STANDFAST-INPUT -p tcp -m tcp --dport 80 -j ACCEPT
-A STANDFAST-INPUT -j DROP
COMMIT
"""


def found(now: str, then: str = OURS, backend: Backend = IPTABLES) -> list[str]:
    """What is wrong, in words."""
    ours = backend is IPTABLES
    return list(inspect(backend, parse(now), parse(then), ours=ours).told(backend))


def before(line: str, rule: str) -> str:
    """The rules with another one in front of one of them."""
    return OURS.replace(line, f"{rule}\n{line}", 1)


def test_what_was_confirmed_is_right() -> None:
    assert found(OURS) == []
    limited = OURS.replace(SSH, LIMITED)
    assert found(limited, limited) == []


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("", "the chain STANDFAST-DOCKER is gone"),
        (OURS.replace("-A INPUT -j STANDFAST-INPUT\n", ""), "the jump from INPUT to STANDFAST-INPUT is gone"),
        (
            OURS.replace("-A DOCKER-USER -j STANDFAST-DOCKER\n", ""),
            "the jump from DOCKER-USER to STANDFAST-DOCKER is gone",
        ),
        (OURS.replace(f"{SSH}\n", ""), f"the rule for SSH is gone: {SSH}"),
        (
            "\n".join(line for line in OURS.splitlines() if not line.startswith("-A STANDFAST-INPUT")),
            "the chain STANDFAST-INPUT is empty",
        ),
        (before(SSH, "-A STANDFAST-INPUT -j DROP"), "STANDFAST-INPUT drops every SSH connection"),
        (
            before(SSH, "-A STANDFAST-INPUT -p tcp -m multiport --dports 20:30,80 -j REJECT --reject-with tcp-reset"),
            "STANDFAST-INPUT drops every SSH connection",
        ),
        (before("-A INPUT", "-A INPUT -p tcp -m tcp --dport 22 -j DROP"), "filter INPUT drops every SSH connection"),
        (
            before("-A INPUT", "-A INPUT -m conntrack --ctstate NEW -j REJECT --reject-with icmp-port-unreachable"),
            "filter INPUT drops every SSH connection",
        ),
        (OURS.replace(":OUTPUT ACCEPT", ":OUTPUT DROP"), "filter OUTPUT drops every SSH connection"),
        (
            f"{OURS}*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 22 -j DROP\nCOMMIT\n",
            "raw PREROUTING drops every SSH connection",
        ),
        (f"{OURS}*mangle\n:INPUT DROP [0:0]\nCOMMIT\n", "mangle INPUT drops every SSH connection"),
    ],
)  # fmt: skip
def test_a_lock_out_is_seen(now: str, said: str) -> None:
    assert f"iptables: {said}" in found(now)


@pytest.mark.parametrize(
    "now",
    [
        OURS.replace(":INPUT ACCEPT", ":INPUT DROP"),
        before("-A INPUT", "-A INPUT -p tcp -m multiport --dports 22 -m set --match-set f2b src -j DROP"),
        before("-A INPUT", "-A INPUT -s 198.51.100.7/32 -j DROP"),
        before("-A INPUT", "-A INPUT -p tcp -m tcp --dport 25 -j DROP"),
        before("-A INPUT", "-A INPUT -m conntrack --ctstate INVALID -j DROP"),
        before("-A INPUT", "-A INPUT -i lo -p tcp -m tcp --dport 22 -j DROP"),
        before("-A INPUT", "-A INPUT ! -p udp -m tcp --dport 25 -j DROP"),
        OURS.replace(":INPUT ACCEPT [0:0]", ":INPUT ACCEPT [0:0]\n:f2b-sshd - [0:0]").replace(
            "-A INPUT -j",
            "-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd\n-A f2b-sshd -s 192.0.2.1/32 -j REJECT "
            "--reject-with icmp-port-unreachable\n-A f2b-sshd -j RETURN\n-A INPUT -j",
        ),
        OURS.replace("-A STANDFAST-INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n", ""),
        OURS.replace(":OUTPUT ACCEPT", ":OUTPUT DROP").replace(
            "-A INPUT -j", "-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -j"
        ),
    ],
)
def test_what_shuts_nobody_out_is_left_alone(now: str) -> None:
    assert found(now) == []


def test_the_old_backend_may_not_shut_ssh_out_either() -> None:
    shut = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j DROP\nCOMMIT\n"
    assert found(shut, "", LEGACY) == ["iptables-legacy: filter INPUT drops every SSH connection"]
    assert found(shut, shut, LEGACY) == [], "somebody got in with it, so there is more to it"


@pytest.mark.parametrize(
    ("forward", "wrong"),
    [
        (["-j DOCKER-USER", "-j DOCKER-ISOLATION-STAGE-1", "-o docker0 -j DOCKER"], False),
        (["-j DOCKER-ISOLATION-STAGE-1", "-j DOCKER-USER", "-o docker0 -j DOCKER"], False),
        (["-s 192.0.2.1/32 -j DROP", "-j DOCKER-USER", "-j DOCKER-FORWARD"], False),
        (["-j DOCKER-ISOLATION-STAGE-1", "-o docker0 -j DOCKER", "-j DOCKER-USER"], True),
        (["-j DOCKER-FORWARD"], True),
        ([], True),
    ],
)
def test_the_way_to_the_users_chain_comes_before_dockers_own(forward: list[str], wrong: bool) -> None:
    rules = "\n".join(f"-A FORWARD {rule}" for rule in forward)
    tables = parse(f"*filter\n:FORWARD DROP [0:0]\n:DOCKER-USER - [0:0]\n{rules}\nCOMMIT\n")
    had = docker.Rules(7, frozenset({"ipv4 filter FORWARD DOCKER-USER"}), frozenset())
    assert docker.passes_by_user_chain(had, tables, "ipv4") is wrong
    assert docker.passes_by_user_chain(None, {}, "ipv4") is False


def test_docker_is_missed_only_when_the_same_daemon_had_it() -> None:
    had = docker.Rules(7, frozenset({"ipv4 nat PREROUTING DOCKER"}), frozenset())
    gone = docker.Rules(7, frozenset(), frozenset({8080}))
    assert docker.missing(had, gone) == [
        "Docker's jump is gone: ipv4 nat PREROUTING DOCKER",
        "Docker's rule for the published port 8080 is gone",
    ]
    assert docker.missing(had, docker.Rules(8, frozenset(), frozenset())) == []
    assert docker.missing(None, gone) == []
    assert docker.missing(gone, had) == []
