"""Every service of every application runs, is healthy, and is what its Compose file says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from standfast.inventory.schema import Host
from standfast.verification.seen import Seen

Pairs = list[tuple[dict[str, Any], dict[str, Any]]]
EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound


def declared_services(seen: Seen, app: str) -> dict[str, dict[str, Any]]:
    """What Compose reads in the files on the server."""
    found: dict[str, dict[str, Any]] = json.loads(seen.text(f"app {app}"))
    return found


def containers_of(seen: Seen, app: str, service: str | None = None) -> list[dict[str, Any]]:
    """Containers of an application, or of one of its services."""
    found = []
    for container in seen.documents("containers"):
        labels = container["labels"] or {}
        ours = labels.get("com.docker.compose.project") == app
        same = service in (None, labels.get("com.docker.compose.service"))
        if ours and same and labels.get("com.docker.compose.oneoff") != "True":
            found.append(container | {"service": labels.get("com.docker.compose.service")})
    return found


@pytest.fixture
def pairs(seen: Seen, service: str) -> Pairs:
    """What is declared for a service, and each of its containers; there must be one."""
    app, _, name = service.partition("/")
    known = declared_services(seen, app)
    wanted = {key: told for key, told in known.items() if name in ("*", key)}
    if not wanted:
        pytest.skip("Compose does not start it")
    found = [(told, each) for key, told in wanted.items() for each in containers_of(seen, app, key)]
    assert found or not any(told["wanted"] for told in wanted.values()), "there is no container"
    return found


def test_all_services_have_their_containers(seen: Seen, app: str) -> None:
    found = [each["service"] for each in containers_of(seen, app)]
    wanted = {name: told["wanted"] for name, told in declared_services(seen, app).items()}
    assert {name: found.count(name) for name in {*found, *wanted}} == wanted


def test_service_runs(pairs: Pairs) -> None:
    for told, container in pairs:
        done = told["once"] and (container["state"], container["code"]) == ("exited", 0)
        assert done or container["state"] == "running"


def test_service_is_healthy(pairs: Pairs) -> None:
    # Without a health check of its own or of its image there is nothing to say.
    assert [container["health"] for _, container in pairs if container["health"] not in ("", "healthy")] == []
    assert [told for told, container in pairs if told["checked"] and not container["health"]] == []


def test_service_runs_the_declared_image(seen: Seen, pairs: Pairs) -> None:
    # The name may mean another image by now, which waits for the next apply.
    today = dict(line.split(" ", 1) for line in seen.lines("images"))
    for told, container in pairs:
        assert container["named"] == told["image"] or not told["image"]
        name = container["named"]
        with_tag = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
        assert container["image"] == today.get(with_tag, container["image"])


def test_service_comes_back_as_declared(pairs: Pairs) -> None:
    for told, container in pairs:
        assert container["restart"] == told["restart"].partition(":")[0]


def test_service_mounts_its_volumes(pairs: Pairs) -> None:
    for told, container in pairs:
        mounted = {(mount.get("Name"), mount["Destination"]) for mount in container["mounts"]}
        assert [mount for mount in told["mounts"] if (mount[0], mount[1]) not in mounted] == []


def test_service_publishes_what_is_declared(pairs: Pairs) -> None:
    for told, container in pairs:
        wanted = {
            (anywhere(address), str(published), f"{inside}/{protocol}")
            for address, published, inside, protocol in told["ports"]
        }
        bound = {
            (anywhere(each["HostIp"]), each["HostPort"], inside)
            for inside, places in (container["ports"] or {}).items()
            for each in places or []
        }
        # Of a range, and where Docker shall choose, only the address is known.
        assert {each for each in wanted if each[1].isdigit()} <= bound
        assert {(address, inside) for address, _, inside in bound} == {(each[0], each[2]) for each in wanted}


def anywhere(address: str) -> str:
    """An address to which a port is bound; all of a family's are one."""
    return "" if address in EVERYWHERE else address


def test_published_ports_answer(pairs: Pairs) -> None:
    assert [fault for told, _ in pairs for fault in told["silent"]] == []


def test_application_answers(seen: Seen, declared: Host, app: str) -> None:
    if declared.apps[app].health is None:
        pytest.skip("no health URL is declared")
    assert seen.text(f"health {app}").strip() == "200"
