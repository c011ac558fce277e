"""What must be in order on a server before anything is changed there; all faults are named at once."""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field

from standfast.inventory.schema import Host

FREE_SHARE = 0.05
FREE_BYTES = 500_000_000
"""The smaller of the two must be free. An image layer or a package with its dependencies is some hundred
megabytes; a small volume of its own needs no more than a share; a large disk may be 99 % full."""
FREE_INODES = 5_000
"""Or the share. One package unpacks some thousand files."""
CLOCK_SECONDS = 120
"""Beyond that, TLS certificates, one-time passwords and package lists begin to be refused, and the
times of logs and of audit records mislead."""
APT_LOCK_SECONDS = 900
"""The nightly upgrades take minutes, and packages wait 5 minutes for the lock. A process that has it for
longer waits for an answer, most often on a terminal that somebody has left open."""

FOLDERS = (
    "/var/lib/standfast",
    "/var/log",
    "/var/lib",
    "/var",
    "/etc",
    "/srv",
    "/var/lib/docker",
    "/var/lib/docker/volumes",
    "/",
)
"""One folder of each file system gets a file of 4 KiB for a moment; these come first."""


@dataclass(slots=True)
class Findings:
    """What a preflight has found."""

    faults: list[str] = field(default_factory=list)
    """Reasons to change nothing."""
    notes: list[str] = field(default_factory=list)
    """What people should know."""


def folders(host: Host) -> list[str]:
    """Folders whose file systems hold data of this server."""
    volumes = host.docker.volumes if host.docker else {}
    return [*FOLDERS, *(f"/var/lib/docker/volumes/{name}/_data" for name in volumes)]


def judge(lines: Sequence[str]) -> Findings:
    """
    Find faults in what ``preflight.sh`` printed, right after it was received.

    + lines: its lines, in order
    """
    findings = Findings()
    daemons: list[str] = []
    for line in lines:
        kind, *words = line.split(" ")
        if kind == "file-system":
            findings.faults.extend(_file_system(*words))
        elif kind == "dockerd":
            daemons.append(f"pid {words[0]} `{_text(words[1])}`")
        elif kind == "apt-lock":
            findings.faults.extend(_apt_lock(*words))
        elif kind == "clock":
            findings.faults.extend(_clock(float(words[0])))
        elif kind == "dpkg-interrupted":
            findings.notes.append(
                "a package installation was interrupted; apply finishes it before it installs"
            )
    if len(daemons) > 1:
        findings.faults.append(
            f"{len(daemons)} Docker daemons run: {', '.join(daemons)}. Two on one server destroy each "
            "other's networks, and each sees only its own volumes. Find out which one holds your data, then "
            "stop and disable the other."
        )
    return findings


def _file_system(folder: str, place: str, error: str, *numbers: str) -> list[str]:
    free, blocks, size, free_inodes, inodes = map(int, numbers)
    name = _text(place)
    if error != "-":
        reason = _text(error).rpartition(": ")[2]
        message = (
            f"{name}: {_text(folder)} cannot be written: {reason}. "
            "Look at `dmesg`: Linux makes a faulty disk read-only."
        )
        return [message]
    faults = []
    needed = min(FREE_SHARE * blocks * size, FREE_BYTES)
    if free * size < needed:
        faults.append(
            f"{name}: {_size(free * size)} free of {_size(blocks * size)}, at least {_size(needed)} needed. "
            "Free some: `apt-get clean`, `journalctl --vacuum-size=100M`, `docker image prune` touch no data."
        )
    if inodes and free_inodes < min(FREE_SHARE * inodes, FREE_INODES):
        faults.append(
            f"{name}: {free_inodes} inodes free of {inodes}, too few for new files. Look for a folder with "
            f"very many small ones: `du --inodes -x -d 3 {name} | sort -n | tail`."
        )
    return faults


def _apt_lock(pid: str, seconds: str, command: str) -> list[str]:
    if int(seconds or 0) < APT_LOCK_SECONDS:
        return []
    message = (
        f"apt's lock has been held for {int(seconds) // 60} minutes by pid {pid} `{_text(command)}`. It may "
        "be waiting for an answer on a terminal. Let it finish, or end it."
    )
    return [message]


def _clock(server: float) -> list[str]:
    ahead = server - time.time()
    if abs(ahead) <= CLOCK_SECONDS:
        return []
    direction = "ahead of" if ahead > 0 else "behind"
    message = (
        f"its clock is {_duration(abs(ahead))} {direction} this machine's. Set the one that is wrong, for "
        "example with `sudo timedatectl set-ntp true`."
    )
    return [message]


def _text(encoded: str) -> str:
    return "" if encoded == "-" else b64decode(encoded).decode(errors="replace").strip()


def _size(number: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 60:.0f} minutes"
