"""One Docker daemon, logs that rotate, containers that survive its restart, volumes that exist."""

from __future__ import annotations

import json
from typing import Any

import pytest

from standfast.inventory.schema import Docker, Host
from standfast.verification.seen import Seen


@pytest.fixture
def docker(declared: Host) -> Docker:
    if declared.docker is None:
        pytest.skip("docker is not declared")
    return declared.docker


@pytest.fixture
def in_force(docker: Docker, seen: Seen) -> list[Any]:
    """Whether containers survive a restart, the log driver, the data folder."""
    return [json.loads(word) for word in seen.text("docker").split()]


def test_there_is_exactly_one_daemon(seen: Seen, docker: Docker) -> None:
    ours, *daemons = seen.text("daemons").split()
    assert daemons.count(ours) == 1


def test_the_daemon_listens_on_no_port(seen: Seen, docker: Docker) -> None:
    assert seen.lines("daemon sockets") == []


def test_containers_keep_running_when_docker_restarts(in_force: list[Any]) -> None:
    assert in_force[0] is True


def test_logs_rotate(seen: Seen, docker: Docker, in_force: list[Any]) -> None:
    settings = json.loads(seen.text("daemon.json"))["log-opts"]
    assert in_force[1] == "json-file"
    assert settings == {"max-size": docker.log_max_size, "max-file": str(docker.log_max_files)}


def test_data_are_in_the_usual_folder(in_force: list[Any]) -> None:
    assert in_force[2] == "/var/lib/docker"


def test_volume_exists(seen: Seen, volume: str) -> None:
    assert volume in [each["Name"] for each in seen.documents("volumes")]


def test_volume_is_on_this_server(seen: Seen, volume: str) -> None:
    assert {each["Name"]: each["Driver"] for each in seen.documents("volumes")}.get(volume) == "local"


def test_no_container_keeps_data_in_an_anonymous_volume(seen: Seen, docker: Docker) -> None:
    names = [
        mount.get("Name", "")
        for container in seen.documents("containers")
        for mount in container["mounts"]
        if mount["Type"] == "volume"
    ]
    assert [name for name in names if len(name) == 64 and set(name) <= set("0123456789abcdef")] == []
