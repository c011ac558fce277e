"""The first apply of the whole example, whose controller is killed at every single command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.test_journal import dying
from tests.server.toybox import ask, build_images, full_toybox

MOST = 80  # commands


def test_killed_in_and_after_every_command(
    repository: Repository, lab_server: Callable[[str], Server], tmp_path: Path
) -> None:
    """Each round begins one command and is killed, does one command and is killed; the next one goes on."""
    server = lab_server("test-killed")
    (tmp_path / "images").mkdir()
    build_images(tmp_path / "images")
    full_toybox(repository, server, tmp_path / "images")
    first = repository.targets()
    told: list[str] = []
    for _ in range(MOST):
        begun = dying(repository, "kill", "sent", 0)
        done = dying(repository, "kill", "after", 0)
        told += [
            line for run in (begun, done) for line in run.stderr.splitlines() if "the last apply (" in line
        ]
        if begun.returncode == done.returncode == 0:
            break
        assert {begun.returncode, done.returncode} <= {-9, 0}, begun.stderr + done.stderr
    else:
        raise AssertionError(f"no end after {MOST} rounds; still to do: {repository.targets()}")
    assert ask(server).stdout != ""
    repository.standfast("apply", "lab", "--yes", expect=0)
    repository.standfast("plan", "lab", expect=0)
    assert len(told) > len(first) / 3
    assert [line for line in told if "was cut off" not in line] == []
    records = json.loads(repository.standfast("audit", "lab", "--json", expect=0).stdout)["records"]
    assert sum(record["outcome"] == "cut off" for record in records) >= len(told)
    assert "none altered" in repository.standfast("audit", "lab", "--verify", expect=0).stdout
