"""What is wrong with a server's rules: ours gone, or SSH shut out by somebody else's. Looks only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from standfast.host.firewall.packets import OURS, USER_CHAIN, Backend, Chain, Tables
from standfast.host.firewall.passage import Packet, Passage, passes

INPUT = f"{OURS}INPUT"
DOCKER = f"{OURS}DOCKER"
JUMPS = (("INPUT", INPUT), (USER_CHAIN, DOCKER))
SSH = re.compile(r" --comment ssh\b")
PORT = re.compile(r" --dport (\d+)\b")
WAYS = (
    ("raw", "PREROUTING", "NEW"),
    ("mangle", "PREROUTING", "NEW"),
    ("mangle", "INPUT", "NEW"),
    ("filter", "INPUT", "NEW"),
    ("raw", "OUTPUT", "ESTABLISHED"),
    ("mangle", "OUTPUT", "ESTABLISHED"),
    ("filter", "OUTPUT", "ESTABLISHED"),
    ("mangle", "POSTROUTING", "ESTABLISHED"),
)
"""Tables and chains that an SSH connection passes; a DROP in any of them is enough."""


@dataclass
class Faults:
    """What is wrong in one backend; nothing when both are empty."""

    ours: list[str] = field(default_factory=list)
    """What is missing of our own, in words."""
    shut: list[tuple[str, str]] = field(default_factory=list)
    """Table and built-in chain in which somebody else's rule or policy drops every SSH connection."""

    def told(self, backend: Backend) -> Iterator[str]:
        """For people."""
        for what in self.ours:
            yield f"{backend.name}: {what}"
        for table, chain in self.shut:
            yield f"{backend.name}: {table} {chain} drops every SSH connection"


def inspect(backend: Backend, now: Tables, then: Tables, *, ours: bool) -> Faults:
    """
    Hold the rules of now against those of the moment when ours were confirmed.

    + ours: whether it is the backend that has our chains

    A rule of ours that is missing or too many is left to a person, unless it is one for SSH.
    """
    faults = Faults()
    filter_now, filter_then = now.get("filter", {}), then.get("filter", {})
    ports = ssh_ports(then) if ours else set()
    if ours:
        faults.ours = list(_missing(filter_now, filter_then))
        if not faults.ours and ports and not _through_ours(filter_now, ports):
            faults.ours.append(f"{INPUT} drops every SSH connection")
    for table, chain, state in WAYS:
        to_ours = ours and (table, chain) == ("filter", "INPUT")
        passage = Passage(until=INPUT) if to_ours else Passage(lenient=True)
        closed = any(
            not passes(now.get(table, {}), chain, Packet(port, state), passage)
            and passes(then.get(table, {}), chain, Packet(port, state), passage)
            for port in ports or {22}
        )
        if closed:
            faults.shut.append((table, chain))
    return faults


def ssh_ports(tables: Tables) -> set[int]:
    """The ports that our rules open for SSH."""
    rules = tables.get("filter", {}).get(INPUT, Chain()).rules
    return {int(match[1]) for rule in rules if SSH.search(rule) and (match := PORT.search(rule))}


def _missing(now: Mapping[str, Chain], then: Mapping[str, Chain]) -> Iterator[str]:
    for name, chain in then.items():
        if not name.startswith(OURS):
            continue
        if name not in now:
            yield f"the chain {name} is gone"
        elif chain.rules and not now[name].rules:
            yield f"the chain {name} is empty"
        else:
            for rule in chain.rules:
                if SSH.search(rule) and rule not in now[name].rules:
                    yield f"the rule for SSH is gone: {rule}"
    for parent, name in JUMPS:
        had, has = (_jumps(chains.get(parent), name) for chains in (then, now))
        if had and not has:
            yield f"the jump from {parent} to {name} is gone"


def _jumps(chain: Chain | None, target: str) -> bool:
    return chain is not None and any(rule.endswith(f" -j {target}") for rule in chain.rules)


def _through_ours(chains: dict[str, Chain], ports: set[int]) -> bool:
    """Whether our own chain still lets somebody in: a DROP may have been put before the rule for SSH."""
    rules = [rule for rule in chains[INPUT].rules if SSH.search(rule)]
    return all(passes(chains, INPUT, Packet(port, "NEW"), Passage(certain=rules)) for port in ports)
