"""The lab, with real servers: reached as rented ones, robust against mistreatment, gone when gone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from standfast.cli.main import standfast
from standfast.errors import StandfastError, UsageError
from standfast.lab import image, network, nspawn, processes, programs
from standfast.lab.nspawn import Server
from standfast.lab.places import Lab

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(os.geteuid() != 0, reason="lab servers are made by root"),
]


@pytest.fixture(scope="module", autouse=True)
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of this module's own, with its own bridge: others on this machine are not in the way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STANDFAST_LAB_DIR", str(tmp_path_factory.mktemp("lab")))
        yield Lab.current()
        for name in nspawn.names():
            nspawn.destroy(name)
        nspawn.clear()


@pytest.fixture(scope="module")
def pair(lab: Lab) -> tuple[Server, Server]:
    """Two servers, made at the same time."""
    with ThreadPoolExecutor() as pool:
        one, two = pool.map(nspawn.up, ["one", "two"])
    return one, two


def machine_state(lab: Lab) -> dict[str, object]:
    """What a lab can leave behind on a machine."""
    mounts = Path("/proc/mounts").read_text()
    rules = [programs.run([tool]).stdout for tool in ("iptables-save", "ip6tables-save")]
    groups = Path("/sys/fs/cgroup").rglob("standfast-lab/*")
    return {
        "files": sorted(str(path) for path in lab.root.rglob("*")),
        "mounts": [line for line in mounts.splitlines() if str(lab.root) in line],
        "processes": sorted(mentions(str(lab.root))),
        "bridge": network.exists(lab.bridge),
        "links": re.findall(rf"master {lab.bridge}", programs.run(["ip", "link"]).stdout),
        "rules": [line for text in rules for line in text.splitlines() if lab.bridge in line],
        "groups": [str(group) for group in groups if group.name in machines(lab)],
    }


def machines(lab: Lab) -> set[str]:
    """The nspawn names of all servers that these tests make."""
    facts = {"release": "", "image": Path(), "host": 0, "address": "", "address6": ""}
    return {
        Server(lab, name, **facts).machine  # type: ignore[arg-type] # placeholders of mixed types
        for name in ("one", "two", "crash", "old")
    }


def mentions(text: str) -> list[str]:
    """Processes, other than ours, that have a text in their command line or mount table."""
    found = []
    for pid in (entry for entry in Path("/proc").iterdir() if entry.name.isdecimal()):
        try:
            words = (pid / "cmdline").read_text() + (pid / "mountinfo").read_text()
        except OSError:
            continue
        if text in words and int(pid.name) != os.getpid():
            found.append(pid.name)
    return found


def ssh_as(server: Server, user: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Try to log in as somebody."""
    argv = ["ssh", "-F", str(server.ssh_config), "-l", user, "-o", "BatchMode=yes", *options]
    return subprocess.run([*argv, server.name, "id"], check=False, capture_output=True, text=True)


def test_account_as_on_a_rented_server(pair: tuple[Server, Server]) -> None:
    one, _ = pair
    assert one.run("id -un").stdout == "ops\n"
    assert one.run("sudo -n id -u").stdout == "0\n"
    assert one.run("hostname").stdout == "one\n"
    assert one.run("systemctl is-system-running --wait").stdout == "running\n"


def test_root_and_passwords_are_refused(pair: tuple[Server, Server]) -> None:
    one, _ = pair
    for user, options in (("root", ()), ("ops", ("-o", "PubkeyAuthentication=no"))):
        refused = ssh_as(one, user, *options)
        assert refused.returncode == 255
        assert "Permission denied (publickey)" in refused.stderr


def test_servers_differ(pair: tuple[Server, Server]) -> None:
    ids = {server.run("cat /etc/machine-id").stdout for server in pair}
    assert len(ids) == 2
    assert not set(pair[0].host_keys) & set(pair[1].host_keys)


def test_servers_reach_each_other(pair: tuple[Server, Server]) -> None:
    one, two = pair
    for address in (two.address, two.address6):
        assert "1 received" in one.run(f"ping -c 1 -W 3 {address}").stdout


