"""Where everything is: on the server, and in a restic repository."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = Path("/etc/standfast/backups.json")
PASSWORD = Path("/etc/standfast/backup-password")
CREDENTIALS = Path("/etc/standfast/backup-credentials")
"""Lines ``NAME=value`` for restic's environment: the repository's access keys."""
SSH_KEY = Path("/etc/standfast/backup-ssh-key")
KNOWN_HOSTS = Path("/etc/standfast/backup-known-hosts")


@dataclass(frozen=True)
class Secrets:
    """The files with which a repository is opened; all but the password may be missing."""

    password: Path
    credentials: Path
    ssh_key: Path
    known_hosts: Path


SECRETS = Secrets(PASSWORD, CREDENTIALS, SSH_KEY, KNOWN_HOSTS)
"""This server's own."""

STATE = Path(os.environ.get("STANDFAST_BACKUP_STATE", "/var/lib/standfast/backups"))
RUNS = STATE / "runs"
"""One file of JSON lines for every run; lines are only ever added."""
STAGING = STATE / "staging"
"""What is about to be stored; the path is the same each time, so that restic knows what it has seen."""
GOOD = STATE / "good"
"""The manifest of the last good copy of everything: what the next one is compared with."""
LOCK = STATE / "lock"
HELD = STATE / "held.json"
"""Writers that are paused or stopped at this moment; they are started again whoever dies."""
RELEASE = STATE / "release.lock"
"""One at a time lets them go on; with those that are still being stopped it takes a while."""
KNOWN = STATE / "repository.json"
"""Every repository that was used, with its id: one that is gone or another one is noticed."""
REJECTED = STATE / "rejected.json"
"""Ids of copies that turned out not to be whole: where nothing may be removed, they are still there."""
CACHE = Path("/var/cache/standfast/restic")
MANIFESTS = Path("/var/cache/standfast/manifests")
"""One file for each snapshot."""

# A snapshot of restic has TAG and either database:NAME or volume:NAME; SUSPECT too when the copy is whole
# and what is in it looks wrong: half the rows are gone, a clock was set back. WARM alone is no backup: the
# first of two passes over a volume, made while its writers ran.
TAG = "standfast"
SUSPECT = "suspect"
WARM = "standfast-warm"

DUMP = "dump.pgc"
GLOBALS = "globals.sql"
MANIFEST = "manifest.json"
CATALOGUE = "catalogue.json"
"""What is in a database besides rows; `standfast schema` holds the live one against it."""


def staging(kind: str, name: str) -> Path:
    """Folder of a copy's own files; in the repository they have the same absolute path."""
    return STAGING / kind / name


def tag(kind: str, name: str) -> str:
    """The tag of everything that was ever stored of one database or volume."""
    return f"{kind}:{name}"
