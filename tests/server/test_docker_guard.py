"""The guard of Docker on a real server: what it refuses, what it leaves alone, and what happens without it."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator

import pytest

from standfast.host.guard.docker_switch import SETTLE
from standfast.lab import nspawn
from standfast.lab.nspawn import Server
from standfast.operations import host_program
from tests.server import small_images
from tests.server.conftest import Repository
from tests.server.subject import Subject
from tests.server.test_lock import wait_for

COMPOSE = json.dumps(
    {
        "services": {
            "web": {
                "image": "demo/app:1",
                "init": True,
                "stop_signal": "SIGKILL",
                "volumes": ["media:/media", "scratch:/scratch"],
            }
        },
        "volumes": {"media": {"name": "media"}, "scratch": {"name": "scratch"}},
    }
)
API = "curl -s --unix-socket /var/run/docker.sock"
"""Docker's API without its command, so that no client can be the one who refuses."""
ALLOW = 'sudo standfast-host guard allow --for 10m --reason "…"'
PLUGIN = "$(systemctl show --property MainPID --value standfast-docker-guard.service)"
PATIENCE = 60  # seconds; against hanging
BORDER = "-- the next command"


@pytest.fixture(scope="module")
def site(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A server with Docker, two declared volumes with data, and a small application."""
    subject = Subject(Repository(tmp_path_factory.mktemp("guard")), lab_server("test-guard"), "docker")
    subject.declare(
        docker={"volumes": {"media": {}, "pgdata": {}, "cache": {"protect": False}}},
        guards={"docker": True, "shims": True},
    )
    apply(subject)
    archive = subject.repository.root / "app.tar"
    program = small_images.busybox(subject.server)
    small_images.write(archive, "demo/app:1", program, volumes=["/data"])
    subject.server.run("base64 -d | sudo docker load", input=b64encode(archive.read_bytes()).decode())
    subject.root("echo row > /var/lib/docker/volumes/media/_data/row; mkdir -p /srv/demo")
    subject.server.run("sudo tee /srv/demo/compose.yml", input=COMPOSE)
    return subject


@pytest.fixture(autouse=True)
def in_force(site: Subject) -> Iterator[None]:
    """Nothing that is protected is gone after a test, and the guard is in force again."""
    yield
    said = site.root("cat /var/lib/docker/volumes/media/_data/row; standfast-host guard status")
    assert said.startswith("row\nDocker: in force\n")


def apply(subject: Subject) -> None:
    """Apply what the guard needs."""
    only = ("--only", "base", "--only", "docker", "--only", "volumes", "--only", "guards")
    subject.repository.standfast("apply", "lab", "--yes", "--no-verify", *only, expect=0)


def planned(subject: Subject) -> list[str]:
    only = ("--only", "base", "--only", "docker", "--only", "volumes", "--only", "guards")
    plan = subject.repository.plan("lab", *only)
    return [change["target"] for host in plan["hosts"] for change in host["changes"]]


def said(subject: Subject, command: str) -> str:
    """What a command says, both ways."""
    return subject.root(f"({command}) 2>&1 < /dev/null", check=False)


def compose(command: str) -> str:
    return f"docker compose --project-directory /srv/demo --file /srv/demo/compose.yml {command}"


REFUSED = {
    "volume rm": "docker volume rm media",
    "volume rm -f": "docker volume rm -f media",
    "volume prune": "docker volume prune -f",
    "volume prune -a": "docker volume prune -a -f",
    "volume prune with a filter": "docker volume prune -f --filter label=nobody-has-this",
    "system prune --volumes": "docker system prune -f --volumes",
    "system prune -a --volumes": "docker system prune -a -f --volumes",
    "compose down -v": compose("down -v"),
    "compose down --volumes": compose("down --volumes --remove-orphans"),
    "rm -v": "docker rm -f -v demo-web-1",
    "rm --volumes": "docker rm --force --volumes demo-web-1",
    "compose rm -v": compose("rm -s -f -v"),
    "raw": f"{API} -X DELETE http://d/v1.45/volumes/media",
    "raw, without a version": f"{API} -X DELETE http://d/volumes/media",
    "raw, forced": f"{API} -X DELETE 'http://d/v1.41/volumes/media?force=1'",
    "raw, percent-encoded": f"{API} -X DELETE http://d/v1.45/%76olumes/m%65dia",
    "raw, slashes": f"{API} -L -X DELETE --path-as-is http://d//v1.45//volumes//media",
    "raw, dots": f"{API} -L -X DELETE --path-as-is http://d/v1.45/images/../volumes/./media",
    "raw, absolute": f"{API} -X DELETE --request-target http://d/v1.45/volumes/media http://d/",
    "raw prune": f"{API} -X POST http://d/v1.45/volumes/prune",
    "raw prune, with a body": f"{API} -X POST -d all=true 'http://d/v1.45/volumes/prune?filters=%7B%7D'",
    "raw container, v=true": f"{API} -X DELETE 'http://d/v1.45/containers/demo-web-1?force=1&v=true'",
    "raw container, %76=yes": f"{API} -X DELETE 'http://d/containers/demo-web-1?%76=yes&force=1'",
    "by the beginning of an id": "docker rm -f -v $(docker ps -q --filter name=demo-web-1 | cut -c 1-5)",
}


@pytest.fixture(scope="module")
def answers(site: Subject) -> dict[str, str]:
    """What each of these commands says, and the volumes and containers that are there afterwards."""
    site.root(compose("up --detach"))
    look = "docker volume ls -q; docker ps -aq --no-trunc; docker start demo-web-1"
    script = "".join(f"echo '{BORDER}'; {{ {each}; }} 2>&1; {look}\n" for each in REFUSED.values())
    found = site.root(script, check=False).split(f"{BORDER}\n")[1:]
    return dict(zip(REFUSED, found, strict=True))


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_cost_a_declared_volume_is_refused(
    site: Subject, answers: dict[str, str], name: str
) -> None:
    assert "refused by standfast" in answers[name]
    assert ALLOW in answers[name].replace('\\"', '"')
    there = site.root("docker volume ls -q; docker ps -aq --no-trunc")
    assert answers[name].endswith(f"{there}demo-web-1\n"), "a volume or a container is gone"


def test_a_database_in_a_volume_that_nobody_named(site: Subject) -> None:
    """Incident 2: such a volume held everything."""
    site.root("docker run --detach --name db demo/app:1")
    volume = site.root("docker inspect --format '{{(index .Mounts 0).Name}}' db").strip()
    data = f"/var/lib/docker/volumes/{volume}/_data"
    site.root(f"mkdir -p {data}/17/docker; echo 17 > {data}/17/docker/PG_VERSION")
    for command in ("docker rm -f -v db", f"{API} -X DELETE 'http://d/containers/db?v=1'"):
        assert "there is a database in it" in said(site, command)
    assert "refused" not in said(site, "docker rm -f db")
    assert "there is a database in it" in said(site, f"docker volume rm {volume}")
    site.root(f"rm -r {data}/17; docker volume rm {volume}")


def test_ordinary_work_is_left_alone(site: Subject) -> None:
    site.root("printf 'FROM demo/app:1\\nRUN touch /built\\n' > /srv/demo/Dockerfile")
    for command in (
        "DOCKER_BUILDKIT=0 docker build --tag demo/built:1 /srv/demo",
        compose("up --detach"),
        compose("logs"),
        compose("exec -T web cat /media/row"),
        compose("restart"),
        compose("up --detach --force-recreate"),
        compose("down"),
        compose("up --detach"),
        "docker stop demo-web-1",
        "docker rm demo-web-1",
        "docker run --rm --volume scratch:/scratch demo/built:1 touch /scratch/made",
        "docker run --detach --name anonymous demo/app:1",
        "docker rm --force --volumes anonymous",
        "docker volume rm scratch",
        "docker volume rm -f cache",
        "docker volume create cache",
        "docker volume create other",
        "docker volume rm other",
        "docker container prune -f",
        "docker network prune -f",
        "docker image prune -f",
        "docker system prune -f",
        "docker volume ls",
        f"{API} http://d/volumes/media",
        f"{API} -X DELETE http://d/volumes/nobody",
    ):
        answer = said(site, f"set -e; {command} && echo WORKED")
        assert answer.endswith("WORKED\n"), f"{command}: {answer}"
        assert "refused" not in answer, f"{command}: {answer}"


def test_what_gets_around_it_is_what_the_page_says(site: Subject) -> None:
    site.root("docker run --rm --volume pgdata:/x demo/app:1 touch /x/row")
    assert "refused" not in said(site, "docker run --rm --volume pgdata:/x demo/app:1 rm /x/row")
    assert site.root("ls /var/lib/docker/volumes/pgdata/_data") == ""
    site.root("docker run --detach --rm --name brief demo/app:1")
    volume = site.root("docker inspect --format '{{(index .Mounts 0).Name}}' brief").strip()
    site.root(f"touch /var/lib/docker/volumes/{volume}/_data/PG_VERSION; docker stop --time 0 brief")
    wait_for(lambda: volume not in site.root("docker volume ls -q"), PATIENCE)


def test_a_window_lets_through_and_is_recorded(site: Subject) -> None:
    assert said(site, "standfast-host guard allow --for 1d --reason x; echo $?").endswith("3\n")
    assert said(site, "standfast-host guard allow --for 10m --reason ' '; echo $?").endswith("3\n")
    site.root("docker volume create old; standfast-host guard allow --for 3s --reason 'old is copied'")
    assert "refused" not in said(site, "docker volume prune -f")
    status = site.root("standfast-host guard status")
    assert "old is copied" in status
    assert "let through  POST /v1" in status
    time.sleep(3)
    assert "refused by standfast" in said(site, "docker volume prune -f")
    site.root("standfast-host guard allow --for 10m --reason again; standfast-host guard close")
    assert "refused by standfast" in said(site, "docker volume prune -f")
    site.root("docker volume rm -f old")


def test_nobody_knows_what_is_protected(site: Subject) -> None:
    """Then everything is; the work goes on."""
    site.root("docker volume create other; echo '{' > /etc/standfast/guards.json")
    assert "nobody knows what is protected" in said(site, "docker volume rm other")
    assert "other" in said(site, "docker volume ls")
    assert planned(site) == ["/etc/standfast/guards.json"]
    apply(site)
    assert "refused" not in said(site, "docker volume rm other")


def test_killed(site: Subject) -> None:
    site.root(f"kill -9 {PLUGIN}")
    assert "refused by standfast" in said(site, "docker volume rm media")


def test_hung(site: Subject) -> None:
    """Docker waits until systemd has started another one."""
    site.root(f"kill -STOP {PLUGIN}")
    began = time.monotonic()
    assert "refused by standfast" in said(site, "docker volume rm media")
    print(f"a guard that hung was replaced after {time.monotonic() - began:.1f} s")


def test_hung_and_docker_starts(site: Subject) -> None:
    site.root(f"kill -STOP {PLUGIN}; systemctl restart docker")
    assert "media" in site.root("docker volume ls -q")
    site.root("systemctl reload docker")  # the guard is back by now, and so it comes back into force


def test_it_fails_again_and_again_while_docker_starts(site: Subject) -> None:
    """Docker is asked to look at it each time, which must not count as one more start of Docker."""

    def docker(what: str) -> str:
        return site.root(f"systemctl show -P {what} docker").strip()

    folder = "/run/systemd/system/docker.service.d"
    slow = f"{folder}/zz-slow.conf"
    site.root(f"mkdir -p {folder}; printf '[Service]\\nExecStartPre=/bin/sleep 5\\n' > {slow}")
    site.root("systemctl daemon-reload; systemctl reset-failed docker; systemctl restart --no-block docker")
    wait_for(lambda: docker("SubState") == "start-pre", PATIENCE)
    site.root(f"for n in 1 2 3; do {SETTLE} ask; kill -9 {PLUGIN}; sleep 0.5; done")
    assert docker("SubState") == "start-pre"
    wait_for(lambda: "start" not in docker("SubState"), PATIENCE)
    assert docker("SubState") == "running"
    assert docker("NRestarts") == "0"
    site.root(f"rm {slow}; systemctl daemon-reload")


def test_its_program_is_deleted(site: Subject) -> None:
    """Docker's commands work on, Docker starts, the plan says what is missing, and apply repairs it."""
    site.root(compose("up --detach"))
    started = site.root("docker inspect --format '{{.State.StartedAt}}' demo-web-1")
    site.root(f"rm /usr/local/sbin/standfast-host; kill -9 {PLUGIN}")
    assert "media" in said(site, "docker volume ls -q")
    wait_for(lambda: "authorization" not in site.root("cat /etc/docker/daemon.json"), PATIENCE)
    assert "WITHOUT its guard" in site.root("journalctl --quiet --priority alert --lines 1")
    site.root("systemctl restart docker")
    assert site.root("docker inspect --format '{{.State.StartedAt}}' demo-web-1") == started
    assert planned(site) == [
        "/usr/local/sbin/standfast-host",
        "standfast-docker-guard.socket",
        "/etc/docker/daemon.json",
        "docker.service",
    ]
    apply(site)
    assert "refused by standfast" in said(site, "docker volume rm media")


def test_everything_of_it_is_deleted_and_docker_still_starts(site: Subject) -> None:
    """Only the line in Docker's configuration is left of it, which keeps dockerd from starting otherwise."""
    site.root("rm -r /usr/local/sbin/standfast-host /usr/local/lib/standfast/docker-guard-settle")
    site.root(f"kill -9 {PLUGIN}; systemctl stop standfast-docker-guard.socket")
    named = '  "authorization-plugins": ["standfast"],'
    site.root(
        f"grep -q authorization /etc/docker/daemon.json || sed -i '1a\\{named}' /etc/docker/daemon.json"
    )
    site.root("systemctl reset-failed; systemctl restart docker")
    assert "media" in site.root("docker volume ls -q")
    apply(site)


def test_the_emergency_switch(site: Subject) -> None:
    """It needs nothing of ours: a file, and a reload of Docker; here the guard's socket is dead as well."""
    site.root("systemctl stop standfast-docker-guard.socket standfast-docker-guard.service")
    site.root("touch /etc/standfast/guards-off; systemctl reload docker")
    wait_for(lambda: "Total reclaimed" in said(site, "docker volume prune -f"), PATIENCE)
    done = site.repository.standfast("plan", "lab", "--only", "docker", expect=2)
    assert "switched off by hand" in done.stdout
    apply(site)  # puts the socket back, and respects the switch
    assert "Total reclaimed" in said(site, "docker volume prune -f")
    site.root("rm /etc/standfast/guards-off; systemctl reload docker")
    wait_for(lambda: "refused by standfast" in said(site, "docker volume prune -f"), PATIENCE)


def test_shims_of_every_account_start_from_the_compiled_copy(site: Subject) -> None:
    """Apply has made it, by trying the new program."""
    (copy,) = site.root(f"ls {host_program.COMPILED}").split()
    start = f"runuser -u nobody -- python3 -I -v {host_program.PATH} --version"
    loaded = site.root(f"{start} 2>&1 | grep \"^import 'standfast.host.__main__'\"")
    assert f'"{host_program.COMPILED}/{copy}/standfast/host/"' in loaded


def test_drift_knows_what_belongs_to_it(site: Subject) -> None:
    """And it tells when somebody has switched it off."""

    def found() -> list[str]:
        done = site.repository.standfast("drift", "lab", "--json")
        findings = [each for host in json.loads(done.stdout)["hosts"] for each in host["findings"]]
        return [each["what"] for each in findings if "guard" in each["what"] or "shims" in each["what"]]

    assert found() == []
    site.root("touch /etc/standfast/guards-off")
    assert found() == ["/etc/standfast/guards-off"]
    site.root("rm /etc/standfast/guards-off")


def test_after_a_reboot_it_is_in_force(site: Subject) -> None:
    nspawn.reboot(site.server.name)
    wait_for(lambda: site.ssh().returncode == 0, PATIENCE)
    wait_for(lambda: site.root("systemctl is-active docker", check=False) == "active\n", PATIENCE)
    assert "refused by standfast" in said(site, "docker volume rm media")
    assert site.root("systemctl list-units --failed --plain --no-legend") == ""
    assert "ordering cycle" not in site.root("journalctl --quiet --boot")


def typed(subject: Subject, command: str, answer: str = "no") -> str:
    """What a login shell with a terminal says to a command and an answer to its question."""
    arguments = ["ssh", "-F", str(subject.server.ssh_config), "-tt", subject.server.name]
    done = subprocess.run(
        [*arguments, f"bash -lc {shlex.quote(command)}"],
        input=f"{answer}\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


ASKED = (
    "sudo iptables -F",
    "sudo iptables -P INPUT DROP",
    "/usr/bin/sudo -i iptables -F",  # root's own login shell
    "sudo ip6tables -X",
    "sudo sh -c 'iptables -F'",
    "sudo /usr/sbin/iptables -t nat -F",
    "sudo nft flush ruleset",
    "sudo ufw reset",
    "sudo docker volume rm cache",
    "sudo docker system prune -f",
    "sudo rm -rf /var/lib/docker/containers/0",
    "sudo restic forget --prune",
    "sudo restic unlock",
    "sudo -u postgres dropdb toybox",
    "sudo systemctl stop ssh",
    "systemctl stop docker",
    "docker compose down -v",
    "cd /var/lib && rm -rf docker",
)


@pytest.mark.parametrize("command", ASKED)
def test_a_session_is_asked_before_what_cannot_be_undone(site: Subject, command: str) -> None:
    answer = typed(site, command)
    assert 'Type "yes" to do it all the same' in answer
    assert "Nothing was done." in answer


def test_a_session_does_what_was_confirmed(site: Subject) -> None:
    site.root("iptables -N SPARE; iptables -A SPARE -j RETURN")
    typed(site, "sudo iptables -F SPARE", answer="YES")
    assert "-A SPARE" in site.root("iptables -S SPARE")
    typed(site, "sudo iptables -F SPARE", answer="yes")
    assert "-A SPARE" not in site.root("iptables -S SPARE")
    assert "let through (asked): sudo" in site.root("journalctl --quiet -t standfast --lines 2")


def test_a_script_without_a_terminal_is_refused(site: Subject) -> None:
    """Programs that have another PATH are left alone: sudo's, cron's, our own."""
    script = "bash -lc 'sudo iptables -F SPARE < /dev/null'"
    done = site.ssh(command=f"{script}; echo ended with $?")
    assert "ended with 6" in done.stdout
    assert "nobody can be asked here" in done.stderr
    assert site.ssh(command="sudo iptables -F SPARE").returncode == 0


def test_what_is_harmless_is_not_asked(site: Subject) -> None:
    commands = (
        "sudo iptables -L -n", "docker ps", "sudo docker compose version", "systemctl status cron --no-pager",
        "sudo systemctl restart cron", "rm -f /tmp/nothing", "sudo true", "sudo -n id", "sudo apt-get --version",
    )  # fmt: skip
    answer = typed(site, "; ".join(commands))
    assert "Type" not in answer


def test_switched_off_in_the_inventory_nothing_is_left(site: Subject) -> None:
    site.declare(guards={"docker": False, "shims": False})
    apply(site)
    assert planned(site) == []
    assert "authorization" not in site.root("docker info 2>&1; cat /etc/docker/daemon.json")
    assert site.root("find /etc /usr/local /run/docker -name '*guard*'") == ""
    site.declare(guards={"docker": True, "shims": True})
    apply(site)
    assert planned(site) == []
