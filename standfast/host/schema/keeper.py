"""
Removes a throwaway server when the process that made it has ended, however that came about.

It is a process of its own that reads from its maker until there is nothing more: the kernel closes the pipe
also when the maker is killed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import standfast
from standfast.host.backup import programs

FOLDER, CONTAINER = "folder", "container"


@contextmanager
def watching(kind: str, what: str) -> Iterator[None]:
    """
    Have something removed at the end of this block, or of this process.

    + kind: `FOLDER`, or `CONTAINER` of Docker
    + what: its path or its name; it need not be there yet
    """
    root = Path(standfast.__file__).parents[1]  # a folder, or the program's own archive on a server
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, kind, what],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env={
            **programs.surroundings(),
            "PYTHONPATH": str(root),
            "PATH": os.environ.get("PATH", programs.PATH),
        },
    )
    try:
        yield
    finally:
        process.communicate()


def main(kind: str, what: str) -> None:
    """Wait for the end of the maker, then remove."""
    sys.stdin.buffer.read()
    if kind == CONTAINER:
        subprocess.run(["docker", "rm", "--force", "--volumes", what], check=False)
    else:
        shutil.rmtree(what, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
