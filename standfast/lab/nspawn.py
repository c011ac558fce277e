"""
Real Debian servers on this machine, several at once, by systemd-nspawn.

Made to be thrown away and to be mistreated: a server boots in about two seconds, and reboot and
power cut are verbs. What a server is stands in ``server.json`` before anything of it is made, so
``destroy`` can take away whatever a crash left.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from standfast.errors import StandfastError, UsageError
from standfast.lab import access, copies, disk, image, network, processes, programs
from standfast.lab.places import Lab, Report, silent, write_atomically

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
FOLDER = re.compile(r"[A-Za-z0-9/._@+-]+")

BOOT_SECONDS = 60
# systemd waits 90 s for programs that do not mind SIGTERM, such as a container's first process.
SHUTDOWN_SECONDS = 180

# What systemd understands when its number 1 receives it.
REBOOT = signal.SIGRTMIN + 5
POWER_OFF = signal.SIGRTMIN + 4


@dataclass(frozen=True, slots=True)
class Server:
    """
    One server of the lab.

    Attributes:
        name: its name here, its host name, and the name that its SSH configuration knows.
        release: ``trixie`` or ``bookworm``.
        image: folder of the base image below its disk.
        host: last number of its addresses.
        address: IPv4 address.
        address6: IPv6 address; reachable from this machine and from the lab, not from outside.
    """

    lab: Lab
    name: str
    release: str
    image: Path
    host: int
    address: str
    address6: str

    @property
    def folder(self) -> Path:
        """Where all that belongs to the server is."""
        return self.lab.servers / self.name

    @property
    def ssh_config(self) -> Path:
        """The OpenSSH configuration that knows this server by its name."""
        return self.lab.ssh_config

    @property
    def key(self) -> Path:
        """The private key that opens it."""
        return self.lab.key

    @property
    def ports(self) -> dict[int, int]:
        """None lead to it from elsewhere: it has an address of its own."""
        return {}

    @property
    def machine(self) -> str:
        """Its name among all nspawn machines of this machine; also names its link."""
        return "sf" + sha256(str(self.folder).encode()).hexdigest()[:8]

    @property
    def link(self) -> str:
        """Name of this machine's end of the server's network cable."""
        return f"vb-{self.machine}"

    @property
    def console(self) -> Path:
        """What the server and its supervisor have printed."""
        return self.folder / "console.log"

    @property
    def host_keys(self) -> list[str]:
        """Public SSH host keys, each `type base64`."""
        keys = (self.folder / "disk/upper/etc/ssh").glob("ssh_host_*_key.pub")
        return [" ".join(key.read_text().split()[:2]) for key in sorted(keys)]

    @property
    def complete(self) -> bool:
        """Whether its disk is all there; not so after an interrupted ``up``."""
        return (self.folder / "boot.json").exists()

    @property
    def running(self) -> bool:
        """Whether it is switched on (root only)."""
        return processes.leader(self.folder) is not None

    @property
    def state(self) -> str:
        """``running``, ``off``, or ``incomplete`` (only good for ``destroy`` or another ``up``)."""
        if not self.complete:
            return "incomplete"
        return "running" if self.running else "off"

    def run(
        self,
        command: str,
        *,
        check: bool = True,
        input: str | None = None,
        timeout: float | None = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command as the account ``ops``; see ``access.run_on``."""
        return access.run_on(self, command, check=check, input=input, timeout=timeout)


