"""
The processes of one server, found by what they are and never by a remembered number.

A server runs in a mount namespace of its own, with a mount that names the server's folder: the
overlay of its disk, or the run-time folder of a VM's libvirtd. So whatever runs in that namespace
names the folder in its mount table. A recycled process id can therefore not be mistaken for one of
ours.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from standfast.errors import StandfastError

PROC = Path("/proc")


def of(folder: Path) -> set[int]:
    """Every process of the server in this folder, those inside of it included (root only)."""
    tables: dict[str, bool] = {}
    found = set()
    for pid in _all():
        if _is_supervisor(pid, folder) or _lives_in(pid, folder, tables):
            found.add(pid)
    return found


def leader(folder: Path) -> int | None:
    """The process that is number 1 inside of the server; None when the server is off."""
    for pid in of(folder):
        if _numbers(pid)[1:] == [1]:
            return pid
    return None


def supervisors(folder: Path) -> set[int]:
    """The process (ours) that starts the server again when the server asks for a reboot."""
    return {pid for pid in _all() if _is_supervisor(pid, folder)}


def send(pid: int, number: int, folder: Path) -> None:
    """Send a signal to a process of this server; one that has ended meanwhile is fine."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # Looked at again through the open handle: the number cannot be another process now.
        if _is_supervisor(pid, folder) or _lives_in(pid, folder, {}):
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def end(folder: Path) -> None:
    """
    Kill everything of this server, as a power cut does.

    Raises:
        StandfastError: some processes are still there after 10 s (stuck in the kernel).
    """
    keepers = supervisors(folder)
    for pid in keepers:
        send(pid, signal.SIGSTOP, folder)  # no reboot may start in the middle of this
    inner = leader(folder)
    if inner is not None:
        # The leader takes everything inside along; systemd-nspawn then clears up behind itself.
        send(inner, signal.SIGKILL, folder)
        wait_until(lambda: not of(folder) - keepers, 3)
    for pid in of(folder):
        send(pid, signal.SIGKILL, folder)
    if not wait_until(lambda: not of(folder), 10):
        left = ", ".join(str(pid) for pid in sorted(of(folder)))
        raise StandfastError(f"lab: {folder}: these processes do not end: {left}. Try again.")


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    """Look about 30 times a second until it is true; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True


def _all() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal()]


def _is_supervisor(pid: int, folder: Path) -> bool:
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[-2:-1] == [os.fsencode(folder)] and any(
        word.endswith(b"/standfast/lab/supervisor.py") for word in words
    )


def _lives_in(pid: int, folder: Path, tables: dict[str, bool]) -> bool:
    """Whether a process sees the server's root; ``tables`` remembers the answer per namespace."""
    try:
        namespace = str((PROC / str(pid) / "ns/mnt").readlink())
        if namespace not in tables:
            table = (PROC / str(pid) / "mountinfo").read_text(errors="surrogateescape")
            tables[namespace] = f",upperdir={folder}/disk/upper," in table or f" - tmpfs {folder} " in table
        return tables[namespace]
    except OSError:
        return False


def _numbers(pid: int) -> list[int]:
    """The ids of a process, from our namespace inwards: two for the leader, the second is 1."""
    try:
        status = (PROC / str(pid) / "status").read_text()
    except OSError:
        return []
    line = next((line for line in status.splitlines() if line.startswith("NSpid:")), "NSpid:")
    return [int(number) for number in line.split()[1:]]
