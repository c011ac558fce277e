"""The firewall on a real server, from outside: what is open, what is closed, and who stays in."""

from __future__ import annotations

import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator

import pytest

from standfast.lab import nspawn
from standfast.lab.nspawn import Server
from tests.server import small_images
from tests.server.conftest import Repository, wait_for_sshd
from tests.server.subject import Subject

ALLOW = [{"port": 8081}, {"port": "8090-8092", "from": ["10.0.0.0/8", "fd00::/8"]}]
FILES = "/etc/standfast/firewall"


@pytest.fixture(scope="module")
def shared(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Subject:
    subject = Subject(
        Repository(tmp_path_factory.mktemp("firewall")), lab_server("test-firewall"), "firewall"
    )
    subject.declare(firewall={"allow": ALLOW})
    subject.apply()
    assert subject.targets() == []
    return subject


@pytest.fixture
def firewall(shared: Subject) -> Iterator[Subject]:
    yield shared
    shared.declare(firewall={"allow": ALLOW})
    shared.apply()


def listen(subject: Subject, *ports: int) -> None:
    """Let something on the server itself answer on these ports, in both families."""
    for port in ports:
        subject.root(
            f"systemctl is-active -q port-{port} || systemd-run -q -u port-{port} "
            f"systemd-socket-activate -l {port} -a --inetd echo hello"
        )


def is_open(address: str, port: int) -> bool:
    """Whether something answers from where we are; a dropped packet is noticed after a second."""
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            connection.settimeout(3)
            return connection.recv(1) != b""
    except OSError:
        return False


def reach(subject: Subject, *ports: int) -> list[bool]:
    """Which ports are open, by IPv4, then by IPv6."""
    server = subject.server
    return [is_open(address, port) for address in (server.address, server.address6) for port in ports]


def test_host_ports(firewall: Subject) -> None:
    listen(firewall, 8081, 8082, 8091)
    assert reach(firewall, 22, 8081, 8082, 8091) == [True, True, False, True] * 2
    firewall.declare(firewall={"allow": [{"port": 8081, "from": ["192.0.2.0/24", "2001:db8::/32"]}]})
    firewall.apply()
    assert reach(firewall, 22, 8081, 8091) == [True, False, False] * 2


def test_neighbours_and_ping(firewall: Subject) -> None:
    firewall.root("ip neigh flush all; ip -6 neigh flush all")
    assert reach(firewall, 22) == [True, True]
    assert (
        firewall.root("ping -c1 -W2 -n $(ip route | awk '/default/ {print $3}') > /dev/null && echo ok")
        == "ok\n"
    )


@pytest.mark.parametrize(
    "damage",
    [
        "iptables -I STANDFAST-INPUT -p tcp --dport 8082 -j ACCEPT; ip6tables -D STANDFAST-INPUT 4",
        f"iptables -I INPUT -p tcp --dport 8082 -j ACCEPT; rm {FILES}/ipv6.rules",
        f"iptables -D STANDFAST-INPUT -j DROP; ip6tables -D STANDFAST-DOCKER -o br-+ -j DROP; echo '# mine' >> {FILES}/ipv4.rules",
    ],
)
def test_edit_by_hand_is_found_and_repaired(firewall: Subject, damage: str) -> None:
    listen(firewall, 8081, 8082)
    firewall.root(damage)
    found = firewall.targets()
    assert {target.split("/")[-1][:4].lower() for target in found} == {"ipv4", "ipv6"}
    firewall.apply()
    assert reach(firewall, 22, 8081, 8082) == [True, True, False] * 2


def test_foreign_rules_stay(firewall: Subject) -> None:
    firewall.root(
        "iptables -A INPUT -p tcp --dport 1 -j ACCEPT; iptables -t nat -A POSTROUTING -s 192.0.2.1 -j ACCEPT"
    )
    firewall.declare(firewall={"allow": [*ALLOW, {"port": 8099}]})
    firewall.apply()
    assert "-A INPUT -p tcp -m tcp --dport 1 -j ACCEPT" in firewall.root("iptables -S")
    assert "-s 192.0.2.1/32" in firewall.root("iptables -t nat -S")


def test_no_packet_slips_through_a_swap(firewall: Subject) -> None:
    """While the rules are swapped again and again, the closed port is never open and the open one never closed."""
    listen(firewall, 8081, 8082)
    firewall.root(
        "systemd-run -q -u swap sh -c 'for i in $(seq 150); do "
        f"/usr/local/lib/standfast/firewall-load load {FILES}; done'"
    )
    tries, wrong = 0, 0
    while firewall.root("systemctl is-active swap || :").strip() == "active":
        for _ in range(20):
            tries += 1
            wrong += not is_open(firewall.server.address, 8081)
        wrong += is_open(firewall.server.address, 8082)
    assert (tries > 50, wrong) == (True, 0)


def test_own_address_cannot_be_shut_out(firewall: Subject) -> None:
    before = firewall.root("iptables-save; ip6tables-save").count("STANDFAST")
    firewall.declare(firewall={"ssh": {"from": ["192.0.2.0/24"]}, "allow": ALLOW})
    said = firewall.refusal()
    assert "from which standfast is connected, found 192.0.2.0/24" in said
    assert firewall.root("iptables-save; ip6tables-save").count("STANDFAST") == before


def test_template_that_shuts_us_out_is_found_in_a_trial(firewall: Subject) -> None:
    rules = "*filter\n:STANDFAST-INPUT - [0:0]\n:STANDFAST-DOCKER - [0:0]\n-A STANDFAST-INPUT -j {}\nCOMMIT\n"
    path = firewall.repository.write("templates/firewall/rules.j2", rules.format("REJECT"))
    assert "found in a trial that they drop it" in firewall.refusal()
    path.write_text(rules.format("NOWHERE"))
    assert "iptables does not accept the rules" in firewall.refusal()
    path.unlink()


def test_sshd_on_another_port(firewall: Subject) -> None:
    firewall.root("printf 'Port 22\\nPort 2222\\n' > /etc/ssh/sshd_config.d/port.conf; systemctl reload ssh")
    assert firewall.targets() != []
    firewall.apply()
    assert reach(firewall, 22, 2222) == [True, True] * 2
    firewall.root("rm /etc/ssh/sshd_config.d/port.conf; systemctl reload ssh")
    wait_for_sshd(firewall.server)


def test_power_cut(firewall: Subject) -> None:
    nspawn.power_cut(firewall.server.name)
    nspawn.power_on(firewall.server.name)
    listen(firewall, 8081, 8082)
    assert reach(firewall, 22, 8081, 8082) == [True, True, False] * 2
    assert firewall.targets() == []


def test_docker(firewall: Subject) -> None:
    """Docker comes after the firewall: its published ports are closed from the first moment."""
    firewall.root("systemctl stop 'port-*'")
    archive = firewall.repository.root / "web.tar"
    small_images.write(
        archive, "web:1", small_images.busybox(firewall.server), command=["httpd", "-f", "-h", "/etc"]
    )
    firewall.root(
        "DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends docker.io docker-cli"
    )
    firewall.server.run("base64 -d | sudo docker load", input=b64encode(archive.read_bytes()).decode())
    for name, ports in (("aa", "8081:80"), ("bb", "8083:80"), ("cc", "127.0.0.1:8084:80")):
        firewall.root(f"docker run -d --restart always --name {name} -p {ports} web:1")
    firewall.root(
        "docker network create other; docker run -d --restart always --name dd --network other web:1"
    )
    check_docker(firewall)
    firewall.root("systemctl restart docker")
    check_docker(firewall)
    firewall.declare(firewall={"allow": [{"port": 8083}]})
    firewall.apply()
    assert [fetched(firewall, port) for port in (8081, 8083, 8084)] == [False, True, False]
    firewall.declare(firewall={"allow": ALLOW})
    firewall.apply()
    nspawn.reboot(firewall.server.name)
    check_docker(firewall)


def check_docker(firewall: Subject) -> None:
    """Only the declared port is open from outside; containers reach out and each other; no rule is amiss."""
    deadline = time.monotonic() + 60
    while firewall.root("docker ps -q | wc -l", check=False).strip() != "4":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert firewall.targets() == []
    firewall.repository.standfast("drift", "lab", "--only", "firewall", expect=0)
    assert [fetched(firewall, port) for port in (8081, 8083, 8084)] == [True, False, False]
    assert firewall.root("curl -s http://127.0.0.1:8084/marker") == "1"
    peer = firewall.root("docker inspect -f '{{.NetworkSettings.IPAddress}}' bb").strip()
    inside = "docker exec aa busybox"
    assert firewall.root(f"{inside} wget -T 3 -q -O - http://{peer}/marker") == "1"
    gateway = firewall.root("ip route | awk '/default/ {print $3}'").strip()
    said = firewall.root(f"{inside} nc -w 2 {gateway} 1 2>&1 || :")
    assert "refused" in said, "a refusal of the gateway came back"


def fetched(firewall: Subject, port: int) -> bool:
    """Whether a published port is open from outside, the same by IPv4 and IPv6."""
    addresses = (firewall.server.address, firewall.server.address6)
    found = {_http(address, port) for address in addresses}
    assert len(found) == 1, f"port {port} differs between IPv4 and IPv6"
    return found.pop()


def _http(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1.5) as connection:
            connection.sendall(b"GET /marker HTTP/1.0\r\n\r\n")
            connection.settimeout(3)
            return connection.recv(12).startswith(b"HTTP/")
    except OSError:
        return False
