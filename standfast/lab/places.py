"""Where a lab keeps its things on this machine, and the locks that keep two commands apart."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

Report = Callable[[str], None]

DEFAULT_ROOT = Path("/var/lib/standfast/lab")
DEFAULT_CACHE = Path("/var/cache/standfast")

# Locks and the machine's former settings are void after a restart of the machine, as /run is.
RUNTIME = Path("/run/standfast-lab")

BRIDGE_PREFIX = "sflab"


def silent(_: str) -> None:
    """A report that nobody reads."""


@dataclass(frozen=True, slots=True)
class Lab:
    """
    One lab: its folder and the cache it shares with other labs of this machine.

    Two labs (two folders) have nothing in common but the cache: each has its own bridge, subnet
    and SSH key.
    """

    root: Path
    cache: Path

    @classmethod
    def current(cls) -> Lab:
        """The lab that STANDFAST_LAB_DIR and STANDFAST_CACHE_DIR name, or this machine's own."""
        root = Path(os.environ.get("STANDFAST_LAB_DIR") or DEFAULT_ROOT)
        cache = Path(os.environ.get("STANDFAST_CACHE_DIR") or DEFAULT_CACHE)
        return cls(root.absolute(), cache.absolute())

    @property
    def bridge(self) -> str:
        """Name of the network bridge; the same folder always has the same one."""
        if self.root == DEFAULT_ROOT:
            return f"{BRIDGE_PREFIX}0"
        return f"{BRIDGE_PREFIX}-{sha256(str(self.root).encode()).hexdigest()[:6]}"

    @property
    def servers(self) -> Path:
        """One folder per server."""
        return self.root / "servers"

    @property
    def ssh_config(self) -> Path:
        """OpenSSH client configuration with one Host block per server."""
        return self.root / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        """The servers' host keys, under name and address."""
        return self.root / "known_hosts"

    @property
    def key(self) -> Path:
        """The private key that opens every server of this lab; the public one is beside it."""
        return self.root / "id_ed25519"

    @property
    def network(self) -> Path:
        """Which subnet this lab has."""
        return self.root / "network.json"

    @contextmanager
    def lock(self, report: Report = silent) -> Iterator[None]:
        """Hold this while addresses, the network or the SSH files change."""
        with file_lock(RUNTIME / f"{self.bridge}.lock", report):
            yield

    @contextmanager
    def server_lock(self, name: str, report: Report = silent) -> Iterator[None]:
        """Hold this while one server is made, started, stopped or removed."""
        with file_lock(RUNTIME / f"{self.bridge}.{name}.lock", report):
            yield


@contextmanager
def file_lock(path: Path, report: Report = silent) -> Iterator[None]:
    """Wait for an exclusive lock; it falls by itself when the process that holds it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"waiting for another standfast that holds {path}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file in one step: a reader, or a crash, sees the old text or the new one."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(text)
    new.chmod(mode)
    new.replace(path)
