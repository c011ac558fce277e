"""File systems: what is mounted, how, and how full it is; swap."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script

OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system."""

    source: str
    target: str
    type: str
    options: frozenset[str]

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written, also when the kernel says so in its newer words."""
        return bool(self.options & {"ro", "emergency_ro"})


@dataclass(frozen=True, slots=True)
class Declared:
    """One line of /etc/fstab."""

    source: str
    target: str
    type: str
    options: frozenset[str]


@dataclass(frozen=True, slots=True)
class Space:
    """How full a file system is."""

    target: str
    used: int
    """Per cent of its space."""
    free: int
    """Bytes that are free for everybody."""
    inodes: int
    """Per cent of its inodes; 0 when it has no fixed number."""


@dataclass(frozen=True, slots=True)
class FileSystems:
    """All file systems of a server."""

    mounts: tuple[Mount, ...]
    fstab: tuple[Declared, ...]
    space: tuple[Space, ...]
    swaps: tuple[str, ...]
    """Files and devices that are in use as swap."""


class Mounts(Fact[FileSystems]):
    """
    Mounted file systems, /etc/fstab, space and swap.

    Raises:
        CouldNotLook: the kernel's list could not be read.

    Source: proc(5), fstab(5), df(1).
    """

    @override
    def command(self) -> StringCommand:
        return script(
            "sed 's/^/mount /' /proc/self/mounts || exit 1\n"
            "if [ -r /etc/fstab ]; then\n"
            "  sed -n '/^[[:space:]]*[^#[:space:]]/s/^[[:space:]]*/fstab /p' /etc/fstab\n"
            "fi\n"
            "timeout 5 df -P -k -l | sed '1d; s/^/space /'\n"
            "timeout 5 df -P -i -l | sed '1d; s/^/inodes /'\n"
            "if [ -r /proc/swaps ]; then sed '1d; s/^/swap /' /proc/swaps; fi"
        )

    @override
    def parse(self, answer: Answer) -> FileSystems:
        if answer.status != 0:
            raise CouldNotLook(f"mounts: could not be read: {answer.reason}. Nothing was changed.")
        words: dict[str, list[list[str]]] = {}
        for line in answer.lines:
            kind, *fields = line.split()
            words.setdefault(kind, []).append([_plain(field) for field in fields])
        inodes = {each[5]: _percent(each[4]) for each in words.get("inodes", ()) if len(each) == 6}
        return FileSystems(
            mounts=tuple(
                Mount(each[0], each[1], each[2], frozenset(each[3].split(",")))
                for each in words.get("mount", ())
            ),
            fstab=tuple(
                Declared(
                    each[0], each[1], each[2], frozenset(each[3].split(",")) if each[3:] else frozenset()
                )
                for each in words.get("fstab", ())
                if len(each) >= 3
            ),
            space=tuple(
                Space(each[5], _percent(each[4]), int(each[3]) * 1024, inodes.get(each[5], 0))
                for each in words.get("space", ())
                if len(each) == 6
            ),
            swaps=tuple(each[0] for each in words.get("swap", ())),
        )


def _plain(field: str) -> str:
    """The kernel writes a space in a name as ``\\040``."""
    return OCTAL.sub(lambda match: chr(int(match[1], 8)), field)


def _percent(text: str) -> int:
    number = text.removesuffix("%")
    return int(number) if number.isdecimal() else 0
