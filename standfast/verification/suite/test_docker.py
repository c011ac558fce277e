"""One Docker daemon, logs that rotate, containers that survive its restart, volumes that exist."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host as LiveHost

from standfast.inventory.schema import Docker, Host


@pytest.fixture
def docker(declared: Host) -> Docker:
    if declared.docker is None:
        pytest.skip("docker is not declared")
    return declared.docker


def test_docker_runs_and_starts_at_boot(host: LiveHost, docker: Docker) -> None:
    service = host.service("docker")
    assert service.is_running
    assert service.is_enabled


def test_there_is_exactly_one_daemon(host: LiveHost, docker: Docker) -> None:
    # Daemons inside containers have a PID namespace of their own and are not ours to count.
    namespaces = host.check_output("readlink /proc/1/ns/pid $(pgrep -x dockerd | sed 's|.*|/proc/&/ns/pid|')")
    ours, *daemons = namespaces.split()
    assert daemons.count(ours) == 1


def test_containers_keep_running_when_docker_restarts(host: LiveHost, docker: Docker) -> None:
    assert host.check_output("docker info --format '{{.LiveRestoreEnabled}}'") == "true"


def test_logs_rotate(host: LiveHost, docker: Docker) -> None:
    assert host.check_output("docker info --format '{{.LoggingDriver}}'") == "json-file"
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert settings["log-opts"]["max-size"] == docker.log_max_size


def test_volume_exists(host: LiveHost, volume: str) -> None:
    assert host.run("docker volume inspect %s", volume).rc == 0


def test_no_container_keeps_data_in_an_anonymous_volume(host: LiveHost, docker: Docker) -> None:
    names = host.check_output(
        "docker ps -aq | xargs -r docker inspect --format "
        """'{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{end}}{{end}}'"""
    ).split()
    assert [name for name in names if len(name) == 64 and set(name) <= set("0123456789abcdef")] == []
