"""Every service of every application runs, is healthy, and was started from the declared files."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host as LiveHost

from standfast.inventory.schema import Host

Container = dict[str, object]


@pytest.fixture
def containers(host: LiveHost, app: str) -> list[Container]:
    output = host.check_output("docker compose -p %s ps -a --format json", app)
    return [json.loads(line) for line in output.splitlines()]


def test_all_services_have_a_container(host: LiveHost, app: str, containers: list[Container]) -> None:
    declared = host.check_output("docker compose --project-directory /srv/apps/%s config --services", app)
    assert {container["Service"] for container in containers} == set(declared.split())


def test_all_containers_run(containers: list[Container]) -> None:
    assert {str(container["Service"]): container["State"] for container in containers} == {
        str(container["Service"]): "running" for container in containers
    }


def test_no_container_is_unhealthy(containers: list[Container]) -> None:
    assert [c["Service"] for c in containers if c["Health"] not in ("", "healthy")] == []


def test_environment_file_is_private(host: LiveHost, declared: Host, app: str) -> None:
    if declared.apps[app].env is None:
        pytest.skip("no environment file is declared")
    file = host.file(f"/srv/apps/{app}/.env")
    assert (file.user, file.mode) == ("root", 0o600)


def test_application_answers(host: LiveHost, declared: Host, app: str) -> None:
    url = declared.apps[app].health
    if url is None:
        pytest.skip("no health URL is declared")
    code = host.check_output("curl -s -o /dev/null -m 10 -w %s %s", "%{http_code}", url)
    assert code == "200"
