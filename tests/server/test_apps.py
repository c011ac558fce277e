"""Applications on a real server: what the plan says of each service is what happens to it."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from standfast.lab import nspawn
from standfast.lab.nspawn import Server
from tests.server import small_images
from tests.server.conftest import Repository

ONLY = ("--only", "docker", "--only", "volumes", "--only", "apps")

INVENTORY: dict[str, Any] = {
    "environment": "lab",
    "hosts": {
        "test-apps": {
            "address": "test-apps",
            "firewall": {"allow": [{"port": 80}]},
            "docker": {"volumes": {"demo_data": {}, "demo_more": {}}},
            "apps": {
                "demo": {
                    "compose": "files/compose.yml",
                    "env": "files/env.j2",
                    "secrets": {"password": {"env": "DEMO_PASSWORD"}},
                    "files": {"settings.conf": "files/settings.conf"},
                    "images": {
                        "demo/app:1": "images/app.tar",
                        "demo/db:1": "images/db.tar",
                        "demo/web:1": "images/web.tar",
                    },
                    "health": "http://127.0.0.1:8000/marker",
                    "start_timeout": 30,
                }
            },
        }
    },
}

COMPOSE = """\
x-quick: &quick {init: true, stop_signal: SIGKILL}
services:
  db:
    image: demo/db:1
    <<: *quick
    restart: unless-stopped
    volumes: [demo_data:/data]
    environment: {PASSWORD: "${DB_PASSWORD}"}
    healthcheck: {test: [CMD, test, "!", -e, /sick], interval: 1s, retries: 1}
  migrate:
    image: demo/app:1
    <<: *quick
    command: ["true"]
    depends_on: {db: {condition: service_healthy}}
  app:
    image: demo/app:1
    <<: *quick
    restart: unless-stopped
    environment: {GREETING: "${GREETING:-hello}"}
    volumes: ["./settings.conf:/etc/settings.conf:ro"]
    depends_on:
      db: {condition: service_healthy}
      migrate: {condition: service_completed_successfully}
  web:
    image: demo/web:1
    <<: *quick
    restart: unless-stopped
    ports: ["127.0.0.1:8000:80"]
    env_file: .env
    depends_on: {app: {condition: service_started, restart: true}}
  side:
    image: demo/app:1
    <<: *quick
    restart: unless-stopped
    network_mode: "service:web"
  tool:
    image: demo/app:1
    <<: *quick
    profiles: [tools]
volumes:
  demo_data: {external: true}
"""


@dataclass
class World:
    """A repository with one application, and the server that it is for."""

    repository: Repository
    server: Server
    program: bytes
    reasons: dict[str, str] = field(default_factory=dict)
    inventory: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(INVENTORY)))

    @property
    def host(self) -> dict[str, Any]:
        """The server's part of the inventory."""
        host: dict[str, Any] = self.inventory["hosts"]["test-apps"]
        return host

    def write(self, compose: str = COMPOSE, env: str = "", settings: str = "a = 1\n") -> None:
        """Write the whole repository."""
        self.host["ssh"] = {"config": str(self.server.ssh_config)}
        self.repository.write("inventories/lab.yml", json.dumps(self.inventory))
        self.repository.write("files/compose.yml", compose)
        self.repository.write("files/env.j2", f"DB_PASSWORD='{{{{ secrets.password }}}}'\n{env}")
        self.repository.write("files/settings.conf", settings)

    def image(self, name: str, *, marker: str = "1", **options: Sequence[str]) -> str:
        """Write an image's archive, unless it is there already with the same content."""
        path = self.repository.root / "images" / f"{name}.tar"
        new = path.with_suffix(".new")
        identity = small_images.write(new, f"demo/{name}:1", self.program, marker=marker, **options)
        if path.exists() and path.read_bytes() == new.read_bytes():
            new.unlink()
        else:
            new.rename(path)
        return identity

    def images(self) -> None:
        """The images as they are at the beginning of every test."""
        self.image("app")
        self.image("db", volumes=["/data"])
        self.image("web", command=["httpd", "-f", "-p", "80", "-h", "/etc"])

    def run(self, command: str) -> str:
        """Output of a command, as root."""
        return self.server.run(f"sudo sh -c {shlex.quote(command)}").stdout

    def plan(self) -> dict[str, str]:
        """What the plan says of each service: name and action; `reasons` has why."""
        changes = self.repository.plan("lab", *ONLY)["hosts"][0]["changes"]
        services = [each for each in changes if each["target"].startswith("demo/")]
        self.reasons = {each["target"].removeprefix("demo/"): each["detail"] for each in services}
        return {each["target"].removeprefix("demo/"): each["action"] for each in services}

    def apply(self, expect: int = 0) -> str:
        """Apply; everything that it printed."""
        done = self.repository.standfast("apply", "lab", "--yes", *ONLY, expect=expect)
        return done.stdout + done.stderr

    def containers(self) -> dict[str, tuple[str, str, bool]]:
        """Id, time of start and whether it runs, by service."""
        shown = self.run(
            "docker ps -aq --no-trunc --filter label=com.docker.compose.project=demo | xargs -r docker inspect "
            '--format \'{{index .Config.Labels "com.docker.compose.service"}} {{.ID}} {{.State.StartedAt}} '
            "{{.State.Running}}'"
        )
        found = (line.split() for line in shown.splitlines())
        return {
            service: (identity, started, running == "true") for service, identity, started, running in found
        }

    def happened(self, before: dict[str, tuple[str, str, bool]]) -> dict[str, str]:
        """What has happened to each service since `before`."""
        after = self.containers()
        verdicts = {name: "remove" for name in before if name not in after}
        for name, (identity, started, _) in after.items():
            if name not in before:
                verdicts[name] = "create"
            elif before[name][0] != identity:
                verdicts[name] = "recreate"
            elif before[name][1] != started:
                verdicts[name] = "restart" if before[name][2] else "start"
        return verdicts

    def check(self, **expected: str) -> None:
        """The plan is what happens, it contains what is expected, and then nothing is left to do."""
        planned = self.plan()
        assert planned | expected == planned
        before = self.containers()
        self.apply()
        assert self.happened(before) == planned