def test_this_machine_reaches_a_server_by_ipv6(pair: tuple[Server, Server]) -> None:
    one, _ = pair
    banner = subprocess.run(
        ["ssh-keyscan", "-T", "5", "-t", "ed25519", one.address6],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert banner.split(" ", 1)[1].strip() in one.host_keys


def test_a_server_cannot_set_the_clock_of_this_machine(pair: tuple[Server, Server]) -> None:
    before = time.time()
    assert pair[0].run("sudo date -s '2001-01-01'", check=False).returncode != 0
    pair[0].run("sudo timedatectl set-timezone Asia/Tokyo")
    assert pair[0].run("date +%z").stdout.strip() == "+0900"
    assert 0 <= time.time() - before < 60
    pair[0].run("sudo timedatectl set-timezone Etc/UTC")


def test_apt_works_inside(pair: tuple[Server, Server]) -> None:
    one, _ = pair
    done = one.run("sudo apt-get update")
    assert "Err:" not in done.stdout + done.stderr
    assert one.run("apt-cache policy docker.io | grep Candidate").stdout.strip()


def test_a_restart_of_a_service_leaves_the_other_server_alone(pair: tuple[Server, Server]) -> None:
    one, two = pair
    before = two.run("systemctl show -p MainPID cron").stdout
    one.run("sudo systemctl kill --signal KILL cron; sudo systemctl restart cron ssh")
    assert two.run("systemctl show -p MainPID,NRestarts cron").stdout == before + "NRestarts=0\n"


@pytest.mark.parametrize("how", ["lab", "inside"])
def test_reboot_keeps_the_disk(pair: tuple[Server, Server], how: str) -> None:
    one, _ = pair
    read_boot = "cat /proc/sys/kernel/random/boot_id"
    before = one.run(read_boot).stdout
    one.run("echo kept > kept; touch /run/user/1000/lost")
    if how == "lab":
        nspawn.reboot("one")
    else:
        one.run("sudo reboot", check=False)
        assert processes.wait_until(lambda: one.run(read_boot, check=False).stdout not in ("", before), 30)
    assert one.run(read_boot).stdout != before
    assert one.run("cat kept; ls /run/user/1000/lost", check=False).stdout == "kept\n"


def test_power_cut_keeps_what_was_synced(pair: tuple[Server, Server]) -> None:
    _, two = pair
    # Each number is acknowledged only when it is on the disk.
    writer = (
        "import os,sys\nf=open('numbers','w')\nn=0\n"
        "while True:\n n+=1; f.write(f'{n}\\n'); f.flush(); os.fsync(f.fileno())\n"
        " print(n,flush=True)\n"
    )
    argv = ["ssh", "-F", str(two.ssh_config), "two", "--", "python3", "-"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as ssh:
        assert ssh.stdin is not None
        assert ssh.stdout is not None
        ssh.stdin.write(writer)
        ssh.stdin.close()
        acknowledged = [int(ssh.stdout.readline()) for _ in range(200)]
        nspawn.power_cut("two")
        ssh.kill()
    assert two.state == "off"
    assert not network.exists(two.link)
    assert processes.of(two.folder) == set()
    assert ssh_as(two, "ops", "-o", "ConnectTimeout=1").returncode == 255

    nspawn.power_on("two")
    written = [int(line) for line in two.run("cat numbers").stdout.split()]
    assert written[:200] == acknowledged


def test_power_on_after_this_machine_restarted(pair: tuple[Server, Server], lab: Lab) -> None:
    """Only the lab's folder survives a restart of the machine."""
    for server in pair:
        nspawn.power_cut(server.name)
    programs.run(["ip", "link", "del", lab.bridge])
    for server in pair:
        assert nspawn.power_on(server.name).run("id -un").stdout == "ops\n"


def test_up_is_idempotent_and_says_no_to_another_release(pair: tuple[Server, Server]) -> None:
    leader = processes.leader(pair[0].folder)
    assert nspawn.up("one") == pair[0]
    assert processes.leader(pair[0].folder) == leader
    with pytest.raises(StandfastError, match="one is there with trixie, not bookworm"):
        nspawn.up("one", release="bookworm")


@pytest.mark.parametrize("name", ["", "Web", "-a", "a-", "a.b", "a/b", "..", "x" * 33])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="server name"):
        nspawn.up(name)


def test_run_says_what_failed(pair: tuple[Server, Server]) -> None:
    with pytest.raises(StandfastError, match=r"one: `ls /nope` failed with 2: .*No such file"):
        pair[0].run("ls /nope")
    with pytest.raises(StandfastError, match="did not end within 1 s"):
        pair[0].run("sleep 5", timeout=1)
    assert pair[0].run("cat", input="text").stdout == "text"


def test_commands(pair: tuple[Server, Server]) -> None:
    listed = CliRunner().invoke(standfast, ["lab", "list", "--json"])
    assert listed.exit_code == 0
    by_name = {server["name"]: server for server in json.loads(listed.stdout)}
    assert by_name["one"]["state"] == "running"
    assert by_name["two"]["address"] == pair[1].address
    for arguments, code, message in (
        (["destroy"], 3, "name the servers"),
        (["destroy", "nobody"], 1, "no such server; there is: one, two"),
        (["reboot", "nobody"], 1, "no such server"),
        (["up", "a_b"], 3, "server name"),
        (["up", "x", "--release", "sarge"], 3, "bookworm"),
    ):
        done = CliRunner().invoke(standfast, ["lab", *arguments])
        assert (done.exit_code, message in done.output) == (code, True), done.output


def test_ssh_command_gives_the_exit_code(pair: tuple[Server, Server]) -> None:
    argv = [sys.executable, "-m", "standfast.cli.main", "lab", "ssh", "one", "--", "exit", "7"]
    assert subprocess.run(argv, check=False).returncode == 7


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(programs.NSPAWN, "no-such-program", "some-package")
    with pytest.raises(StandfastError, match=r"no-such-program.*apt-get install some-package"):
        nspawn.up("crash")


def test_a_snapshot_takes_the_disk_back(pair: tuple[Server, Server]) -> None:
    one, _ = pair
    one.run("echo before > letter")
    nspawn.snapshot("one", "letter")
    one.run("echo after > letter; sync letter")
    with pytest.raises(StandfastError, match="no snapshot other; there is: letter"):
        nspawn.restore("one", "other")
    assert one.run("cat letter").stdout == "after\n"
    nspawn.restore("one", "letter")
    assert one.run("cat letter").stdout == "before\n"


def test_servers_without_their_supervisor_are_found_and_ended(pair: tuple[Server, Server], lab: Lab) -> None:
    """SIGKILL to systemd-nspawn leaves the whole guest running; destroy must still find it."""
    one, _ = pair
    leader = processes.leader(one.folder)
    assert leader is not None
    status = Path(f"/proc/{leader}/status").read_text()
    nspawn_pid = int(status.split("PPid:")[1].split()[0])
    for pid in (*processes.supervisors(one.folder), nspawn_pid):
        os.kill(pid, signal.SIGKILL)
    assert processes.leader(one.folder) == leader
    nspawn.destroy("one")
    assert processes.of(one.folder) == set()
    assert ssh_as(one, "ops", "-o", "ConnectTimeout=1").returncode == 255
    assert not one.folder.exists()


def test_destroying_the_last_leaves_nothing(pair: tuple[Server, Server], lab: Lab) -> None:
    names = nspawn.names()
    assert machine_state(lab)["processes"]
    for name in names:
        nspawn.destroy(name)
    assert machine_state(lab) == nothing(lab)


def nothing(lab: Lab) -> dict[str, object]:
    """The state of a machine without anything of this lab."""
    empty: dict[str, object] = {key: [] for key in ("mounts", "processes", "links", "rules", "groups")}
    return {**empty, "files": [str(lab.servers)], "bridge": False}


def folder_exists(server: Server) -> bool:
    return server.folder.exists()


def disk_begun(server: Server) -> bool:
    return (server.folder / "disk/upper/etc").exists()


def disk_made(server: Server) -> bool:
    return server.complete


def linked(server: Server) -> bool:
    return network.exists(server.link)


def answers(server: Server) -> bool:
    return processes.leader(server.folder) is not None and linked(server)


MOMENTS = [folder_exists, disk_begun, disk_made, linked, answers]


@pytest.mark.parametrize("moment", MOMENTS)
def test_destroy_cleans_up_after_a_killed_up(lab: Lab, moment: Callable[[Server], bool]) -> None:
    interrupt_up(lab, moment, signal.SIGKILL)
    assert [server.name for server in nspawn.servers()] == ["crash"]
    nspawn.destroy("crash")
    assert machine_state(lab) == nothing(lab)


@pytest.mark.parametrize("moment", [disk_begun, linked])
def test_an_interrupted_up_cleans_up_after_itself(lab: Lab, moment: Callable[[Server], bool]) -> None:
    assert interrupt_up(lab, moment, signal.SIGINT) != 0
    assert machine_state(lab) == nothing(lab)


def test_up_after_a_killed_up(lab: Lab) -> None:
    interrupt_up(lab, disk_begun, signal.SIGKILL)
    assert nspawn.get("crash").state == "incomplete"
    assert nspawn.up("crash").run("hostname").stdout == "crash\n"
    nspawn.destroy("crash")


def interrupt_up(lab: Lab, moment: Callable[[Server], bool], number: int) -> int:
    """Start ``up`` in a process of its own and send it a signal at a moment; its exit code."""
    code = "from standfast.lab import nspawn; nspawn.up('crash')"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as process:
        server = Server(lab, "crash", "", Path(), 0, "", "")
        deadline = time.monotonic() + 30
        while not moment(server):
            assert process.poll() is None, "up ended before the moment came"
            assert time.monotonic() < deadline
        process.send_signal(number)
        return process.wait()


def test_a_killed_image_build_leaves_nothing_that_looks_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDFAST_CACHE_DIR", str(tmp_path))
    code = "from standfast.lab import image, places; image.ensure(places.Lab.current(), 'trixie')"
    images = tmp_path / "images"

    left: set[Path] = set()
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", code]) as process:
            assert processes.wait_until(partial(unpacking, images, left), 30)
            process.kill()
        assert processes.wait_until(lambda: not mentions(str(tmp_path)), 5)
        assert str(tmp_path) not in Path("/proc/mounts").read_text()
        assert list(images.glob("trixie*")) == []
        # The second build has removed what the first one left.
        left = set(images.glob(".trixie.building-*"))
        assert len(left) == 1


def unpacking(images: Path, before: set[Path]) -> bool:
    """Whether a build other than those before has got as far as files in /usr."""
    now = set(images.glob(".trixie.building-*")) - before
    return any((build / "root/usr").exists() for build in now)


def test_a_full_disk_is_told_before_the_build(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.run(["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(tmp_path)])
    try:
        monkeypatch.setenv("STANDFAST_CACHE_DIR", str(tmp_path))
        with pytest.raises(StandfastError, match=r"1 GB of disk, 1[01] MB are free"):
            nspawn.up("crash")
    finally:
        programs.run(["umount", str(tmp_path)])
    assert machine_state(lab) == nothing(lab)


def test_debian_12(lab: Lab) -> None:
    server = nspawn.up("old", release="bookworm")
    assert server.run("cat /etc/debian_version").stdout.startswith("12.")
    assert server.run("systemctl is-system-running --wait").stdout == "running\n"
    nspawn.destroy("old")


def test_an_unknown_release_is_refused(lab: Lab) -> None:
    with pytest.raises(UsageError, match="expected trixie or bookworm, not sid"):
        image.ensure(lab, "sid")