def require_name(name: str) -> None:
    """
    Whether a server of the lab may be called so, whatever makes it.

    Raises:
        UsageError: it may not; nothing was changed.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"lab: server name: expected lower-case letters, digits and inner hyphens, at most 32, "
            f"not {name!r}"
        )


def up(name: str, release: str = "trixie", report: Report = silent) -> Server:
    """
    Make a server and wait until it answers by SSH; one that is there is switched on if need be.

    Raises:
        UsageError: the name or the release is not possible.
        StandfastError: it is there with another release, or it did not come up; a server that
            this call has made is gone again.
    """
    require_name(name)
    lab = _lab()
    with lab.server_lock(name, report):
        server = _load(lab, name)
        if server is not None and server.complete:
            if server.release != release:
                raise StandfastError(
                    f"lab: {name} is there with {server.release}, not {release}. To make it "
                    f"anew: standfast lab destroy {name}. Nothing was changed."
                )
            if not server.running:
                report(f"{name}: switching on")
                _boot(server)
            return server
        if (lab.servers / name).exists():
            report(f"{name}: removing what an interrupted start left")
            _remove(lab, name)
        base = image.ensure(lab, release, report)
        try:
            server = _make(lab, name, release, base, report)
            report(f"{name}: booting at {server.address}")
            _boot(server)
        except OSError as error:
            _remove(lab, name)
            raise StandfastError(f"lab: {name}: {error}. Nothing of it is left.") from error
        except BaseException:
            _remove(lab, name)
            raise
    return server


def servers() -> list[Server]:
    """Every server of the lab, also those switched off or half made, by name."""
    lab = Lab.current()
    found = (_load(lab, name) for name in names())
    return [server for server in found if server is not None]


def get(name: str) -> Server:
    """
    One server by its name.

    Raises:
        StandfastError: there is none; the message names those that are there.
    """
    server = _load(Lab.current(), name)
    if server is None:
        there = ", ".join(server.name for server in servers()) or "no server"
        raise StandfastError(
            f"lab: {name}: no such server; there is: {there}. `standfast lab up {name}` makes it."
        )
    return server


def reboot(name: str, report: Report = silent) -> Server:
    """
    Reboot in order, and wait until the server answers again.

    Raises:
        StandfastError: it is off, or did not stop or come back in time; it stays as it is.
    """
    lab = _lab()
    with lab.server_lock(name, report):
        server = _complete(name)
        before = processes.leader(server.folder)
        if before is None:
            raise StandfastError(f"lab: {name} is off; `standfast lab power-on {name}` starts it")
        report(f"{name}: shutting down")
        processes.send(before, REBOOT, server.folder)
        if not processes.wait_until(lambda: processes.leader(server.folder) != before, SHUTDOWN_SECONDS):
            raise StandfastError(
                f"lab: {name} has not shut down within {SHUTDOWN_SECONDS} s; it still runs. "
                f"`standfast lab power-cut {name}` stops it in any case; see {server.console}"
            )
        report(f"{name}: booting")
        _wait_for_ssh(server)
    return server


def power_cut(name: str) -> Server:
    """
    Pull the plug: everything inside ends at once, the disk stays as it is.

    What the server had written without fsync is kept, as this machine keeps running: a real
    power cut can lose more.
    """
    lab = _lab()
    with lab.server_lock(name):
        server = _complete(name)
        _stop(server)
    return server


def power_on(name: str, report: Report = silent) -> Server:
    """
    Switch a server on and wait until it answers; nothing happens when it is on.

    Raises:
        StandfastError: it does not answer in time; it stays on, for a look at it.
    """
    lab = _lab()
    with lab.server_lock(name, report):
        server = _complete(name)
        if not server.running:
            report(f"{name}: booting at {server.address}")
            _boot(server)
    return server


def snapshot(name: str, label: str, report: Report = silent) -> Server:
    """
    Keep a copy of the server's disk; a running server is shut down for it and starts again.

    A snapshot of the same label is replaced.

    Raises:
        UsageError: the label is not possible.
        StandfastError: there is no such server, or it does not shut down; it still runs.
    """
    copies.check_label(label)
    with _lab().server_lock(name, report):
        server = _complete(name)
        running = server.running
        if running:
            report(f"{name}: shutting down")
            _shut_down(server)
        report(f"{name}: keeping its disk as {label}")
        copies.keep(server.folder, label)
        if running:
            _boot(server)
    return server


def restore(name: str, label: str, report: Report = silent) -> Server:
    """
    Take the disk back to a snapshot, as if the plug were pulled, and switch the server on.

    Raises:
        UsageError: the label is not possible.
        StandfastError: there is no such server or snapshot; nothing has been changed.
    """
    copies.check_label(label)
    with _lab().server_lock(name, report):
        server = _complete(name)
        copies.require(server.folder, label)
        _stop(server)
        report(f"{name}: back to {label}")
        copies.bring_back(server.folder, label)
        _boot(server)
    return server


def destroy(name: str, report: Report = silent) -> None:
    """
    Remove a server with its disk, its link and its processes; with the last one, the network.

    Raises:
        StandfastError: there is no such server, or something of it cannot be removed.
    """
    lab = _lab()
    with lab.server_lock(name, report):
        if not NAME.fullmatch(name) or not (lab.servers / name).exists():
            get(name)
        _remove(lab, name)
        report(f"{name}: gone")


def names() -> list[str]:
    """Names of all servers of the lab, half-made ones included."""
    folder = Lab.current().servers
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def clear(report: Report = silent) -> None:
    """Take the network away if no server is left; a crash at the right moment leaves it behind."""
    lab = _lab()
    with lab.lock(report):
        _clear_if_empty(lab)


def _lab() -> Lab:
    """The lab, after a look whether this machine can have one."""
    programs.require()
    lab = Lab.current()
    for folder in (lab.root, lab.cache):
        if not FOLDER.fullmatch(str(folder)):
            raise StandfastError(
                f"lab: {folder}: a lab's folder may have letters, digits and / . _ @ + - in its "
                "name; name another one in STANDFAST_LAB_DIR or STANDFAST_CACHE_DIR"
            )
    lab.servers.mkdir(parents=True, exist_ok=True)
    return lab


def _load(lab: Lab, name: str) -> Server | None:
    folder = lab.servers / name
    if not folder.is_dir():
        return None
    try:
        facts = json.loads((folder / "server.json").read_text())
    except (FileNotFoundError, ValueError):
        facts = {"release": "", "image": "", "host": 0, "address": "", "address6": ""}
    return Server(lab=lab, name=name, **{**facts, "image": Path(facts["image"])})


def _complete(name: str) -> Server:
    server = get(name)
    if not server.complete:
        raise StandfastError(
            f"lab: {name} is half made, by a start that was interrupted; "
            f"`standfast lab up {name}` makes it, `standfast lab destroy {name}` removes it"
        )
    return server


def _make(lab: Lab, name: str, release: str, base: Path, report: Report) -> Server:
    """Everything of a server but its processes and its link."""
    with lab.lock(report):
        access.ensure_key(lab)
        one = network.subnet(lab)
        host = network.free_host(one, {server.address for server in servers()})
        server = Server(lab, name, release, base, host, one.address(host), one.address6(host))
        server.folder.mkdir()
        facts = {key: asdict(server)[key] for key in ("release", "host", "address", "address6")}
        text = json.dumps({**facts, "image": str(base)}, indent=2) + "\n"
        write_atomically(server.folder / "server.json", text)
    for other in servers():
        disk.keep_packages(lab, other.folder / "disk")
    disk.make(lab, server.folder / "disk", base, name, host, report)
    with lab.lock(report):
        access.write(lab, servers())
    # Comes last: it is what makes a server complete.
    write_atomically(server.folder / "boot.json", json.dumps(_boot_plan(server), indent=2) + "\n")
    return server


def _boot_plan(server: Server) -> dict[str, object]:
    """What the supervisor does; see supervisor.py."""
    folder = server.folder / "disk"
    binds = [f"--bind={folder}/{name}:{place}" for name, place in disk.PLAIN_FOLDERS.items()]
    return {
        "mount": disk.mount(folder, server.image),
        "cgroups": [] if _systemd() else _control_groups(server),
        "environment": {"PATH": programs.PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        "nspawn": [
            "systemd-nspawn",
            "--boot",
            "--quiet",
            f"--directory={folder}/root",
            f"--machine={server.machine}",
            f"--hostname={server.name}",
            f"--network-bridge={server.lab.bridge}",
            *binds,
            "--register=no",
            "--keep-unit",
            "--settings=no",
            "--console=read-only",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            # Docker inside needs these.
            "--capability=all",
            # The clock belongs to this machine: the first `timedatectl set-timezone` would shift it.
            "--drop-capability=CAP_SYS_TIME",
            "--system-call-filter=bpf keyctl add_key @mount @module",
        ],
    }


def _systemd() -> bool:
    """Whether systemd runs this machine."""
    return Path("/run/systemd/system").is_dir()


def _control_groups(server: Server) -> list[str]:
    """The server's own control groups, where no systemd gives it any (see supervisor.enter)."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place = line.split()[4]
        kind, _, options = line.partition(" - ")[2].split(" ", 2)
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(f"{place}/standfast-lab/{server.machine}")
    return found


