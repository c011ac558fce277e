"""Whether the guard of Docker is in force, and the switch that takes it out of force when all else fails."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from standfast.host.guard.docker_disk import DAEMON

NAME = "standfast"
SOCKET = "standfast-docker-guard.socket"
KEY = "authorization-plugins"
SETTLE = Path("/usr/local/lib/standfast/docker-guard-settle")
OFF = Path("/etc/standfast/guards-off")
"""The emergency switch: as long as it is there, Docker works without the guard."""
TAKEN_OUT = Path("/var/lib/standfast/guard/docker-off")
"""Why the guard was taken out of Docker's configuration; it comes back when it answers again."""
SECONDS = 30


@dataclass(frozen=True)
class State:
    """What is known of the guard."""

    named: bool
    """Whether Docker's configuration names it: what Docker does from its next start or reload on."""
    answers: bool
    off: bool
    taken_out: str
    """When and why, else empty."""

    @property
    def said(self) -> str:
        """In words."""
        if self.off:
            return f"off: {OFF} is there; remove it, then `systemctl reload docker`"
        if self.named and self.answers:
            return "in force"
        if self.named:
            return (
                f"it does not answer, so Docker's commands fail: touch {OFF}, then `systemctl reload docker`"
            )
        if self.taken_out:
            return f"not in force: {self.taken_out}"
        return "not in force: Docker's configuration does not name it (inventory: guards.docker)"


def state() -> State:
    """Look."""
    try:
        named = NAME in json.loads(DAEMON.read_text(encoding="utf-8")).get(KEY, [])
    except (OSError, ValueError, AttributeError, TypeError):
        named = False
    try:
        why = TAKEN_OUT.read_text(encoding="utf-8").strip()
    except OSError:
        why = ""
    return State(named, _answers(), OFF.exists(), why)


def _answers() -> bool:
    try:
        return (
            subprocess.run([str(SETTLE), "ask"], capture_output=True, timeout=SECONDS, check=False).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
