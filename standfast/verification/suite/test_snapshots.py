"""Snapshots: what takes them is there, they are whole and read-only, and no more than declared."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host as LiveHost

from standfast.inventory.schema import Host, Snapshots


@pytest.fixture
def snapshots(declared: Host) -> Snapshots:
    if declared.snapshots is None:
        pytest.skip("snapshots are not declared")
    return declared.snapshots


def test_the_configuration_is_for_root_only(host: LiveHost, snapshots: Snapshots) -> None:
    file = host.file("/etc/standfast/snapshots.json")
    assert (file.user, file.mode) == ("root", 0o600)


def test_volumes_can_be_in_snapshots(host: LiveHost, snapshots: Snapshots, declared: Host) -> None:
    answer = json.loads(host.run("standfast-host snapshots list --json").stdout)
    volumes = set(declared.docker.volumes) if declared.docker else set()
    assert answer["covered"], answer["uncovered"]
    assert {*answer["covered"], *answer["uncovered"]} == volumes


def test_snapshots_are_whole_and_no_more_than_declared(host: LiveHost, snapshots: Snapshots) -> None:
    found = json.loads(host.run("standfast-host snapshots list --json").stdout)["snapshots"]
    assert [(each["id"], each["damage"]) for each in found if each["damage"]] == []
    assert len([each for each in found if each["name"] is None]) <= snapshots.keep
