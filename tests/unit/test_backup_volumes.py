"""A copy of a volume is of one moment, whoever starts containers meanwhile: with a docker of the tests' own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from standfast.host.backup import layout, manifest, volumes
from standfast.host.backup.configuration import Configuration, Volume
from standfast.host.backup.faults import Fault
from standfast.host.backup.manifest import VolumeManifest
from standfast.host.backup.records import Item
from standfast.host.backup.restic import Repository, Snapshot, Stored
from standfast.host.snapshots import mounts
from tests.unit import fake_docker
from tests.unit.fake_docker import FakeDocker

WANTED = Configuration(server="web-1", repository="/srv/restic", volumes={"media": Volume("daily")})


class Copies(Repository):
    """A repository that counts as restic does, and lets something happen during each pass."""

    def __init__(self, *passes: Callable[[], None]) -> None:
        super().__init__(WANTED)
        self.passes = list(passes)
        self.made: VolumeManifest | None = None
        """Of the copy that is there."""

    def snapshots(self, *_: str) -> list[Snapshot]:
        return []

    def backup(
        self,
        paths: Sequence[Path],
        tags: Sequence[str],
        *,
        time: datetime | None = None,
        parent: str = "",
        seconds: float = 0,
    ) -> Stored:
        if self.passes:
            self.passes.pop(0)()
        files = [each for path in paths for each in path.rglob("*") if each.is_file()]
        if layout.TAG in tags:
            found = manifest.parse((paths[1] / layout.MANIFEST).read_text())
            assert isinstance(found, VolumeManifest)
            self.made = found
        return Stored(tags[0], len(files), 0, 0)

    def forget(self, *snapshots: str) -> bool:
        if layout.TAG in snapshots:
            self.made = None
        return True


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    made = fake_docker.installed(tmp_path, monkeypatch)
    (made.volume("media") / "picture").write_text("12345")
    return made


def backed_up(copies: Copies, *, how: str = "pause") -> Item:
    """Copy the volume."""
    wanted = replace(WANTED, volumes={"media": Volume("daily", how)})
    return volumes.back_up("media", wanted, copies, versions={}, report=print)


def held(copies: Copies) -> dict[str, str]:
    """How each writer stood still, as the copy says."""
    assert copies.made is not None
    return {each.container: each.held for each in copies.made.writers}


def test_a_writer_that_starts_during_the_first_pass_stands_still_too(docker: FakeDocker) -> None:
    docker.container("web")
    copies = Copies(lambda: docker.container("worker"))
    assert "container web, container worker stood still" in backed_up(copies).message
    assert held(copies) == {"web": "paused", "worker": "paused"}
    assert [docker.status(each) for each in ("web", "worker")] == ["running", "running"]


@pytest.mark.parametrize("first", ["running", "exited"])
def test_a_copy_during_which_a_writer_has_started_is_none(docker: FakeDocker, first: str) -> None:
    docker.container("web", first)
    docker.container("worker", "exited")
    passes = [lambda: None] if first == "running" else []
    copies = Copies(*passes, lambda: docker.set("worker", "running"))
    with pytest.raises(Fault, match="let container worker start or go on in the middle of it"):
        backed_up(copies)
    assert copies.made is None
    assert docker.status("web") == first


def test_a_copy_during_which_a_writer_was_let_go_on_is_none(docker: FakeDocker) -> None:
    docker.container("web")
    copies = Copies(lambda: None, lambda: docker.set("web", "running"))
    with pytest.raises(Fault, match="let container web start or go on"):
        backed_up(copies)
    assert copies.made is None


def test_a_writer_that_has_ended_since_is_not_held(docker: FakeDocker) -> None:
    docker.container("web")
    docker.container("worker")
    copies = Copies(lambda: docker.set("worker", "exited"))
    assert backed_up(copies).ok
    assert held(copies) == {"web": "paused", "worker": "not running"}


@pytest.fixture
def share(docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    """A folder of the server, which Docker mounts as the volume while its container runs or is paused."""
    docker.container("web")
    point = docker.volume("media", type="none", o="bind", device="/srv/media")
    line = f"71 29 8:1 /srv/media {point} rw,relatime shared:1 - ext4 /dev/sda1 rw"

    def mounted() -> list[mounts.Mount]:
        return mounts.parse(line if docker.status("web") in ("running", "paused") else "")

    monkeypatch.setattr(volumes, "mounts", mounted)
    return docker


def test_a_volume_that_docker_mounts_is_copied_while_its_writers_are_paused(share: FakeDocker) -> None:
    copies = Copies()
    assert backed_up(copies).ok
    assert held(copies) == {"web": "paused"}
    assert share.status("web") == "running"


def test_a_volume_that_docker_unmounts_with_its_last_container_is_not_stored_empty(share: FakeDocker) -> None:
    copies = Copies()
    with pytest.raises(Fault, match=r"driver options.*`writers: pause`.*Nothing was stored"):
        backed_up(copies, how="stop")
    assert copies.made is None
    assert share.status("web") == "running"
    share.set("web", "exited")
    with pytest.raises(Fault, match="none does"):
        backed_up(copies)
    assert copies.made is None


def test_a_volume_with_a_limit_alone_is_a_folder(docker: FakeDocker) -> None:
    docker.volume("media", o="size=10G")
    assert backed_up(Copies()).ok
