"""What the guard of Docker makes of a request, of what stands on the disk, and of an open window."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from standfast.host.backup.configuration import Database
from standfast.host.guard import docker_disk, docker_plugin, docker_switch, protection, server_command, window
from standfast.host.guard.docker_decision import refusal
from standfast.host.guard.docker_requests import Wish, wish
from standfast.host.guard.protection import Protection

HASH = "a1" * 32
PROTECTED = Protection("production", volumes=("media",))

REMOVES_MEDIA = (
    ("DELETE", "/volumes/media"),
    ("DELETE", "/v1.45/volumes/media"),
    ("DELETE", "/v1.45/volumes/media?force=1"),
    ("DELETE", "//v1.45///volumes//media/"),
    ("DELETE", "/v1.45/%76olumes/med%69a"),
    ("DELETE", "/v1.45/volumes%2Fmedia"),
    ("DELETE", "http://localhost/v1.45/volumes/media"),
    ("DELETE", "/v1.45/images/../volumes/./media"),
    ("delete", " /volumes/media"),
)
PRUNES = (
    ("POST", "/volumes/prune"),
    ("POST", "/v1.24/volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D"),
    ("POST", "/v1.45/volumes//prune/"),
    ("POST", "http://d/v1.45/%76olumes/prune"),
)
WITH_VOLUMES = (
    "v=1",
    "v=true",
    "v=TRUE",
    "v=yes",
    "v=anything",
    "force=1&v=1",
    "v=0&v=1",
    "%76=1",
    "v=%31",
    "link=0&v=t",
)
HARMLESS = (
    ("GET", "/v1.45/volumes/media"),
    ("GET", "/v1.45/volumes"),
    ("POST", "/v1.45/volumes/create"),
    ("DELETE", "/v1.45/containers/db"),
    ("DELETE", "/v1.45/containers/db?force=1"),
    ("DELETE", "/v1.45/containers/db?v=0&force=1"),
    ("DELETE", "/v1.45/containers/db?v=false"),
    ("DELETE", "/v1.45/containers/db?v"),
    ("DELETE", "/v1.45/images/media"),
    ("DELETE", "/v1.45/networks/volumes"),
    ("POST", "/v1.45/containers/prune"),
    ("POST", "/v1.45/images/prune"),
    ("POST", "/v1.45/build/prune"),
    ("POST", "/v1.45/containers/volumes/start"),
    ("HEAD", "/_ping"),
    ("OPTIONS", "*"),
    ("", ""),
)


@pytest.mark.parametrize(("method", "address"), REMOVES_MEDIA)
def test_every_spelling_of_a_removal(method: str, address: str) -> None:
    assert wish(method, address) == Wish("remove volume", "media")


@pytest.mark.parametrize(("method", "address"), PRUNES)
def test_every_spelling_of_a_prune(method: str, address: str) -> None:
    assert wish(method, address) == Wish("prune volumes")


@pytest.mark.parametrize("query", WITH_VOLUMES)
def test_every_spelling_of_a_container_with_its_volumes(query: str) -> None:
    found = wish("DELETE", f"/v1.45/containers/db?{query}")
    assert found == Wish("remove container with volumes", "db")


@pytest.mark.parametrize(("method", "address"), HARMLESS)
def test_what_costs_no_volume(method: str, address: str) -> None:
    assert wish(method, address) is None


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """Docker's folder, with three containers and a volume with PostgreSQL's data."""

    def container(number: str, name: str, volume: str, **labels: str) -> None:
        folder = tmp_path / "containers" / (number * 64)
        folder.mkdir(parents=True)
        mounts = {"/data": {"Type": "volume", "Name": volume, "Destination": "/data"}}
        found = {"ID": folder.name, "Name": f"/{name}", "Config": {"Labels": labels}, "MountPoints": mounts}
        (folder / "config.v2.json").write_text(json.dumps(found))

    container("1", "web", "media")
    container("2", "db", HASH)
    container("3", "twin", "media", **{"standfast.drill": "standfast-drill-toybox"})
    data = tmp_path / "volumes" / HASH / "_data/17/docker"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("17")
    (tmp_path / "volumes" / ("b2" * 32) / "_data").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (Wish("remove volume", "media"), "declared in the inventory (production)"),
        (Wish("remove volume", HASH), "there is a database in it"),
        (Wish("prune volumes"), "no container uses"),
        (Wish("remove container with volumes", "web"), "the volume media"),
        (Wish("remove container with volumes", "1" * 64), "the volume media"),
        (Wish("remove container with volumes", "11"), "the volume media"),
        (Wish("remove container with volumes", "db"), "there is a database in it"),
        (Wish("remove volume", "cache"), None),
        (Wish("remove volume", "b2" * 32), None),
        (Wish("remove container with volumes", "twin"), None),
        (Wish("remove container with volumes", "nobody"), None),
    ],
)
def test_what_is_refused(docker: Path, wanted: Wish, why: str | None) -> None:
    said = refusal(wanted, PROTECTED, docker)
    if why is None:
        assert said is None
    else:
        assert said is not None
        assert why in said
        assert "Nothing was removed." in said
        assert "sudo standfast-host guard allow --for 10m" in said


def test_what_nobody_can_tell_is_refused(docker: Path) -> None:
    (docker / "containers" / ("2" * 64) / "config.v2.json").write_text("{")
    said = refusal(Wish("remove container with volumes", "web"), PROTECTED, docker)
    assert said is not None
    assert "nobody can tell" in said
    assert refusal(Wish("remove volume", "cache"), None, docker) is not None


def test_what_stands_in_the_servers_file(tmp_path: Path) -> None:
    path = tmp_path / "guards.json"
    assert protection.load(path) is None
    made = Protection("production", ("a", "b"))
    path.write_text(made.text())
    assert protection.load(path) == made
    for damaged in ("", "{", "[]", '{"format": 2}', made.text().replace("environment", "surroundings")):
        path.write_text(damaged)
        assert protection.load(path) is None


def test_the_guarded_databases(tmp_path: Path) -> None:
    path = tmp_path / "databases.json"
    assert protection.databases(path) == {}
    made = {"toybox": Database("toybox", "toybox", "toybox", "db", may_shrink=("public.s*",))}
    path.write_text(protection.databases_text(made))
    assert protection.databases(path) == made
    for damaged in ("", "[]", '{"format": 2}', '{"format": 1, "databases": {"x": {}}}'):
        path.write_text(damaged)
        with pytest.raises(ValueError, match=r"."):
            protection.databases(path)


def test_the_answer_to_a_question_without_an_address() -> None:
    assert docker_plugin.decided(b"{}")["Allow"] is False
    assert docker_plugin.decided(b"")["Allow"] is False
    assert docker_plugin.decided(b'{"RequestMethod": "GET", "RequestUri": "/_ping"}') == {"Allow": True}


def test_a_window_ends_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "window.json"
    assert window.current(path) is None
    window.open_for(1, "a reason", path)
    opened = window.current(path)
    assert opened is not None
    assert opened.reason == "a reason"
    time.sleep(1)
    assert window.current(path) is None
    window.open_for(60, "a reason", path)
    assert window.close(path)
    assert not window.close(path)


@pytest.mark.parametrize(("text", "seconds"), [("10m", 600), ("90s", 90), ("4h", 14400)])
def test_times(text: str, seconds: int) -> None:
    assert window.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "0m", "-1m", "1d", "5h", "1.5h", "10 m", "٣m"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        window.seconds(text)


def test_the_record(tmp_path: Path) -> None:
    path = tmp_path / "guard" / "decisions.jsonl"
    assert window.recorded(path) == []
    window.record("refused", {"request": "DELETE /volumes/ü"}, path)
    window.record("window closed", {}, path)
    assert [each["decision"] for each in window.recorded(path)] == ["refused", "window closed"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_wrong_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["allow"], ["allow", "--for", "10m"], ["open"]):
        assert server_command.main(arguments) == 3
    assert server_command.main(["--help"]) == 0
    assert "exit codes:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (docker_switch.State(True, True, False, ""), "in force"),
        (docker_switch.State(True, False, False, ""), "Docker's commands fail"),
        (docker_switch.State(False, True, True, "taken out …"), "off: /etc/standfast/guards-off"),
        (docker_switch.State(False, False, False, "taken out, because"), "not in force: taken out"),
        (docker_switch.State(False, True, False, ""), "inventory: guards.docker"),
    ],
)
def test_its_state_in_words(state: docker_switch.State, said: str) -> None:
    assert said.lower() in state.said.lower()


def test_the_root_that_docker_is_told(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    assert docker_disk.root(path) == Path("/var/lib/docker")
    path.write_text('{"data-root": "/srv/docker"}')
    assert docker_disk.root(path) == Path("/srv/docker")
