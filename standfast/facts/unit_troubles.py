"""Units of systemd that are not as they should be, whoever declared them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script

PROPERTIES = (
    *("Id", "Type", "ActiveState", "SubState", "ConditionResult", "UnitFileState", "TriggeredBy", "Result"),
    *("StateChangeTimestamp", "LoadState"),
)


@dataclass(frozen=True, slots=True)
class LoadedUnit:
    """One unit that systemd has loaded; its own words."""

    name: str
    type: str
    """For services: ``simple``, ``oneshot`` and others."""
    load: str
    active: str
    sub: str
    result: str
    file: str
    """``enabled``, ``disabled``, ``masked`` and others."""
    condition: bool
    """Whether the unit's own conditions held when it was last started."""
    triggered: bool
    """Whether a timer, a socket or a path starts it."""
    since: datetime | None
    """When its state last changed."""

    @property
    def failed(self) -> bool:
        """Ended with an error, or crashing again and again."""
        return self.active == "failed" or self.sub == "auto-restart"

    @property
    def idle(self) -> bool:
        """Meant to run from boot on, and not running."""
        return (
            self.file == "enabled"
            and self.active == "inactive"
            and self.type != "oneshot"
            and self.condition
            and not self.triggered
        )


@dataclass(frozen=True, slots=True)
class UnitTroubles:
    """What is wrong with units, and which stock ones do not start at boot any more."""

    units: tuple[LoadedUnit, ...]
    """All services, timers and sockets that systemd has loaded."""
    disabled: tuple[str, ...]
    """Those of `STOCK` that are installed and do not start at boot."""


STOCK = (
    "cron.service",
    "logrotate.timer",
    "dpkg-db-backup.timer",
    "fstrim.timer",
    "systemd-timesyncd.service",
)
"""What a Debian server starts at boot, and what nobody misses until it is too late."""


class AllUnits(Fact[UnitTroubles]):
    """
    All services, timers and sockets that systemd has loaded.

    Raises:
        CouldNotLook: there is no systemd, or it does not answer.

    Source: systemctl(1).
    """

    @override
    def command(self) -> StringCommand:
        return script(
            f"systemctl show --all --no-pager --timestamp=unix --property={','.join(PROPERTIES)} "
            "'*.service' '*.timer' '*.socket' || exit\n"
            "echo; echo stock\n"
            f"systemctl list-unit-files --no-legend --no-pager {' '.join(STOCK)}\n:"
        )

    @override
    def parse(self, answer: Answer) -> UnitTroubles:
        if answer.status != 0:
            raise CouldNotLook(f"services: systemd did not answer: {answer.reason}. Nothing was changed.")
        border = answer.lines.index("stock")
        blocks = "\n".join(answer.lines[:border]).split("\n\n")
        units = [
            _unit(dict(line.split("=", 1) for line in block.splitlines() if "=" in line)) for block in blocks
        ]
        stock = [line.split() for line in answer.lines[border + 1 :]]
        return UnitTroubles(
            tuple(unit for unit in units if unit.name),
            tuple(words[0] for words in stock if words[1:2] == ["disabled"]),
        )


def _unit(values: dict[str, str]) -> LoadedUnit:
    seconds = values.get("StateChangeTimestamp", "").removeprefix("@")
    return LoadedUnit(
        name=values.get("Id", ""),
        type=values.get("Type", ""),
        load=values.get("LoadState", ""),
        active=values.get("ActiveState", ""),
        sub=values.get("SubState", ""),
        result=values.get("Result", ""),
        file=values.get("UnitFileState", ""),
        condition=values.get("ConditionResult") == "yes",
        triggered=bool(values.get("TriggeredBy")),
        since=datetime.fromtimestamp(int(seconds), UTC) if seconds.isdecimal() and int(seconds) else None,
    )
