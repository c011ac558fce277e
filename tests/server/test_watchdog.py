"""What somebody does to the rules by hand: SSH and the site come back with nobody doing anything."""

from __future__ import annotations

import json
import socket
import time
from base64 import b64encode
from collections.abc import Callable
from shlex import quote

import pytest

from standfast.lab import nspawn
from standfast.lab.nspawn import Server
from tests.server import small_images
from tests.server.conftest import Repository
from tests.server.subject import Subject
from tests.server.test_firewall import fetched
from tests.server.test_lock import wait_for

OPEN, CLOSED = 8081, 8083
PATIENCE = 240  # seconds; against hanging. What it took is printed
FIRST_SSH = "$(tool -S STANDFAST-INPUT | grep -m1 'comment ssh' | sed 's/^-A/-D/')"
OURS, DOCKERS = "put our chains back", "restarted docker.service"
"""What the watchdog says last of what it does about a damage; nothing where nobody is shut out."""
PACKAGES = "docker.io docker-cli nftables"


@pytest.fixture(scope="module")
def site(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A server with two containers, of which one has a declared port."""
    repository = Repository(tmp_path_factory.mktemp("watchdog"))
    subject = Subject(repository, lab_server("test-watchdog"), "firewall")
    subject.declare(firewall={"allow": [{"port": OPEN}]})
    subject.apply()
    archive = repository.root / "web.tar"
    program = small_images.busybox(subject.server)
    small_images.write(archive, "web:1", program, command=["httpd", "-f", "-h", "/etc"])
    subject.root(
        "mkdir -p /etc/docker; echo '{\"live-restore\": true}' > /etc/docker/daemon.json; "
        f"DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends {PACKAGES}"
    )
    subject.server.run("base64 -d | sudo docker load", input=b64encode(archive.read_bytes()).decode())
    run(subject, aa=OPEN, bb=CLOSED)
    assert fetched(subject, OPEN)
    settled(subject)
    return subject


def run(subject: Subject, **containers: int) -> None:
    """Start containers with a published port each, in this order: their addresses follow from it."""
    for name, port in containers.items():
        subject.root(f"docker run -d --restart always --name {name} -p {port}:80 web:1")


def settled(subject: Subject) -> None:
    """Wait until the watchdog has seen Docker's rules as they are now."""
    pid = subject.root("cat /run/docker.pid").strip()
    memory = "/run/standfast/docker-rules.json"
    wait_for(lambda: f'"pid": {pid},' in subject.root(f"cat {memory}", check=False), PATIENCE)


def repairs(subject: Subject) -> list[dict[str, list[str]]]:
    """What the watchdog has put back so far."""
    found: list[dict[str, list[str]]] = json.loads(subject.root("standfast-host firewall status --json"))[
        "repairs"
    ]
    return found


def lets_in(subject: Subject) -> bool:
    """Whether a NEW SSH connection works, by both families, after what was done has been done."""
    if subject.ssh(command="test -e /run/done").returncode != 0:
        return False
    try:
        with socket.create_connection((subject.server.address6, 22), timeout=2) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def do(subject: Subject, command: str) -> float:
    """Do something outside of any SSH session; returns when it began."""
    subject.root(f"rm -f /run/done; systemd-run -q sh -c {quote(f'sleep 1; {command}; touch /run/done')}")
    return time.monotonic() + 1


def both(command: str) -> list[str]:
    """The same for each address family."""
    return [f'tool() {{ {tool} "$@"; }}; {command}' for tool in ("iptables", "ip6tables")]


@pytest.mark.parametrize(
    ("damage", "repaired"),
    [
        *zip(both("tool -F"), (DOCKERS, OURS), strict=True),
        *zip(both("tool -P INPUT DROP"), ("", ""), strict=True),
        *zip(both("tool -P INPUT DROP; tool -F"), (DOCKERS, OURS), strict=True),
        *zip(both(f"tool {FIRST_SSH}"), (OURS, OURS), strict=True),
        ("iptables -t nat -F", DOCKERS),
        ("ip6tables -t nat -F", ""),
        ("nft flush ruleset", DOCKERS),
    ],
)
def test_ssh_and_the_site_come_back_by_themselves(site: Subject, damage: str, repaired: str) -> None:
    before = len(repairs(site))
    began = do(site, damage)
    wait_for(lambda: lets_in(site), PATIENCE)
    in_again = time.monotonic() - began
    wait_for(lambda: repaired in str(repairs(site)[before:]), PATIENCE)
    wait_for(lambda: answers(site), PATIENCE)
    print(f"{damage}: SSH after {in_again:.1f} s, the site after {time.monotonic() - began:.1f} s")
    for tool in ("iptables", "ip6tables"):
        site.root(f"{tool} -P INPUT ACCEPT")
    assert not fetched(site, CLOSED)
    assert site.targets() == []
    settled(site)


def answers(subject: Subject) -> bool:
    """Whether the site answers, by both families, and our rules are there."""
    try:
        return fetched(subject, OPEN) and "STANDFAST-INPUT" in subject.root(
            "iptables -S INPUT; ip6tables -S INPUT"
        )
    except AssertionError:  # by one of them
        return False


def test_what_was_found_is_kept(site: Subject) -> None:
    done = repairs(site)[-1]
    assert done["found"]
    assert done["done"]
    assert "found: " in site.root("journalctl -u standfast-watchdog -o cat")
    assert site.root("stat -c %a /var/log/standfast/firewall") == "700\n"


def test_what_shuts_nobody_out_is_left_alone(site: Subject) -> None:
    before = len(repairs(site))
    site.root(
        "iptables -I INPUT -p tcp --dport 25 -j DROP; iptables -A STANDFAST-INPUT -p tcp --dport 26 -j ACCEPT; "
        "iptables -I INPUT -s 192.0.2.7 -j DROP"
    )
    time.sleep(10)  # two looks
    rules = site.root("iptables -S")
    assert "-A INPUT -p tcp -m tcp --dport 25 -j DROP" in rules
    assert "--dport 26" in rules
    assert len(repairs(site)) == before
    site.root("iptables -D INPUT -p tcp --dport 25 -j DROP; iptables -D INPUT -s 192.0.2.7 -j DROP")
    site.apply()


def test_it_comes_back_when_it_is_killed(site: Subject) -> None:
    def pid() -> str:
        return site.root("systemctl show -p MainPID --value standfast-watchdog").strip()

    before = pid()
    site.root(f"kill -KILL {before}")
    wait_for(lambda: pid() not in ("0", before), PATIENCE)
    count = len(repairs(site))
    do(site, "iptables -t nat -F")
    wait_for(lambda: len(repairs(site)) > count and answers(site), PATIENCE)


def test_containers_with_other_addresses_dockerd_restarted_power_cut(site: Subject) -> None:
    def addresses() -> str:
        return site.root("docker inspect -f '{{.NetworkSettings.IPAddress}}' aa bb")

    before = addresses()
    site.root("docker rm -f aa bb")
    run(site, bb=CLOSED, aa=OPEN)
    assert addresses() != before
    for event in ("nothing", "systemctl restart docker", "power cut"):
        if event == "power cut":
            nspawn.power_cut(site.server.name)
            nspawn.power_on(site.server.name)
        elif event != "nothing":
            site.root(event)
        wait_for(lambda: answers(site), PATIENCE)
        assert not fetched(site, CLOSED), event
        assert site.targets() == [], event