@pytest.fixture(scope="module")
def base(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> World:
    server = lab_server("test-apps")
    return World(Repository(tmp_path_factory.mktemp("apps")), server, small_images.busybox(server))


@pytest.fixture
def world(base: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Every test begins with the application as it is declared above, running."""
    monkeypatch.setenv("DEMO_PASSWORD", 'its $ecret # \\"')
    base.inventory = json.loads(json.dumps(INVENTORY))
    base.images()
    base.write()
    base.apply()
    return base


def test_first_apply(base: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_PASSWORD", 'its $ecret # \\"')
    base.images()
    base.write()
    services = dict.fromkeys(("db", "migrate", "app", "web", "side"), "create")
    assert base.plan() == services
    base.apply()
    assert base.happened({}) == services
    assert base.repository.targets(*ONLY) == []
    assert base.run("curl -s http://127.0.0.1:8000/marker") == "1"
    assert base.run("docker exec demo-db-1 env | grep PASSWORD").strip() == 'PASSWORD=its $ecret # \\"'


def test_nothing_changed(world: World) -> None:
    assert world.repository.targets(*ONLY) == []


def test_environment_value_changed(world: World) -> None:
    world.write(env="GREETING=bonjour\n")
    world.check(app="recreate", web="recreate", side="recreate", migrate="start")
    assert world.reasons["app"] == world.reasons["web"] == "its configuration changes"
    assert world.reasons["side"] == "it lives inside web"
    assert world.reasons["migrate"] == "it runs again at every start"


def test_a_variable_without_a_value_is_shown_and_no_obstacle(world: World) -> None:
    world.write(COMPOSE.replace("${GREETING:-hello}", "hello${NOWHERE}"))
    planned = world.repository.standfast("plan", "lab", *ONLY, expect=2)
    assert (
        '    ! files/compose.yml: The "NOWHERE" variable is not set'
        in planned.stdout.split("  attention\n")[1]
    )


def test_command_changed(world: World) -> None:
    world.write(COMPOSE.replace('command: ["true"]', 'command: ["sleep", "0"]'))
    world.check(migrate="recreate")


def test_image_changed(world: World) -> None:
    world.image("web", command=["httpd", "-f", "-p", "80", "-h", "/etc"], marker="2")
    world.check(web="recreate", side="recreate", migrate="start")
    assert re.fullmatch("image [0-9a-f]{12} → [0-9a-f]{12}", world.reasons["web"])
    assert world.run("curl -s http://127.0.0.1:8000/marker") == "2"


def test_image_of_the_first_link_of_a_chain_changed(world: World) -> None:
    world.image("db", volumes=["/data"], marker="2")
    world.run("echo precious > /var/lib/docker/volumes/demo_data/_data/row")
    world.check(db="recreate")
    assert world.run("docker exec demo-db-1 cat /data/row").strip() == "precious"


def test_image_untagged(world: World) -> None:
    world.run("docker rmi --force demo/web:1")
    world.check(web="recreate", side="recreate", migrate="start")


def test_container_stopped(world: World) -> None:
    world.run("docker stop -t 0 demo-app-1")
    world.check(app="start", migrate="start")


def test_container_paused(world: World) -> None:
    world.run("docker pause demo-app-1")
    assert world.plan() == {"app": "start", "migrate": "start"}
    world.apply()
    assert world.repository.targets(*ONLY) == []


def test_container_removed(world: World) -> None:
    world.run("docker rm -f demo-web-1")
    world.check(web="create", side="recreate", migrate="start")


def test_down_with_volumes(world: World) -> None:
    world.run("echo precious > /var/lib/docker/volumes/demo_data/_data/row")
    world.run("cd /srv/apps/demo && docker compose -p demo down -v")
    world.check(db="create", migrate="create", app="create", web="create", side="create")
    assert world.run("docker exec demo-db-1 cat /data/row").strip() == "precious"


def test_service_removed_and_added(world: World) -> None:
    side = COMPOSE[COMPOSE.index("  side:") : COMPOSE.index("  tool:")]
    world.write(COMPOSE.replace(side, "  other:\n    image: demo/app:1\n    restart: always\n"))
    world.check(other="create", side="remove", migrate="start")


def test_volume_and_replica_added(world: World) -> None:
    world.host["docker"]["volumes"]["demo_new"] = {}
    more = COMPOSE.replace("volumes: [demo_data:/data]", "volumes: [demo_data:/data, demo_new:/more]")
    more = more.replace("  tool:", "  tool:\n    deploy: {replicas: 2}").replace(
        "profiles: [tools]", "profiles: []"
    )
    world.write(more.replace("volumes:\n  demo_data", "volumes:\n  demo_new: {external: true}\n  demo_data"))
    world.check(db="recreate", tool="create")
    assert world.run("docker ps --quiet --filter name=demo-tool | wc -l").strip() == "2"


def test_mounted_file_changed(world: World) -> None:
    world.write(settings="a = 2\n")
    world.check(app="restart", migrate="start")
    assert world.run("docker exec demo-app-1 cat /etc/settings.conf").strip() == "a = 2"


def test_reboot(world: World) -> None:
    nspawn.reboot(world.server.name)
    _wait_for_docker(world)
    planned = world.plan()
    # Docker may try a container that lives inside another one before that one runs; it does not try again.
    assert planned in ({}, {"side": "start", "migrate": "start"})
    world.apply()
    assert world.plan() == {}


def test_power_cut(world: World) -> None:
    world.run("echo precious > /var/lib/docker/volumes/demo_data/_data/row; sync")
    nspawn.power_cut(world.server.name)
    nspawn.power_on(world.server.name)
    _wait_for_docker(world)
    planned = world.plan()
    before = world.containers()
    world.apply()
    assert world.happened(before) == planned
    assert world.run("docker exec demo-db-1 cat /data/row").strip() == "precious"


def _wait_for_docker(world: World) -> None:
    """Until all runs and is well; or for a minute, as Docker may leave out a container that lives in another."""
    for seconds in range(60):
        states = world.server.run("sudo docker ps --format '{{.Status}}'", check=False).stdout.splitlines()
        if len(states) >= (4 if seconds < 20 else 3) and all("starting" not in each for each in states):
            return
        time.sleep(1)


def _wait_until_it_runs(world: World, service: str) -> None:
    """Until Docker calls a service running, at this moment at least."""
    status = f"docker inspect -f '{{{{.State.Status}}}}' demo-{service}-1"
    world.run(f'until [ "$({status})" = running ]; do sleep 0.1; done')


def refusal(world: World, code: int = 6) -> str:
    """What the plan is refused with."""
    return world.repository.standfast("plan", "lab", *ONLY, expect=code).stderr


def test_service_that_crashes(world: World) -> None:
    world.write(
        COMPOSE.replace(
            "    environment: {GREETING", "    command: [cat, /missing]\n    environment: {GREETING"
        )
    )
    said = world.apply(expect=1)
    assert "could not start demo/migrate, recreate demo/app" in said
    assert "db: Up" in said
    assert "cat: can't open '/missing': No such file or directory" in said
    assert "Crashing again and again: app" in said
    assert world.plan() == {"app": "run"}
    assert "Crashing again and again: app" in world.apply(expect=1)


def test_service_that_crashes_is_not_well_while_it_runs(world: World) -> None:
    crashing = "command: [sh, -c, sleep 2; cat /missing]"
    world.write(COMPOSE.replace("    environment: {GREETING", f"    {crashing}\n    environment: {{GREETING"))
    assert "Crashing again and again: app" in world.apply(expect=1)
    _wait_until_it_runs(world, "app")
    assert world.plan() == {"app": "run"}
    _wait_until_it_runs(world, "app")
    verified = world.repository.standfast("verify", "lab", expect=1).stdout
    assert "test_service_runs[test-apps-demo/app]" in verified
    assert "Crashing again and again: app" in world.apply(expect=1)


def test_service_that_was_started_again_once_is_waited_for(world: World) -> None:
    world.apply()
    world.run("kill -9 $(docker inspect -f '{{.State.Pid}}' demo-side-1)")
    world.run("until [ \"$(docker inspect -f '{{.RestartCount}}' demo-side-1)\" = 1 ]; do sleep 0.1; done")
    _wait_until_it_runs(world, "side")
    before = world.containers()
    world.apply()
    assert world.plan() == {}
    assert world.containers() == before


def test_service_that_ends_by_itself(world: World) -> None:
    world.write(COMPOSE.replace("  tool:", "  tool:\n    command: ['true']").replace("profiles: [tools]", ""))
    said = world.apply(expect=1)
    assert "tool ended by itself, without an error. If it is a job" in said


def test_service_that_is_unhealthy(world: World) -> None:
    world.run("docker exec demo-db-1 touch /sick; sleep 3")
    assert world.plan() == {"db": "run"}
    world.run("(sleep 6; docker exec demo-db-1 rm /sick) > /dev/null 2>&1 &")
    before = world.containers()
    world.apply()
    assert world.containers() == before


def test_health_address_that_does_not_answer(world: World) -> None:
    world.host["apps"]["demo"] |= {"health": "http://127.0.0.1:8000/nothing", "start_timeout": 5}
    world.write(env="GREETING=hi\n")
    assert "http://127.0.0.1:8000/nothing answers 404; expected 200 within 5 s" in world.apply(expect=1)


def test_compose_file_that_is_not_yaml(world: World) -> None:
    world.write(COMPOSE + "  broken: [\n")
    assert "compose.yml:43:1: this is not valid YAML" in refusal(world, code=3)


def test_compose_file_that_compose_does_not_accept(world: World) -> None:
    world.write(COMPOSE.replace("stop_signal: SIGKILL", "stop_signall: SIGKILL"))
    said = refusal(world)
    assert "files/compose.yml: Compose does not accept it: validating /srv/apps/demo/compose.yml" in said
    assert "stop_signall" in said


def test_volumes_that_would_lose_data(world: World) -> None:
    world.write(
        COMPOSE.replace("volumes: [demo_data:/data]", "volumes: [/data]").replace("external: true", "")
    )
    said = refusal(world)
    assert "service db mounts an anonymous volume at /data" in said
    world.write(COMPOSE.replace("volumes: [demo_data:/data]", "volumes: [demo_data:/data/deep]"))
    assert "the image demo/db:1 keeps data in /data, and service db mounts nothing there" in refusal(world)


def test_ports(world: World) -> None:
    world.write(COMPOSE.replace("127.0.0.1:8000:80", "8000:80"))
    assert "publishes port 8000/tcp to the outside" in refusal(world)
    world.run("nohup python3 -m http.server 8111 > /dev/null 2>&1 & echo $! > /run/taken")
    world.run("docker run --detach --name other --publish 127.0.0.1:8112:80 demo/web:1")
    try:
        world.write(COMPOSE.replace('["127.0.0.1:8000:80"]', '["127.0.0.1:8111:80", "127.0.0.1:8112:80"]'))
        said = refusal(world)
    finally:
        world.run("kill $(cat /run/taken); docker rm --force other")
    assert "wants port 8111/tcp, and pid" in said
    assert "python3 -m http.server 8111" in said
    assert "wants port 8112/tcp, and container other" in said


def test_secret_that_would_arrive_changed(world: World) -> None:
    world.repository.write("files/env.j2", "DB_PASSWORD={{ secrets.password }}\n")
    said = refusal(world, code=3)
    assert "the value of the secret password has characters that mean something" in said
    assert "ecret #" not in said


def test_images(world: World) -> None:
    world.host["apps"]["demo"]["images"]["demo/unused:1"] = "images/app.tar"
    world.write()
    assert "app.tar: expected the image demo/unused:1, found demo/app:1" in refusal(world, code=3)
    world.host["apps"]["demo"]["images"].pop("demo/unused:1")
    world.write()
    world.repository.write("images/app.tar", "no archive")
    assert "app.tar: expected an archive made by `docker save`" in refusal(world, code=3)


def test_docker_that_does_not_answer(world: World) -> None:
    world.run("systemctl stop docker.socket docker")
    try:
        said = refusal(world)
    finally:
        world.run("systemctl start docker")
    assert "Docker is installed and does not answer (Cannot connect to the Docker daemon" in said
    assert "Start it (`sudo systemctl start docker`), see `journalctl -u docker`" in said
