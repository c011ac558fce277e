"""`plan -o FILE` and `apply FILE`: exactly that, or nothing."""

from __future__ import annotations

import json

import pytest

from standfast.lab.nspawn import Server
from tests.documents import valid
from tests.server.conftest import Repository
from tests.server.test_engine import only_this_deploy, remote

BODY = 'files.file("/etc/trial/one", Rendered("KEY=s3cr3t\\n", "KEY=‹key›\\n"))\nfiles.file("/etc/trial/two", "2\\n")'


@pytest.fixture(autouse=True)
def saved(repository: Repository, server: Server) -> None:
    server.run("sudo rm -rf /etc/trial; sudo mkdir /etc/trial")
    only_this_deploy(repository, server, BODY)
    repository.standfast("plan", "lab", "-o", "lab.plan.json", expect=2)


def test_it_is_done_and_holds_no_secret(repository: Repository, server: Server) -> None:
    text = (repository.root / "lab.plan.json").read_text()
    valid(json.loads(text))
    assert "s3cr3t" not in text
    assert [change["target"] for change in json.loads(text)["hosts"][0]["changes"]] == [
        "/etc/trial/one",
        "/etc/trial/two",
    ]
    repository.standfast("apply", "lab.plan.json", "--yes", "--no-verify", expect=0)
    assert remote(server, "cat /etc/trial/*") == "KEY=s3cr3t\n2\n"


def test_a_changed_server_is_refused_and_named(repository: Repository, server: Server) -> None:
    remote(server, "echo 2 > /etc/trial/two")
    refused = repository.standfast("apply", "lab.plan.json", "--yes", expect=6)
    assert "no longer: trial: create /etc/trial/two" in refused.stderr
    assert remote(server, "ls /etc/trial") == "two\n"


def test_the_same_change_from_another_state_is_refused(repository: Repository, server: Server) -> None:
    only_this_deploy(repository, server, BODY.replace("s3cr3t", "other"))
    refused = repository.standfast("apply", "lab.plan.json", "--yes", expect=6)
    assert "deploys/trial.py" in refused.stderr
    assert remote(server, "ls /etc/trial") == ""


def test_a_changed_inventory_is_refused_and_named(repository: Repository, server: Server) -> None:
    path = repository.root / "inventories/lab.yml"
    path.write_text(path.read_text() + "# a remark\n")
    refused = repository.standfast("apply", "lab.plan.json", "--yes", expect=6)
    assert "lab.yml" in refused.stderr
    assert remote(server, "ls /etc/trial") == ""


def test_bad_plan_files(repository: Repository) -> None:
    text = (repository.root / "lab.plan.json").read_text()
    repository.write("cut.json", text[:200])
    assert "cut short or damaged" in repository.standfast("apply", "cut.json", "--yes", expect=3).stderr
    repository.write("other.json", "{}")
    assert "another JSON file" in repository.standfast("apply", "other.json", "--yes", expect=3).stderr
    repository.write("old.json", text.replace('"format": 1', '"format": 0'))
    assert "Make the plan again" in repository.standfast("apply", "old.json", "--yes", expect=3).stderr
    repository.write("host.json", text.replace("test-shared", "other-host"))
    refused = repository.standfast("apply", "host.json", "--yes", expect=6)
    assert "Nothing was changed there" in refused.stderr
    assert "cannot be read" not in repository.standfast("apply", "none.json", "--yes", expect=3).stdout
