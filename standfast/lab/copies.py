"""Snapshots of a server that is a folder: whole copies of its disk, made while it is off."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from standfast.errors import StandfastError, UsageError
from standfast.lab.programs import run

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,30}")


def check_label(label: str) -> None:
    """
    Refuse labels that are no safe file names.

    Raises:
        UsageError: it is none.
    """
    if not LABEL.fullmatch(label):
        raise UsageError(f"lab: label: expected letters, digits and hyphens, at most 31, not {label!r}")


def require(server: Path, label: str) -> None:
    """
    Make sure that there is such a snapshot of the server in this folder.

    Raises:
        StandfastError: there is none; the message names those that are there.
    """
    if not _place(server, label).is_dir():
        there = ", ".join(sorted(entry.name for entry in server.glob("snapshots/[!.]*"))) or "none"
        raise StandfastError(f"lab: {server.name}: no snapshot {label}; there is: {there}")


def keep(server: Path, label: str) -> None:
    """Copy the disk; a snapshot of the same label is replaced when the new one is complete."""
    place = _place(server, label)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    new = place.with_name(f".{label}")
    _copy(server / "disk", new)
    shutil.rmtree(place, ignore_errors=True)
    new.rename(place)


def bring_back(server: Path, label: str) -> None:
    """Put a copy of the snapshot in the disk's place; the snapshot stays."""
    require(server, label)
    new = server / ".disk"
    _copy(_place(server, label), new)
    shutil.rmtree(server / "disk")
    new.rename(server / "disk")


def _place(server: Path, label: str) -> Path:
    return server / "snapshots" / label


def _copy(source: Path, target: Path) -> None:
    """With owners, links and the marks of overlay file systems; shared blocks where the machine can."""
    shutil.rmtree(target, ignore_errors=True)
    run(["cp", "--archive", "--reflink=auto", str(source), str(target)])
