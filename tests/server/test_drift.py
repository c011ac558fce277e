"""
Drift on the full example: everything in tests/server/drifts.py is done to a server by hand and found.

What does not meet is done together, in one round; each one is looked for on its own. In the long
version each one is also done and repaired on its own.
"""

from __future__ import annotations

import json
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from standfast.lab import nspawn
from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.drifts import APPLY, DRIFTS, KEY, Injected
from tests.server.toybox import ask, build_images, full_toybox
from tests.sizes import LONG, sized

CASES = [replace(each, round=number) for number, each in enumerate(DRIFTS)] if LONG else [*DRIFTS]
ROUNDS = sorted({each.round for each in CASES})

Found = dict[str, dict[str, Any]]


@dataclass
class Lab:
    """A converged server with the whole example, and the repository that declares it."""

    server: Server
    repository: Repository
    rounds: dict[int, tuple[Found, Found]] = field(default_factory=dict)
    """What was found in each round that was played, and what was left after the repair."""

    def root(self, script: str) -> str:
        """Run a script as root."""
        done = self.server.run("sudo bash -s", input=script, timeout=300)
        return done.stdout + done.stderr

    def drift(self, *arguments: str, expect: int | None = None) -> tuple[int, Found]:
        """Exit code, and all findings by id."""
        done = self.repository.standfast("drift", "lab", "--json", *arguments, expect=expect)
        document = json.loads(done.stdout)
        return done.returncode, {each["id"]: each for each in document["hosts"][0]["findings"]}

    def apply(self) -> None:
        self.repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)

    def play(self, number: int) -> tuple[Found, Found]:
        """Do everything of a round, look, repair everything, look again; once."""
        if number not in self.rounds:
            cases = [each for each in CASES if each.round == number]
            self.root(_each(cases, "do"))
            _, found = self.drift()
            self.root(_each([each for each in cases if each.undo != APPLY], "undo"))
            if any(each.undo == APPLY for each in cases):
                self.apply()
            _, left = self.drift()
            self.rounds[number] = (found, left)
        return self.rounds[number]


def _each(cases: list[Injected], what: str) -> str:
    """A script that stops at the first thing that cannot be done, and says which."""
    return "\n".join(
        f"( {getattr(each, what)}\n) > /run/said 2>&1 || "
        f"{{ echo {shlex.quote(f'{what}: {each.title}')}; cat /run/said; exit 1; }} >&2"
        for each in cases
    )


def matching(case: Injected, found: Found) -> list[dict[str, Any]]:
    """Findings with the id of a case, in which `*` stands for any text."""
    exact = [found[case.id]] if case.id in found else []
    return exact or [each for name, each in found.items() if fnmatchcase(name, case.id.replace("[", "[[]"))]


def line(finding: dict[str, Any]) -> str:
    return f"{finding['kind']} {finding['what']} {finding['why']}"


