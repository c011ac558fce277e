"""The Docker engine and its volumes on a real server."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from standfast.lab.nspawn import Server
from tests.server import small_images
from tests.server.conftest import Repository

ONLY = ("--only", "docker", "--only", "volumes")
PACKAGES = "docker.io docker-cli docker-compose"
LABELS = {"standfast.environment": "lab", "team": "it's $us"}


@dataclass
class Engine:
    """A repository that declares a Docker engine, and the server that it is for."""

    repository: Repository
    server: Server
    docker: dict[str, Any] = field(default_factory=dict)

    def declare(self, **docker: object) -> None:
        """Write the inventory."""
        host = {
            "address": self.server.name,
            "ssh": {"config": str(self.server.ssh_config)},
            "docker": docker,
        }
        inventory = {"environment": "lab", "hosts": {self.server.name: host}}
        self.repository.write("inventories/lab.yml", json.dumps(inventory))

    def run(self, command: str) -> str:
        """Output of a command, as root."""
        return self.server.run(f"sudo sh -c {shlex.quote(command)}").stdout.strip()

    def changes(self) -> dict[str, str]:
        """Planned changes: target, and action with detail."""
        changes = self.repository.plan("lab", *ONLY)["hosts"][0]["changes"]
        return {each["target"]: f"{each['action']} {each['detail']}".strip() for each in changes}

    def apply(self, expect: int = 0) -> str:
        """Apply; everything that it printed. It fails when a second plan is not empty."""
        done = self.repository.standfast("apply", "lab", "--yes", *ONLY, expect=expect)
        return done.stdout + done.stderr

    def refusal(self, code: int = 6) -> str:
        """What the plan is refused with."""
        return self.repository.standfast("plan", "lab", *ONLY, expect=code).stderr


@pytest.fixture(scope="module")
def blank(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A server without Docker, for the first test; the others find it installed."""
    return Engine(Repository(tmp_path_factory.mktemp("docker")), lab_server("test-docker"))


@pytest.fixture
def engine(blank: Engine) -> Engine:
    """The engine as declared, running."""
    blank.declare(volumes={"data": {"labels": {"team": "it's $us"}}})
    blank.apply()
    return blank


def test_first_apply_over_an_engine_that_somebody_installed(blank: Engine) -> None:
    """It had no live-restore, and its container goes on running all the same."""
    blank.run(f"apt-get -qq update; apt-get -qq install --no-install-recommends {PACKAGES} > /dev/null 2>&1")
    archive = blank.repository.root / "app.tar"
    small_images.write(archive, "demo/app:1", small_images.busybox(blank.server))
    blank.server.run(
        "base64 -d | sudo docker load",
        input=__import__("base64").b64encode(archive.read_bytes()).decode(),
    )
    blank.run("docker run --detach --name old demo/app:1; docker volume create data")
    started = blank.run("docker inspect --format '{{.ID}} {{.State.StartedAt}}' old")
    blank.declare(volumes={"data": {}, "more": {"labels": {"team": "it's $us"}}})
    assert blank.changes() == {
        "/etc/docker/daemon.json": "create root:root 644",
        "docker.service": "restart containers keep running; log settings hold for containers made from now on",
        "volume more": "create empty",
    }
    blank.apply()
    assert blank.run("docker inspect --format '{{.ID}} {{.State.StartedAt}}' old") == started
    assert json.loads(blank.run("docker volume inspect more --format '{{json .Labels}}'")) == LABELS
    assert blank.run("docker volume inspect data --format '{{json .Labels}}'") == "null"


def test_logs_are_rotated(engine: Engine) -> None:
    engine.declare(volumes={"data": {}}, log_max_size="20k", log_max_files=2)
    engine.apply()
    engine.run("docker run --name talks demo/app:1 sh -c 'for i in 1 2 3 4 5; do ls -lR /bin; done'")
    files = engine.run(
        "cd $(dirname $(docker inspect --format '{{.LogPath}}' talks)); ls *-json.log*"
    ).split()
    options = engine.run("docker inspect --format '{{json .HostConfig.LogConfig.Config}}' talks")
    engine.run("docker rm talks")
    assert json.loads(options) == {"max-size": "20k", "max-file": "2"}
    assert len(files) <= 2


