"""Rules, chains and tables of the packet filter that are neither ours nor Docker's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from standfast.drift.finding import Finding, quoted
from standfast.drift.known import Known
from standfast.facts.packet_filter import PacketFilter, Table

OURS = "STANDFAST-"
DOCKERS = "DOCKER"
USER_CHAIN = "DOCKER-USER"
BRIDGE = re.compile(r" (docker0|docker_gwbridge|br-[0-9a-f]{12}) ")
TO_DOCKER = re.compile(r" -j DOCKER[A-Z0-9-]*$")
HAIRPIN = re.compile(r"-A POSTROUTING -s (?P<address>\S+) -d (?P=address) .*-j MASQUERADE")
PASSING = ("FORWARD", "PREROUTING", "POSTROUTING", "OUTPUT")  # chains in which Docker has rules


def findings(known: Known, found: PacketFilter) -> Iterator[Finding]:
    """Whatever rules on this server besides our chains and Docker's."""
    for table in found.tables:
        yield from _table(table)
    if known.host.docker is not None:
        yield from _dockers_own(found)
    for name in found.nft:
        yield _finding(
            f"nft/{name}",
            f"nft table {name}",
            "not declared; its rules hold as well, and iptables does not show them",
        )
    for name in found.rivals:
        yield _finding(name, f"{name}.service", "not declared; it loads rules of its own at boot, over ours")


def _table(table: Table) -> Iterator[Finding]:
    place = f"{table.family}/{table.name}" + ("/legacy" if table.legacy else "")
    if table.foreign:
        yield _finding(f"{place}/nft", f"firewall {place}", "has rules of nft that iptables cannot show")
        return
    strange = [chain for chain, policy in table.chains.items() if policy == "-" and not _known_chain(chain)]
    for chain in strange:
        count = sum(rule.startswith(f"-A {chain} ") for rule in table.rules)
        jumps = [rule for rule in table.rules if re.search(rf" -[jg] {re.escape(chain)}( |$)", rule)]
        used = f"used by {quoted(jumps[0])}" if jumps else "used by no rule"
        rules = f"{count} rule{'' if count == 1 else 's'}"
        yield _finding(
            f"{place}/{chain}", f"firewall chain {place} {chain}", f"not declared; {rules}, {used}"
        )
    for chain, policy in table.chains.items():
        if policy not in {"-", "ACCEPT"} and (table.name, chain) != ("filter", "FORWARD"):
            yield _finding(
                f"{place}/{chain}",
                f"firewall {place} {chain}",
                f"not declared; the policy is {policy}, not ACCEPT",
            )
    for rule in dict.fromkeys(table.rules):
        words = rule.split(" ", 2)
        chain = words[1]
        if chain in strange or any(re.search(rf" -[jg] {re.escape(each)}( |$)", rule) for each in strange):
            continue
        if table.legacy or not (_ours(rule, chain) or _dockers(rule, chain)):
            old = "in the old backend, which iptables does not show: " if table.legacy else ""
            yield _finding(f"{place} {rule}", f"firewall rule {place}", f"not declared; {old}{quoted(rule)}")


def _known_chain(chain: str) -> bool:
    return chain.startswith((OURS, DOCKERS))


def _ours(rule: str, chain: str) -> bool:
    return chain.startswith(OURS) or f" -j {OURS}" in rule


def _dockers(rule: str, chain: str) -> bool:
    """Whether Docker writes rules like this one."""
    if rule == f"-A {USER_CHAIN} -j RETURN":
        return True
    if chain == USER_CHAIN:
        return False
    if chain.startswith(DOCKERS):
        return bool(BRIDGE.search(rule) or TO_DOCKER.search(rule)) or rule.endswith(f"{chain} -j RETURN")
    if chain not in PASSING:
        return False
    return bool(BRIDGE.search(rule) or TO_DOCKER.search(rule) or HAIRPIN.match(rule))


def _dockers_own(found: PacketFilter) -> Iterator[Finding]:
    """Docker writes its rules when it starts: whoever flushes them cuts containers off."""
    nat = next((each for each in found.tables if (each.family, each.name) == ("ipv4", "nat")), None)
    if not found.tables:
        return
    if nat is None or "DOCKER" not in nat.chains or not any(TO_DOCKER.search(rule) for rule in nat.rules):
        yield Finding(
            "firewall:ipv4/nat/DOCKER",
            "firewall",
            "missing",
            "firewall rules of Docker",
            "gone: published ports are dead, and so is the containers' way out: `systemctl restart docker`",
        )


def _finding(id_: str, what: str, why: str) -> Finding:
    return Finding(f"firewall:{id_}", "firewall", "unmanaged", what, why)
