"""Swap two folders in one step of the file system: at every moment each name has one of the two, whole."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_SUBVOLUME = 256
_TREE_OF = 0xD0009412  # BTRFS_IOC_INO_LOOKUP


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


def identity(folder: Path) -> int:
    """
    A number by which a folder is known again after it was renamed.

    It is the inode; every subvolume of btrfs has the same one, so there it is the subvolume's own number,
    negative. Source: btrfs-ioctl(5), BTRFS_IOC_INO_LOOKUP.
    """
    inode = folder.stat().st_ino
    if inode != _SUBVOLUME:
        return inode
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    answer = bytearray(struct.pack("QQ4080x", 0, _SUBVOLUME))
    try:
        fcntl.ioctl(descriptor, _TREE_OF, answer)
    except OSError:
        return inode  # of another file system
    finally:
        os.close(descriptor)
    return -int(struct.unpack_from("Q", answer)[0])


def flushed(folder: Path) -> None:
    """Wait until everything in a folder's file system is on disk. Source: syncfs(2)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{folder} could not be written to disk: {os.strerror(code)}")
    finally:
        os.close(descriptor)
