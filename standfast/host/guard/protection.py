"""What the guards of a server protect; apply writes it into ``/etc/standfast``, and it holds no secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from standfast.host.backup.configuration import Database

CONFIGURATION = Path("/etc/standfast/guards.json")
DATABASES = Path("/etc/standfast/guarded-databases.json")
FORMAT = 1


@dataclass(frozen=True)
class Protection:
    """What the guard of Docker protects."""

    environment: str
    volumes: tuple[str, ...] = ()
    """Volumes whose removal is refused."""

    def text(self) -> str:
        """The file's content."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, ensure_ascii=False) + "\n"


def load(path: Path = CONFIGURATION) -> Protection | None:
    """What is protected; ``None`` when it cannot be read, and then everything must be."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("format") != FORMAT:
            return None
        return Protection(**{**found, "volumes": tuple(found["volumes"])})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def databases_text(databases: Mapping[str, Database]) -> str:
    """The content of the file with the guarded databases, by their names in the inventory."""
    found = {name: asdict(each) for name, each in databases.items()}
    return json.dumps({"format": FORMAT, "databases": found}, indent=2, ensure_ascii=False) + "\n"


def databases(path: Path = DATABASES) -> dict[str, Database]:
    """
    The databases that have a guard; none without the file.

    Raises:
        ValueError: the file cannot be used.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ValueError(f"format {FORMAT} was expected")
        return {
            name: Database(**{**each, "may_shrink": tuple(each["may_shrink"])})
            for name, each in found["databases"].items()
        }
    except FileNotFoundError:
        return {}
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: cannot be used: {error}; `standfast apply` writes it again") from error
