"""Snapshots: the inventory's wishes in the words of the program on servers, and what they cannot cover."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath

from pyinfra import host

from standfast.errors import Refused
from standfast.facts.docker import Engine, Volume, Volumes
from standfast.facts.mounts import Mount, Mounts
from standfast.host.snapshots.configuration import Configuration
from standfast.inventory.schema import Snapshots
from standfast.operations.attention import attention

ROOT = PurePosixPath("/var/lib/docker")
TYPE = "btrfs"


def configured(name: str, wanted: Snapshots, volumes: Collection[str]) -> Configuration:
    """
    What the host program has to know.

    + name: the server's name in the inventory
    + volumes: the declared ones
    """
    return Configuration(server=name, driver=wanted.driver, keep=wanted.keep, volumes=tuple(volumes))


def covered(volumes: Collection[str]) -> None:
    """
    Say which declared volumes no snapshot can hold; nothing is converted or moved.

    Raises:
        Refused: none of them can be in one; nothing has been changed.
        CouldNotLook: Docker is installed and does not answer.
    """
    engine = host.get_fact(Engine)
    root = PurePosixPath(engine.root) if engine else ROOT
    there = host.get_fact(Volumes)
    reasons = uncovered(volumes, there, host.get_fact(Mounts).mounts, future=root / "volumes")
    if len(reasons) == len(volumes):
        told = "\n".join(f"    volume {name}: {reason}" for name, reason in reasons.items())
        raise Refused(
            f"snapshots: expected Docker's volumes on btrfs, and none of them is:\n{told}\n"
            f"  Mount a file system of btrfs at {root} before Docker is installed there, or move the data to "
            "one (docs/snapshots.md), or take `snapshots` out of the inventory. Nothing was changed."
        )
    for name, reason in reasons.items():
        attention(f"volume {name} is in no snapshot: {reason}")


def uncovered(
    volumes: Collection[str],
    there: Mapping[str, Volume],
    mounts: Sequence[Mount],
    *,
    future: PurePosixPath,
) -> dict[str, str]:
    """
    Why declared volumes cannot be in a snapshot, as far as a plan can see; pure.

    + there: volumes of the server
    + future: folder in which Docker will make those that are not there yet
    """
    found = {}
    for name in volumes:
        volume = there.get(name)
        place = PurePosixPath(volume.mountpoint) if volume else future / name / "_data"
        kind = _type(place, mounts)
        if volume and volume.driver != "local":
            found[name] = f"Docker keeps it elsewhere (driver {volume.driver})"
        elif kind != TYPE:
            found[name] = f"{'it is' if volume else 'it would be'} on {kind}, not on btrfs"
    return found


def _type(place: PurePosixPath, mounts: Sequence[Mount]) -> str:
    """The file system that a path is on, or would be on."""
    inside = [
        (len(PurePosixPath(each.target).parts), number)
        for number, each in enumerate(mounts)
        if place.is_relative_to(each.target)
    ]
    return mounts[max(inside)[1]].type if inside else "nothing that is mounted"
