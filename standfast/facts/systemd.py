"""Units of systemd."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script

PROPERTIES = "LoadState,ActiveState,SubState,UnitFileState,Result"


@dataclass(frozen=True, slots=True)
class UnitState:
    """What systemd says about one unit; its own words."""

    load: str
    """``loaded``, ``not-found``, ``masked``, ``bad-setting``, ``error``."""
    active: str
    """``active``, ``reloading``, ``inactive``, ``failed``, ``activating``, ``deactivating``."""
    sub: str
    file: str
    """``enabled``, ``disabled``, ``static`` and others; empty when there is no unit file."""
    result: str
    """Why it ended, for example ``exit-code``; ``success`` while nothing is wrong."""

    @property
    def running(self) -> bool:
        """Up, or on its way up for the first time; a unit that crashes again and again is not."""
        return self.active in {"active", "reloading", "refreshing"} or (
            self.active == "activating" and self.sub != "auto-restart"
        )

    @property
    def failed(self) -> bool:
        """Ended with an error, or crashing again and again."""
        return self.active == "failed" or self.sub == "auto-restart"

    @property
    def enabled(self) -> bool:
        """Started at boot, or not to be enabled at all (``static`` and the like)."""
        return self.file in {"enabled", "enabled-runtime", "static", "indirect", "generated", "alias"}


class Unit(Fact[UnitState]):
    """
    State of a unit; a unit that does not exist has ``load == "not-found"``.

    Raises:
        CouldNotLook: there is no systemd, or it does not answer.

    Source: systemctl(1).
    """

    @override
    def command(self, unit: str) -> StringCommand:
        return script(f"systemctl show --no-pager --property={PROPERTIES} -- {shlex.quote(unit)}")

    @override
    def parse(self, answer: Answer) -> UnitState:
        if answer.status != 0:
            raise CouldNotLook(
                f"services: systemd did not answer: {answer.reason}. Expected a server that runs systemd. "
                "Nothing was changed."
            )
        values = dict(line.split("=", 1) for line in answer.lines if "=" in line)
        return UnitState(
            values["LoadState"],
            values["ActiveState"],
            values["SubState"],
            values.get("UnitFileState", ""),
            values.get("Result", "success"),
        )