def _boot(server: Server) -> None:
    """Switch on, and wait for SSH. A server that does not answer stays on."""
    with server.lab.lock():
        network.up(server.lab)
    supervise = ["unshare", "--mount", "--propagation", "private", sys.executable, "-I"]
    supervise += [str(Path(__file__).with_name("supervisor.py")), str(server.folder)]
    if _systemd():
        # A unit of its own, so that the server outlives the caller's session.
        programs.run(
            [
                "systemd-run",
                "--quiet",
                "--collect",
                f"--unit=standfast-lab-{server.machine}",
                f"--description=standfast lab server {server.name}",
                "--property=Delegate=yes",
                "--property=KillMode=mixed",
                f"--property=StandardOutput=append:{server.console}",
                f"--property=StandardError=append:{server.console}",
                *supervise,
            ]
        )
    else:
        with server.console.open("ab") as console:
            # setsid --fork: the supervisor is nobody's child, so it leaves no zombie behind.
            subprocess.run(
                ["setsid", "--fork", *supervise],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd="/",
                env={**os.environ, "PATH": programs.PATH},
            )
    _wait_for_ssh(server)


def _wait_for_ssh(server: Server) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        if not processes.wait_until(lambda: _port_open(server), deadline - time.monotonic()):
            break
        # The port opens a moment before logins are allowed.
        if server.run("true", check=False, timeout=20).returncode == 0:
            return
        time.sleep(0.1)
    console = server.console.read_text(errors="replace").splitlines()[-8:]
    raise StandfastError(
        f"lab: {server.name} does not answer by SSH within {BOOT_SECONDS} s. Its console ended "
        "with:\n  " + "\n  ".join(console)
    )


