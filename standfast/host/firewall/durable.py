"""Files that are old or new after a power cut, never half."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write(path: Path, content: bytes, *, mode: int = 0o600, owner: tuple[int, int] = (0, 0)) -> None:
    """Put a file in place, whole and on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600, exist_ok=False)  # rights before the first byte
    with new.open("wb") as file:
        os.fchown(file.fileno(), *owner)
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync(path.parent)


def remove(path: Path) -> None:
    """Remove a file; it is gone from the disk when this returns."""
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync(path.parent)


def write_json(path: Path, value: object) -> None:
    """Put a JSON file in place."""
    write(path, json.dumps(value, indent=1).encode())


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever was written
    """What `write_json` wrote; ``None`` when there is no such file, or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def sync(folder: Path) -> None:
    """Have a folder's entries on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
