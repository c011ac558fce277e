"""
Docker's own rules: dockerd writes them when it starts, and does not notice when somebody flushes them.

What they look like differs between versions, so what was there while dockerd worked is remembered, and
missed when it is gone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from standfast.host.firewall import durable
from standfast.host.firewall.packets import DOCKERS_LINE, USER_CHAIN, Chain, Tables

PID = Path("/run/docker.pid")
MEMORY = Path("/run/standfast/docker-rules.json")
ISOLATION = "-j DOCKER-ISOLATION-"
"""Only drops, and returns."""
JUMP = re.compile(r"^-A (?P<chain>[A-Z]+) .*-[jg] (?P<target>DOCKER[A-Z0-9-]*)$")
DNAT = re.compile(r"^-A DOCKER .*--dport (?P<port>\d+) .*-j DNAT\b")


@dataclass(frozen=True)
class Rules:
    """What a running dockerd has in the packet filter."""

    pid: int
    jumps: frozenset[str]
    """Jumps from built-in chains to Docker's, for example ``ipv4 nat PREROUTING DOCKER``."""
    unpublished: frozenset[int]
    """TCP and UDP ports that a proxy of Docker's serves, and no rule leads to."""


def look(tables: Mapping[str, Tables]) -> Rules | None:
    """
    What is there now; ``None`` when no dockerd runs.

    + tables: by address family, of the backend that iptables shows
    """
    pid = _running()
    if pid is None:
        return None
    jumps = frozenset(
        f"{family} {table} {match['chain']} {match['target']}"
        for family, all_tables in tables.items()
        for table, chains in all_tables.items()
        for chain in chains.values()
        for rule in chain.rules
        if (match := JUMP.match(rule))
    )
    led = {int(match["port"]) for rule in _nat(tables) if (match := DNAT.match(rule))}
    return Rules(pid, jumps, frozenset(_proxied()) - led)


def remember(rules: Rules | None) -> None:
    """Keep what was there, for a watchdog that is started anew; not beyond a reboot."""
    if rules is not None:
        durable.write_json(
            MEMORY,
            {"pid": rules.pid, "jumps": sorted(rules.jumps), "unpublished": sorted(rules.unpublished)},
        )


def remembered() -> Rules | None:
    """What was there before the watchdog was started anew."""
    found = durable.read_json(MEMORY)
    return Rules(found["pid"], frozenset(found["jumps"]), frozenset(found["unpublished"])) if found else None


def missing(before: Rules | None, now: Rules | None) -> list[str]:
    """What the same dockerd had before and has no more, in words."""
    if before is None or now is None or before.pid != now.pid:
        return []
    gone = [f"Docker's jump is gone: {jump}" for jump in sorted(before.jumps - now.jumps)]
    ports = sorted(now.unpublished - before.unpublished)
    return gone + [f"Docker's rule for the published port {port} is gone" for port in ports]


def passes_by_user_chain(before: Rules | None, tables: Tables, family: str) -> bool:
    """
    Whether packets reach Docker's own rules before the user's chain, so that every published port is open.

    A dockerd that finds its networks alive (live-restore) does not write the jump to that chain anew when it
    starts, and puts its other rules in front of one that is there.
    """
    chains = tables.get("filter", {})
    rules = chains.get("FORWARD", Chain()).rules
    had = before is not None and f"{family} filter FORWARD {USER_CHAIN}" in before.jumps
    for rule in rules:
        if rule.endswith(f" -j {USER_CHAIN}"):
            return False
        if DOCKERS_LINE.search(rule) and ISOLATION not in rule:
            return USER_CHAIN in chains
    return had and USER_CHAIN in chains


def _nat(tables: Mapping[str, Tables]) -> list[str]:
    chain = tables.get("ipv4", {}).get("nat", {}).get("DOCKER")
    return chain.rules if chain else []


def _running() -> int | None:
    try:
        pid = int(PID.read_text(encoding="ascii"))
        name = Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return pid if name == "dockerd" else None


def _proxied() -> Iterator[int]:
    """Host ports of all docker-proxy processes that serve IPv4."""
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            if Path(entry.path, "comm").read_text(encoding="utf-8", errors="replace") != "docker-proxy\n":
                continue
            words = Path(entry.path, "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        options = dict(zip(words[1::2], words[2::2], strict=False))
        if ":" not in options.get("-host-ip", ""):
            yield int(options.get("-host-port", "0"))
