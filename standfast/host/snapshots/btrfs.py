"""
Snapshots of btrfs: all volumes of one subvolume at one moment, without holding anything that writes.

The whole file system is mounted where only this process sees it, so a snapshot can be anywhere in it and
lies where nobody's ``rm`` comes by: ``/.standfast-snapshots/ID`` of the top subvolume. ``ID`` is a subvolume
itself, with one read-only snapshot of each subvolume that has volumes in it, and what is known of them, and
it is read-only in the end: its files cannot be removed either.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath

from standfast.host.backup import programs, state
from standfast.host.backup.containers import DockerVolume
from standfast.host.backup.faults import Fault
from standfast.host.restore.exchange import synced
from standfast.host.snapshots import layout
from standfast.host.snapshots.driver import About, Kept, Snapshot
from standfast.host.snapshots.mounts import Mount, below, holding, mounts

TYPE = "btrfs"
FOLDER = ".standfast-snapshots"
ABOUT = "snapshot.json"
FORMAT = 1
HALF_MADE, HALF_GONE = ".new", ".gone"
"""Ends of names: not a snapshot yet, not a snapshot any more."""
SUBVOLUME = 256
"""Inode of the folder that a subvolume is."""

CLONE_NEWNS = 0x00020000
SUBVOLUME_FLAGS = 0x80089419  # BTRFS_IOC_SUBVOL_GETFLAGS
READ_ONLY = 1 << 1
GET_FLAGS, SET_FLAGS, NO_COPY_ON_WRITE = 0x80086601, 0x40086602, 0x00800000  # ioctl_iflags(2)


@dataclass(frozen=True)
class Location:
    """A folder, counted from the top of its file system."""

    device: str
    path: PurePosixPath


@dataclass
class Btrfs:
    """The driver."""

    tops: dict[str, Path] = field(default_factory=dict)
    """File systems that are mounted whole, by device."""

    def why_not(self, volume: DockerVolume) -> str | None:
        """Why a volume cannot be in a snapshot, in words; ``None`` when it can."""
        folder = PurePosixPath(volume.mountpoint)
        if volume.driver != "local" or volume.options:
            return f"Docker keeps it elsewhere (driver {volume.driver}, with options)"
        if not Path(folder).is_dir():
            return f"Docker says that it is at {folder}, and nothing is there"
        every = mounts()
        mount = holding(folder, every)
        if mount.type != TYPE:
            return f"it is on {mount.type}, not on btrfs"
        if _top_is_dockers(mount, folder):
            return (
                f"the top of the file system is mounted at {mount.point}, where Docker takes every folder "
                "for a volume: mount a subvolume there instead (`-o subvol=NAME`)"
            )
        if inner := below(folder, every):
            return f"another file system is mounted in it, at {inner[0].point}"
        return self._nested(_located(folder, every))

    def take(self, about: About, volumes: Sequence[DockerVolume]) -> Snapshot:
        """
        Take a snapshot.

        Raises:
            Fault: it could not be taken whole, and nothing of it is left.
        """
        every = mounts()
        located = {each.name: _located(PurePosixPath(each.mountpoint), every) for each in volumes}
        labels = {each.name: each.labels for each in volumes}
        devices = sorted({each.device for each in located.values()})
        made: list[Path] = []
        try:
            for device in devices:
                paths = {name: each.path for name, each in located.items() if each.device == device}
                made.append(self._take(about, device, paths, labels))
        except (Fault, OSError) as error:
            for home in [*made, *(self._home(device) / f"{about.id}{HALF_MADE}" for device in devices)]:
                self._discard(home)
            raise Fault(
                f"no snapshot could be taken: {error}. Nothing of it is left; the earlier ones are there. If "
                "the disk is full: `standfast-host snapshots remove ID` gives back what only that one holds."
            ) from error
        return next(each for each in self.snapshots() if each.id == about.id)

    def snapshots(self) -> list[Snapshot]:
        """All that are there whole, the oldest first."""
        found: dict[str, Snapshot] = {}
        for device in _devices():
            home = self._home(device)
            for path in home.iterdir() if home.is_dir() else ():
                one = None if path.suffix in (HALF_MADE, HALF_GONE) else _read(path)
                if one is not None:
                    found[one.id] = _joined(found.get(one.id), one)
        return sorted(found.values(), key=lambda each: (each.about.time, each.id))

    def original(self, snapshot: Snapshot, volume: str) -> Path:
        """The folder of a volume in a snapshot."""
        return self._original(snapshot.id, volume)[1]

    def bring_back(self, snapshot: Snapshot, volume: str, target: Path) -> None:
        """
        Fill the empty folder of a new volume; blocks are shared, so it takes up no room at first.

        Raises:
            Fault: it could not be filled whole.
        """
        device, source = self._original(snapshot.id, volume)
        place = _located(PurePosixPath(target), mounts())
        # In one mount: older kernels share blocks within a mount only.
        inside = self._top(device) / place.path.relative_to("/") if place.device == device else target
        if _is_subvolume(source) and place.device == device:
            inside.rmdir()
            _btrfs("subvolume", "snapshot", str(source), str(inside))
            return
        _like_its_writes(source, inside)
        copied = programs.run(
            ["cp", "-a", "--reflink=auto", "-T", str(source), str(inside)], seconds=programs.LONG
        )
        if copied.code != 0:
            raise Fault(f"volume {volume} could not be copied out of snapshot {snapshot.id}: {copied.reason}")

    def remove(self, snapshot: Snapshot) -> None:
        """
        Remove one snapshot.

        Raises:
            Fault: it could not be removed.
        """
        for device in _devices():
            home = self._home(device) / snapshot.id
            if home.is_dir():
                gone = home.with_name(f"{home.name}{HALF_GONE}")
                home.rename(gone)
                synced(gone.parent)
                self._discard(gone)

    def settle(self) -> None:
        """Clear up what a run that was killed has left."""
        for device in _devices():
            home = self._home(device)
            for path in home.iterdir() if home.is_dir() else ():
                if path.suffix in (HALF_MADE, HALF_GONE):
                    self._discard(path)

    def _take(
        self,
        about: About,
        device: str,
        paths: Mapping[str, PurePosixPath],
        labels: Mapping[str, Mapping[str, str]],
    ) -> Path:
        """The part of a snapshot that is on one file system."""
        top = self._top(device)
        home = self._home(device)
        home.mkdir(mode=0o700, exist_ok=True)
        new = home / f"{about.id}{HALF_MADE}"
        _btrfs("subvolume", "create", str(new))
        sources = sorted({_subvolume_of(top, path) for path in paths.values()})
        for number, source in enumerate(sources):
            _btrfs("subvolume", "snapshot", "-r", str(top / source.relative_to("/")), str(new / str(number)))
        kept = {}
        for name, path in paths.items():
            source = _subvolume_of(top, path)
            place = PurePosixPath(str(sources.index(source))) / path.relative_to(source)
            if not (new / place).is_dir():
                raise Fault(f"volume {name}: it is not in the snapshot; was it removed meanwhile?")
            kept[name] = {"place": str(place), "labels": dict(labels[name])}
        text = json.dumps({"format": FORMAT, "about": asdict(about), "volumes": kept}, ensure_ascii=False)
        state.write(new / ABOUT, text)
        _btrfs("property", "set", "-ts", str(new), "ro", "true")
        whole = home / about.id
        new.rename(whole)  # from here on it is a snapshot
        synced(home)
        return whole

    def _original(self, identity: str, volume: str) -> tuple[str, Path]:
        for device in _devices():
            path = self._home(device) / identity
            one = _read(path) if path.is_dir() else None
            if one is not None and volume in one.volumes:
                return device, path / one.volumes[volume].place
        raise Fault(f"snapshot {identity} has no volume {volume}. Nothing was changed.")

    def _discard(self, home: Path) -> None:
        if not home.is_dir():
            return
        if _is_read_only(home):
            _btrfs("property", "set", "-ts", str(home), "ro", "false")
        for inner in sorted(home.iterdir()):
            if _is_subvolume(inner):
                _btrfs("subvolume", "delete", str(inner))
        _btrfs("subvolume", "delete", "--commit-after", str(home))

    def _nested(self, location: Location) -> str | None:
        """A subvolume inside of a volume would be an empty folder in its snapshot."""
        listed = _btrfs("subvolume", "list", str(self._top(location.device)))
        for line in listed.splitlines():
            path = PurePosixPath("/", line.partition(" path ")[2])
            if path != location.path and path.is_relative_to(location.path):
                return f"a subvolume is in it, {path.name}, and no snapshot of it would hold that"
        return None

    def _home(self, device: str) -> Path:
        return self._top(device) / FOLDER

    def _top(self, device: str) -> Path:
        """The whole file system, mounted for this process alone."""
        if device not in self.tops:
            if not self.tops:
                _alone()
            place = layout.MOUNTS / str(len(self.tops))
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            _checked(
                ["mount", "-t", TYPE, "-o", "subvolid=5,nosuid,nodev,noexec,noatime", device, str(place)]
            )
            self.tops[device] = place
        return self.tops[device]


def _alone() -> None:
    """
    From here on, what this process mounts nobody else sees. Source: unshare(2), mount_namespaces(7).

    Raises:
        Fault: it is not allowed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise Fault(f"the file system cannot be mounted: {os.strerror(ctypes.get_errno())}")
    _checked(["mount", "--make-rslave", "/"])


