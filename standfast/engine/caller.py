"""Who runs this command, and from which state of the repository: what an audit record begins with."""

from __future__ import annotations

import getpass
import hashlib
import os
import secrets
import socket
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from standfast import __version__

if TYPE_CHECKING:
    from standfast.inventory.loader import Loaded  # guards ask who calls, and must not wait for pydantic

GIT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Caller:
    """One run of one command."""

    run: str
    """A name of the run that no other one has."""
    action: str
    """``plan``, ``apply``, ``unlock``, …"""
    who: str
    """The local account and machine, for example ``kim@laptop``."""
    environment: str
    """The inventory's name, for example ``production``."""
    revision: str | None
    """Commit of the repository that holds the inventory; ``None`` when it is in none."""
    dirty: bool | None
    """Whether files differ from that commit."""
    inventory: str
    """sha256 of the inventory file."""

    def record(self, host: str | None) -> dict[str, object]:
        """The fields that each record of this run begins with."""
        return {
            "run": self.run,
            "action": self.action,
            "environment": self.environment,
            "host": host,
            "who": self.who,
            "revision": self.revision,
            "dirty": self.dirty,
            "inventory": self.inventory,
            "standfast": __version__,
        }


def caller(loaded: Loaded, action: str) -> Caller:
    """Look who is calling; git is asked, and nothing is contacted."""
    revision, dirty = _revision(loaded)
    now = datetime.now(UTC)
    return Caller(
        run=f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}",
        action=action,
        who=f"{account()}@{socket.gethostname()}",
        environment=loaded.path.stem,
        revision=revision,
        dirty=dirty,
        inventory=hashlib.sha256(loaded.path.read_bytes()).hexdigest(),
    )


def account() -> str:
    """The person behind sudo, when there is one."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in containers; KeyError until 3.12
        return str(os.getuid())


def _revision(loaded: Loaded) -> tuple[str | None, bool | None]:
    status = _git(loaded, "status", "--porcelain", "--", ".")
    revision = _git(loaded, "rev-parse", "HEAD")
    return revision or None, None if status is None or not revision else bool(status)


def _git(loaded: Loaded, *arguments: str) -> str | None:
    """What git prints; ``None`` when there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(loaded.root), *arguments],
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
