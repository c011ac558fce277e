"""Packages of Debian and its descendants."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script

NOT_DEBIAN = 9


@dataclass(frozen=True, slots=True)
class Package:
    """What dpkg knows about one package."""

    name: str
    version: str
    """Empty when nothing of it is unpacked."""
    state: str
    """dpkg's word, for example ``installed``, ``half-configured``, ``config-files``."""

    @property
    def installed(self) -> bool:
        """Unpacked and configured; a package whose installation was cut off is not."""
        return self.state in {"installed", "triggers-pending"}

    @property
    def half_installed(self) -> bool:
        """Begun and not finished."""
        return not self.installed and self.state not in {"not-installed", "config-files"}


class Packages(Fact[dict[str, Package]]):
    """
    What dpkg knows about these packages, by name; a package that it does not know is left out.

    Raises:
        CouldNotLook: not a Debian or Ubuntu server, or dpkg's database cannot be read.

    Source: dpkg-query(1).
    """

    @override
    def command(self, names: Sequence[str]) -> StringCommand:
        quoted = " ".join(shlex.quote(name) for name in names)
        # dpkg-query leaves with 1 when one of the names is unknown, with 2 when it could not look.
        return script(
            f"command -v dpkg-query apt-get > /dev/null || exit {NOT_DEBIAN}; "
            f"dpkg-query -W -f '${{Package}}|${{Version}}|${{Status}}\\n' -- {quoted} || [ $? -eq 1 ]"
        )

    @override
    def parse(self, answer: Answer) -> dict[str, Package]:
        if answer.status == NOT_DEBIAN:
            raise CouldNotLook(
                "packages: expected a Debian or Ubuntu server, found no apt and dpkg. "
                "Other distributions are not supported. Nothing was changed."
            )
        if answer.status != 0:
            raise CouldNotLook(f"packages: dpkg could not be asked: {answer.reason}. Nothing was changed.")
        packages: dict[str, Package] = {}
        for line in answer.lines:
            name, version, status = line.split("|")
            packages[name] = Package(name, version, status.split()[-1])
        return packages
