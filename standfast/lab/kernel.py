"""
What this machine's kernel is told while it has lab servers, and told back when the last one goes.

The values before are written down first: they come back after a crash, too.
"""

from __future__ import annotations

from pathlib import Path

from standfast.lab.places import RUNTIME, write_atomically

SYSTEM = Path("/proc/sys")
FORWARDING = "net/ipv4/ip_forward"
# Every systemd takes about ten; the usual 128 are too few for a dozen servers beside a desktop.
INOTIFY_INSTANCES = "fs/inotify/max_user_instances"
ENOUGH = {FORWARDING: 1, INOTIFY_INSTANCES: 4096}


def prepare() -> None:
    """Raise every setting that is below what servers need; the caller holds the machine's lock."""
    for name, enough in ENOUGH.items():
        found = (SYSTEM / name).read_text()
        if int(found) < enough:
            if not _before(name).exists():
                write_atomically(_before(name), found)
            (SYSTEM / name).write_text(str(enough))


def give_back() -> None:
    """Every setting is again as it was before the first server; the caller holds the machine's lock."""
    for name in ENOUGH:
        if _before(name).exists():
            (SYSTEM / name).write_text(_before(name).read_text())
            _before(name).unlink()


def _before(name: str) -> Path:
    return RUNTIME / Path(name).name
