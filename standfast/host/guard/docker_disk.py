"""
Docker's containers and volumes as they stand on the disk.

A plugin that asked Docker while Docker waits for its answer would hang both; so it reads what Docker wrote.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DAEMON = Path("/etc/docker/daemon.json")
ROOT = "/var/lib/docker"
ANONYMOUS = re.compile(r"[0-9a-f]{64}")
MARKS = frozenset({"PG_VERSION", "ibdata1", "dump.rdb", "appendonlydir", "WiredTiger"})
"""Files and folders that only a database's data have: PostgreSQL, MySQL, Redis, MongoDB."""
DEPTH = 3
SECONDS = 3.0
"""Longest look into one volume."""


class CouldNotLook(Exception):
    """Something could not be read, so nobody knows what is there."""


@dataclass(frozen=True)
class Container:
    """One container, running or not."""

    id: str
    name: str
    labels: Mapping[str, str]
    volumes: tuple[str, ...]
    """Names of the volumes that it mounts."""


def root(daemon: Path = DAEMON) -> Path:
    """The folder in which Docker keeps everything."""
    try:
        found = json.loads(daemon.read_text(encoding="utf-8"))
        return Path(found.get("data-root") or ROOT)
    except (OSError, ValueError, AttributeError):
        return Path(ROOT)


def called(reference: str, place: Path) -> list[Container]:
    """
    The containers that Docker may mean by a name, an id or the beginning of one.

    + place: Docker's folder

    Raises:
        CouldNotLook: the list of containers, or one of those that may be meant, cannot be read.
    """
    name = reference.lstrip("/")
    found = []
    for folder in _folders(place, "containers"):
        try:
            container = _container(json.loads((folder / "config.v2.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            continue  # just being made, or just gone: nothing is mounted yet, or any more
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise CouldNotLook(f"{folder}/config.v2.json: {error}") from error
        if container.name == name or (name and container.id.startswith(name)):
            found.append(container)
    return found


def holds_database(volume: str, place: Path) -> bool:
    """
    Whether a volume has a database's data in it, or what is in it cannot be told.

    + place: Docker's folder
    """
    deadline = time.monotonic() + SECONDS
    for each in _roots(place):
        try:
            for name in _names(each / "volumes" / volume / "_data", DEPTH):
                if name in MARKS or name.endswith((".sqlite3", ".sqlite")) or time.monotonic() > deadline:
                    return True
        except FileNotFoundError:
            continue
        except OSError:
            return True
    return False


def _roots(place: Path) -> list[Path]:
    """With ``userns-remap`` there is one more folder between, such as ``100000.100000``."""
    return [place, *place.glob("[0-9]*.[0-9]*")]


def _folders(place: Path, kind: str) -> Iterator[Path]:
    try:
        for each in _roots(place):
            if (each / kind).is_dir():
                yield from sorted((each / kind).iterdir())
    except OSError as error:
        raise CouldNotLook(str(error)) from error


def _container(found: Mapping[str, Any]) -> Container:
    mounts = (found.get("MountPoints") or {}).values()
    return Container(
        id=str(found["ID"]),
        name=str(found["Name"]).lstrip("/"),
        labels=(found.get("Config") or {}).get("Labels") or {},
        volumes=tuple(
            str(each["Name"]) for each in mounts if each.get("Type") == "volume" or each.get("Name")
        ),
    )


def _names(folder: Path, depth: int) -> Iterator[str]:
    """Names of everything in a folder, the nearest first; links are not followed."""
    deeper = []
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name
            if entry.is_dir(follow_symlinks=False):
                deeper.append(Path(entry.path))
    if depth > 1:
        for each in deeper:
            yield from _names(each, depth - 1)