def test_edited_by_hand(engine: Engine) -> None:
    engine.run('echo \'{"live-restore": true, "debug": true}\' > /etc/docker/daemon.json')
    engine.run("systemctl reload docker")
    assert list(engine.changes()) == ["/etc/docker/daemon.json", "docker.service"]
    engine.apply()
    assert engine.run("docker info --format '{{.Debug}} {{.LiveRestoreEnabled}}'") == "false true"


def test_what_the_daemon_takes_over_alive(engine: Engine) -> None:
    pid = engine.run("pidof dockerd")
    template = (
        '{"live-restore": true, "shutdown-timeout": 20, "log-opts": {"max-size": "10m", "max-file": "5"}, '
    )
    path = engine.repository.write("templates/docker/daemon.json.j2", template + '"log-driver": "json-file"}')
    try:
        assert engine.changes()["docker.service"] == "reload containers keep running"
        engine.apply()
        assert engine.run("pidof dockerd") == pid
        path.write_text('{"live-restore": true,,}')
        assert "templates/docker/daemon.json.j2 (rendered):1:23: this is not JSON" in engine.refusal(code=3)
        path.write_text('{"live-restore": true, "no-such-setting": 1}')
        assert "could not update /etc/docker/daemon.json, restart docker.service" in engine.apply(expect=1)
        assert engine.run("pidof dockerd") == pid
        assert "shutdown-timeout" in engine.run("cat /etc/docker/daemon.json")
    finally:
        path.unlink()


def test_volumes_are_never_removed(engine: Engine) -> None:
    engine.run("echo precious > /var/lib/docker/volumes/data/_data/row")
    engine.declare(volumes={"other": {}})
    engine.apply()
    assert engine.run("cat /var/lib/docker/volumes/data/_data/row") == "precious"
    engine.run("docker volume rm other")
    assert engine.changes() == {"volume other": "create empty"}
    engine.apply()


def test_two_daemons(engine: Engine) -> None:
    """Incident 2: a second daemon, and two sets of containers and volumes."""
    second = (
        "dockerd --host unix:///run/second.docker.sock --data-root /var/lib/second --pidfile /run/second.pid"
    )
    engine.run(
        f"nohup {second} --exec-root /run/second --iptables=false --ip6tables=false --bridge=none "
        "> /dev/null 2>&1 & echo $! > /run/second-started"
    )
    try:
        engine.run("until test -S /run/second.docker.sock; do sleep 0.1; done")
        said = engine.refusal()
    finally:
        engine.run("kill $(cat /run/second-started)")
    assert "expected one Docker daemon, found 2" in said
    assert "/usr/sbin/dockerd -H fd:// --containerd" in said
    assert f"{second}" in said
    assert "socket /run/second.docker.sock" in said


def test_a_daemon_inside_a_container_is_not_a_second_one(engine: Engine) -> None:
    engine.run(
        "cp /usr/bin/sleep /run/dockerd; nohup unshare --pid --fork /run/dockerd 60 > /dev/null 2>&1 & "
        "until [ $(pidof dockerd | wc -w) = 2 ]; do sleep 0.1; done"
    )
    assert engine.changes() == {}
    engine.run("pkill -f '^/run/dockerd 60$'")


def test_a_command_that_prints_nothing_is_no_answer(engine: Engine) -> None:
    """Not a server without containers, images or volumes."""
    engine.run("printf '#!/bin/sh\\n' > /root/silent; chmod 755 /root/silent")
    engine.run("mount --bind /root/silent /usr/bin/docker")
    try:
        for subject in ("docker", "volumes"):
            said = engine.repository.standfast("plan", "lab", "--only", subject, expect=6).stderr
            assert "Docker is installed and does not answer (its command printed nothing)" in said
            assert "Traceback" not in said
    finally:
        engine.run("umount /usr/bin/docker; rm /root/silent")
    assert engine.changes() == {}


def test_stopped_and_disabled(engine: Engine) -> None:
    engine.run("systemctl disable --quiet docker")
    assert engine.changes() == {"docker.service": "update enabled: starts at boot"}
    engine.apply()
