"""
What a shim starts: harmless commands run at once; for all others the whole program is started.

It runs without site-packages, so nothing here may import more than the standard library.
"""

from __future__ import annotations

import os
import sys


def main(arguments: list[str]) -> None:
    """
    Become the real program, or `standfast guard run`.

    + arguments: path of the real program, then the command with its arguments
    """
    program, *argv = arguments
    if _harmless(argv):
        # By its path: Python looks for the environment that it belongs to beside what it was called by.
        os.execve(program, [program, *argv[1:]], os.environ)  # noqa: S606 - no shell on purpose
    command = [sys.executable, "-I", "-m", "standfast.cli.main", "guard", "run", "--", *argv]
    os.execve(sys.executable, command, os.environ)  # noqa: S606


def _harmless(argv: list[str]) -> bool:
    """Whether a command is known to be harmless without looking at anything but itself."""
    from standfast.host.guard.classification import classify_all, shipped

    catalogue = shipped()
    if _has_own_files():
        from pathlib import Path

        from standfast.guard import knowledge

        try:
            catalogue = knowledge.here(Path.cwd()).catalogue
        except ImportError:  # a file has changed; what compiles it is not within reach here
            return False
    return not classify_all(argv, catalogue=catalogue, stdin=0)


def _has_own_files() -> bool:
    own = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    folder = os.getcwd()
    found = os.path.exists(f"{own}/standfast/guard.yml")
    while not found:
        found = os.path.exists(f"{folder}/guard.yml")
        if folder == "/":
            break
        folder = os.path.dirname(folder)
    return found
