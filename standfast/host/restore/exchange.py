"""Swap two folders in one step of the file system: at every moment each name has one of the two, whole."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def exchange(one: Path, other: Path) -> None:
    """
    Give each of two folders of one file system the other's name; on disk when this returns.

    Raises:
        OSError: they are on two file systems, or it cannot do that; nothing has been changed.

    Source: renameat2(2).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{one} and {other} could not be swapped: {os.strerror(code)}")
    for parent in {one.parent, other.parent}:
        synced(parent)


def synced(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
