"""The server as a whole: its release, its name, its time zone."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script


@dataclass(frozen=True, slots=True)
class Release:
    """Which system is installed, in the words of os-release(5)."""

    id: str
    """``debian`` or ``ubuntu`` on the systems that we support."""
    version: str
    """For example ``13`` or ``24.04``; empty on Debian's testing and unstable."""
    codename: str
    """For example ``trixie`` or ``noble``."""
    name: str
    """For people, for example ``Debian GNU/Linux 13 (trixie)``."""


class OperatingSystem(Fact[Release]):
    """
    Which system is installed.

    Raises:
        CouldNotLook: the server does not say.

    Source: os-release(5).
    """

    @override
    def command(self) -> StringCommand:
        return script("cat /etc/os-release")

    @override
    def parse(self, answer: Answer) -> Release:
        values: dict[str, str] = {}
        for line in answer.lines:
            name, found, value = line.partition("=")
            if found:
                values[name] = "".join(shlex.split(value))
        if answer.status != 0 or "ID" not in values:
            raise CouldNotLook(
                "system: expected /etc/os-release of a Debian or Ubuntu server, "
                f"found: {answer.reason if answer.status else 'no ID in it'}. Nothing was changed."
            )
        return Release(
            values["ID"],
            values.get("VERSION_ID", ""),
            values.get("VERSION_CODENAME", ""),
            values.get("PRETTY_NAME", values["ID"]),
        )
