"""Services that failed, stopped, or will not start at the next boot."""

from __future__ import annotations

import re
from collections.abc import Iterator

from standfast.drift.finding import Finding
from standfast.drift.known import OURS
from standfast.facts.clock import Clock
from standfast.facts.unit_troubles import UnitTroubles

# It only says that the network came late at boot; that it is here now, we know: we have come by it.
LATE = re.compile(r".*-wait-online\.service")


def findings(found: UnitTroubles) -> Iterator[Finding]:
    """Units that are not as systemd itself was told that they should be."""
    for unit in found.units:
        if LATE.fullmatch(unit.name):
            continue
        if unit.failed:
            said = f"failed ({unit.result})" if unit.active == "failed" else "crashes again and again"
            yield Finding(f"unit:{unit.name}", "base", "changed", unit.name, said, unit.since)
        elif unit.idle and not unit.name.startswith(OURS):
            yield Finding(
                f"unit:{unit.name}", "base", "changed", unit.name, "stopped; it starts at boot", unit.since
            )
    for name in found.disabled:
        yield Finding(
            f"unit:{name}",
            "base",
            "changed",
            name,
            "disabled: does not start at boot, as it does on every server",
        )


def clock(found: Clock) -> Iterator[Finding]:
    """A clock that nobody keeps right."""
    if found.possible and not found.on:
        yield Finding(
            "time:service", "base", "changed", "clock", "nobody keeps it right: the time service is off"
        )
