"""``/etc/standfast/snapshots.json``: which volumes, by which driver, how many stay. Apply writes it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from standfast.host.backup.faults import WrongConfiguration
from standfast.host.snapshots import layout

FORMAT = 1
DRIVERS = ("btrfs",)


@dataclass(frozen=True)
class Configuration:
    """Everything that snapshots need to know."""

    server: str
    """Name in the inventory."""
    driver: str
    keep: int
    """How many without a name stay."""
    volumes: tuple[str, ...]
    """The declared ones."""

    def text(self) -> str:
        """The file's content."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, ensure_ascii=False) + "\n"


def load(path: Path | None = None) -> Configuration:
    """
    Read the configuration.

    Raises:
        WrongConfiguration: it is not there, or not as this version of the program needs it.
    """
    path = path or layout.CONFIGURATION
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WrongConfiguration(
            f"{path}: expected the snapshots' configuration, and there is none. Declare `snapshots` in the "
            "inventory and run `standfast apply`. Nothing was done."
        ) from None
    except PermissionError:
        raise WrongConfiguration(f"{path}: only root may read it; use sudo. Nothing was done.") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WrongConfiguration(
            f"{path}: cannot be used: {error}. Run `standfast apply` to write it again. Nothing was done."
        ) from None


def parse(text: str) -> Configuration:
    """A configuration from the file's content; raises what its parts raise."""
    data = json.loads(text)
    found = data.pop("format", None)
    if found != FORMAT:
        raise ValueError(f"format {FORMAT} was expected, found {found}")
    made = Configuration(**{**data, "volumes": tuple(data["volumes"])})
    if made.driver not in DRIVERS:
        raise ValueError(f"the driver {', '.join(DRIVERS)} was expected, found {made.driver}")
    return made
