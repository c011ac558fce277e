"""Random rulesets: what people might declare, and what would lock them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from random import Random
from typing import Any

BARE = "*filter\n:STANDFAST-INPUT - [0:0]\n:STANDFAST-DOCKER - [0:0]\n{}\nCOMMIT\n"
SHORT = 5
"""Seconds within which a hostile one has to be confirmed."""
STAYING = "-A STANDFAST-INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"


@dataclass(frozen=True)
class Ruleset:
    """One part `firewall` of an inventory, and perhaps a template of one's own."""

    firewall: dict[str, Any]
    template: str | None = None
    """Text of an own ``templates/firewall/rules.j2``."""
    hostile: str = ""
    """How it would lock us out; empty when it would not."""
    seen: bool = True
    """Whether the plan can tell, and refuses."""
    arguments: tuple[str, ...] = ()
    """Of the apply."""


def ruleset(random: Random, client: str) -> Ruleset:
    """
    One of three is hostile.

    + client: our IPv4 address, which the hostile ones shut out
    """
    declared = {
        "ssh": {"from": _letting_in(random, client), **_sometimes(random, "per_minute", 300, 1000)},
        "allow": [_opening(random) for _ in range(random.choice([0, 1, 3, 12]))],
        **_sometimes(random, "log_drops", 1, 1000),
    }
    if random.random() < 2 / 3:
        return Ruleset(declared)
    hostile = random.choice(HOSTILE)(random, client, declared | {"confirm_seconds": SHORT})
    if hostile.seen and random.random() < 1 / 2:
        return replace(hostile, seen=False, arguments=("--i-am-elsewhere",))
    return hostile


def _sometimes(random: Random, name: str, low: int, high: int) -> dict[str, int]:
    return {name: random.randint(low, high)} if random.random() < 1 / 3 else {}


def _letting_in(random: Random, client: str) -> list[str]:
    if random.random() < 1 / 2:
        return ["any"]
    own = ip_network(client).supernet(new_prefix=random.choice([8, 16, 24, 30, 32]))
    others = [str(_network(random)) for _ in range(random.randint(0, 3))]
    return random.sample([str(own), *others], 1 + len(others))


def _opening(random: Random) -> dict[str, Any]:
    low = random.randint(1, 65000)
    return {
        "port": random.choice([low, f"{low}-{low + random.randint(1, 500)}"]),
        "protocol": random.choice([["tcp"], ["udp"], ["tcp", "udp"]]),
        "from": random.choice([["any"], [str(_network(random)) for _ in range(random.randint(1, 3))]]),
    }


def _network(random: Random) -> IPv4Network | IPv6Network:
    if random.random() < 1 / 2:
        return ip_network((random.getrandbits(32), random.randint(8, 32)), strict=False)
    return ip_network((0x2001_0DB8 << 96 | random.getrandbits(96), random.randint(33, 128)), strict=False)


def _elsewhere(random: Random, client: str, declared: dict[str, Any]) -> Ruleset:
    networks = [_network(random) for _ in range(random.randint(1, 4))]
    shut_out = [str(network) for network in networks if ip_address(client) not in network]
    return _hostile(declared, "SSH only from elsewhere", shut_out or ["192.0.2.0/24"])


def _ipv6_only(random: Random, client: str, declared: dict[str, Any]) -> Ruleset:
    del client
    return _hostile(declared, "IPv6 only", [f"2001:db8:{random.getrandbits(16):x}::/48"])


def _hostile(declared: dict[str, Any], how: str, sources: list[str]) -> Ruleset:
    return Ruleset(declared | {"ssh": {"from": sources}}, hostile=how)


def _port_moved(random: Random, client: str, declared: dict[str, Any]) -> Ruleset:
    del client
    port = random.randint(1024, 65535)
    rules = [STAYING, f"-A STANDFAST-INPUT -p tcp --dport {port} -j ACCEPT", "-A STANDFAST-INPUT -j DROP"]
    return Ruleset(declared, BARE.format("\n".join(rules)), "SSH's port moved")


def _nothing_in(random: Random, client: str, declared: dict[str, Any]) -> Ruleset:
    del client
    rules = [STAYING, f"-A STANDFAST-INPUT -j {random.choice(['DROP', 'REJECT'])}"]
    return Ruleset(declared, BARE.format("\n".join(rules[random.randint(0, 1) :])), "everything denied")


def _by_interface(random: Random, client: str, declared: dict[str, Any]) -> Ruleset:
    del client
    rules = ["-A STANDFAST-INPUT -i host0 -p tcp --dport 22 -j DROP", "-A STANDFAST-INPUT -j ACCEPT"]
    text = BARE.format("\n".join([STAYING, *rules][random.randint(0, 1) :]))
    return Ruleset(declared, text, "SSH denied on the real network only", seen=False)


HOSTILE: list[Callable[[Random, str, dict[str, Any]], Ruleset]] = [
    _elsewhere,
    _ipv6_only,
    _port_moved,
    _nothing_in,
    _by_interface,
]
