"""Snapshots on a real server, with a real file system of btrfs, under a writer that never stops."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from standfast.lab.nspawn import Server
from tests.server import small_images
from tests.server.conftest import Repository
from tests.sizes import sized

ROUNDS = sized(4, long=20)
ONLY = [f"--only={name}" for name in ("base", "docker", "volumes", "apps", "snapshots")]
PROGRAM = "/usr/local/sbin/standfast-host snapshots"
DISK = "/srv/docker.img"
VOLUMES = "/var/lib/docker/volumes"
HIDDEN = "/var/lib/docker/.standfast-snapshots"
STATE = "/var/lib/standfast/backups"
MOMENTS = [
    f"[ -e {STATE}/held.json ]",
    f"ls -d {VOLUMES}/ledger_a_restoring_*/_data/many",
    f"[ -e {STATE}/restore.json ]",
    '[ "$(docker inspect -f "{{.State.Status}}" ledger-writer-1)" = exited ]',
][: sized(2, long=4)]
"""At which a restore is killed, as shell conditions."""

# Each number reaches /a first and then /b, each time on disk before the next step: whatever is of one moment
# has the same number in both, or one more in /a.
WRITER = """\
n=0; [ ! -e /b/n ] || n=$(cat /b/n)
while :; do
  n=$((n+1))
  for to in a b; do
    until echo $n | busybox dd of=/$to/n.new conv=fsync 2> /dev/null; do busybox sleep 1; done
    busybox mv /$to/n.new /$to/n
  done
done"""
COMPOSE = {
    "services": {
        "writer": {
            "image": "demo/writer:1",
            "init": True,
            "stop_signal": "SIGKILL",
            "restart": "unless-stopped",
            "volumes": ["ledger_a:/a", "ledger_b:/b"],
        }
    },
    "volumes": {"ledger_a": {"external": True}, "ledger_b": {"external": True}},
}


@dataclass
class Site:
    """A server whose volumes are on btrfs, and its repository."""

    repository: Repository
    server: Server

    def declare(self, *volumes: str, **settings: object) -> None:
        """Write the inventory."""
        host = {
            "address": self.server.name,
            "ssh": {"config": str(self.server.ssh_config)},
            "docker": {"volumes": {name: {} for name in ("ledger_a", "ledger_b", *volumes)}},
            "apps": {"ledger": {"compose": "files/compose.yml", "images": {"demo/writer:1": "writer.tar"}}},
            "snapshots": {"driver": "btrfs", "keep": 2, **settings},
        }
        self.repository.write(
            "inventories/lab.yml", json.dumps({"environment": "lab", "hosts": {self.server.name: host}})
        )

    def root(self, script: str, *, check: bool = True) -> str:
        """Output of a script, as root."""
        return self.server.run("sudo bash -s", input=script, check=check, timeout=300).stdout

    def standfast(self, command: str, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command for the inventory."""
        return self.repository.standfast(command, "lab", *arguments, expect=expect)

    def snapshot(self, *arguments: str, expect: int = 0) -> dict[str, Any]:
        """Run ``standfast snapshot``; the answer for the server."""
        done = self.standfast("snapshot", "--json", *arguments, expect=expect)
        answer: dict[str, Any] = json.loads(done.stdout)["hosts"][0]
        return answer

    def take(self, arguments: str = "") -> dict[str, Any]:
        """Take a snapshot as a person on the server would."""
        found: dict[str, Any] = json.loads(self.root(f"{PROGRAM} take --json {arguments}"))["snapshot"]
        return found

    def listed(self) -> list[dict[str, Any]]:
        """All snapshots."""
        found: list[dict[str, Any]] = json.loads(self.root(f"{PROGRAM} list --json"))["snapshots"]
        return found

    def numbers(self, place: str) -> tuple[int, int]:
        """The two numbers below a folder of volumes."""
        a, b = self.root(f"cat {place}/ledger_a/_data/n {place}/ledger_b/_data/n").split()
        return int(a), int(b)

    def go_on(self) -> None:
        """See that the writer writes."""
        before = self.numbers(VOLUMES)[1]
        for _ in range(100):
            if self.numbers(VOLUMES)[1] > before:
                return
            time.sleep(0.1)
        raise AssertionError("the writer does not go on")


