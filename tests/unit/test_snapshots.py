"""Snapshots without a server: what is told to it, what stays, where a folder is, what is refused."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from click.testing import CliRunner

from standfast.cli.main import standfast
from standfast.facts.docker import Volume
from standfast.facts.mounts import Mount
from standfast.host.backup.containers import DockerVolume
from standfast.host.backup.faults import WrongConfiguration
from standfast.host.restore.exchange import identity
from standfast.host.snapshots import btrfs, configuration, mounts
from standfast.host.snapshots.driver import About, Kept, Snapshot
from standfast.host.snapshots.retention import superfluous
from standfast.host.snapshots.returning import chosen
from standfast.inventory.loader import load
from standfast.operations import snapshots

EVERYTHING = Path(__file__).parents[1] / "inventories/valid/everything.yml"
# Of a lab server; the last two are a bind mount of a subvolume's folder, and a name with a space.
MOUNTINFO = """\
1597 1596 0:80 / / rw,relatime - overlay overlay rw,lowerdir=/a,upperdir=/b,workdir=/c
1610 1597 253:0 /disk/docker /var/lib/docker rw,relatime shared:9 - ext4 /dev/vda rw,discard
2098 1610 0:253 / /var/lib/docker rw,relatime shared:971 - btrfs /dev/loop40 rw,ssd,subvolid=5,subvol=/
2100 1597 0:254 /@data/pictures /srv/pictures rw,relatime - btrfs /dev/vdb rw,subvolid=256,subvol=/@data
2101 1597 0:255 / /srv/two\\040words rw,relatime - ext4 /dev/vdc rw
"""


def snapshot(number: int, name: str | None = None, *, damage: str = "") -> Snapshot:
    about = About(f"20261126-0{number}0000-ab{number}f", f"2026-11-26T0{number}:00:00+00:00", "by hand", name)
    return Snapshot(about, {"media": Kept("0/volumes/media/_data")}, damage=damage)


EVERY = [snapshot(1), snapshot(2, "before-upgrade"), snapshot(3), snapshot(4)]


@pytest.mark.parametrize(("keep", "gone"), [(1, [0, 2]), (2, [0]), (3, []), (50, []), (0, [0, 2])])
def test_the_newest_stay_and_those_with_a_name_are_neither_removed_nor_counted(
    keep: int, gone: list[int]
) -> None:
    assert superfluous(EVERY, keep) == [EVERY[number] for number in gone]


@pytest.mark.parametrize(("key", "number"), [("before-upgrade", 1), ("20261126-03", 2), (EVERY[3].id, 3)])
def test_a_snapshot_is_meant_by_its_name_or_the_beginning_of_its_id(key: str, number: int) -> None:
    assert chosen(EVERY, key, "media") == EVERY[number]


@pytest.mark.parametrize(
    ("key", "volume", "message"),
    [
        ("2026", "media", "2026: 4 snapshots are called that; the newest are: before-upgrade, "),
        ("nope", "media", "nope: no snapshots are called that"),
        ("before-upgrade", "pgdata", "has no volume pgdata; it has: media. Nothing was done."),
    ],
)
def test_nothing_is_guessed(key: str, volume: str, message: str) -> None:
    with pytest.raises(WrongConfiguration, match=message):
        chosen(EVERY, key, volume)


def test_the_server_is_told_what_is_declared() -> None:
    host = load(EVERYTHING).inventory.hosts["web-1"]
    assert host.snapshots is not None
    assert host.docker is not None
    told = snapshots.configured("web-1", host.snapshots, host.docker.volumes)
    assert configuration.parse(told.text()) == told
    assert (told.driver, told.keep, told.volumes[:2]) == ("btrfs", 10, ("toybox_pgdata", "toybox_media"))


@pytest.mark.parametrize(
    "changed",
    [
        ('"format": 1', '"format": 2'),
        ('"driver": "btrfs"', '"driver": "lvm"'),
        ('"keep"', '"kept"'),
    ],
)
def test_a_configuration_of_another_version_is_refused(tmp_path: Path, changed: tuple[str, str]) -> None:
    text = configuration.Configuration("web-1", "btrfs", 5, ("media",)).text()
    path = tmp_path / "snapshots.json"
    path.write_text(text)
    assert configuration.load(path).volumes == ("media",)
    path.write_text(text.replace(*changed))
    with pytest.raises(WrongConfiguration, match="standfast apply"):
        configuration.load(path)


@pytest.mark.parametrize(
    ("folder", "kind", "source"),
    [
        ("/var/lib/docker/volumes/media/_data", "btrfs", "/dev/loop40"),
        ("/srv/pictures/2026", "btrfs", "/dev/vdb"),
        ("/srv/picturesque", "overlay", "overlay"),
        ("/srv/two words/x", "ext4", "/dev/vdc"),
    ],
)
def test_the_mount_that_is_seen_is_found(folder: str, kind: str, source: str) -> None:
    found = mounts.holding(PurePosixPath(folder), mounts.parse(MOUNTINFO))
    assert (found.type, found.source) == (kind, source)


def test_a_mount_inside_of_a_volume_is_found() -> None:
    every = mounts.parse(MOUNTINFO)
    assert [each.source for each in mounts.below(PurePosixPath("/srv"), every)] == ["/dev/vdb", "/dev/vdc"]
    assert mounts.below(PurePosixPath("/srv/pictures"), every) == []


def test_no_snapshot_lies_where_docker_takes_every_folder_for_a_volume(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "volumes/media/_data"
    place.mkdir(parents=True)
    text = f"1 0 0:1 / {tmp_path / 'volumes'} rw - btrfs /dev/vdb rw\n"
    monkeypatch.setattr(btrfs, "mounts", lambda: mounts.parse(text))
    volume = DockerVolume("media", str(place), "local", {}, {})
    assert "mount a subvolume there instead" in str(btrfs.Btrfs().why_not(volume))
    bound = DockerVolume("media", str(place), "local", {"type": "none", "o": "bind"}, {})
    assert "with options" in str(btrfs.Btrfs().why_not(bound))


def test_a_folder_is_known_again_after_it_was_renamed(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    known = identity(one)
    assert known != identity(other)
    one.rename(tmp_path / "renamed")
    assert identity(tmp_path / "renamed") == known


FUTURE = PurePosixPath("/var/lib/docker/volumes")


def uncovered(types: dict[str, str], volumes: dict[str, Volume]) -> dict[str, str]:
    every = [Mount("none", target, kind, frozenset()) for target, kind in types.items()]
    return snapshots.uncovered(["media", "pgdata"], volumes, every, future=FUTURE)


def volume(name: str, place: str, driver: str = "local") -> Volume:
    return Volume(name, place, driver)


def test_a_plan_says_which_volumes_no_snapshot_holds() -> None:
    ext4, btrfs = {"/": "ext4"}, {"/": "ext4", "/var/lib/docker": "btrfs"}
    assert uncovered(btrfs, {}) == {}
    assert uncovered(ext4, {"media": volume("media", f"{FUTURE}/media/_data")}) == {
        "media": "it is on ext4, not on btrfs",
        "pgdata": "it would be on ext4, not on btrfs",
    }
    elsewhere = volume("media", "/mnt/nfs/media", "nfs")
    assert uncovered(btrfs, {"media": elsewhere}) == {"media": "Docker keeps it elsewhere (driver nfs)"}
    own = {**btrfs, f"{FUTURE}/media/_data": "xfs"}
    there = {"media": volume("media", f"{FUTURE}/media/_data")}
    assert uncovered(own, there) == {"media": "it is on xfs, not on btrfs"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--list", "--name", "x"], "--list: expected without"),
        (["--to", "x"], "--to: expected together with --restore"),
        (["--restore", "x"], "expected exactly one --volume with it, found 0"),
        (["--restore", "x", "--volume", "a", "--volume", "b"], "expected exactly one --volume"),
        (["--restore", "x", "--volume", "a", "--name", "y"], "--name: expected without --restore"),
        (["--restore", "x", "--volume", "a"], "there is no terminal: add --yes"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: list[Any], message: str) -> None:
    done = CliRunner().invoke(standfast, ["snapshot", "nowhere", *arguments])
    assert done.exit_code == 3, done.output
    assert message in done.output
