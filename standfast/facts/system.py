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


@dataclass(frozen=True, slots=True)
class Naming:
    """The server's own name, in all places where it stands."""

    live: str
    """Name that the kernel has now."""
    static: str
    """Name after the next boot; empty when /etc/hostname is missing."""
    hosts: tuple[str, ...]
    """The lines of /etc/hosts."""
    reset_at_boot: bool
    """Whether cloud-init will put its own name back."""

    def resolves(self, name: str) -> bool:
        """Whether /etc/hosts knows the name."""
        return any(name in line.partition("#")[0].split()[1:] for line in self.hosts)


KEEP_NAME = "/etc/cloud/cloud.cfg.d/99-standfast-hostname.cfg"


class HostName(Fact[Naming]):
    """
    The server's own name.

    Raises:
        CouldNotLook: a file could not be read.

    Source: hostname(5), hosts(5), cloud-init's module "Set Hostname".
    """

    @override
    def command(self) -> StringCommand:
        return script(
            "set -e; uname -n; "
            "if [ -e /etc/hostname ]; then grep -v '^#' /etc/hostname | head -n 1; else echo; fi; "
            f"if [ -e /etc/cloud/cloud.cfg ] && ! [ -e {KEEP_NAME} ]; then echo yes; else echo no; fi; "
            "if [ -e /etc/hosts ]; then cat /etc/hosts; fi"
        )

    @override
    def parse(self, answer: Answer) -> Naming:
        if answer.status != 0:
            raise CouldNotLook(f"hostname: could not be read: {answer.reason}. Nothing was changed.")
        live, static, reset, *hosts = answer.lines
        return Naming(live, static.strip(), tuple(hosts), reset == "yes")


@dataclass(frozen=True, slots=True)
class Zone:
    """Which time zone is set."""

    linked: str
    """Name that /etc/localtime stands for; empty when it is no link into the time zone data."""
    written: str | None
    """Name in /etc/timezone; ``None`` on newer systems, which do without that file."""
    known: bool | None
    """Whether the server knows the zone that was asked for; ``None`` without time zone data."""


class TimeZone(Fact[Zone]):
    """
    Which time zone is set, and whether another one exists.

    Raises:
        CouldNotLook: a file could not be read.

    Source: localtime(5).
    """

    @override
    def command(self, zone: str) -> StringCommand:
        return script(
            "set -e; readlink /etc/localtime || echo; "
            f"if ! [ -d /usr/share/zoneinfo/Etc ]; then echo; "
            f"elif [ -f /usr/share/zoneinfo/{shlex.quote(zone)} ]; then echo yes; else echo no; fi; "
            "if [ -e /etc/timezone ]; then cat /etc/timezone; fi"
        )

    @override
    def parse(self, answer: Answer) -> Zone:
        if answer.status != 0:
            raise CouldNotLook(f"time zone: could not be read: {answer.reason}. Nothing was changed.")
        target, known, *written = answer.lines
        _, _, linked = target.partition("zoneinfo/")
        return Zone(linked, written[0].strip() if written else None, {"yes": True, "no": False}.get(known))
