"""What `verify` expects of a server, from its declaration alone."""

from __future__ import annotations

import gzip
import io
import os
import socket
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
import yaml

from standfast.host.backup import layout
from standfast.inventory.loader import load
from standfast.inventory.schema import Host, Site
from standfast.verification import expected, looks, outside, seen, sites

LAB = Path(__file__).parents[3] / "inventories/lab.yml"


def example() -> Host:
    """The server of the full example; its files need not be there."""
    return Host.model_validate(yaml.safe_load(LAB.read_text(encoding="utf-8"))["hosts"]["web-1"])


def host(**settings: object) -> Host:
    return Host.model_validate({"address": "203.0.113.10", **settings})


FIREWALL = {
    "ssh": {"from": ["198.51.100.0/24", "2001:db8::/32"]},
    "allow": [
        {"port": 443, "protocol": ["tcp", "udp"]},
        {"port": "8000-8010", "from": ["198.51.100.7"]},
        {"port": 9000, "from": ["2001:db8:1::/48"]},
    ],
}


def test_rules_are_spelled_as_iptables_spells_them() -> None:
    one = host(firewall=FIREWALL)
    assert expected.openings(one) == ["443/tcp", "443/udp", "8000-8010/tcp", "9000/tcp"]
    assert expected.accepting(one, "443/udp", "ipv6") == [
        "-A STANDFAST-INPUT -p udp -m udp --dport 443 -j ACCEPT",
        "-A STANDFAST-DOCKER -p udp -m conntrack --ctstate DNAT --ctorigdstport 443 --ctdir ORIGINAL -j RETURN",
    ]
    assert expected.accepting(one, "8000-8010/tcp", "ipv4")[0] == (
        "-A STANDFAST-INPUT -s 198.51.100.7/32 -p tcp -m tcp --dport 8000:8010 -j ACCEPT"
    )
    assert expected.accepting(one, "8000-8010/tcp", "ipv6") == []
    assert expected.ssh_sources(one, "ipv4") == [" -s 198.51.100.0/24"]
    assert expected.ssh_sources(host(), "ipv6") == [""]


def test_what_is_open_depends_on_who_asks() -> None:
    one = host(firewall=FIREWALL)
    assert expected.open_to(one, "198.51.100.7") == [443, *range(8000, 8011)]
    assert expected.open_to(one, "198.51.100.8") == [443]
    assert expected.open_to(one, "2001:db8:1::1") == [443, 9000]
    assert expected.opened(one, 8005, "198.51.100.7")
    assert not expected.opened(one, 8005, "198.51.100.8")
    wide = host(firewall={"allow": [{"port": "1024-65535"}]})
    assert len(expected.open_to(wide, "198.51.100.7")) == expected.PORTS_TRIED


def test_what_is_declared_open_is_not_guarded() -> None:
    declared = {
        "docker": {},
        "apps": {"toybox": {"compose": "compose.yml"}},
        "caddy": {"sites": {"toybox.example.com": {"proxy": "127.0.0.1:8000"}}},
    }
    assert expected.guarded(host(**declared)) == [8000, 2019, 2375, 2376, 5432]
    opened = host(**declared, firewall={"allow": [{"port": 5432, "from": ["198.51.100.7"]}]})
    assert 5432 not in expected.guarded(opened)
    assert expected.guarded(host()) == []


@pytest.mark.parametrize(
    ("text", "services"),
    [
        ("services: {web: {image: a}, db: {image: b}, tool: {image: c, profiles: [x]}}", ["a/web", "a/db"]),
        ("services: [not, a, mapping]", ["a/*"]),
        ("services: {web: {", ["a/*"]),
        (None, ["a/*"]),
    ],
)
def test_services_are_those_of_the_compose_file(
    tmp_path: Path, text: str | None, services: list[str]
) -> None:
    inventory = tmp_path / "inventories/lab.yml"
    inventory.parent.mkdir()
    (tmp_path / "compose.yml").write_text("services: {}")
    inventory.write_text(
        "environment: lab\nhosts: {web-1: {address: web-1, docker: {}, apps: {a: {compose: compose.yml}}}}"
    )
    loaded = load(inventory)
    if text is None:
        (tmp_path / "compose.yml").unlink()
    else:
        (tmp_path / "compose.yml").write_text(text)
    assert expected.services(loaded.inventory.hosts["web-1"], loaded) == services


