"""The safety copy's place: before the first change, only where something changes and matters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.test_engine import only_this_deploy, remote

ROOT = Path(__file__).parents[2]


@pytest.fixture
def trial(repository: Repository, spare_server: Server) -> Repository:
    """A repository of the environment staging with one change to make."""
    remote(spare_server, "rm -rf /etc/trial /root/copy; mkdir /etc/trial; echo before > /etc/trial/one")
    only_this_deploy(repository, spare_server, 'files.file("/etc/trial/one", "after\\n")')
    of_environment(repository, "staging")
    return repository


def of_environment(repository: Repository, name: str) -> None:
    """Make the inventory one of another environment."""
    path = repository.root / "inventories/lab.yml"
    _, _, rest = path.read_text().partition("\n")
    path.write_text(f"environment: {name}\n{rest}")


def apply(repository: Repository, way: str, expect: int = 0) -> dict[str, Any]:
    """An apply with a copy of the test's own; the result of its server."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.server.copying_controller", way, "inventories/lab.yml"],
        cwd=repository.root,
        env={**os.environ, "XDG_STATE_HOME": str(repository.root / ".state"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["hosts"][0]
    return result


def last_record(repository: Repository) -> dict[str, Any]:
    """The last record of the audit."""
    found = json.loads(repository.standfast("audit", "lab", "--json", expect=0).stdout)["records"]
    record: dict[str, Any] = found[-1]
    return record


def test_the_copy_is_made_before_the_first_change_and_recorded(
    trial: Repository, spare_server: Server
) -> None:
    result = apply(trial, "copies")
    assert result["safety_copy"] == "copy of 1 things on test-spare"
    assert remote(spare_server, "cat /root/copy/one /etc/trial/one") == "before\nafter\n"
    owner = json.loads(remote(spare_server, "cat /root/copy/owner"))
    assert owner["doing"] == "taking the safety copy", "whoever comes second hears it"
    record = last_record(trial)
    assert (record["outcome"], record["safety_copy"]) == ("done", "copy of 1 things on test-spare")


def test_a_failed_copy_refuses_the_change(trial: Repository, spare_server: Server) -> None:
    result = apply(trial, "fails", expect=6)
    assert result["error"] == (
        "test-spare: the safety copy before the changes failed, so nothing was changed there:\n"
        "    the repository does not answer"
    )
    assert result["done"] == []
    assert remote(spare_server, "cat /etc/trial/one") == "before\n"
    record = last_record(trial)
    assert (record["outcome"], record["exit"], record["changed"]) == ("refused", 6, [])
    assert "the repository does not answer" in record["reason"]
    following = trial.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    assert "the last apply" not in following.stderr, "nothing was begun, so nothing was left half-way"


def test_no_copy_without_a_change_or_of_what_is_there_to_be_broken(
    trial: Repository, spare_server: Server
) -> None:
    of_environment(trial, "lab")
    assert apply(trial, "fails")["safety_copy"] is None
    assert remote(spare_server, "cat /etc/trial/one") == "after\n"
    of_environment(trial, "staging")
    assert apply(trial, "fails")["safety_copy"] is None


def test_a_server_with_nothing_to_copy_is_changed(trial: Repository, spare_server: Server) -> None:
    assert apply(trial, "nothing")["safety_copy"] is None
    assert remote(spare_server, "cat /etc/trial/one") == "after\n"
    assert "safety_copy" not in last_record(trial)
