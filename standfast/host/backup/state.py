"""Small files of the program's own: written whole or not at all, for root only."""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, content: str) -> None:
    """Write a file; after a power cut there is the old one or the new one."""
    folder(path.parent)
    new = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    _flush(path.parent)


def remove(path: Path) -> None:
    """Remove a file, for good also after a power cut."""
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        _flush(path.parent)


def folder(path: Path) -> None:
    """Make sure of a folder that only root can look into."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
