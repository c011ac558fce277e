"""Whether the server's clock is kept right."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script


@dataclass(frozen=True, slots=True)
class Clock:
    """Who keeps the time."""

    possible: bool
    """Whether a time service is installed that could; containers leave it to their host."""
    on: bool
    """Whether it is enabled."""


class TimeService(Fact[Clock]):
    """
    Whether a time service keeps the clock right.

    Raises:
        CouldNotLook: systemd does not answer.

    Source: timedatectl(1).
    """

    @override
    def command(self) -> StringCommand:
        return script("timedatectl show --property=CanNTP --property=NTP")

    @override
    def parse(self, answer: Answer) -> Clock:
        if answer.status != 0:
            raise CouldNotLook(f"clock: could not be read: {answer.reason}. Nothing was changed.")
        values = dict(line.split("=", 1) for line in answer.lines if "=" in line)
        return Clock(values.get("CanNTP") == "yes", values.get("NTP") == "yes")
