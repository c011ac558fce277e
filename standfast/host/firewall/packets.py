"""The packet filter as iptables saves it: read, compared, put back. Docker's own rules are never touched."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from standfast.host.firewall.programs import run

OURS = "STANDFAST-"
LOADER = "/usr/local/lib/standfast/firewall-load"
USER_CHAIN = "DOCKER-USER"
DOCKERS_LINE = re.compile(r"DOCKER|docker0|docker_gwbridge|\bbr-[0-9a-f]{12}\b|MASQUERADE")


@dataclass(frozen=True)
class Backend:
    """One of the kernel's packet filters: an address family, and nft or the old x_tables."""

    family: str
    """``ipv4`` or ``ipv6``."""
    tool: str
    """``iptables``, ``ip6tables-legacy``, …; with ``-save`` and ``-restore`` two further programs."""

    @property
    def name(self) -> str:
        """For messages and as a key."""
        return self.tool


@dataclass
class Chain:
    """One chain; the policy of one that somebody made is ``-``."""

    policy: str = "-"
    rules: list[str] = field(default_factory=list)
    """Each as iptables-save prints it, for example ``-A INPUT -j DROP``."""


Tables = dict[str, dict[str, Chain]]
"""Chains by table and name."""


def backends() -> Iterator[Backend]:
    """Those that this server has; the one that iptables does not show only when it has tables."""
    for family, tool, letter in (("ipv4", "iptables", ""), ("ipv6", "ip6tables", "6")):
        program = shutil.which(f"{tool}-save")
        if program is None or (family == "ipv6" and not Path("/proc/sys/net/ipv6").is_dir()):
            continue
        yield Backend(family, tool)
        if "nft" in os.path.realpath(program):
            if _has_lines(f"/proc/net/ip{letter}_tables_names") and shutil.which(f"{tool}-legacy-save"):
                yield Backend(family, f"{tool}-legacy")
        elif shutil.which(f"{tool}-nft-save"):
            yield Backend(family, f"{tool}-nft")


def save(backend: Backend) -> str:
    """
    All rules of a backend.

    Raises:
        Failure: it does not answer.
    """
    return run(f"{backend.tool}-save")


def parse(text: str) -> Tables:
    """What iptables-save has printed."""
    tables: Tables = {}
    chains: dict[str, Chain] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            chains = tables.setdefault(line[1:], {})
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            chains[name] = Chain(policy)
        elif line.startswith("-A "):
            chains.setdefault(line.split()[1], Chain()).rules.append(line)
    return tables


def load(folder: Path) -> None:
    """
    Put our chains of a folder in force, in both families, and the jumps to them first.

    Raises:
        Failure: iptables refuses; each family is as before, or new.
    """
    run(LOADER, "load", str(folder))


def put_back(backend: Backend, then: Tables, *, only: set[tuple[str, str]] | None = None) -> list[str]:
    """
    Make chains what they were, each table in one transaction.

    Docker's chains stay as they are, and so does a chain in which Docker has changed rules since then.

    + only: table and chain, when not all are meant

    Returns the names of the chains that were different.

    Raises:
        Failure: iptables refuses; that table is as it was.
    """
    now = parse(save(backend))
    changed: list[str] = []
    for table in dict.fromkeys([*then, *now]):
        old, new = then.get(table, _bare(now.get(table, {}))), now.get(table, {})
        different = [
            chain
            for chain in dict.fromkeys([*old, *new])
            if old.get(chain) != new.get(chain)
            and _restorable(chain, old.get(chain), new.get(chain))
            and (only is None or (table, chain) in only)
        ]
        if different:
            text = "\n".join([f"*{table}", *_difference(different, old, new), "COMMIT", ""])
            run(f"{backend.tool}-restore", "-w", "30", "--noflush", input=text)
            changed += [f"{backend.name} {table} {chain}" for chain in different]
    return changed


def put_first(backend: Backend, chain: str, target: str, now: Tables) -> None:
    """
    Make a jump the first rule of a chain in the table `filter`, and the only one of its kind.

    Raises:
        Failure: iptables refuses; nothing was changed.
    """
    jump = f"{chain} -j {target}"
    old = [f"-D {jump}" for rule in now["filter"][chain].rules if rule == f"-A {jump}"]
    text = "\n".join(["*filter", *old, f"-I {chain} 1 -j {target}", "COMMIT", ""])
    run(f"{backend.tool}-restore", "-w", "30", "--noflush", input=text)


def _bare(chains: dict[str, Chain]) -> dict[str, Chain]:
    """A table that nobody has used: it may not have been listed at all."""
    return {name: Chain("ACCEPT") for name, chain in chains.items() if chain.policy != "-"}


def _restorable(name: str, old: Chain | None, new: Chain | None) -> bool:
    if name.startswith(OURS) or name == USER_CHAIN:
        return True
    return not name.startswith("DOCKER") and _dockers(old) == _dockers(new)


def _dockers(chain: Chain | None) -> list[str]:
    return [line for line in chain.rules if DOCKERS_LINE.search(line)] if chain else []


def _difference(different: list[str], old: dict[str, Chain], new: dict[str, Chain]) -> Iterator[str]:
    """Lines for iptables-restore: flush what differs, fill it, remove what was not there."""
    for name in different:
        policy = (old.get(name) or new[name]).policy
        yield f":{name} {policy} [0:0]"
        if policy != "-":
            yield f"-F {name}"
    for name in different:
        yield from old[name].rules if name in old else ()
    kept = [rule for name, chain in new.items() if name not in different for rule in chain.rules]
    for name in different:
        if name in old or new[name].policy != "-":
            continue
        if any(f" -j {name}" in f"{rule} " or f" -g {name}" in f"{rule} " for rule in kept):
            yield f"-A {name} -j RETURN"  # a chain of Docker's, which came meanwhile
        else:
            yield f"-X {name}"


def _has_lines(path: str) -> bool:
    try:
        return bool(Path(path).read_text(encoding="ascii").strip())
    except OSError:
        return False
