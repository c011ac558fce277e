"""What is guarded here: the shipped catalogue, and the ``guard.yml`` of the account and of the repository."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from standfast.guard import layout
from standfast.guard.addresses import Address
from standfast.host.guard import catalogue as catalogues
from standfast.host.guard import classification
from standfast.host.guard.catalogue import Catalogue

NAME = "guard.yml"


@dataclass(frozen=True)
class Knowledge:
    """Everything that users' files and the shipped catalogue say."""

    catalogue: Catalogue
    databases: tuple[tuple[str, str], ...] = ()
    """Patterns of ``HOST/DATABASE`` or of a database's name, and its environment."""
    passes: tuple[str, ...] = ()
    """Entries that may simply run here."""
    faults: tuple[str, ...] = ()
    """What is wrong in users' files, with file and line."""

    def environment(self, address: Address) -> str | None:
        """What a database is declared as; ``None`` when it is not. The last pattern that fits counts."""
        fitting = [kind for pattern, kind in self.databases if _fits(address, pattern)]
        return fitting[-1] if fitting else None


def _fits(address: Address, pattern: str) -> bool:
    return fnmatchcase(address.name, pattern) or ("/" not in pattern and fnmatchcase(address.typed, pattern))


def here(folder: Path) -> Knowledge:
    """What is guarded in a folder; users' files are compiled once and read again when they change."""
    paths = files(folder)
    return _known(_compiled(paths)) if paths else Knowledge(classification.shipped())


def files(folder: Path) -> list[Path]:
    """The ``guard.yml`` of the account, then the nearest one at or above a folder, in its repository."""
    found = [layout.own_file()] if layout.own_file().is_file() else []
    for each in (folder, *folder.parents):
        if (each / NAME).is_file():
            return [*found, each / NAME]
        if (each / ".git").exists():
            break
    return found


def _known(data: dict[str, Any]) -> Knowledge:
    return Knowledge(
        catalogues.of(data), tuple(data["databases"].items()), tuple(data["pass"]), tuple(data["faults"])
    )


def _compiled(paths: Sequence[Path]) -> dict[str, Any]:
    """Users' files as JSON, from the cache when they are as they were."""
    marks = [f"{path.resolve()} {path.stat().st_mtime_ns} {path.stat().st_size}" for path in paths]
    marks += [str(Path(classification.__file__).stat().st_mtime_ns), str(Path.cwd())]
    cached = layout.compiled() / f"{hashlib.sha256(os.linesep.join(marks).encode()).hexdigest()[:32]}.json"
    try:
        known: dict[str, Any] = json.loads(cached.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        from standfast.guard import compilation  # pydantic and YAML, only when a file has changed

        known = compilation.compiled(paths)
        _write(cached, json.dumps(known))
    return known


def _write(path: Path, text: str) -> None:
    """A cache that cannot be written is none."""
    try:
        layout.private(path.parent)
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError:
        return
