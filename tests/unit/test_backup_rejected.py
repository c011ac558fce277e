"""Copies that turn out not to be whole after they were stored; restic and Docker say what a test wants."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from standfast.host.backup import baseline, layout, manifest, programs, upkeep, volumes
from standfast.host.backup.configuration import Configuration, Volume
from standfast.host.backup.faults import Fault
from standfast.host.backup.manifest import VolumeManifest
from standfast.host.backup.restic import Repository
from standfast.host.restore import copies, selection

GOOD, BAD = "4f1c" * 16, "bad0" * 16
BEFORE = VolumeManifest("media", "web-1", "2026-11-20T18:00:00+00:00", "/srv/media", "local", 1, 0, 3, {})
RESTIC = """#!/bin/sh
echo "$*" >> {folder}/told
case " $* " in
  *" backup "*) cp {folder}/after {folder}/snapshots; cat {folder}/stored; exit $(cat {folder}/code) ;;
  *" snapshots "*standfast-warm*) echo null ;;
  *" snapshots "*) cat {folder}/snapshots ;;
  *" dump {good} "*) cat {folder}/manifest ;;
  *" dump "*) exit 1 ;;
esac
"""
DOCKER = """#!/bin/sh
case "$1" in volume) cat {folder}/volume ;; esac
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server with one volume, of which the repository has a good copy; the next one will be cut short."""
    for name in ("STAGING", "GOOD", "REJECTED", "MANIFESTS"):
        monkeypatch.setattr(layout, name, tmp_path / name.lower())
    monkeypatch.setattr(programs, "PATH", f"{tmp_path / 'bin'}:{programs.PATH}")
    (tmp_path / "bin").mkdir()
    for name, script in (("restic", RESTIC), ("docker", DOCKER)):
        (tmp_path / "bin" / name).write_text(script.format(folder=tmp_path, good=GOOD))
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "media").mkdir()
    (tmp_path / "media/picture").write_text("abc")
    volume = {"Name": "media", "Mountpoint": str(tmp_path / "media"), "Driver": "local"}
    (tmp_path / "volume").write_text(json.dumps([volume]))
    (tmp_path / "snapshots").write_text(json.dumps([snapshot(GOOD, 21)]))
    (tmp_path / "after").write_text(json.dumps([snapshot(GOOD, 21), snapshot(BAD, 22)]))
    (tmp_path / "manifest").write_text(manifest.text(BEFORE))
    # restic 0.14 tells short ids, and counts the manifest too: the picture is missing.
    told = {"message_type": "summary", "snapshot_id": BAD[:8], "data_added": 0}
    told |= {"total_files_processed": 1, "total_bytes_processed": 0}
    (tmp_path / "stored").write_text(json.dumps(told))
    (tmp_path / "code").write_text("0")
    return tmp_path


def snapshot(identity: str, day: int) -> dict[str, Any]:
    return {
        "id": identity,
        "time": f"2026-11-{day}T18:00:00Z",
        "tags": ["standfast", "volume:media"],
        "paths": ["/srv/media"],
        "hostname": "web-1",
    }


def settings(*, append_only: bool) -> Configuration:
    return Configuration(
        "web-1", "rest:http://203.0.113.20/", append_only=append_only, volumes={"media": Volume("daily")}
    )


def back_up(wanted: Configuration) -> None:
    volumes.back_up("media", wanted, Repository(wanted), versions={}, report=lambda _: None)


@pytest.mark.parametrize("code", ["0", "3"])
def test_where_nothing_may_be_removed_a_rejected_copy_is_never_the_default(code: str, folder: Path) -> None:
    wanted = settings(append_only=True)
    repository = Repository(wanted)
    (folder / "code").write_text(code)
    with pytest.raises(Fault, match=r"Snapshot bad0bad0 could not be removed; this server never takes it"):
        back_up(wanted)
    assert "forget" not in (folder / "told").read_text()

    every = repository.snapshots(layout.TAG)
    assert [each.id for each in every] == [GOOD, BAD]
    assert selection.choose(every, "volume", "media", None, UTC).id == GOOD
    assert selection.choose(every, "volume", "media", "bad0", UTC).id == BAD
    assert baseline.of("volume", "media", repository) == BEFORE
    newest, older = copies.described(wanted, repository, every, [])["items"][0]["copies"]
    assert (newest["doubtful"], older["doubtful"]) == (
        "it is not whole, or not of one moment, and could not be removed",
        "",
    )


def test_where_it_may_be_it_is_removed(folder: Path) -> None:
    with pytest.raises(Fault, match=r"1 files were there, and it has 0\. Snapshot bad0bad0 was removed\."):
        back_up(settings(append_only=False))
    assert f"forget {BAD[:8]}\n" in (folder / "told").read_text()


def test_a_storage_that_refuses_what_nobody_has_declared(folder: Path) -> None:
    program = folder / "bin/restic"
    program.write_text(program.read_text().replace("esac", '  *" forget "*) exit 1 ;;\nesac'))
    with pytest.raises(Fault, match="could not be removed"):
        back_up(settings(append_only=False))
    assert Repository(settings(append_only=False)).snapshots(layout.TAG)[-1].suspect


def test_retention_removes_what_was_rejected_as_soon_as_it_may(folder: Path) -> None:
    with pytest.raises(Fault):
        back_up(settings(append_only=True))
    wanted = settings(append_only=False)
    upkeep.prune(wanted, Repository(wanted))
    assert f"forget {BAD}\n" in (folder / "told").read_text()