def _devices() -> list[str]:
    """Devices of all file systems of btrfs that are mounted."""
    return sorted({each.source for each in mounts() if each.type == TYPE})


def _located(folder: PurePosixPath, every: Sequence[Mount]) -> Location:
    mount = holding(folder, every)
    return Location(mount.source, mount.root / folder.relative_to(mount.point))


def _top_is_dockers(mount: Mount, folder: PurePosixPath) -> bool:
    return mount.root == PurePosixPath("/") and mount.point == folder.parent.parent


def _subvolume_of(top: Path, path: PurePosixPath) -> PurePosixPath:
    """The subvolume that a folder is in, or is."""
    return next(
        each
        for each in (path, *path.parents)
        if _is_subvolume(top / each.relative_to("/")) or each == PurePosixPath("/")
    )


def _is_subvolume(path: Path) -> bool:
    return path.is_dir() and path.stat().st_ino == SUBVOLUME


def _is_read_only(path: Path) -> bool:
    """Whether a subvolume is."""
    return bool(_asked(path, SUBVOLUME_FLAGS) & READ_ONLY)


def _like_its_writes(source: Path, target: Path) -> None:
    """A folder without copy-on-write, as databases often have it, can share blocks only with one like it."""
    flags = _asked(source, GET_FLAGS)
    if flags & NO_COPY_ON_WRITE:
        mine = _asked(target, GET_FLAGS) | NO_COPY_ON_WRITE
        _with(target, lambda descriptor: fcntl.ioctl(descriptor, SET_FLAGS, struct.pack("Q", mine)))


