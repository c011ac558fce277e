"""What is mounted where, as the kernel tells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """One line of /proc/self/mountinfo."""

    root: PurePosixPath
    """Which folder of the file system stands at `point`; for btrfs it is counted from the top subvolume."""
    point: PurePosixPath
    type: str
    source: str
    """Its device."""


def mounts() -> list[Mount]:
    """All mounts that this process sees, in the order in which they were made."""
    return parse(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"))


def parse(text: str) -> list[Mount]:
    """The content of /proc/self/mountinfo. Source: proc_pid_mountinfo(5)."""
    found = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        root, point = left.split()[3:5]
        kind, source = right.split()[:2]
        found.append(Mount(PurePosixPath(_plain(root)), PurePosixPath(_plain(point)), kind, _plain(source)))
    return found


def holding(folder: PurePosixPath, every: Sequence[Mount]) -> Mount:
    """The mount that a folder is in; of several at one point, the last one is seen."""
    inside = [(len(each.point.parts), number) for number, each in enumerate(every) if _in(folder, each)]
    return every[max(inside)[1]]


def below(folder: PurePosixPath, every: Sequence[Mount]) -> list[Mount]:
    """Mounts inside of a folder."""
    return [each for each in every if each.point != folder and each.point.is_relative_to(folder)]


def _in(folder: PurePosixPath, mount: Mount) -> bool:
    return folder.is_relative_to(mount.point)


def _plain(text: str) -> str:
    """The kernel writes a space in a name as ``\\040``."""
    return OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
