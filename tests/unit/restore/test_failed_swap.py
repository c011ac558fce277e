"""What a restore says when something fails at its swap; Docker's part is played by a script."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from standfast.host.backup import layout, programs
from standfast.host.backup.configuration import Configuration, Volume
from standfast.host.backup.faults import Fault
from standfast.host.backup.manifest import VolumeManifest
from standfast.host.backup.restic import Repository, Snapshot
from standfast.host.restore import journal, run
from standfast.host.restore.prospect import Prospect, Restorable

SETTINGS = Configuration("web-1", "/srv/restic", volumes={"media": Volume("daily")})
COPY = Snapshot("4f1c" * 16, datetime(2026, 11, 21, 18, tzinfo=UTC), ("standfast",), (), "web-1")
MANIFEST = VolumeManifest("media", "web-1", "2026-11-21T18:00:00+00:00", "/srv/media", "local", 1, 0, 4, {})
DOCKER = """#!/bin/sh
for last; do :; done
place={folder}/volumes/$last
case "$1 $2" in
  "volume create") mkdir -p $place/_data ;;
  "volume rm") rm -r $place ;;
  "volume inspect")
    if [ ! -d $place ]; then echo "no such volume" >&2; exit 1; fi
    echo '[{{"Mountpoint": "'$place/_data'"}}]' ;;
  "ps --all") echo c1 ;;
  "inspect --type") sed "s/STATUS/$(cat {folder}/status)/" {folder}/container ;;
  "stop c1") {stop} ;;
  "start c1") echo "port is already allocated" >&2; exit 1 ;;
esac
"""
RESTIC = """#!/bin/sh
for target; do :; done
mkdir -p $target/srv/media && echo new > $target/srv/media/picture
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server whose volume ``media`` is in use, by a container that does not start any more."""
    monkeypatch.setattr(programs, "PATH", f"{tmp_path / 'bin'}:{programs.PATH}")
    monkeypatch.setattr(layout, "HELD", tmp_path / "held.json")
    monkeypatch.setattr(run, "FETCHED", tmp_path / "restoring")
    for name in ("write", "update", "close"):
        monkeypatch.setattr(journal, name, lambda _: None)
    (tmp_path / "bin").mkdir()
    program(tmp_path, "systemd-run", "#!/bin/sh\n")
    program(tmp_path, "restic", RESTIC)
    (tmp_path / "volumes/media/_data").mkdir(parents=True)
    (tmp_path / "volumes/media/_data/picture").write_text("old")
    (tmp_path / "status").write_text("running")
    mount = {"Type": "volume", "Name": "media", "Destination": "/media", "RW": True}
    container = {
        "Id": "c1",
        "Name": "/shop-web-1",
        "Image": "sha256:1",
        "State": {"Status": "STATUS"},
        "Config": {"Image": "shop", "Labels": {}},
        "Mounts": [mount],
    }
    (tmp_path / "container").write_text(json.dumps([container]))
    return tmp_path


def program(folder: Path, name: str, script: str) -> None:
    (folder / "bin" / name).write_text(script)
    (folder / "bin" / name).chmod(0o755)


def restored(folder: Path, *, stop: str) -> str:
    """What a restore of the volume says when it fails."""
    program(folder, "docker", DOCKER.format(folder=folder, stop=stop))
    prospect = Prospect("volume", "media", "media", COPY, MANIFEST, None)
    with pytest.raises(Fault) as failed:
        run.perform(Restorable(SETTINGS, Repository(SETTINGS)), [prospect], lambda _: None)
    return str(failed.value)


def test_a_container_that_does_not_start_again_after_the_swap(folder: Path) -> None:
    said = restored(folder, stop=f"echo exited > {folder}/status")
    assert (folder / "volumes/media/_data/picture").read_text() == "new\n"
    assert (
        "port is already allocated. That was after the swap: volume media has the restored data now" in said
    )
    assert said.endswith("Replaced, complete: volume media.")
    assert "As it was" not in said
    beside = said.rpartition(" or ")[2].partition(". ")[0]
    assert (folder / "volumes" / beside / "_data/picture").read_text() == "old"


def test_a_container_that_does_not_stop_before_it(folder: Path) -> None:
    said = restored(folder, stop="echo 'it is stuck' >&2; exit 1")
    assert (folder / "volumes/media/_data/picture").read_text() == "old"
    assert "it is stuck. Replaced, complete: nothing. As it was, complete: volume media." in said
