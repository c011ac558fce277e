"""
A volume's copy: two passes with restic, the first while its writers run, the second while they stand still.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath

from standfast import __version__
from standfast.host.backup import (
    baseline,
    comparison,
    containers,
    layout,
    manifest,
    records,
    revision,
    state,
    writers,
)
from standfast.host.backup.configuration import Configuration
from standfast.host.backup.containers import Container, DockerVolume
from standfast.host.backup.faults import Fault
from standfast.host.backup.manifest import VolumeManifest, Writer
from standfast.host.backup.records import Item
from standfast.host.backup.restic import Repository, Stored
from standfast.host.snapshots.mounts import mounts

KIND = "volume"
FEW = 10
"""Files: fewer may come and go without a question."""


@dataclass(frozen=True)
class Contents:
    """What is in a volume."""

    files: int
    """Everything that is no folder and no socket."""
    regular: int
    sockets: int
    """restic stores none of them; a program makes its own anew."""
    folders: int
    bytes: int


def back_up(
    name: str,
    configuration: Configuration,
    repository: Repository,
    *,
    accepted: Collection[str] = (),
    versions: Mapping[str, str],
    report: Callable[[str], None],
) -> Item:
    """
    Make and store a copy of one volume; its writers stand still for the second pass only.

    + accepted: volumes whose losses since the last copy are meant
    + versions: of ``restic`` and others, for the manifest

    Raises:
        Fault: nothing was stored; the earlier copies are as they were, and the writers go on.
    """
    started = time.monotonic()
    wanted = configuration.volumes[name]
    volume = containers.volume(name)
    mountpoint = Path(volume.mountpoint)
    if not mountpoint.is_dir():
        raise Fault(f"volume {name}: Docker says that it is at {mountpoint}, and nothing is there")
    before = baseline.of(KIND, name, repository)
    warm = _warm(repository, name, mountpoint) if writers.running(_writing(name)) else None
    try:
        writing = _writing(name)  # the first pass may have taken an hour
        running = writers.running(writing)
        made, stored, away, doubts = _second_pass(
            _manifest(volume, configuration, writing, wanted.writers, versions),
            repository,
            running,
            how=wanted.writers,
            seconds=wanted.seconds,
            parent=warm.snapshot if warm else "",
            doubts=lambda made: _doubts(before, made, meant=name in accepted),
            report=report,
        )
    finally:
        if warm is not None:
            repository.forget(warm.snapshot)
    figures = {
        "files": made.files,
        "bytes": made.bytes,
        "added": stored.added + (warm.added if warm else 0),
        "seconds": round(time.monotonic() - started, 1),
        "away_seconds": round(away, 2),
    }
    if doubts:
        return Item(KIND, name, False, _warning(name, doubts, stored.snapshot), stored.snapshot, figures)
    baseline.remember(made)
    stood = f", {', '.join(each.words for each in running)} stood still for {away:.1f} s" if running else ""
    words = f"{made.files:,} files, {made.bytes / 1e6:,.1f} MB{stood}"
    return Item(KIND, name, True, words, stored.snapshot, figures)


def contents(folder: Path) -> Contents:
    """
    Count a folder's contents.

    Raises:
        Fault: something in it cannot be read.
    """
    files = regular = sockets = folders = size = 0
    waiting = [folder]
    try:
        while waiting:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders += 1
                        waiting.append(Path(entry.path))
                        continue
                    told = entry.stat(follow_symlinks=False)
                    if stat.S_ISSOCK(told.st_mode):
                        sockets += 1
                        continue
                    files += 1
                    if stat.S_ISREG(told.st_mode):
                        regular += 1
                        size += told.st_size
    except OSError as error:
        raise Fault(f"{error.filename}: {error.strerror}") from None
    return Contents(files, regular, sockets, folders, size)


def _writing(volume: str) -> list[Container]:
    """Containers that can write to a volume, running or not, as they are now."""
    return [each for each in containers.containers() if _writes(each, volume)]


def _writes(container: Container, volume: str) -> bool:
    return any(mount.volume == volume and mount.writable for mount in container.mounts)


def _warm(repository: Repository, name: str, mountpoint: Path) -> Stored:
    """The first pass: no backup, but the second one need not read again what has not changed."""
    copies = repository.snapshots(layout.TAG, layout.tag(KIND, name))
    return repository.backup([mountpoint], [layout.WARM], parent=copies[-1].id if copies else "")


def _second_pass(
    made: VolumeManifest,
    repository: Repository,
    running: list[Container],
    *,
    how: str,
    seconds: float,
    parent: str,
    doubts: Callable[[VolumeManifest], list[str]],
    report: Callable[[str], None],
) -> tuple[VolumeManifest, Stored, float, list[str]]:
    """The copy itself; returns what it is, and for how many seconds the writers were away."""
    folder = layout.staging(KIND, made.name)
    state.folder(layout.STAGING)
    mountpoint = Path(made.mountpoint)
    held = time.monotonic()
    with writers.held(running, how, report):
        held = time.monotonic()
        now = datetime.now(timezone.utc)
        _refuse_unmounted(made)
        there = contents(mountpoint)
        made = replace(
            made,
            time=now.isoformat(timespec="seconds"),
            files=there.files,
            sockets=there.sockets,
            folders=there.folders,
            bytes=there.bytes,
        )
        found = doubts(made)
        state.write(folder / layout.MANIFEST, manifest.text(made))
        tags = [layout.TAG, layout.tag(KIND, made.name), *([layout.SUSPECT] if found else [])]
        limit = {"seconds": seconds} if running else {}
        stored = repository.backup([mountpoint, folder], tags, time=now, parent=parent, **limit)
        moving = writers.moving(_writing(made.name), running, how)
    away = time.monotonic() - held if running else 0.0
    wrong = f"somebody has let {', '.join(moving)} start or go on in the middle of it" if moving else ""
    if stored.files < there.regular + 1:
        wrong = f"{there.regular} files were there, and it has {stored.files - 1}"
    if wrong:
        rejected = repository.reject(stored.snapshot)
        raise Fault(f"the copy is not of one moment or not whole: {wrong}. {rejected}")
    return made, stored, away, found


def mounted_by_docker(options: Mapping[str, str]) -> bool:
    """Whether Docker mounts something (a folder, a device, NFS) as a volume while a container uses it."""
    return bool(options.get("device") or options.get("type"))


def _refuse_unmounted(volume: VolumeManifest) -> None:
    """
    Docker mounts a volume's own device or folder for its first container, and unmounts it after the last one.

    Raises:
        Fault: nothing is mounted, so there is an empty folder instead of the data.
    """
    if volume.driver != "local" or not mounted_by_docker(volume.options):
        return
    # os.path.ismount would not see a folder that is mounted from the same file system.
    place = PurePosixPath(Path(volume.mountpoint).resolve())
    if place not in {each.point for each in mounts()}:
        raise Fault(
            f"volume {volume.name}: it has driver options, so Docker mounts it only while a container that "
            "uses it runs, and none does. Keep one running, and let its writers be paused "
            "(`writers: pause`), not stopped. Nothing was stored."
        )


def _manifest(
    volume: DockerVolume,
    configuration: Configuration,
    writing: list[Container],
    how: str,
    versions: Mapping[str, str],
) -> VolumeManifest:
    """All that is known before the second pass."""
    return VolumeManifest(
        name=volume.name,
        server=configuration.server,
        time=records.now(),
        mountpoint=volume.mountpoint,
        driver=volume.driver,
        files=0,
        folders=0,
        bytes=0,
        versions={**versions, "standfast": __version__},
        options=volume.options,
        labels=volume.labels,
        writers=tuple(_writer(each, volume.name, how) for each in writing),
        revision=revision.applied(),
    )


def _writer(container: Container, volume: str, how: str) -> Writer:
    return Writer(
        container=container.name,
        image=container.image,
        image_id=container.image_id,
        path=next(mount.path for mount in container.mounts if mount.volume == volume),
        held=writers.HOW[how] if writers.running([container]) else "not running",
        app=container.app,
        service=container.service,
    )


def _doubts(before: manifest.Manifest | None, made: VolumeManifest, *, meant: bool) -> list[str]:
    """What is strange about a copy that is whole."""
    if not isinstance(before, VolumeManifest):
        return []
    found = baseline.clock(before.time, made.time)
    if meant:
        return found
    if before.mountpoint != made.mountpoint:
        found.append(f"it is at {made.mountpoint} now; it was at {before.mountpoint}")
    if before.writers and not made.writers:
        used = ", ".join(each.container for each in before.writers)
        found.append(f"no container mounts it any more ({used} did): have the application's data moved?")
    if made.files == 0 and before.files:
        found.append(f"it is empty; it had {before.files:,} files")
    elif before.files >= FEW and made.files * 2 <= before.files:
        found.append(f"it has {made.files:,} files; it had {before.files:,}")
    elif made.bytes * 2 < before.bytes:
        found.append(f"it has {made.bytes:,} bytes; it had {before.bytes:,}")
    return found


def _warning(name: str, doubts: list[str], snapshot: str) -> str:
    return (
        f"{comparison.shortened(doubts)}. This copy was stored as suspect ({snapshot[:8]}); the earlier ones "
        f"stay as they are. If it is meant: `standfast-host backup volumes --accept {name}`"
    )
