"""
Whether a packet gets through a set of chains, as far as that can be told without knowing who sends it.

A rule whose conditions are all known (protocol, port, state, a way in other than loopback) decides. One
with other conditions (a source, a set, a limit) may concern anybody: it never counts as closing.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import dataclass

from standfast.host.firewall.packets import Chain

CLOSING = frozenset({"DROP", "REJECT"})
WITH_VALUE = frozenset({"-m", "--comment", "--reject-with", "--mask"})
"""Options that say nothing about which packets a rule means."""


@dataclass(frozen=True)
class Packet:
    """A TCP packet of an SSH connection."""

    port: int
    """sshd's."""
    state: str
    """``NEW`` on its way in, ``ESTABLISHED`` on its way out."""

    @property
    def port_option(self) -> str:
        """Which of its two ports is sshd's."""
        return "--dport" if self.state == "NEW" else "--sport"


@dataclass(frozen=True)
class Passage:
    """What counts as through."""

    until: str = ""
    """A chain that is reached; empty for none."""
    certain: Collection[str] = ()
    """Rules that let a packet through although they have conditions that are not known."""
    lenient: bool = False
    """Whether any rule that may let somebody through does."""


def passes(chains: dict[str, Chain], start: str, packet: Packet, passage: Passage) -> bool:
    """
    Whether `packet` is not certainly dropped.

    + start: the built-in chain that it enters
    """
    verdict = _walk(chains, start, packet, passage, sure=True, depth=0)
    if verdict is None:
        return chains.get(start, Chain("ACCEPT")).policy != "DROP"
    return verdict


def _walk(
    chains: dict[str, Chain],
    name: str,
    packet: Packet,
    passage: Passage,
    *,
    sure: bool,
    depth: int,
) -> bool | None:
    """Whether it passes; ``None`` when the chain does not decide."""
    if depth > 16 or name not in chains:
        return None
    for rule in chains[name].rules:
        target, match = _match(rule, packet)
        if match is False:
            continue
        sure_here = sure and match is True
        lets_in = sure_here or passage.lenient or rule in passage.certain
        if (target == "ACCEPT" and lets_in) or target == passage.until:
            return True
        if target in CLOSING and sure_here:
            return False
        if target == "RETURN" and sure_here:
            return None
        if target in chains:
            verdict = _walk(chains, target, packet, passage, sure=sure_here, depth=depth + 1)
            if verdict is not None:
                return verdict
    return None


def _match(rule: str, packet: Packet) -> tuple[str, bool | None]:
    """The rule's target, and whether it means the packet; ``None`` when that depends on what is not known."""
    words = shlex.split(rule)[2:]
    target, found = "", True
    unknown = False
    index = 0
    while index < len(words):
        word = words[index]
        inverted = word == "!"
        if inverted:
            index += 1
            word = words[index]
        value = words[index + 1] if index + 1 < len(words) else ""
        index += 2
        if word in ("-j", "-g"):
            target = value
            if target not in CLOSING:
                continue
            break  # what follows are options of the target
        if word in WITH_VALUE:
            continue
        holds = _condition(word, value, packet)
        if holds is None:
            unknown = True
            if value.startswith("-"):
                index -= 1  # an option without a value
        elif holds == inverted:
            found = False
    if not found:
        return target, False
    return target, None if unknown else True


def _condition(option: str, value: str, packet: Packet) -> bool | None:
    if option == "-p":
        return value in ("tcp", "all", "6")
    if option in ("-i", "-o") and value == "lo":
        return False
    if option in ("--ctstate", "--state"):
        return packet.state in value.split(",")
    if option in (packet.port_option, f"{packet.port_option}s", "--ports"):
        return any(_in_range(packet.port, part) for part in value.split(","))
    return None


def _in_range(port: int, text: str) -> bool:
    first, _, last = text.partition(":")
    return first.isdigit() and int(first) <= port <= int(last or first)
