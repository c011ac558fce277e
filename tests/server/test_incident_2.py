"""
20:50 of the second incident: the folder with all containers and volumes is deleted. And worse: the server
is gone. The backups are on another server, reached by sftp.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from standfast.lab import nspawn
from standfast.lab.nspawn import Server
from tests.server.backed_up import counted, declare_backups
from tests.server.conftest import Repository
from tests.server.toybox import ask, build_images, full_toybox, manage

USERS = 80


@pytest.fixture(scope="module")
def vault(lab_server: Callable[[str], Server]) -> Server:
    return lab_server("test-vault")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    build_images(folder)
    return folder


@pytest.fixture(scope="module")
def infra(
    tmp_path_factory: pytest.TempPathFactory, lab_server: Callable[[str], Server], vault: Server, images: Path
) -> Repository:
    """The example in service, its backups on the other server."""
    server = lab_server("test-inc2")
    repository = Repository(tmp_path_factory.mktemp("infra"))
    full_toybox(repository, server, images)
    declare_backups(repository, f"sftp:ops@{vault.address}:/home/ops/restic", access(repository, vault))
    repository.standfast("apply", "lab", "--yes", expect=0)
    manage(server, f"fill --users {USERS}")
    repository.standfast("backup", "lab", expect=0)
    return repository


def access(repository: Repository, vault: Server) -> str:
    """A key for the other server's account, and further lines of `backups`."""
    key = repository.root / "build/secrets/backup_key"
    key.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    vault.run("cat >> .ssh/authorized_keys", input=key.with_suffix(".pub").read_text())
    hosts = "".join(f"        - {vault.address} {each}\n" for each in vault.host_keys)
    return f"      ssh_key: {{file: build/secrets/backup_key}}\n      known_hosts:\n{hosts}"


ELSEWHERE = """\
  {name}:
    address: {name}
    ssh: {{config: {config}}}
    packages: [restic]
    docker: {{}}
"""


def test_a_drill_on_another_server_opens_the_backups_without_the_first(
    infra: Repository, lab_server: Callable[[str], Server]
) -> None:
    other = lab_server("test-elsewhere")
    text = (infra.root / "inventories/lab.yml").read_text()
    more = ELSEWHERE.format(name=other.name, config=other.ssh_config)
    infra.write("inventories/both.yml", text.rstrip("\n") + "\n" + more)
    infra.standfast("apply", "both", "--limit", other.name, "--yes", "--no-verify", expect=0)
    empty = "sudo docker ps -aq; sudo docker volume ls -q; sudo docker network ls -q -f type=custom; "
    empty += "sudo docker image ls -aq; sudo find /run/standfast/drill /var/lib/standfast/backups/restoring"
    before = counted(nspawn.get("test-inc2"))

    done = infra.standfast("drill", "both", "--on", other.name, expect=0)
    print(done.stdout)
    assert "application toybox: /healthz answered" in done.stdout
    assert other.run(f"{empty} 2> /dev/null", check=False).stdout == ""
    assert counted(nspawn.get("test-inc2")) == before
    told = nspawn.get("test-inc2").run("sudo sh -c 'cat /var/lib/standfast/backups/runs/*drill*'").stdout
    assert f"on {other.name}: the copy of" in told
    assert "s3cr3t" not in done.stderr + told

    other.run("sudo mv /usr/bin/restic /usr/bin/restic.away")
    try:
        failed = infra.standfast("drill", "both", "--on", other.name, expect=1)
    finally:
        other.run("sudo mv /usr/bin/restic.away /usr/bin/restic")
    assert "restic" in failed.stderr
    assert other.run(f"{empty} 2> /dev/null", check=False).stdout == ""
    assert "there is no such server" in infra.standfast("drill", "both", "--on", "nowhere", expect=3).stderr


def docker_deleted() -> None:
    """Containers, images, volumes: everything under /var/lib/docker."""
    server = nspawn.get("test-inc2")
    server.run("sudo systemctl stop docker.socket docker.service containerd.service", timeout=180)
    server.run("sudo sh -c 'umount /var/lib/docker/overlay2/*/merged 2> /dev/null; rm -rf /var/lib/docker/*'")
    assert server.run("sudo ls /var/lib/docker").stdout == ""
    server.run("sudo systemctl start docker", timeout=180)


def server_gone() -> None:
    """A new, empty server of the same name takes its place."""
    nspawn.destroy("test-inc2")
    nspawn.up("test-inc2", report=lambda _: None)


@pytest.mark.parametrize("disaster", [docker_deleted, server_gone])
def test_two_commands_bring_every_row_and_every_picture_back(
    infra: Repository, disaster: Callable[[], None]
) -> None:
    before = counted(nspawn.get("test-inc2"))
    assert before["tables"]["board_post"] == USERS * 5
    disaster()
    infra.standfast("apply", "lab", "--yes", expect=0)
    server = nspawn.get("test-inc2")
    assert counted(server)["tables"]["board_post"] == 0, "the disaster was none"
    done = infra.standfast("restore", "lab", "--all", "--yes", expect=0)
    print(done.stdout)
    assert "RTO" in done.stdout
    assert "RPO" in done.stdout
    assert counted(server) == before
    assert ask(server).returncode == 0
    infra.standfast("verify", "lab", expect=0)
    check_again(infra, before)


def check_again(infra: Repository, before: dict[str, Any]) -> None:
    """The next backup is a good one, and it holds the same."""
    infra.standfast("backup", "lab", expect=0)
    assert counted(nspawn.get("test-inc2")) == before
