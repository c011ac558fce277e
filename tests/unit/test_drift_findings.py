"""What is a difference and what is not, where no lab server can show it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from standfast.drift import (
    accounts,
    containers,
    file_systems,
    files,
    firewall,
    kernel,
    packages,
    ports,
    units,
)
from standfast.drift.finding import Finding, merged, quoted
from standfast.drift.known import Known
from standfast.facts.clock import Clock
from standfast.facts.docker import Container, Daemon, EngineState, Held
from standfast.facts.kernel_settings import KernelSettings
from standfast.facts.mounts import Declared, FileSystems, Mount, Space
from standfast.facts.package_states import Installed, PackageStates
from standfast.facts.packet_filter import PacketFilter, Table
from standfast.facts.people import Inhabitant, Key, People
from standfast.facts.sockets import Listener
from standfast.facts.unowned import Unowned, UnownedFile
from standfast.facts.volume_contents import InsideDocker
from standfast.inventory.schema import Host

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOST = Host.model_validate(
    {
        "address": "203.0.113.10",
        "docker": {"volumes": {"data": {}}},
        "apps": {"shop": {"compose": "compose.yml"}},
        "users": {"hanako": {"sudo": True, "groups": ["docker"]}},
        "firewall": {"allow": [{"port": 80}, {"port": "8000-8010", "protocol": ["udp"]}]},
        "ssh_server": {"settings": {"Port": "2200"}},
        "caddy": {"sites": {":80": {"root": "/srv/www"}}},
    }
)
KNOWN = Known(host=HOST, name="web-1", login="ops", fingerprint="SHA256:ours", port=22, arrival=NOON)


def lines(found: Iterable[Finding]) -> list[str]:
    return [f"{each.kind} {each.id}: {each.why}" for each in found]


def unowned(path: str, text: str = "", **more: object) -> Unowned:
    values: dict[str, object] = {
        "sort": "file",
        "mode": "644",
        "owner": "root",
        "size": len(text),
        "text": text,
    }
    values |= {"modified": NOON + timedelta(hours=1), "changed": NOON + timedelta(hours=1)}
    one = UnownedFile(path=path, **{**values, **more})  # type: ignore[arg-type]  # each has its type above
    return Unowned(NOON + timedelta(hours=2), NOON, (one,), ("shop",))


def found_in(unowned_files: Unowned) -> list[str]:
    return lines(files.findings(KNOWN.at(unowned_files), unowned_files))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/sudoers.d/90-cloud-init-users", "# by cloud-init\nops ALL=(ALL) NOPASSWD:ALL\n"),
        ("/etc/ssh/sshd_config.d/50-cloud-init.conf", "PasswordAuthentication no\n"),
        ("/etc/passwd-", ""),
        ("/etc/cron.d/.placeholder.dpkg-old", ""),
        (
            "/etc/hosts",
            "127.0.1.1 web-1\n203.0.113.10 web-1.example.com web-1\nff02::1 ip6-allnodes\n::1 localhost\n",
        ),
    ],
)
def test_what_every_server_comes_with_is_quiet(path: str, text: str) -> None:
    assert found_in(unowned(path, text)) == []


def test_a_file_written_while_packages_are_installed_is_the_packages_work() -> None:
    new = unowned("/etc/postgresql/17/main/pg_hba.conf")
    assert found_in(new) == [
        "unmanaged file:/etc/postgresql/17/main/pg_hba.conf: not declared; belongs to no package"
    ]
    run = (NOON + timedelta(minutes=59), NOON + timedelta(minutes=60))
    known = KNOWN.at(Unowned(new.now, new.arrival, new.files, package_runs=(run,)))
    assert list(files.findings(known, new)) == []


def test_a_file_that_is_as_it_was_found_is_quiet_unless_it_runs_something() -> None:
    assert found_in(unowned("/etc/apt/sources.list.d/provider.list", "deb x", as_found=True)) == []
    assert found_in(unowned("/etc/cron.d/provider", "* * * * * root x", as_found=True)) != []


def test_without_a_memory_of_the_beginning_nothing_is_guessed() -> None:
    young = unowned("/etc/fstab")
    known = KNOWN.at(Unowned(young.now, None, young.files))
    assert list(files.findings(known, young)) == []


def test_resolv_conf_of_a_dhcp_client_is_quiet() -> None:
    changed = unowned("/etc/resolv.conf", "nameserver 192.0.2.1")
    assert len(found_in(changed)) == 1
    leased = Unowned(changed.now, changed.arrival, changed.files, dhcp=True)
    assert found_in(leased) == []


def test_a_link_that_starts_a_unit_of_a_package_is_quiet_and_any_other_is_not() -> None:
    link = {"sort": "link"}
    path = "/etc/systemd/system/multi-user.target.wants/x.service"
    assert found_in(unowned(path, **link, target="/usr/lib/systemd/system/x.service")) == []
    assert found_in(unowned(path, **link, target="/opt/x.service")) == [
        f"unmanaged file:{path}: not declared; systemd reads it: a link to /opt/x.service"
    ]


def test_our_own_transient_units_are_ours() -> None:
    assert (
        found_in(unowned("/run/systemd/transient/standfast-firewall-revert.timer", "[Timer]\nOnActiveSec=30"))
        == []
    )
    assert found_in(unowned("/run/systemd/transient/docker-0123.scope")) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("PASSWORD=hunter2 run", "PASSWORD=‹hidden› run"),
        ("curl http://eve:hunter2@203.0.113.5/", "curl http://eve:‹hidden›@203.0.113.5/"),
        ("api_key: abc", "api_key: ‹hidden›"),
        ("eve ALL=(ALL) NOPASSWD: ALL", "eve ALL=(ALL) NOPASSWD: ALL"),
        ("tcp://127.0.0.1:2375", "tcp://127.0.0.1:2375"),
        ("a\x1b[31mred\n\tb", "a [31mred b"),
        ("x" * 200, "x" * 109 + "…"),
    ],
)
def test_text_of_a_server_is_one_short_line_without_secrets(text: str, shown: str) -> None:
    assert quoted(text) == shown


def person(name: str, uid: int, shell: str = "/usr/sbin/nologin", **more: object) -> Inhabitant:
    values: dict[str, object] = {"has_password": False, "open": False, "password_set": None, **more}
    return Inhabitant(name, uid, f"/home/{name}", shell, **values)  # type: ignore[arg-type]  # each has its type


def test_accounts_of_packages_and_declared_ones_are_quiet() -> None:
    people = People(
        (
            person("root", 0, "/bin/bash"),
            person("sync", 4, "/bin/sync"),
            person("postgres", 105, "/bin/bash"),
            person("caddy", 999),
            person("nobody", 65534),
            person("ops", 1000, "/bin/bash", keys=(Key("SHA256:ours", "us", "/x/authorized_keys", NOON),)),
            person(
                "hanako", 1001, "/bin/bash", keys=(Key("SHA256:h", "h", "/h/.ssh/authorized_keys", NOON),)
            ),
        ),
        {"root": ("root",), "sudo": ("ops", "hanako"), "docker": ("hanako",)},
    )
    assert lines(accounts.findings(KNOWN, people)) == []


def test_a_service_in_dockers_group_equals_root() -> None:
    people = People((person("www-data", 33),), {"docker": ("www-data",)})
    assert lines(accounts.findings(KNOWN, people)) == [
        "unmanaged group:docker/www-data: not declared; whoever is in this group can become root"
    ]


def test_when_the_server_does_not_tell_our_key_a_single_one_must_be_it() -> None:
    one, two = (Key(f"SHA256:{n}", n, "/x/authorized_keys", NOON) for n in "ab")
    known = Known(host=HOST, name="web-1", login="ops")
    assert lines(accounts.findings(known, People((person("ops", 1000, "/bin/sh", keys=(one,)),)))) == []
    assert (
        len(lines(accounts.findings(known, People((person("ops", 1000, "/bin/sh", keys=(one, two)),))))) == 2
    )


ENGINE = EngineState("id", "26.1", "/var/lib/docker", True, "overlay2", False, True, "2.26")


def test_swarm_mode_and_flags_that_open_the_daemon() -> None:
    stock = Daemon(
        1, "/usr/sbin/dockerd", "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock", ()
    )
    opened = Daemon(1, "/usr/sbin/dockerd", "/usr/sbin/dockerd -H fd:// -H tcp://0.0.0.0:2375", ())
    snap = Daemon(2, "/snap/docker/1/bin/dockerd", "dockerd", ("/run/snap.docker/docker.sock",))
    assert lines(containers.daemons(KNOWN, [stock], None)) == []
    assert lines(containers.daemons(KNOWN, [opened, snap], ENGINE)) == [
        "unmanaged daemon:/run/snap.docker/docker.sock: a second Docker daemon, with data of its own: dockerd",
        "unmanaged daemon:flags: not declared: started with -H tcp://0.0.0.0:2375; whoever reaches that is root",
        "unmanaged docker:swarm: Docker is part of a swarm; others can start containers",
    ]
    assert list(containers.contexts(InsideDocker())) == []


def test_a_container_that_publishes_to_loopback_or_through_an_opening() -> None:
    def one(*published: tuple[str, int, str]) -> Held:
        return Held(True, (Container("1", "x", "i", "redis:7", "running", 0, "", ports=published),))

    local, opened = one(("127.0.0.1", 6379, "tcp")), one(("", 80, "tcp"))
    assert lines(containers.containers(KNOWN, local)) == [
        "unmanaged container:x: image redis:7, publishes 127.0.0.1:6379"
    ]
    assert "the firewall lets it in" in lines(containers.containers(KNOWN, opened))[0]


def listener(
    port: int, unit: str, process: str = "x", protocol: str = "tcp", address: str = "*", pid: int = 9
) -> Listener:
    return Listener(protocol, address, port, pid, process, process, unit)


@pytest.mark.parametrize(
    "quiet",
    [
        listener(22, "ssh.service", "sshd"),
        listener(2200, "ssh.service", "sshd"),
        listener(22, "init.scope", "systemd", pid=1),
        listener(443, "caddy.service", "caddy"),
        listener(68, "systemd-networkd.service", "systemd-network", "udp"),
        listener(5432, "docker.service", "docker-proxy"),
        listener(5353, "x.service", address="127.0.0.53"),
        listener(8005, "game.service", protocol="udp"),
    ],
    ids=lambda each: f"{each.process}-{each.port}",
)
def test_ports_that_are_as_declared(quiet: Listener) -> None:
    assert lines(ports.findings(KNOWN, [quiet], Held(True))) == []


@pytest.mark.parametrize(
    ("loud", "said"),
    [
        (listener(2222, "ssh.service", "sshd"), "sshd (pid 9) in ssh.service listens"),
        (listener(80, "session-3.scope", "python3"), "the firewall lets it in"),
        (listener(51820, "", "", "udp", pid=0), "the kernel itself listens"),
        (listener(111, "rpcbind.service", "rpcbind"), "the declared firewall does not let it in"),
    ],
)
def test_ports_that_are_not(loud: Listener, said: str) -> None:
    assert said in lines(ports.findings(KNOWN, [loud], Held(True)))[0]


DOCKERS = {"DOCKER": "-", "PREROUTING": "ACCEPT", "POSTROUTING": "ACCEPT", "OUTPUT": "ACCEPT"}
NAT = Table("ipv4", "nat", DOCKERS, ("-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",))


def rules(*tables: Table, nft: tuple[str, ...] = (), rivals: tuple[str, ...] = ()) -> list[str]:
    return lines(firewall.findings(KNOWN, PacketFilter((NAT, *tables), nft, rivals)))


def test_rules_of_docker_28_are_dockers() -> None:
    table = Table(
        "ipv4",
        "filter",
        {
            "FORWARD": "DROP",
            "DOCKER-FORWARD": "-",
            "DOCKER-CT": "-",
            "DOCKER-BRIDGE": "-",
            "DOCKER-USER": "-",
        },
        (
            "-A FORWARD -j DOCKER-USER",
            "-A FORWARD -j DOCKER-FORWARD",
            "-A DOCKER-FORWARD -j DOCKER-CT",
            "-A DOCKER-FORWARD -i docker0 -j ACCEPT",
            "-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-A DOCKER-BRIDGE -o br-0123456789ab -j DOCKER",
            "-A DOCKER-USER -j RETURN",
            "-A DOCKER-USER -j STANDFAST-DOCKER",
        ),
    )
    raw = Table(
        "ipv4", "raw", {"PREROUTING": "ACCEPT"}, ("-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP",)
    )
    assert rules(table, raw) == []


def test_rules_that_nobody_sees_with_iptables() -> None:
    old = Table("ipv4", "filter", {"INPUT": "ACCEPT"}, ("-A INPUT -j DROP",), legacy=True)
    foreign = Table("ipv6", "filter", {}, (), foreign=True)
    assert rules(old, foreign, nft=("inet mine",), rivals=("ufw",)) == [
        (
            "unmanaged firewall:ipv4/filter/legacy -A INPUT -j DROP: not declared; in the old backend, which "
            "iptables does not show: -A INPUT -j DROP"
        ),
        "unmanaged firewall:ipv6/filter/nft: has rules of nft that iptables cannot show",
        "unmanaged firewall:nft/inet mine: not declared; its rules hold as well, and iptables does not show them",
        "unmanaged firewall:ufw: not declared; it loads rules of its own at boot, over ours",
    ]


def test_a_rule_that_names_dockers_bridge_where_docker_writes_none() -> None:
    table = Table("ipv4", "filter", {"INPUT": "ACCEPT"}, ("-A INPUT -i docker0 -j ACCEPT",))
    assert rules(table) == [
        "unmanaged firewall:ipv4/filter -A INPUT -i docker0 -j ACCEPT: not declared; -A INPUT -i docker0 -j ACCEPT"
    ]


def mounted(target: str, options: str = "rw", kind: str = "ext4") -> Mount:
    return Mount("/dev/vda1", target, kind, frozenset(options.split(",")))


def test_file_systems_after_an_error_and_without_room() -> None:
    state = FileSystems(
        mounts=(mounted("/", "rw,emergency_ro"), mounted("/data"), mounted("/mnt/cd", "ro", "iso9660")),
        fstab=(
            Declared("/dev/vda1", "/", "ext4", frozenset({"defaults"})),
            Declared("/dev/vdb1", "/data", "ext4", frozenset({"defaults"})),
            Declared("/dev/vdc1", "/old", "ext4", frozenset({"nofail"})),
            Declared("proc", "/proc", "proc", frozenset({"defaults"})),
        ),
        space=(Space("/data", 20, 5 * 10**9, 97), Space("/", 89, 10**9, 3)),
        swaps=("/swapfile",),
    )
    assert lines(file_systems.findings(state)) == [
        "changed mount:/: read-only: after an error the kernel allows no more writing",
        "changed disk:/data: 97 % of its inodes are used, 5000 MB free",
        "unmanaged swap:/swapfile: in use and not in /etc/fstab",
    ]


def test_a_mount_that_is_meant_to_be_read_only() -> None:
    line = Declared("/dev/vdb1", "/data", "ext4", frozenset({"ro"}))
    assert lines(file_systems.findings(FileSystems((mounted("/data", "ro"),), (line,), (), ()))) == []


def test_a_clock_that_nobody_keeps() -> None:
    assert lines(units.clock(Clock(possible=True, on=True))) == []
    assert lines(units.clock(Clock(possible=False, on=False))) == [], "in a container it is the host's"
    assert lines(units.clock(Clock(possible=True, on=False))) == [
        "changed time:service: nobody keeps it right: the time service is off"
    ]


def test_forwarding_matters_only_with_docker() -> None:
    plain = Known(host=Host(address="203.0.113.10"), name="web-1", login="ops")
    assert lines(kernel.findings(plain, KernelSettings((), forwarding=False))) == []
    assert len(lines(kernel.findings(KNOWN, KernelSettings((), forwarding=False)))) == 1


def test_packages_that_were_begun_or_came_by_hand() -> None:
    by_hand = (
        Installed("nmap", NOON + timedelta(days=1)),
        Installed("old", NOON - timedelta(days=1)),
        Installed("docker.io", NOON + timedelta(days=1)),
    )
    state = PackageStates((), (("mysql-server", "half-configured"),), by_hand, ())
    assert lines(packages.findings(KNOWN, state)) == [
        "changed package:mysql-server: half installed (half-configured): `dpkg --configure -a`",
        "noted package:nmap: installed by hand, not declared",
    ]


def test_one_thing_is_one_finding_and_the_plan_speaks_first() -> None:
    planned = [
        Finding("file:/a", "base", "changed", "/a", "not as declared", repair=True, diff="-x"),
        Finding("file:/a", "base", "changed", "/a", "644 → 600", repair=True),
    ]
    scanned = [
        Finding("volume:v", "volumes", "noted", "volume v", "not declared"),
        Finding("file:/a", "base", "changed", "/a", "changed by hand", since=NOON, by="root"),
        Finding("unit:x", "base", "unmanaged", "x", "made at run time"),
        Finding("unit:x", "base", "changed", "x", "failed"),
    ]
    found = merged(planned, scanned)
    assert [each.id for each in found] == ["file:/a", "unit:x", "volume:v"]
    assert (found[0].why, found[0].since, found[0].by) == ("not as declared; 644 → 600", NOON, "root")
    assert (found[1].kind, found[1].why) == ("changed", "failed; made at run time")
