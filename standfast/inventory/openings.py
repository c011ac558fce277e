"""Openings in the firewall that contradict each other: in a list of what is allowed, the wider one wins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from standfast.inventory.schema import AllowRule, SshRule

Source = Literal["any"] | IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class _Opening:
    """One rule for one protocol and one source."""

    rule: int
    """Its place in the inventory's list."""
    low: int
    high: int
    protocol: str
    source: Source

    def covers(self, other: _Opening) -> bool:
        """Whether the other one adds nothing to this one."""
        return self.low <= other.low and other.high <= self.high and within(other.source, self.source)


def ports_of(rule: AllowRule) -> tuple[int, int]:
    """First and last port of an opening."""
    low, _, high = str(rule.port).partition("-")
    return int(low), int(high or low)


def inside(network: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    """Whether a network is a part of another one and not the whole of it."""
    return network != other and within(network, other)


def within(source: Source, other: Source) -> bool:
    """Whether all addresses of a source belong to another one."""
    if other == "any":
        return True
    if isinstance(source, IPv4Network) and isinstance(other, IPv4Network):
        return source.subnet_of(other)
    if isinstance(source, IPv6Network) and isinstance(other, IPv6Network):
        return source.subnet_of(other)
    return False


def beside_ssh(rule: AllowRule, ssh: SshRule, port: int) -> str | None:
    """What is wrong with an opening that includes the port of SSH; None when nothing."""
    low, high = ports_of(rule)
    if not low <= port <= high or "tcp" not in rule.protocol:
        return None
    wider = [source for source in rule.sources if not any(within(source, each) for each in ssh.sources)]
    if wider:
        names = ", ".join(f"`{source}`" for source in wider)
        return (
            f"expected SSH in one place: `ssh.from` decides who may connect to port {port}, and does not "
            f"include {names}; change it there, and leave the port out here"
        )
    if low == high:
        return f"expected no opening for SSH: `ssh.from` opens port {port} already; remove this one"
    return None


def contradictions(rules: Mapping[int, AllowRule]) -> Iterator[tuple[int, int, str]]:
    """
    Openings that have no effect beside another one, and ranges that overlap.

    A narrow opening for everybody inside a wide one for few is neither.

    + rules: openings by their place in the inventory

    Returns for each pair the place at fault, the other one and a message.
    """
    told: set[tuple[int, int]] = set()
    for one, other in _meeting(rules):
        first, second = sorted((one, other), key=lambda each: each.rule)
        pair = (second.rule, first.rule)
        message = None if pair in told else _contradiction(first, second, rules)
        if message:
            told.add(pair)
            yield (*pair, message)


def _meeting(rules: Mapping[int, AllowRule]) -> Iterator[tuple[_Opening, _Opening]]:
    """Pairs of different rules that have ports and a protocol in common."""
    openings = [
        _Opening(i, *ports_of(rule), protocol, source)
        for i, rule in rules.items()
        for protocol in rule.protocol
        for source in rule.sources
    ]
    current: list[_Opening] = []
    for new in sorted(openings, key=lambda each: (each.low, each.rule)):
        current = [each for each in current if each.high >= new.low]
        for each in current:
            if each.rule != new.rule and each.protocol == new.protocol:
                yield each, new
        current.append(new)


def _contradiction(first: _Opening, second: _Opening, rules: Mapping[int, AllowRule]) -> str | None:
    name = f"`allow[{first.rule}]`"
    if first.covers(second):
        if _same(rules[first.rule], rules[second.rule]):
            return f"expected each opening once, but {name} says the same; remove one"
        return (
            f"expected an opening that adds something, but {name} opens {_words(first)} already, "
            f"which includes {_words(second)} here; remove one of the two"
        )
    if second.covers(first):
        return (
            f"expected an opening beside which {name} has an effect, but {_words(second)} here includes "
            f"{_words(first)} there; remove one of the two"
        )
    nested = within(first.source, second.source) or within(second.source, first.source)
    contained = first.low <= second.low and second.high <= first.high
    contained = contained or (second.low <= first.low and first.high <= second.high)
    if nested and not contained:
        low, high = max(first.low, second.low), min(first.high, second.high)
        return (
            f"expected ranges that do not overlap, but {name} opens {_words(first)}, and this one "
            f"{_words(second)}: both include {low if low == high else f'{low}-{high}'}; make them meet"
        )
    return None


def _same(first: AllowRule, second: AllowRule) -> bool:
    """Whether the second one says nothing that the first one does not say in the same words."""
    return (
        ports_of(first) == ports_of(second)
        and set(second.protocol) <= set(first.protocol)
        and set(second.sources) <= set(first.sources)
    )


def _words(opening: _Opening) -> str:
    """For example ``tcp 8000-8010 to 10.0.0.0/8``."""
    ports = str(opening.low) if opening.low == opening.high else f"{opening.low}-{opening.high}"
    return f"{opening.protocol} {ports} to {opening.source}"
