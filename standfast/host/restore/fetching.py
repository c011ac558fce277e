"""
Copies out of the repository.

A dump goes straight to where PostgreSQL's programs run, and its checksum is made on the way: it is written
once, and needs its room once.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from standfast.host.backup import layout, pipe
from standfast.host.backup.faults import Fault
from standfast.host.backup.manifest import DatabaseManifest, StoredFile, passed_on
from standfast.host.backup.postgres import Place
from standfast.host.backup.restic import Repository
from standfast.host.restore import database
from standfast.host.restore.database import Files, OutOfReach

_CHUNK = 1 << 16  # what is larger comes from the system anew each time, which takes half as long again


def fetch(repository: Repository, snapshot: str, target: Path) -> None:
    """
    Get a whole snapshot out of the repository.

    Raises:
        Fault: it could not be read whole; what was fetched of it is worth nothing.
    """
    done = repository.run("restore", snapshot, "--target", str(target))
    if done.code != 0:
        raise Fault(f"copy {snapshot[:8]} could not be fetched: {done.reason}")


@contextmanager
def fetched(
    repository: Repository, snapshot: str, manifest: DatabaseManifest, place: Place, target: Path
) -> Iterator[Files]:
    """
    The files of a database's copy, compared with its manifest; the dump is gone after the block.

    + target: folder for files that need not be where PostgreSQL's programs run

    Raises:
        Fault: it could not be read whole, or is not what was stored; nothing has been changed.
    """
    folder = target / layout.staging("database", manifest.name).relative_to("/")
    try:
        try:
            database.checked(_streamed(repository, snapshot, manifest, place, folder), manifest)
            files = Files(folder, database.WITHIN_REACH)
        except OutOfReach:
            fetch(repository, snapshot, target)
            database.checked_files(folder, manifest)
            files = Files(folder)
        yield files
    finally:
        database.take_away(place)
        (folder / layout.DUMP).unlink(missing_ok=True)


def _streamed(
    repository: Repository, snapshot: str, manifest: DatabaseManifest, place: Place, folder: Path
) -> dict[str, StoredFile]:
    """Size and checksum of every file; raises `OutOfReach` when the dump cannot be put there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    read, write = os.pipe()
    pipe.widen(write)
    with ThreadPoolExecutor(1) as beside, os.fdopen(read, "rb") as archive:
        dumping = beside.submit(_dumped, repository, snapshot, manifest, write)
        try:
            found = _unpacked(archive, place, folder)
        except tarfile.TarError as error:
            dumping.result()  # why it ended too early
            raise Fault(f"copy {snapshot[:8]} could not be fetched: {error}") from None
        dumping.result()
    return found


def _dumped(repository: Repository, snapshot: str, manifest: DatabaseManifest, write: int) -> None:
    path = layout.staging("database", manifest.name)
    with os.fdopen(write, "wb") as archive:
        done = repository.run("dump", "--archive", "tar", snapshot, str(path), stdout=archive)
    if done.code != 0:
        raise Fault(f"copy {snapshot[:8]} could not be fetched: {done.reason}")


def _unpacked(archive: IO[bytes], place: Place, folder: Path) -> dict[str, StoredFile]:
    found = {}
    with tarfile.open(fileobj=archive, mode="r|", bufsize=_CHUNK) as members:
        for member in members:
            content = members.extractfile(member)
            if content is None:
                continue  # a folder
            name = PurePosixPath(member.name).name
            if name == layout.DUMP:
                found[name] = database.put(place, content)
            else:
                with (folder / name).open("wb") as file:
                    found[name] = passed_on(content, file)
    return found
