"""What a volume's manifest counts, and what a restored volume is held against: on this machine's own files."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from standfast.host.backup import volumes
from standfast.host.backup.faults import Refused
from standfast.host.backup.manifest import VolumeManifest
from standfast.host.backup.restic import Snapshot
from standfast.host.restore import prospect, volume
from standfast.host.restore.prospect import Wish
from tests.unit import fake_docker


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A volume with three files, one of them a pipe, and a socket beside them."""
    folder = tmp_path / "data"
    (folder / "run").mkdir(parents=True)
    (folder / "first").write_text("12345")
    (folder / "link").symlink_to("first")
    os.mkfifo(folder / "run/pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "run/socket"))
    return folder


def stored(source: Path, to: Path) -> Path:
    """A copy as restic makes and brings back one: without sockets, and without a word about that."""
    shutil.copytree(source, to, symlinks=True, ignore=shutil.ignore_patterns("socket", "pipe"))
    os.mkfifo(to / "run/pipe")
    return to


def made(source: Path) -> VolumeManifest:
    """The manifest of a copy that was made just now."""
    there = volumes.contents(source)
    return VolumeManifest(
        name="media",
        server="web-1",
        time="2026-11-01T18:00:00+00:00",
        mountpoint=str(source),
        driver="local",
        files=there.files,
        folders=there.folders,
        bytes=there.bytes,
        sockets=there.sockets,
        versions={},
    )


def test_a_socket_keeps_no_copy_from_coming_back(data: Path, tmp_path: Path) -> None:
    manifest = made(data)
    assert (manifest.files, manifest.sockets, manifest.folders, manifest.bytes) == (3, 1, 1, 5)
    restored = volume.contents(stored(data, tmp_path / "back"))
    assert volume.compared(manifest, restored) == ([], [])
    assert volume.contents(data) == restored


def test_a_copy_whose_older_manifest_counts_its_sockets_comes_back(data: Path, tmp_path: Path) -> None:
    older = replace(made(data), files=4, sockets=None)
    back = stored(data, tmp_path / "back")
    faults, notes = volume.compared(older, volume.contents(back))
    assert faults == []
    assert notes == ["files: 3, there were 4; an older version has counted sockets, which no copy holds"]
    (back / "first").unlink()
    faults, notes = volume.compared(older, volume.contents(back))
    assert faults == ["files: 2, there were 4", "bytes in files: 0, there were 5"]


@pytest.mark.parametrize("files", [2, 4])
def test_another_number_of_files_is_a_fault(data: Path, tmp_path: Path, files: int) -> None:
    restored = volume.contents(stored(data, tmp_path / "back"))
    assert volume.compared(replace(made(data), files=files), restored)[0]
    more = replace(made(data), files=2, sockets=None)
    assert volume.compared(more, restored) == (["files: 3, there were 2"], [])


def test_what_docker_mounts_as_a_volume_cannot_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is swapped in below the mount would be hidden by it, and the restore would seem done."""
    docker = fake_docker.installed(tmp_path, monkeypatch)
    manifest = made(docker.volume("media", type="none", o="bind", device="/srv/media"))
    copy = Snapshot("4409e39b", datetime(2026, 11, 1, tzinfo=UTC), (), (), "web-1")
    with pytest.raises(Refused, match="--volume media --to NAME"):
        prospect._volume(Wish("volume", "media"), copy, manifest)
    docker.volume("media")
    assert prospect._volume(Wish("volume", "media"), copy, manifest).target == "media"
