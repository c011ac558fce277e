"""A drill of several applications, with a Docker that does nothing but write down what it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from standfast.host.backup import programs, state
from standfast.host.backup.configuration import Configuration, Database, Volume
from standfast.host.backup.records import Record
from standfast.host.backup.restic import Repository
from standfast.host.restore import drill, run, twin
from standfast.host.restore.prospect import Restorable

SETTINGS = Configuration(
    "web-1",
    "sftp:backup@203.0.113.20:/srv/restic",
    databases={name: Database(name, name, app=name, service="db") for name in ("blog", "shop")},
    volumes={"media": Volume("daily")},
)
DOCKER = """#!/bin/sh
echo "$*" >> {log}
case "$1 $2" in
  "ps --all") echo c1 ;;
  "image ls") echo standfast-drill/0123456789ab:latest ;;
esac
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What Docker was told, a line for each command."""
    log, program = tmp_path / "told", tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(DOCKER.format(log=log))
    program.chmod(0o755)
    monkeypatch.setattr(programs, "PATH", f"{program.parent}:{programs.PATH}")
    return log


def application(app: str) -> dict[str, Any]:
    return {"services": {"db": {"image": "standfast-drill/0123456789ab:latest"}}, "volumes": {"data": {}}}


def test_what_came_along_stays_until_the_last_application_is_drilled(
    docker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tmp_path / "drill"
    monkeypatch.setattr(twin, "FILES", files)
    monkeypatch.setattr(run, "FETCHED", tmp_path / "restoring")
    monkeypatch.setattr(twin, "FETCHED", tmp_path / "restoring/drill")
    state.write(files / "secrets/password", "pa$$ w0rd")
    record = Record("drill", files / "runs")

    drill.perform(Restorable(SETTINGS, Repository(SETTINGS)), record, lambda _: None, application)
    assert [(each.kind, each.name) for each in record.items] == [
        *(("database", "blog"), ("application", "blog")),
        *(("database", "shop"), ("application", "shop")),
        ("volume", "media"),
    ]
    assert (files / "secrets/password").read_text() == "pa$$ w0rd"
    assert not list(files.glob("*.json")), "a resolved Compose file holds secrets: it goes with its twin"
    told = docker.read_text().splitlines()
    assert told.count("rm --force --volumes c1") == 2
    assert not [line for line in told if line.startswith("image")]

    twin.removed()
    assert not files.exists()
    assert "image rm standfast-drill/0123456789ab:latest" in docker.read_text().splitlines()
