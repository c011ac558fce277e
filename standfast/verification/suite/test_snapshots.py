"""Snapshots: what takes them is there, they are whole and read-only, and no more than declared."""

from __future__ import annotations

import json

import pytest

from standfast.inventory.schema import Host, Snapshots
from standfast.verification.seen import Seen


@pytest.fixture
def snapshots(declared: Host) -> Snapshots:
    if declared.snapshots is None:
        pytest.skip("snapshots are not declared")
    return declared.snapshots


def test_volumes_can_be_in_snapshots(seen: Seen, snapshots: Snapshots, declared: Host) -> None:
    answer = json.loads(seen.text("snapshots"))
    volumes = set(declared.docker.volumes) if declared.docker else set()
    assert answer["covered"], answer["uncovered"]
    assert {*answer["covered"], *answer["uncovered"]} == volumes


def test_snapshots_are_whole_and_no_more_than_declared(seen: Seen, snapshots: Snapshots) -> None:
    found = json.loads(seen.text("snapshots"))["snapshots"]
    assert [(each["id"], each["damage"]) for each in found if each["damage"]] == []
    assert len([each for each in found if each["name"] is None]) <= snapshots.keep