@pytest.fixture(scope="module")
def blank(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A server without Docker, on whatever file system the machine has."""
    site = Site(Repository(tmp_path_factory.mktemp("infra")), lab_server("test-snapshots"))
    program = small_images.busybox(site.server)
    small_images.write(
        site.repository.root / "writer.tar", "demo/writer:1", program, command=["sh", "-c", WRITER]
    )
    site.repository.write("files/compose.yml", json.dumps(COMPOSE))
    site.declare()
    return site


@pytest.fixture(scope="module")
def refusal(blank: Site) -> str:
    """What a plan says before there is any btrfs."""
    return blank.standfast("plan", *ONLY, expect=6).stderr


@pytest.fixture(scope="module")
def site(blank: Site, refusal: str) -> Iterator[Site]:
    blank.root(
        f"""set -e
        DEBIAN_FRONTEND=noninteractive apt-get install -qq btrfs-progs > /dev/null 2>&1
        truncate -s 400M {DISK}; mkfs.btrfs -q {DISK}
        [ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237
        for try in 1 2 3 4 5; do
          loop=$(losetup -f | cut -d ' ' -f 1); [ -e $loop ] || mknod $loop b 7 ${{loop#/dev/loop}}
          mount -o loop=$loop {DISK} /var/lib/docker && exit 0
          sleep 1
        done; exit 1"""
    )
    try:
        blank.standfast("apply", "--yes", "--no-verify", *ONLY)
        blank.go_on()
        yield blank
    finally:
        # The device outlives the server that has it mounted.
        blank.root("systemctl stop docker.socket docker; umount -l /var/lib/docker", check=False)


def test_without_btrfs_the_plan_is_refused_with_one_message(refusal: str) -> None:
    assert "snapshots: expected Docker's volumes on btrfs, and none of them is" in refusal
    assert re.search(r"volume ledger_a: it would be on \w+, not on btrfs", refusal)
    assert "Nothing was changed." in refusal
    assert refusal.count("✗") == 1


def test_nothing_is_left_to_do_and_what_is_there_is_as_declared(site: Site) -> None:
    site.standfast("plan", *ONLY)
    # What of the inventory is not applied here, such as the firewall, does not hold.
    checks = json.loads(site.standfast("verify", "--json", expect=1).stdout)["checks"]
    ours = {
        each["check"].partition("[")[0]: each["outcome"] for each in checks if "snapshots" in each["file"]
    }
    assert len(ours) == 2
    assert set(ours.values()) == {"passed"}
    drift = json.loads(site.repository.standfast("drift", "lab", "--json").stdout)
    assert "snapshots" not in json.dumps([each["findings"] for each in drift["hosts"]])


def test_before_an_apply_that_changes_anything_there_is_one(site: Site) -> None:
    there = site.listed()
    site.declare(keep=3)
    done = site.standfast("apply", "--yes", "--no-verify", "--json", *ONLY)
    (new,) = [each for each in site.listed() if each not in there]
    assert new["reason"] == "before apply"
    said = json.loads(done.stdout)["hosts"][0]["safety_copy"]
    assert said == f"snapshot {new['id']} of ledger_a, ledger_b"
    record = json.loads(site.standfast("audit", "--json").stdout)["records"][-1]
    assert record["safety_copy"] == said
    site.standfast("apply", "--yes", "--no-verify", *ONLY)
    assert site.listed()[-1] == new, "an apply without a change took one"


def test_each_snapshot_is_of_one_moment_of_both_volumes(site: Site) -> None:
    # A copy of both, one after the other, would reach the second number long after the first.
    site.root(f"mkdir {VOLUMES}/ledger_b/_data/many; cd {VOLUMES}/ledger_b/_data/many; touch $(seq 3000)")
    for _ in range(ROUNDS):
        before = site.numbers(VOLUMES)[1]
        taken = site.take()
        after = site.numbers(VOLUMES)[0]
        a, b = site.numbers(f"{HIDDEN}/{taken['id']}/0/volumes")
        assert a - b in (0, 1), (a, b)
        assert before <= b <= after
        assert taken["moments"] == 1
    site.root(f"rm -r {VOLUMES}/ledger_b/_data/many")
    site.go_on()


def test_a_name_protects_from_retention_and_only_that_is_not_counted(site: Site) -> None:
    named = site.snapshot("--name", "before-upgrade")["snapshot"]
    taken = [site.take()["id"] for _ in range(4)]
    found = site.snapshot("--list")["snapshots"]
    assert [each["id"] for each in found if each["name"] is None] == taken[1:]
    assert named["id"] in [each["id"] for each in found]
    assert (
        "called before-upgrade already"
        in site.standfast("snapshot", "--name", "before-upgrade", expect=6).stderr
    )
    assert sorted(site.root(f"ls {HIDDEN}").split()) == sorted(each["id"] for each in found)


def test_everything_deleted_in_a_volume_comes_back_and_the_writer_goes_on(site: Site) -> None:
    taken = site.snapshot("--name", "whole")["snapshot"]
    refused = site.server.run(f"sudo rm -rf {HIDDEN} {VOLUMES}/ledger_a/_data", check=False)
    assert "Read-only file system" in refused.stderr
    assert [each["damage"] for each in site.listed() if each["name"] == "whole"] == [""]
    site.root(f"rm -rf {VOLUMES}/ledger_b/_data/*", check=False)
    for name in ("ledger_a", "ledger_b"):
        done = site.standfast("snapshot", "--restore", "whole", "--volume", name, "--yes").stdout
        assert "stopped for a moment: ledger/writer" in done
    a, b = site.numbers(f"{HIDDEN}/{taken['id']}/0/volumes")
    site.go_on()
    now = site.numbers(VOLUMES)
    assert now[0] - now[1] in (0, 1)
    assert now[1] >= b >= a - 1
    kept = re.findall(r"ledger_b_before_\d{14}", site.root("docker volume ls -q"))
    assert len(kept) == 1
    assert "restoring" not in site.root("docker volume ls -q")
    record = json.loads(site.standfast("audit", "--json").stdout)["records"][-1]
    assert record["outcome"] == "done"
    assert "volume ledger_b" in json.dumps(record)
    site.standfast("plan", *ONLY)


def test_the_same_bytes_owners_and_links_come_back(site: Site) -> None:
    folder = f"{VOLUMES}/ledger_a/_data/tree"
    site.root(
        f"""set -e; mkdir -p {folder}/empty; cd {folder}
        head -c 3000000 /dev/urandom > data; ln data hard; ln -s data soft; chown 1234:5678 data; chmod 4750 data
        touch -d 2020-02-02 empty; truncate -s 9M holes; chmod 1777 .; setfattr -n user.one -v 1 data || true"""
    )
    look = "cd {}/tree && find . -printf '%P %m %U %G %s %n %l %y %T@\\n' | sort && sha256sum data holes"
    before = site.root(look.format(f"{VOLUMES}/ledger_a/_data"))
    site.take("--name tree")
    site.standfast("snapshot", "--restore", "tree", "--volume", "ledger_a", "--to", "looked_at", "--yes")
    assert site.root(look.format(f"{VOLUMES}/looked_at/_data")) == before
    again = f"sudo {PROGRAM} restore tree --volume ledger_a --to looked_at"
    assert "a volume of this name is there" in site.server.run(again, check=False).stderr
    site.root(f"docker volume rm looked_at; rm -rf {folder}")


@pytest.mark.parametrize("moment", MOMENTS, ids=range(1, len(MOMENTS) + 1))
def test_a_killed_restore_leaves_the_old_data_or_the_new_and_says_which(site: Site, moment: str) -> None:
    many = f"{VOLUMES}/ledger_a/_data/many"
    if not [each for each in site.listed() if each["name"] == "many"]:
        site.root(f"mkdir -p {many}; cd {many}; touch $(seq 3000)")
        site.take("--name many")
    restore = f"{PROGRAM} restore many --volume ledger_a --yes"
    site.root(
        f"""touch {VOLUMES}/ledger_a/_data/old; {restore} < /dev/null > /dev/null 2>&1 & restore=$!
        until {moment} > /dev/null 2>&1 || ! kill -0 $restore; do sleep 0.01; done; kill -KILL $restore; wait"""
    )
    old = site.root(f"[ ! -e {VOLUMES}/ledger_a/_data/old ] || echo old").strip()
    assert site.root(f"ls {many} | wc -l").strip() == "3000"
    said = site.server.run(f"sudo {restore}", timeout=120).stderr
    assert "was cut off" in said
    assert ("it has the old data" if old else "it has the new data") in said
    assert "restoring" not in site.root("docker volume ls -q")
    site.go_on()


def test_a_snapshot_that_was_cut_off_is_none(site: Site) -> None:
    there = site.listed()
    for seconds in (0.2, 0.3, 0.4, 0.5):
        site.root(f"timeout -s KILL {seconds} {PROGRAM} take", check=False)
        assert [each for each in site.listed() if each["damage"]] == []
    taken = site.take()
    assert not [name for name in site.root(f"ls {HIDDEN}").split() if name.endswith((".new", ".gone"))]
    assert taken["id"] in [each["id"] for each in site.listed()]
    named = [each["id"] for each in there if each["name"]]
    assert set(named) <= {each["id"] for each in site.listed()}


def test_volumes_that_no_snapshot_can_hold_are_named(site: Site) -> None:
    site.declare("own", "nested", keep=3)
    site.standfast("apply", "--yes", "--no-verify", "--only=volumes", "--only=snapshots")
    site.root(
        f"""cd {VOLUMES}; rmdir own/_data; btrfs -q subvolume create own/_data; echo then > own/_data/n
        btrfs -q subvolume create nested/_data/inner"""
    )
    taken = site.snapshot("--name", "with-own")
    assert taken["snapshot"]["volumes"] == ["ledger_a", "ledger_b", "own"]
    assert taken["snapshot"]["moments"] == 2
    assert taken["uncovered"] == {
        "nested": "a subvolume is in it, inner, and no snapshot of it would hold that"
    }
    assert "a subvolume is in it" in site.standfast("snapshot", "--volume", "nested", expect=6).stderr
    site.root(f"echo now > {VOLUMES}/own/_data/n")
    site.standfast("snapshot", "--restore", "with-own", "--volume", "own", "--yes")
    assert site.root(f"cat {VOLUMES}/own/_data/n; stat -c %i {VOLUMES}/own/_data").split() == ["then", "256"]
    site.root(f"btrfs -q subvolume delete {VOLUMES}/nested/_data/inner")


def test_a_full_disk_takes_nothing_away(site: Site) -> None:
    there = site.listed()
    assert there
    site.root(f"head -c 1G /dev/urandom > {VOLUMES}/ledger_a/_data/big; sync", check=False)
    failed = site.standfast("snapshot", expect=1).stderr
    assert "No space left on device" in failed
    assert "the earlier ones are there" in failed
    assert site.listed() == there
    restore = f"sudo {PROGRAM} restore {there[0]['id']} --volume ledger_b --yes"
    tried = site.server.run(restore, check=False)
    assert tried.returncode == 0 or "Nothing was replaced" in tried.stderr
    site.root(f"rm {VOLUMES}/ledger_a/_data/big; sync")
    site.root(f"docker restart ledger-writer-1; {PROGRAM} remove {there[-1]['id']}")
    assert there[-1]["id"] not in [each["id"] for each in site.listed()]
    site.take()
    site.go_on()


def test_when_none_can_be_taken_nothing_is_changed(site: Site) -> None:
    path = "/etc/standfast/snapshots.json"
    now = site.root(f"cat {path}")
    other = json.dumps({**json.loads(now), "volumes": ["gone_a", "gone_b"]})
    said = json.loads(site.root(f"echo '{other}' > {path}; {PROGRAM} take --before-apply --json"))
    site.root(f"cat > {path} <<'END'\n{now}END")
    assert (said["snapshot"], sorted(said["uncovered"])) == (None, ["gone_a", "gone_b"])
    site.root("mv /usr/bin/btrfs /usr/bin/btrfs.away")
    site.declare("own", "nested", keep=4)
    done = site.standfast("apply", "--yes", "--no-verify", "--only=snapshots", expect=6)
    assert "the safety copy before the changes failed, so nothing was changed there" in done.stderr
    assert '"keep": 3' in site.root("cat /etc/standfast/snapshots.json")
    site.standfast("apply", "--yes", "--no-verify", "--only=snapshots", "--without-copy")
    assert '"keep": 4' in site.root(
        "cat /etc/standfast/snapshots.json; mv /usr/bin/btrfs.away /usr/bin/btrfs"
    )
