"""
What takes snapshots. ``btrfs`` is the first driver; LVM or a provider's disks would be others.

A driver knows where the files of volumes are and how a moment of them is kept. It knows nothing of
containers, retention and restores: those are the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from standfast.host.backup.containers import DockerVolume


@dataclass(frozen=True)
class About:
    """What is known of a snapshot, before and after it is taken."""

    id: str
    time: str
    """UTC."""
    reason: str
    """``by hand`` or ``before apply``."""
    name: str | None = None
    """Given by a person; then retention never removes it."""


@dataclass(frozen=True)
class Kept:
    """One volume in a snapshot."""

    place: str
    """Where in the snapshot its files are: the driver's own words."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of the volume, for one that has to be made anew."""


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that is there."""

    about: About
    volumes: Mapping[str, Kept]
    moments: int = 1
    """Groups of volumes: those of one group are of exactly the same moment."""
    damage: str = ""
    """What is wrong with it; empty when nothing is."""

    @property
    def id(self) -> str:
        """What people call it by, when it has no name."""
        return self.about.id

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            **asdict(self.about),
            "volumes": sorted(self.volumes),
            "moments": self.moments,
            "damage": self.damage,
        }


class Driver(Protocol):
    """Takes, finds, removes snapshots, and brings a volume back from one."""

    def why_not(self, volume: DockerVolume) -> str | None:
        """Why a volume cannot be in a snapshot, in words; ``None`` when it can."""

    def take(self, about: About, volumes: Sequence[DockerVolume]) -> Snapshot:
        """
        Take a snapshot of volumes for which `why_not` has no reason.

        Raises:
            Fault: it could not be taken whole, and nothing of it is left; the earlier ones are as they were.
        """

    def snapshots(self) -> list[Snapshot]:
        """All that are there whole, the oldest first. One that was cut off while it was made is none."""

    def bring_back(self, snapshot: Snapshot, volume: str, target: Path) -> None:
        """
        Fill the empty folder of a new volume with a volume as it was; the snapshot stays as it is.

        Raises:
            Fault: it could not be filled whole.
        """

    def original(self, snapshot: Snapshot, volume: str) -> Path:
        """The folder of a volume in a snapshot, to be read."""

    def remove(self, snapshot: Snapshot) -> None:
        """
        Remove one snapshot; when it is cut off, the snapshot is none any more, and `settle` ends it.

        Raises:
            Fault: it could not be removed.
        """

    def settle(self) -> None:
        """Clear up what a run that was killed has left half made or half removed."""