@pytest.fixture(scope="module")
def lab(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Lab:
    server = lab_server("test-drift")
    repository = Repository(tmp_path_factory.mktemp("infra"))
    images = tmp_path_factory.mktemp("images")
    build_images(images)
    full_toybox(repository, server, images)
    declare(repository, server, users={"hanako": {"keys": [f"{KEY[:-4]}AAAA hanako"], "sudo": True}})
    return Lab(server, repository)


def declare(repository: Repository, server: Server, **settings: object) -> None:
    """Change settings of the server in the inventory."""
    path = repository.root / "inventories/lab.yml"
    inventory = yaml.safe_load(path.read_text())
    host = inventory["hosts"][server.name]
    host.update(settings)
    host["docker"]["volumes"].setdefault("toybox_spare", {})
    path.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")


def test_before_the_first_apply_everything_is_missing_and_nothing_else(lab: Lab) -> None:
    _, found = lab.drift(expect=2)
    assert {each["kind"] for each in found.values()} <= {"missing", "changed"}
    assert all(each["repaired_by_apply"] for each in found.values()), found
    assert "package:caddy" in found
    assert "service:toybox/web" in found


def test_after_the_first_apply_there_is_nothing(lab: Lab) -> None:
    lab.repository.standfast("apply", "lab", "--yes", expect=0)
    assert lab.drift() == (0, {})


def test_a_server_that_is_used_and_left_alone_raises_no_alarm(lab: Lab) -> None:
    with visitors(lab.server):
        for _ in range(sized(3, long=30)):
            assert lab.drift() == (0, {})


@contextmanager
def visitors(server: Server) -> Iterator[None]:
    """Somebody asks for pages all the time."""
    gone = threading.Event()

    def visit() -> None:
        while not gone.is_set():
            ask(server)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        yield
    finally:
        gone.set()
        visitor.join()


def test_a_look_changes_nothing_and_is_one_command(lab: Lab) -> None:
    lab.root("touch /run/before; sleep 1.1")
    assert lab.drift() == (0, {})
    # The question for the time wakes systemd-timedated, which gets a /var/tmp of its own.
    skipped = " -o ".join(
        f"-path {path}"
        for path in ("/var/lib/docker", "/var/log", "/var/lib/systemd", "/var/tmp", "/root/.docker")  # noqa: S108 - on the server
    )
    assert (
        lab.root(
            f"find /etc /usr /var /srv /root /home \\( {skipped} \\) -prune -o -newer /run/before -print"
        )
        == ""
    )
    asked = lab.root(
        "journalctl -q -o cat -t sudo --since \"@$(($(stat -c %Y /run/before) + 1))\" | grep -c 'COMMAND=.*/sh -c'"
    )
    assert int(asked) == 1


@pytest.mark.parametrize(
    "case",
    [each for number in ROUNDS for each in CASES if each.round == number],
    ids=lambda each: each.title,
)
def test_what_somebody_did_by_hand_is_found_and_named(lab: Lab, case: Injected) -> None:
    found, left = lab.play(case.round)
    mine = [each for each in matching(case, found) if all(word in line(each) for word in case.words)]
    assert len(mine) == 1, f"{case.id}: {[line(each) for each in matching(case, found)] or sorted(found)}"
    assert mine[0]["kind"] == case.kind
    assert mine[0]["repaired_by_apply"] == (case.undo == APPLY)
    assert "\n" not in line(mine[0])
    assert not matching(case, left), "it is still there after the repair"


@pytest.mark.parametrize("number", ROUNDS)
def test_nothing_else_is_found(lab: Lab, number: int) -> None:
    found, left = lab.play(number)
    cases = [each for each in CASES if each.round == number]
    expected = {each["id"] for case in cases for each in matching(case, found)}
    expected |= {name for case in cases for name in case.also}
    assert set(found) == expected
    assert left == {}


def test_a_diff_shows_what_apply_would_change(lab: Lab) -> None:
    def diff(name: str) -> str:
        case = next(each for each in CASES if each.id == name)
        text: str = lab.play(case.round)[0][name]["diff"]
        return text

    caddyfile = diff("file:/etc/caddy/Caddyfile").splitlines()
    assert [line[0] for line in caddyfile if "reverse_proxy" in line] == ["-", "+"]
    assert "+ host       let in icmp" in diff("firewall:IPv4-firewall")


# Everything that cron and timers do in a night, a week and a month.
NIGHT = """
for folder in hourly daily weekly monthly; do run-parts /etc/cron.$folder; done
for timer in $(systemctl list-unit-files --no-legend --type=timer | awk '{print $1}'); do
  case $timer in *@*) continue ;; esac
  systemctl start "$(systemctl show -p Unit --value "$timer")"
done
journalctl --rotate"""


@pytest.mark.parametrize(
    "event",
    [
        "reboot",
        "systemctl restart docker",
        "systemctl daemon-reexec; systemctl restart ssh caddy cron",
        NIGHT,
    ],
)
def test_what_happens_by_itself_is_no_drift(lab: Lab, event: str) -> None:
    if event == "reboot":
        nspawn.reboot(lab.server.name)
        wait_until_healthy(lab)
    else:
        lab.root(event)
    assert lab.drift() == (0, {})


def wait_until_healthy(lab: Lab) -> None:
    deadline = time.monotonic() + 60
    while (
        "unhealthy" in (states := lab.root("docker ps --format '{{.Status}}'"))
        or states.count("(healthy)") < 2
    ):
        assert time.monotonic() < deadline, states
        time.sleep(0.5)


def test_accepted_ones_are_shown_and_not_counted(lab: Lab) -> None:
    lab.root(
        "echo '* * * * * root true' > /etc/cron.d/vendor; echo x > /usr/local/bin/tool; docker volume create scratch"
    )
    declare(
        lab.repository,
        lab.server,
        accept=[
            {"what": "file:/etc/cron.d/*", "reason": "the provider's agent"},
            {"what": "file:/usr/local/bin/tool", "reason": "for the move", "until": "2020-01-31"},
            {"what": "container:gone", "reason": "was here"},
        ],
    )
    try:
        done = lab.repository.standfast("drift", "lab", expect=2)
        assert "1 difference, 1 accepted" in done.stdout
        assert "accepted   /etc/cron.d/vendor" in done.stdout
        assert "the provider's agent" in done.stdout
        assert "noted      volume scratch" in done.stdout
        assert "`file:/usr/local/bin/tool` was accepted until 2020-01-31; decide again" in done.stdout
        assert "hosts.test-drift.accept[2]: `container:gone` matches nothing any more" in done.stdout
        assert "1 difference. It needs your decision" in done.stdout
        yaml_text = lab.repository.standfast(
            "drift", "lab", "--accept-all", "--reason", "came with the server", expect=2
        ).stdout
        assert yaml.safe_load(yaml_text)["accept"] == [
            {"what": "file:/usr/local/bin/tool", "reason": "came with the server"}
        ]
        declare(
            lab.repository,
            lab.server,
            accept=[*yaml.safe_load(yaml_text)["accept"], {"what": "file:/etc/cron.d/vendor", "reason": "x"}],
        )
        assert "as declared, 2 accepted" in lab.repository.standfast("drift", "lab", expect=0).stdout
    finally:
        declare(lab.repository, lab.server, accept=[])
        lab.root("rm -f /etc/cron.d/vendor /usr/local/bin/tool; docker volume rm scratch")


def test_what_is_declared_cannot_be_accepted(lab: Lab) -> None:
    lab.root("systemctl stop caddy")
    declare(lab.repository, lab.server, accept=[{"what": "unit:caddy.service", "reason": "tired of it"}])
    try:
        said = lab.repository.standfast("drift", "lab", expect=2).stdout
        assert "change the declaration, and remove the entry" in said
        assert "`standfast apply lab` repairs it." in said
    finally:
        declare(lab.repository, lab.server, accept=[])
        lab.apply()


def test_only_and_a_user_of_the_command_line(lab: Lab) -> None:
    lab.root("echo x > /etc/docker/own.json; echo x > /etc/cron.d/own")
    try:
        _, found = lab.drift("--only", "docker", expect=2)
        assert set(found) == {"file:/etc/docker/own.json"}
        said = lab.repository.standfast("drift", "lab", expect=2).stdout
        assert "They need your decision" in said
        assert "(today " in said
        assert " by root)" in said
    finally:
        lab.root("rm /etc/docker/own.json /etc/cron.d/own")


def test_a_file_of_a_deploy_of_the_users_own_is_declared(lab: Lab) -> None:
    lab.repository.write(
        "deploys/report.py",
        "from standfast.operations import files\n\n\n"
        "def deploy():\n    files.file('/etc/cron.d/report', '0 7 * * 1 root true\\n')\n",
    )
    try:
        _, found = lab.drift(expect=2)
        assert found["file:/etc/cron.d/report"]["kind"] == "missing"
        lab.apply()
        assert lab.drift() == (0, {})
    finally:
        (lab.repository.root / "deploys/report.py").unlink()
    _, found = lab.drift(expect=2)
    assert found["file:/etc/cron.d/report"]["kind"] == "unmanaged"
    lab.root("rm /etc/cron.d/report")


def test_what_cannot_be_read_is_said_and_the_rest_is_shown(lab: Lab) -> None:
    lab.root("systemctl stop docker.socket docker; echo x > /etc/cron.d/own")
    try:
        done = lab.repository.standfast("drift", "lab", expect=6)
        assert "not all could be read" in done.stderr
        assert "Docker is installed and does not answer" in done.stderr
        assert "/etc/cron.d/own" in done.stdout
    finally:
        lab.root("rm /etc/cron.d/own; systemctl start docker.socket docker")
        wait_until_healthy(lab)
    assert lab.drift() == (0, {})


def test_a_server_that_is_off(lab: Lab, tmp_path: Path) -> None:
    inventory = yaml.safe_load((lab.repository.root / "inventories/lab.yml").read_text())
    inventory["hosts"] = {"gone": {"address": "127.0.0.1", "ssh": {"port": 9, "user": "nobody"}}}
    repository = Repository(tmp_path)
    repository.write("inventories/lab.yml", yaml.safe_dump(inventory))
    failed = repository.standfast("drift", "lab", expect=1)
    assert "no server could be compared" in failed.stdout
    assert "no SSH connection" in failed.stderr
    assert "belong together" in repository.standfast("drift", "lab", "--accept-all", expect=3).stderr
