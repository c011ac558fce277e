"""
Files in a container, reached by this process itself: as ``/proc/PID/root`` shows them.

The container may be hostile. No link in it is followed, so none leads to a file of this server, and nothing
is opened before it is known not to be a device.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import IO

from standfast.host.backup import programs
from standfast.host.backup.postgres import Place


def node(place: Place, path: str, kind: Callable[[int], bool]) -> int:
    """
    A descriptor that only says which file is meant; `opened` makes one to read or write.

    + path: absolute, without links
    + kind: of its mode, for example `stat.S_ISREG`

    Raises:
        OSError: it is not there, is something else, or cannot be reached: this process is not root, or the
            container is on another machine.
    """
    if place.container is None or sys.platform != "linux":
        raise OSError(errno.ENOTSUP, "not in a container of this machine")
    told = programs.run(["docker", "inspect", "--format", "{{.State.Pid}}", place.container])
    found = walked(f"/proc/{told.output.strip()}/root", PurePosixPath(path).parts[1:])
    if not kind(os.fstat(found).st_mode):
        os.close(found)
        raise OSError(errno.EINVAL, f"{path} is something else")
    return found


def walked(root: str, names: Sequence[str]) -> int:
    """
    A descriptor that only says which file is meant; of a link, the link itself.

    Raises:
        OSError: there is none, or a link is on the way.
    """
    found = os.open(root, os.O_PATH | os.O_DIRECTORY)
    for name in names:
        folder = found
        try:
            found = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=folder)
        finally:
            os.close(folder)
    return found


def opened(described: int, how: int) -> int:
    """A descriptor to use, of what `node` has found."""
    return os.open(f"/proc/self/fd/{described}", how)


def file(place: Place, path: str) -> IO[bytes]:
    """
    An empty file that is there, to be written.

    It is not truncated: ext4 and XFS send a file that was to the disk when it is closed.

    Raises:
        OSError: as `node`.
    """
    described = node(place, path, stat.S_ISREG)
    try:
        return os.fdopen(opened(described, os.O_WRONLY), "wb")
    finally:
        os.close(described)
