"""A volume brought back beside the one that is there, and swapped in by one step of the file system."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG, S_ISSOCK

from standfast.host.backup import containers, programs
from standfast.host.backup.containers import Container
from standfast.host.backup.faults import Fault
from standfast.host.backup.manifest import VolumeManifest
from standfast.host.restore.exchange import exchange, synced
from standfast.host.restore.programs import Failed, output

LABEL = "standfast.restore"
"""On volumes that a restore makes: a copy on its way, or what was replaced."""
_FETCHED = "fetched"
REMOVAL_TRIES = 30
REMOVAL_PAUSE = 1.0


@dataclass(frozen=True)
class Contents:
    """What is in a folder, as a manifest counts it."""

    files: int
    folders: int
    bytes: int


def mountpoint(name: str) -> Path | None:
    """Where Docker keeps a volume's files; ``None`` when there is no such volume."""
    done = programs.run(["docker", "volume", "inspect", name])
    if done.code == 0:
        return Path(json.loads(done.output)[0]["Mountpoint"])
    if "no such volume" in done.errors.lower():
        return None
    raise Failed(f"Docker cannot be asked for the volume {name}: {done.reason}")


def options(name: str) -> dict[str, str]:
    """A volume's driver options."""
    return json.loads(output(["docker", "volume", "inspect", name]))[0]["Options"] or {}


def make(name: str, labels: Mapping[str, str]) -> Path:
    """Make a volume, or take the one that is there; where its files are."""
    given = [f"--label={key}={value}" for key, value in labels.items()]
    output(["docker", "volume", "create", *given, name])
    place = mountpoint(name)
    if place is None:
        raise Fault(f"volume {name} was made, and Docker does not know it")
    return place


def fetching_place(place: Path) -> Path:
    """Folder into which a snapshot is fetched: on the volume's own file system, and not inside it."""
    folder = place.parent / _FETCHED
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def settle_fetched(place: Path, manifest: VolumeManifest) -> None:
    """
    Make what was fetched the content of the volume at `place`, which is empty.

    Raises:
        Fault: the copy does not have the volume's folder.
    """
    fetched = fetching_place(place)
    source = fetched / manifest.mountpoint.lstrip("/")
    if not source.is_dir():
        raise Fault(f"the copy has no folder {manifest.mountpoint}. Nothing was changed.")
    source.rename(place)
    synced(place.parent)
    shutil.rmtree(fetched)


def contents(folder: Path) -> Contents:
    """Count what is in a folder, itself not included; what is deleted meanwhile does not count."""
    files = folders = size = 0
    for parent, names, others in os.walk(folder):
        for name in (*names, *others):
            try:
                state = Path(parent, name).lstat()
            except FileNotFoundError:
                continue
            if S_ISDIR(state.st_mode):
                folders += 1
            elif not S_ISSOCK(state.st_mode):
                files += 1
                size += state.st_size if S_ISREG(state.st_mode) else 0
    return Contents(files, folders, size)


def compared(manifest: VolumeManifest, found: Contents) -> tuple[list[str], list[str]]:
    """
    Hold a restored volume against its manifest: what is wrong, and what is only worth knowing.

    That each file has the right content is restic's part: it knows every block by its SHA-256.
    """
    pairs = (
        ("files", manifest.files, found.files),
        ("folders", manifest.folders, found.folders),
        ("bytes in files", manifest.bytes, found.bytes),
    )
    wrong = [f"{what}: {now:,}, there were {then:,}" for what, then, now in pairs if then != now]
    if manifest.sockets is None and len(wrong) == 1 and found.files < manifest.files:
        # Each regular file was counted when it was stored, by restic too.
        return [], [f"{wrong[0]}; an older version has counted sockets, which no copy holds"]
    return wrong, []


def swap(target: Path, beside: Path) -> None:
    """
    Swap the folders of two volumes, while nobody has one of them mounted.

    Raises:
        Fault: it is not possible; nothing has been changed.
    """
    try:
        exchange(target, beside)
    except OSError as error:
        raise Fault(
            f"{error}. A volume can be swapped when Docker itself keeps it in a folder; with a driver or a "
            "mount of its own, restore into a new volume with --to and let the application use that. "
            "Nothing was changed."
        ) from error


def keep(beside: str, before: str, labels: Mapping[str, str]) -> bool:
    """
    Give what was replaced its last name; whether there was anything in it.

    Can be called again after it was cut off anywhere.
    """
    place = mountpoint(beside)
    if place is None:
        kept = mountpoint(before)
        return kept is not None and any(kept.iterdir())
    if place.is_dir() and any(place.iterdir()):
        kept = make(before, labels)
        place.rename(kept)
        synced(kept.parent)
        synced(place.parent)
    discard(beside)
    kept_place = mountpoint(before)
    return kept_place is not None and any(kept_place.iterdir())


def discard(beside: str) -> None:
    """Remove a volume that a restore made: a copy that was never in service, or an empty folder."""
    place = mountpoint(beside)
    if place is None:
        return
    for tries_left in reversed(range(REMOVAL_TRIES)):
        place.mkdir(parents=True, exist_ok=True)
        done = programs.run(["docker", "volume", "rm", beside])
        if done.code == 0:
            return
        if not tries_left:
            raise Failed(f"volume {beside}, a half copy of no use, could not be removed: {done.reason}")
        time.sleep(REMOVAL_PAUSE)  # a program of a killed restore may still be writing there


def users(name: str) -> list[Container]:
    """The running containers that mount a volume."""
    return [
        each
        for each in containers.containers()
        if each.status in ("running", "paused", "restarting") and name in {m.volume for m in each.mounts}
    ]
