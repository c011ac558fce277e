"""Several servers in one run: which are begun when, and what is said of those that are not."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from standfast.lab.nspawn import Server
from tests.documents import valid
from tests.server.conftest import Repository
from tests.server.test_engine import DEPLOY, remote
from tests.server.test_lock import OWNER, free, wait_for

NAMES = ["test-many-1", "test-many-2", "test-many-3"]
TRIAL = DEPLOY.format(
    body='    files.file("/etc/trial/one", "1\\n", validate="date +%s%N > /root/begun; test ! -e /etc/trial/broken")\n'
    '    files.file("/etc/trial/two", "2\\n", validate="while test -e /etc/trial/slow; do sleep 0.2; done")'
)
ASSERTION = """
def test_it_is_not_sick(host):
    assert not host.file("/etc/trial/sick").exists
"""


class Fleet:
    """Three servers in one inventory, as declared but for one deploy of the team's own."""

    def __init__(self, repository: Repository, servers: list[Server]) -> None:
        self.repository = repository
        self.servers = dict(zip(NAMES, servers, strict=True))

    def declare(self, more: str = "") -> None:
        """Write the inventory; `more` are further servers."""
        hosts = "".join(
            f"  {name}: {{address: {name}, ssh: {{config: {each.ssh_config}}}, upgrades: {{enabled: false}}}}\n"
            for name, each in self.servers.items()
        )
        self.repository.write("inventories/lab.yml", f"environment: lab\nhosts:\n{hosts}{more}")

    def all(self, command: str) -> dict[str, str]:
        """Output of a command on every server, as root."""
        return {name: remote(each, command) for name, each in self.servers.items()}

    def on(self, number: int, command: str) -> str:
        """Output of a command on one server, as root."""
        return remote(self.servers[NAMES[number - 1]], command)

    def begun(self) -> list[str]:
        """Servers that have been begun, in the order in which they were."""
        moments = self.all("cat /root/begun 2>/dev/null || true")
        return sorted((name for name in NAMES if moments[name]), key=lambda name: int(moments[name]))

    def changed(self) -> list[str]:
        """Servers on which everything was done."""
        return [name for name, files in self.all("ls /etc/trial").items() if "two" in files]

    def apply(self, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Apply the team's deploy."""
        return self.repository.standfast(
            "apply", "lab", "--yes", "--only", "trial", *arguments, expect=expect
        )

    def records(self) -> dict[str, dict[str, Any]]:
        """The last record of every server."""
        found = json.loads(self.repository.standfast("audit", "lab", "--json").stdout)["records"]
        return {each["host"]: each for each in found if each["action"] == "apply"}


@pytest.fixture(scope="module")
def converged(tmp_path_factory: pytest.TempPathFactory, lab_server: Callable[[str], Server]) -> Fleet:
    """Three servers that are as declared: one apply for all of them."""
    fleet = Fleet(Repository(tmp_path_factory.mktemp("many")), [lab_server(name) for name in NAMES])
    fleet.declare()
    fleet.repository.write("tests/test_trial.py", ASSERTION)
    fleet.repository.standfast("apply", "lab", "--yes", expect=0)
    fleet.repository.write("deploys/trial.py", TRIAL)
    return fleet


@pytest.fixture
def fleet(converged: Fleet) -> Fleet:
    """The same servers, each with two changes to make."""
    converged.all("rm -rf /etc/trial /root/begun; mkdir /etc/trial")
    converged.declare()
    return converged


def test_all_at_once_and_a_second_run_changes_nothing(fleet: Fleet) -> None:
    done = fleet.apply()
    assert fleet.changed() == NAMES
    assert "3 servers: 3 done" in done.stdout
    assert done.stdout.count("+ /etc/trial/one") == 1, "what is alike is shown once"
    assert "the same on all 3, here for test-many-1:" in done.stdout
    assert "3 servers: 3 no changes" in fleet.apply("--serial", "1").stdout


def test_one_at_a_time_in_the_order_of_the_inventory(fleet: Fleet) -> None:
    done = fleet.apply("--serial", "1")
    assert fleet.begun() == fleet.changed() == NAMES
    assert "2 of 3: test-many-2" in done.stderr
    assert {each["outcome"] for each in fleet.records().values()} == {"done"}


def test_the_canary_is_first_and_its_assertions_count(fleet: Fleet) -> None:
    fleet.apply("--canary", "test-many-2", "--serial", "1")
    assert fleet.begun() == ["test-many-2", "test-many-1", "test-many-3"]
    fleet.all("rm -rf /etc/trial /root/begun; mkdir /etc/trial")
    fleet.on(2, "touch /etc/trial/sick")
    done = fleet.apply("--canary", "test-many-2", expect=1)
    assert fleet.begun() == ["test-many-2"]
    assert "✗ test-many-2  2 changes" in done.stdout
    assert "test_it_is_not_sick" in done.stdout
    assert "not begun: test-many-1, test-many-3" in done.stdout
    assert "3 servers: 2 not begun, 1 not verified" in done.stdout
    assert "stopped: the canary test-many-2 is not well. No further server was begun." in done.stderr
    records = fleet.records()
    assert [(records[name]["outcome"], records[name]["exit"]) for name in NAMES] == [
        ("not begun", 1),
        ("not verified", 1),
        ("not begun", 1),
    ]
    assert records[NAMES[0]]["reason"] == "the canary test-many-2 is not well"
    assert records[NAMES[0]]["not_done"] == ["trial: create /etc/trial/one", "trial: create /etc/trial/two"]


def test_a_canary_that_is_none_or_not_looked_at_is_refused(fleet: Fleet) -> None:
    assert "--canary web-9: not among" in fleet.apply("--canary", "web-9", expect=3).stderr
    limited = fleet.apply("--canary", NAMES[0], "--limit", NAMES[1], expect=3)
    assert "not among the servers of this run: test-many-2" in limited.stderr
    assert "leave out --no-verify" in fleet.apply("--canary", NAMES[0], "--no-verify", expect=3).stderr
    assert fleet.begun() == []


def test_a_canary_without_changes_shows_nothing_and_that_is_said(fleet: Fleet) -> None:
    fleet.apply("--limit", NAMES[0])
    done = fleet.apply("--canary", NAMES[0])
    assert "test-many-1: nothing to change here, so it shows nothing about the others" in done.stderr
    assert fleet.changed() == NAMES


def test_the_first_failure_is_the_last_one_unless_more_are_allowed(fleet: Fleet) -> None:
    fleet.on(1, "touch /etc/trial/broken")
    done = json.loads(fleet.apply("--serial", "1", "--json", expect=1).stdout)
    assert [host["outcome"] for host in done["hosts"]] == ["failed", "not begun", "not begun"]
    assert done["stopped"] == "test-many-1 failed, and --max-failures is 0 by default"
    assert [len(host["open"]) for host in done["hosts"]] == [2, 2, 2]
    assert fleet.changed() == []

    done = json.loads(fleet.apply("--serial", "1", "--max-failures", "34%", "--json", expect=1).stdout)
    assert [host["outcome"] for host in done["hosts"]] == ["failed", "done", "done"]
    assert done["stopped"] is None

    fleet.on(1, "rm /etc/trial/broken")
    assert "test-many-1: the last apply (" in fleet.apply("--max-failures", "1").stderr


def test_a_server_that_is_off_stops_only_what_goes_step_by_step(fleet: Fleet) -> None:
    fleet.declare("  gone: {address: 127.0.0.1, ssh: {port: 9, user: nobody}}\n")
    stopped = fleet.apply("--serial", "2", expect=1)
    assert fleet.begun() == []
    assert "no plan for gone" in stopped.stdout
    assert "not begun: test-many-1, test-many-2, test-many-3" in stopped.stdout
    assert "stopped: gone failed, and --max-failures is 0 by default." in stopped.stderr
    done = fleet.apply("--serial", "2", "--max-failures", "1", expect=1)
    assert fleet.changed() == NAMES
    assert "4 servers: 3 done, 1 unreachable" in done.stdout
    assert "✗ gone (127.0.0.1): no SSH connection" in done.stderr


def test_refused_or_locked_promise_that_nothing_was_changed_anywhere(fleet: Fleet) -> None:
    fleet.on(2, "mkdir -p /etc/trial/one")
    done = fleet.apply(expect=1)
    assert "expected a file or nothing, found a directory" in done.stderr
    assert fleet.changed() == [NAMES[0], NAMES[2]]
    assert fleet.records()[NAMES[1]]["exit"] == 6
    fleet.apply(expect=6)
    assert sorted(fleet.begun()) == [NAMES[0], NAMES[2]], "at the same time, so in any order"


@pytest.mark.parametrize(
    ("kind", "arguments", "expect"),
    [
        ("plan", ("plan", "lab", "--json"), 2),
        ("drift", ("drift", "lab", "--json"), 2),
        ("verify", ("verify", "lab", "--limit", NAMES[0], "--json"), 0),
        ("apply", ("apply", "lab", "--yes", "--canary", NAMES[0], "--only", "trial", "--json"), 0),
        ("audit", ("audit", "lab", "--json"), 0),
        ("audit-proof", ("audit", "lab", "--verify", "--json"), 0),
    ],
)
def test_every_answer_is_what_the_schema_says(
    fleet: Fleet, kind: str, arguments: tuple[str, ...], expect: int
) -> None:
    document = json.loads(fleet.repository.standfast(*arguments, expect=expect).stdout)
    assert valid(document)["kind"] == kind
    if kind == "apply":
        assert {each["server"] for each in document["verification"]["checks"]} == {NAMES[0]}


def test_a_saved_plan_is_for_these_machines(fleet: Fleet) -> None:
    first, second = fleet.servers[NAMES[0]], fleet.servers[NAMES[1]]
    config = fleet.repository.root / "ssh_config"
    config.write_text(first.ssh_config.read_text().replace(first.name, "web"))
    fleet.repository.write(
        "inventories/lab.yml",
        f"environment: lab\nhosts: {{web: {{address: web, ssh: {{config: {config}}}}}}}\n",
    )
    fleet.repository.standfast("plan", "lab", "--only", "trial", "-o", "web.plan.json", expect=2)
    config.write_text(second.ssh_config.read_text().replace(second.name, "web"))
    refused = fleet.repository.standfast("apply", "web.plan.json", "--yes", expect=6)
    assert "web: another machine answers than the one that web.plan.json was made for" in refused.stderr
    assert fleet.begun() == []
    config.write_text(first.ssh_config.read_text().replace(first.name, "web"))
    fleet.repository.standfast("apply", "web.plan.json", "--yes", expect=0)
    assert fleet.begun() == [NAMES[0]]


def test_all_are_held_from_the_first_to_the_last_and_ctrl_c_begins_no_further_one(fleet: Fleet) -> None:
    fleet.on(1, "touch /etc/trial/slow")
    told = fleet.repository.write("told.txt", "")
    with told.open("w") as progress:
        one_by_one = ("apply", "lab", "--yes", "--only", "trial", "--serial", "1")
        first = fleet.repository.started(*one_by_one, stdout=subprocess.PIPE, stderr=progress)
    try:
        wait_for(lambda: "trial: create /etc/trial/two" in told.read_text(), 300)
        assert not free(fleet.servers[NAMES[2]])
        second = fleet.apply("--limit", NAMES[2], expect=5)
        assert f"test-many-3 is locked by {OWNER} (" in second.stderr
        first.send_signal(signal.SIGINT)
        wait_for(lambda: "stopping after the running operation" in told.read_text(), 300)
        fleet.on(1, "rm /etc/trial/slow")
        output, _ = first.communicate(timeout=300)
    finally:
        fleet.on(1, "rm -f /etc/trial/slow")
        first.kill()
        first.wait()
    assert first.returncode == 130, told.read_text()
    assert "not begun: test-many-2, test-many-3" in output
    assert "3 servers: 1 done, 2 not begun" in output
    records = fleet.records()
    assert [records[name]["outcome"] for name in NAMES] == ["done", "not begun", "not begun"]
    assert records[NAMES[2]]["exit"] == 130
