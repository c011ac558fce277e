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
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import standfast
from standfast.host.backup import programs, records

TRIES, PAUSE = 600, 0.1
FOLDER, CONTAINERS = "folder", "containers"
LABEL = "standfast.schema"
"""On every container of a comparison, with the comparison's own name as its value."""


@contextmanager
def watching(kind: str, what: str) -> Iterator[None]:
    """
    Have something removed at the end of this block, or of this process.

    + kind: `FOLDER`, or `CONTAINERS` of Docker
    + what: its path, or the value of their `LABEL`; it need not be there yet
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
    if kind == CONTAINERS:
        remove(f"{LABEL}={what}")
    else:
        _remove_folder(Path(what))


def _remove_folder(folder: Path) -> None:
    """Remove a folder; processes of a server that was killed may still write there for a moment."""
    for _ in range(TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(PAUSE)


def remove(label: str) -> None:
    """Remove the containers with a label, and their own volumes."""
    ids = programs.run(["docker", "ps", "--all", "--quiet", "--filter", f"label={label}"]).output.split()
    if ids:
        programs.run(["docker", "rm", "--force", "--volumes", *ids])


def remove_forgotten() -> None:
    """Remove containers of comparisons whose maker and watcher were killed, or went with the power."""
    done = programs.run(
        ["docker", "ps", "--all", "--filter", f"label={LABEL}", "--format", f'{{{{.Label "{LABEL}"}}}}']
    )
    for name in set(done.output.split()):
        pid, _, birth = name.partition(":")
        if pid.isdigit() and records.born(int(pid)) != birth.rpartition(":")[0]:
            remove(f"{LABEL}={name}")


def new_name() -> str:
    """A name for the containers of one comparison; it tells who made them."""
    return f"{os.getpid()}:{records.born(os.getpid())}:{time.monotonic_ns()}"


if __name__ == "__main__":
    main(*sys.argv[1:])