def _port_open(server: Server) -> bool:
    try:
        with socket.create_connection((server.address, 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _shut_down(server: Server) -> None:
    """Switch off in order."""
    leader = processes.leader(server.folder)
    if leader is not None:
        processes.send(leader, POWER_OFF, server.folder)
    if not processes.wait_until(lambda: not processes.of(server.folder), SHUTDOWN_SECONDS):
        raise StandfastError(
            f"lab: {server.name} has not shut down within {SHUTDOWN_SECONDS} s; it still runs. "
            f"`standfast lab power-cut {server.name}` stops it in any case; see {server.console}"
        )
    _stop(server)


def _stop(server: Server) -> None:
    """End everything of a server but its disk."""
    processes.end(server.folder)
    # The kernel takes links away a moment after the last process.
    if not processes.wait_until(lambda: not network.exists(server.link), 3):
        network.remove_link(server.link)
    for group in _control_groups(server):
        _remove_control_group(Path(group))
    for kind in ("propagate", "unix-export"):
        # Empty folders of systemd-nspawn's, which it leaves when it is killed.
        with suppress(OSError):
            (Path("/run/systemd/nspawn") / kind / server.machine).rmdir()


def _remove_control_group(group: Path) -> None:
    """Remove a group with those below; a process that has just ended still keeps its group busy."""

    def removed() -> bool:
        try:
            for folder, _, _ in os.walk(group, topdown=False):
                Path(folder).rmdir()
        except OSError:
            return False
        return True

    if not processes.wait_until(removed, 10):
        raise StandfastError(f"lab: {group} cannot be removed: still in use. Try again.")
    # The last server's group takes the common one along.
    with suppress(OSError):
        group.parent.rmdir()


def _remove(lab: Lab, name: str) -> None:
    """Everything of a server, however much of it there is."""
    server = _load(lab, name)
    if server is None:
        return
    _stop(server)
    disk.keep_packages(lab, server.folder / "disk")
    try:
        shutil.rmtree(server.folder)
    except OSError as error:
        raise StandfastError(f"lab: {name} is off, but its folder does not go: {error}") from error
    with lab.lock():
        access.write(lab, servers())
        _clear_if_empty(lab)


def _clear_if_empty(lab: Lab) -> None:
    if not any(lab.servers.iterdir()):
        access.write(lab, [])
        network.down(lab)