@pytest.mark.parametrize(
    ("name", "tls", "local"),
    [
        ("toybox.example.com", "automatic", False),
        ("toybox.example.com", "internal", True),
        ("localhost", "automatic", True),
        ("toybox.internal", "automatic", True),
        ("203.0.113.10", "automatic", True),
    ],
)
def test_whose_certificate_a_site_shows(name: str, tls: str, local: bool) -> None:
    assert sites.local_authority(name, Site.model_validate({"root": "/srv/www", "tls": tls})) is local


def test_all_looks_are_one_good_shell_script() -> None:
    """Every look is run by a real shell, also where it fails; quotes in names stay names."""
    lab = example()
    asked = looks.looks("web-1", lab)
    for shell in asked.values():
        subprocess.run(["sh", "-n"], input=shell, text=True, check=True)
    own = {"says": "echo 'it'\"'\"'s'", "fails": "echo no >&2; exit 3", "silent": ":"}
    said = told_by(own)
    assert said.text("says") == "it's\n"
    assert said.text("silent") == ""
    with pytest.raises(AssertionError, match="could not look: no"):
        said.text("fails")
    with pytest.raises(AssertionError, match="did not say"):
        said.text("unasked")


def docker_that_prints(path: Path, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``docker`` with one container, of which it prints what shell code says."""
    docker = path / "docker"
    docker.write_text(f"#!/bin/sh\nif [ $1 = ps ]; then echo web; else {shell}; fi\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path}:{os.environ['PATH']}")


def told_by(own: dict[str, str], backups: Path = Path("/nowhere")) -> seen.Seen:
    """
    What looks say that are run by this machine's shell.

    + backups: stands for the folder in which a backup notes what it holds
    """
    script = looks.script(own).replace("/run/standfast-verify", "/tmp/standfast-verify")  # noqa: S108 - a stand-in for /run
    script = script.replace(str(layout.STATE), str(backups))
    done = subprocess.run(["sh", "-s"], input=script.encode(), capture_output=True, check=True)
    return seen.Seen(seen.unpacked(done.stdout, list(own)), time.time())


@pytest.mark.parametrize("before", ['"running" "starting"', '"restarting" ""'])
def test_what_containers_serve_is_looked_at_when_they_have_started(
    before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = tmp_path / "ready"
    shell = f"if [ -e {ready} ]; then echo '\"running\" \"healthy\"'; else echo '{before}'; fi"
    docker_that_prints(tmp_path, shell, monkeypatch)
    said = told_by({"health web": f"ls {ready}", "clock": f"sleep 0.5; touch {ready}"})
    assert said.text("health web") == f"{ready}\n"


def test_what_crashes_again_and_again_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_that_prints(tmp_path, 'echo \'"restarting" ""\'', monkeypatch)
    # Of the half second between two looks nothing is waited for.
    monkeypatch.setattr(looks, "_STARTED", looks._STARTED.replace("sleep 0.5", "sleep 0"))
    assert told_by({"containers": "docker container inspect"}).text("containers") == '"restarting" ""\n'


def test_what_a_backup_has_disturbed_is_looked_at_again(tmp_path: Path) -> None:
    """It held a container when `verify` looked at it, and had let it go before the look was over."""
    backups = tmp_path / "backups"
    backups.mkdir()
    os.utime(backups, (0, 0))  # the time of a folder is exact to some thousandths of a second
    note, again, clock = backups / "held.json", tmp_path / "again", tmp_path / "clock"
    disturbed = f": > {note}; rm {note}; : > {again}; echo paused"
    own = {
        "containers": f"if [ -e {again} ]; then echo running; else {disturbed}; fi",
        "clock": f"echo once >> {clock}; wc -l < {clock}",
    }
    said = told_by(own, backups)
    assert said.text("containers") == "running\n"
    assert said.text("clock") == "1\n"


def test_no_environment_of_a_container_comes_over() -> None:
    lab = example()
    asked = looks.looks("web-1", lab)
    assert "Env" not in asked["containers"]
    assert "environment" not in asked["app toybox"]


def test_an_answer_that_was_cut_off_is_no_answer() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("./0.out")
        tar.addfile(entry, io.BytesIO(b""))
    whole = gzip.compress(buffer.getvalue())
    assert seen.unpacked(whole, ["name"]) == {}
    assert seen.unpacked(whole[:30], ["name"]) == {}
    assert seen.unpacked(b"", ["name"]) == {}


def test_an_open_port_and_a_refused_one_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_server(("127.0.0.1", 0)) as gone:
        opened, closed = listening.getsockname()[1], gone.getsockname()[1]
        gone.close()
        assert outside.answers("127.0.0.1", [opened], [closed]) == {opened: "open", closed: "refused"}
