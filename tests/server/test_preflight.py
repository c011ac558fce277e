"""What is not in order on a server is named before anything is changed there."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator

import pytest

from standfast.engine.shell import shell
from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.test_engine import only_this_deploy, remote


@pytest.fixture
def trial(repository: Repository, spare_server: Server) -> Iterator[Repository]:
    """A repository with one change to make, and a server that is put in order afterwards."""
    remote(spare_server, "rm -rf /etc/trial; mkdir -p /etc/trial /srv /var/lib/docker")
    only_this_deploy(repository, spare_server, 'files.file("/etc/trial/one", "1\\n")')
    yield repository
    spare_server.run(
        "sudo sh -c 'umount /srv /var/lib/docker; pkill -x dockerd; pkill -x perl; rm -f /var/lib/dpkg/updates/0001'",
        check=False,
    )


def refused(trial: Repository, server: Server) -> str:
    """An apply that changes nothing; returns what it said."""
    said = trial.standfast("apply", "lab", "--yes", expect=6).stderr
    assert "not in order, so nothing was changed there:" in said
    assert remote(server, "ls /etc/trial") == ""
    return said


def test_a_read_only_file_system(trial: Repository, spare_server: Server) -> None:
    remote(spare_server, "mount -t tmpfs -o size=4m none /srv; mount -o remount,ro /srv")
    assert "/srv: /srv cannot be written: Read-only file system." in refused(trial, spare_server)
    remote(spare_server, "mount -o remount,rw /srv")
    trial.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    assert remote(spare_server, "ls -A /srv /var/lib | grep probe || true") == ""


def test_a_read_only_bind_mount_of_a_writable_disk(trial: Repository, spare_server: Server) -> None:
    remote(spare_server, "mount --bind /srv /srv; mount -o remount,bind,ro /srv")
    assert "/srv: /srv cannot be written: Read-only file system." in refused(trial, spare_server)


def test_a_full_disk_and_one_without_inodes(trial: Repository, spare_server: Server) -> None:
    remote(
        spare_server,
        "mount -t tmpfs -o size=4m none /srv; head -c 4100000 /dev/zero > /srv/x; "
        "mount -t tmpfs -o size=4m,nr_inodes=100 none /var/lib/docker; seq 96 | xargs -I{} touch /var/lib/docker/{}",
    )
    said = refused(trial, spare_server)
    assert "/srv: 94 kB free of 4.2 MB, at least 210 kB needed." in said
    assert "/var/lib/docker: 3 inodes free of 100" in said


def test_the_disk_of_a_declared_volume(trial: Repository, spare_server: Server) -> None:
    data = "/var/lib/docker/volumes/pgdata/_data"
    remote(spare_server, f"mkdir -p {data}; mount -t tmpfs -o size=4m,ro none {data}")
    try:
        trial.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
        inventory = (trial.root / "inventories/lab.yml").read_text()
        host = f"ssh: {{config: {spare_server.ssh_config}}}"
        assert host in inventory
        remote(spare_server, "rm /etc/trial/one")
        trial.write(
            "inventories/lab.yml", inventory.replace(host, f"{host}, docker: {{volumes: {{pgdata: {{}}}}}}")
        )
        said = trial.standfast("apply", "lab", "--yes", expect=6).stderr
        assert f"{data}: {data} cannot be written: Read-only file system." in said
    finally:
        remote(spare_server, f"umount {data}")


def test_two_docker_daemons(trial: Repository, spare_server: Server) -> None:
    remote(
        spare_server,
        "cp /bin/sleep /tmp/dockerd; for n in 100 101; do setsid /tmp/dockerd $n >/dev/null 2>&1 & done; "
        "until [ $(pidof dockerd | wc -w) = 2 ]; do sleep 0.1; done",
    )
    said = refused(trial, spare_server)
    assert "2 Docker daemons run: pid " in said
    assert "`/tmp/dockerd 100`" in said


def test_an_interrupted_installation_is_told_and_no_obstacle(trial: Repository, spare_server: Server) -> None:
    remote(spare_server, "touch /var/lib/dpkg/updates/0001")
    said = trial.standfast("apply", "lab", "--yes", "--no-verify", expect=0).stderr
    assert "test-spare: a package installation was interrupted; apply finishes it" in said


def test_who_holds_the_lock_of_apt_is_found(trial: Repository, spare_server: Server) -> None:
    """That it is a fault after 15 minutes only is in the unit tests."""
    hold = (
        "use Fcntl; open(F,'>>','/var/lib/dpkg/lock-frontend') or die; "
        "$l=pack('s s l! l! i i',F_WRLCK,0,0,0,0,0); fcntl(F,F_SETLK,$l) or die; sleep 20"
    )
    spare_server.run(f'sudo setsid perl -e "{hold.replace("$", chr(92) + "$")}" >/dev/null 2>&1 & sleep 2')
    printed = spare_server.run("sudo bash", input=shell("preflight") + "\npreflight /etc\n").stdout
    line = next(line for line in printed.splitlines() if line.startswith("apt-lock "))
    _, pid, seconds, command = line.split(" ")
    assert b64decode(command).decode().startswith("perl -e use Fcntl")
    assert int(seconds) >= 1
    assert remote(spare_server, f"cat /proc/{pid}/comm") == "perl\n"


@pytest.mark.parametrize("place", ["/srv", "/var/lib/standfast"])
def test_an_apply_that_has_nothing_to_do_says_so_and_what_is_not_in_order(
    trial: Repository, spare_server: Server, place: str
) -> None:
    """There is nothing to refuse. That a disk is read-only is a finding of drift, with its exit code."""
    trial.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    remote(spare_server, f"mount -t tmpfs -o size=4m,mode=700 none {place}; mount -o remount,ro {place}")
    try:
        done = trial.standfast("apply", "lab", "--yes", expect=0)
        assert "nothing is to be changed there; but it is not in order:\n" in done.stderr
        assert f"{place}: {place} cannot be written: Read-only file system." in done.stderr
        assert "no changes" in done.stdout
        trial.standfast("drift", "lab", expect=2)
    finally:
        remote(spare_server, f"umount {place}")
