"""Paths as users write them and as they read them."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(name: str) -> Path:
    """A path with ``~`` replaced; ``~nobody`` stays as it is, and then does not exist."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - Path.expanduser() raises for an unknown user


def absolute(path: Path) -> Path:
    """An absolute path without ``..``, which leaves links alone: they may lead out of the repository."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.resolve() would follow links


def on_screen(path: Path) -> str:
    """A path as the user would type it here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def folder_on_screen(path: Path) -> str:
    """A folder as people call it: "this folder" when the user is in it."""
    return "this folder" if path == Path.cwd() else on_screen(path)
