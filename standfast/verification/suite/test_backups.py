"""Backups: what makes them is there, runs by itself, and its secrets are root's alone."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host as LiveHost

from standfast.inventory.schema import Backups, Host


@pytest.fixture
def backups(declared: Host) -> Backups:
    if declared.backups is None:
        pytest.skip("backups are not declared")
    return declared.backups


def test_cron_runs_and_knows_the_times(host: LiveHost, backups: Backups) -> None:
    assert host.service("cron").is_running
    assert host.service("cron").is_enabled
    assert "standfast-host backup scheduled" in host.file("/etc/cron.d/standfast").content_string


def test_secrets_are_for_root_only(host: LiveHost, backups: Backups) -> None:
    for name in ("backup-password", "backups.json"):
        file = host.file(f"/etc/standfast/{name}")
        assert (file.user, file.mode) == ("root", 0o600)


def test_the_program_knows_every_declared_copy(host: LiveHost, backups: Backups, declared: Host) -> None:
    answer = json.loads(host.run("standfast-host backup status --json").stdout)
    assert answer["repository"] == backups.repository
    volumes = declared.docker.volumes if declared.docker else {}
    copied = {name for name, volume in volumes.items() if volume.backup in ("daily", "weekly")}
    assert {each["name"] for each in answer["copies"]} == {*declared.databases, *copied}
