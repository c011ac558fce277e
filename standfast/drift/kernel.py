"""Kernel settings that are not what the files say."""

from __future__ import annotations

from collections.abc import Iterator

from standfast.drift.finding import Finding
from standfast.drift.known import Known
from standfast.facts.kernel_settings import KernelSettings

FORWARDING = "net.ipv4.ip_forward"


def findings(known: Known, found: KernelSettings) -> Iterator[Finding]:
    """Settings that somebody changed for the moment, until the next boot."""
    for each in found.settings:
        if each.live != each.wanted and each.name != FORWARDING:
            said = f"is {each.live}; {each.path} says {each.wanted}"
            yield Finding(f"sysctl:{each.name}", "base", "changed", each.name, said)
    if found.forwarding is False and known.host.docker is not None:
        said = "is 0: containers reach nothing, and nothing reaches them"
        yield Finding(f"sysctl:{FORWARDING}", "docker", "changed", FORWARDING, said)