def _asked(path: Path, question: int) -> int:
    """A number that the kernel keeps for a folder."""
    answer: list[bytes] = []
    _with(path, lambda descriptor: answer.append(fcntl.ioctl(descriptor, question, bytes(8))))
    return int(struct.unpack("Q", answer[0])[0])


def _with(path: Path, action: Callable[[int], object]) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        action(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> Snapshot | None:
    """A snapshot, or that part of it that is on this file system; ``None`` when it is none."""
    try:
        data = json.loads((path / ABOUT).read_text(encoding="utf-8"))
        volumes = {name: Kept(**each) for name, each in data["volumes"].items()}
        about = About(**data["about"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    inner = {each.place.partition("/")[0] for each in volumes.values()}
    damage = [name for name in sorted(inner) if not _is_subvolume(path / name)]
    writable = [
        each
        for each in (path, *(path / name for name in sorted(inner - {*damage})))
        if not _is_read_only(each)
    ]
    words = [f"subvolume {name} is gone" for name in damage]
    words += [f"{each.name} is not read-only any more" for each in writable]
    return Snapshot(about, volumes, len(inner), "; ".join(words))


def _joined(one: Snapshot | None, other: Snapshot) -> Snapshot:
    """The parts of one snapshot that are on two file systems."""
    if one is None:
        return other
    return replace(
        one,
        volumes={**one.volumes, **other.volumes},
        moments=one.moments + other.moments,
        damage="; ".join(filter(None, (one.damage, other.damage))),
    )


def _btrfs(*arguments: str) -> str:
    return _checked(["btrfs", *arguments])


def _checked(arguments: Sequence[str]) -> str:
    done = programs.run(arguments)
    if done.code != 0:
        raise Fault(f"{' '.join(arguments[:3])}: {done.reason}")
    return done.output
