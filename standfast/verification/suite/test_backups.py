"""Backups: what makes them is there, runs by itself, and knows what is declared."""

from __future__ import annotations

import json

import pytest

from standfast.inventory.schema import Backups, Host
from standfast.verification.seen import Seen


@pytest.fixture
def backups(declared: Host) -> Backups:
    if declared.backups is None:
        pytest.skip("backups are not declared")
    return declared.backups


def lines_at(seen: Seen, time: str, job: str) -> list[str]:
    """Lines of the schedule that begin a job at a time of day."""
    begin = f"{int(time[3:])} {int(time[:2])} "
    return [line for line in seen.lines("cron") if line.startswith(begin) and f" {job}" in line]


def test_cron_knows_the_times(seen: Seen, backups: Backups) -> None:
    assert [time for time in backups.databases if not lines_at(seen, time, "databases")] == []
    assert lines_at(seen, backups.volumes, "volumes")
    assert lines_at(seen, backups.check, "check prune")
    assert backups.drill == "never" or lines_at(seen, backups.drill, "drill")


def test_the_program_knows_every_declared_copy(seen: Seen, backups: Backups, declared: Host) -> None:
    answer = json.loads(seen.text("backups"))
    assert answer["repository"] == backups.repository
    volumes = declared.docker.volumes if declared.docker else {}
    copied = {name for name, volume in volumes.items() if volume.backup in ("daily", "weekly")}
    assert {each["name"] for each in answer["copies"]} == {*declared.databases, *copied}


def test_no_writer_was_left_standing(seen: Seen, backups: Backups) -> None:
    answer = json.loads(seen.text("backups"))
    assert answer["running"] or not answer["writers_held"]


def test_restic_runs(seen: Seen, backups: Backups) -> None:
    assert seen.text("restic").startswith("restic ")
