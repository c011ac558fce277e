"""
Real virtual machines on this machine, by Vagrant: a kernel, a boot and a power switch of their own.

The same verbs as nspawn's servers. A VM's box is built here and its libvirtd is its own, so neither
a download nor hardware virtualisation nor a network bridge is needed; with KVM it is quick, without
it one VM at a time is enough for two processors. Everything of a VM is below its folder, or a process that
names that folder in its mount table: ``destroy`` takes away whatever a crash left.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from standfast.errors import StandfastError
from standfast.lab import access, box, copies, libvirtd, processes, programs
from standfast.lab.nspawn import NAME, require_name
from standfast.lab.places import Lab, Report, silent, write_atomically
from standfast.resources import vagrantfile

# Without hardware virtualisation, on a machine that does other things too.
BOOT_SECONDS = 1200
CONNECT_SECONDS = 60
PORTS = (22, 80, 443)


@dataclass(frozen=True, slots=True)
class Server:
    """
    One VM of the lab.

    Attributes:
        name: its name here and in its SSH configuration; the host name is for apply to set.
        release: ``trixie``.
        ports: the VM's port → the port of 127.0.0.1 that leads there.
    """

    lab: Lab
    name: str
    release: str
    ports: dict[int, int]

    @property
    def folder(self) -> Path:
        """Where all that belongs to the VM is."""
        return folders(self.lab) / self.name

    @property
    def address(self) -> str:
        """This machine's loopback, see ``ports``."""
        return "127.0.0.1"

    @property
    def address6(self) -> str:
        """None: qemu forwards in IPv4."""
        return ""

    @property
    def ssh_config(self) -> Path:
        """Vagrant's SSH configuration with strict host keys; it knows this VM by its name."""
        return self.folder / "ssh_config"

    @property
    def key(self) -> Path:
        """The private key that opens it."""
        return self.folder / "id_ed25519"

    @property
    def complete(self) -> bool:
        """Whether it has come up once; not so after an interrupted ``up``."""
        return self.ssh_config.exists()

    @property
    def running(self) -> bool:
        """Whether it is switched on (root only)."""
        if processes.leader(self.folder) is None:
            return False
        state = libvirtd.virsh(self.folder, "domstate", self.name, check=False)
        return state.stdout.strip() == "running"

    @property
    def state(self) -> str:
        """``running``, ``off``, or ``incomplete`` (only good for ``destroy`` or another ``up``)."""
        if not self.complete:
            return "incomplete"
        return "running" if self.running else "off"

    def run(
        self, command: str, *, check: bool = True, input: str | None = None, timeout: float | None = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command as the account ``vagrant``; see ``access.run_on``."""
        return access.run_on(
            self, command, check=check, input=input, timeout=timeout, connect=CONNECT_SECONDS
        )


def folders(lab: Lab) -> Path:
    """One folder per VM."""
    return lab.root / "vms"


def up(name: str, release: str = "trixie", report: Report = silent) -> Server:
    """
    Make a VM and wait until it answers by SSH; one that is there is switched on if need be.

    Raises:
        UsageError: the name or the release is not possible.
        StandfastError: it did not come up; a VM that this call has made is gone again.
    """
    require_name(name)
    lab = _lab()
    with lab.server_lock(name, report):
        there = _load(lab, name)
        if there is not None and there.complete:
            _power_on(there, report)
            return there
        if (folders(lab) / name).exists():
            report(f"{name}: removing what an interrupted start left")
            _remove(lab, name)
        base = box.ensure(lab, release, report)
        try:
            return _make(lab, name, release, base, report)
        except OSError as error:
            _remove(lab, name)
            raise StandfastError(f"lab: {name}: {error}. Nothing of it is left.") from error
        except BaseException:
            _remove(lab, name)
            raise


def servers() -> list[Server]:
    """Every VM of the lab, also those switched off or half made, by name."""
    lab = Lab.current()
    found = (_load(lab, name) for name in names())
    return [server for server in found if server is not None]


def names() -> list[str]:
    """Names of all VMs of the lab, half-made ones included."""
    folder = folders(Lab.current())
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def get(name: str) -> Server:
    """
    One VM by its name.

    Raises:
        StandfastError: there is none.
    """
    server = _load(Lab.current(), name)
    if server is None:
        raise StandfastError(f"lab: {name}: no such VM; `standfast lab up {name} --driver vagrant` makes it.")
    return server


def reboot(name: str, report: Report = silent) -> Server:
    """
    Reboot in order, and wait until the VM answers again.

    Raises:
        StandfastError: it is off, or did not come back in time; it stays as it is.
    """
    with _lab().server_lock(name, report):
        server = _complete(name)
        if not server.running:
            raise StandfastError(f"lab: {name} is off; `standfast lab power-on {name}` starts it")
        before = _boot_id(server)
        report(f"{name}: rebooting")
        server.run("sudo systemctl reboot", check=False)
        if not processes.wait_until(lambda: _boot_id(server) not in ("", before), BOOT_SECONDS):
            raise StandfastError(
                f"lab: {name} does not answer within {BOOT_SECONDS} s; see {server.folder}/console.log"
            )
    return server


def power_cut(name: str) -> Server:
    """
    Pull the plug: the VM's processor stops at once, its disk stays as it is.

    What the VM's kernel had not written to the disk is lost, as on a real machine.
    """
    with _lab().server_lock(name):
        server = _complete(name)
        processes.end(server.folder)
    return server


def power_on(name: str, report: Report = silent) -> Server:
    """
    Switch a VM on and wait until it answers; nothing happens when it is on.

    Raises:
        StandfastError: it does not answer in time; it stays on, for a look at it.
    """
    with _lab().server_lock(name, report):
        server = _complete(name)
        _power_on(server, report)
    return server


def snapshot(name: str, label: str, report: Report = silent) -> Server:
    """
    Keep the VM as it is now, memory included; one of the same label is replaced.

    Raises:
        UsageError: the label is not possible.
        StandfastError: there is no such VM, or Vagrant could not do it.
    """
    copies.check_label(label)
    with _lab().server_lock(name, report):
        server = _complete(name)
        libvirtd.start(server.folder)
        report(f"{name}: keeping it as {label}")
        _vagrant(server, "snapshot", "save", "--force", name, label)
    return server


def restore(name: str, label: str, report: Report = silent) -> Server:
    """
    Take the VM back to a snapshot; what happened since is gone.

    Raises:
        UsageError: the label is not possible.
        StandfastError: there is no such VM or snapshot, or Vagrant could not do it.
    """
    copies.check_label(label)
    with _lab().server_lock(name, report):
        server = _complete(name)
        libvirtd.start(server.folder)
        report(f"{name}: back to {label}")
        _vagrant(server, "snapshot", "restore", "--no-provision", name, label)
        # The clock woke up where it was.
        server.run(f"sudo date --utc --set=@{time.time():.3f}")
    return server


def destroy(name: str, report: Report = silent) -> None:
    """
    Remove a VM with its disk, its snapshots and its processes.

    Raises:
        StandfastError: there is no such VM, or something of it cannot be removed.
    """
    lab = _lab()
    with lab.server_lock(name, report):
        if not NAME.fullmatch(name) or not (folders(lab) / name).exists():
            get(name)
        _remove(lab, name)
        report(f"{name}: gone")


def clear(report: Report = silent) -> None:
    """VMs have nothing in common that could be left behind; there is nothing to do."""


def _lab() -> Lab:
    programs.require(programs.VAGRANT)
    lab = Lab.current()
    folders(lab).mkdir(parents=True, exist_ok=True)
    return lab


def _load(lab: Lab, name: str) -> Server | None:
    folder = folders(lab) / name
    if not folder.is_dir():
        return None
    try:
        facts = json.loads((folder / "vm.json").read_text())
    except (FileNotFoundError, ValueError):
        facts = {"release": "", "ports": {}}
    return Server(lab, name, facts["release"], {int(inside): out for inside, out in facts["ports"].items()})


def _complete(name: str) -> Server:
    server = get(name)
    if not server.complete:
        raise StandfastError(
            f"lab: {name} is half made, by a start that was interrupted; `standfast lab up {name} --driver "
            f"vagrant` makes it, `standfast lab destroy {name}` removes it"
        )
    return server


def _make(lab: Lab, name: str, release: str, base: box.Box, report: Report) -> Server:
    server = Server(lab, name, release, dict(zip(PORTS, _free_ports(len(PORTS)), strict=True)))
    folder = server.folder
    folder.mkdir()
    for private in ("pool", "vagrant"):
        (folder / private).mkdir(mode=0o700)
    write_atomically(folder / "vm.json", json.dumps(_about(server, base), indent=2) + "\n")
    _client_key(base.key, server.key)
    report(f"{name}: booting, SSH at 127.0.0.1:{server.ports[22]}")
    _start(server)
    strict = (
        f"# Vagrant's own, below; the host key is known from the start.\nHost {name}\n"
        f"  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile none\n"
        "  StrictHostKeyChecking yes\n  UpdateHostKeys no\n  LogLevel ERROR\n\n"
    )
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{server.ports[22]} {base.host_key}\n")
    told = _vagrant(server, "ssh-config", "--host", name, name).stdout
    # Comes last: it is what makes a VM complete.
    write_atomically(server.ssh_config, strict + told)
    return server


def _about(server: Server, base: box.Box) -> dict[str, object]:
    """What the Vagrantfile needs to know, and we later."""
    return {
        "name": server.name,
        "release": server.release,
        "ports": server.ports,
        "kvm": hardware_virtualisation(),
        "boot_seconds": BOOT_SECONDS,
        "box_name": f"standfast-{server.release}",
        "box": str(base.package),
        "kernel": str(base.kernel),
        "initrd": str(base.initrd),
        "key": str(server.key),
        "uri": libvirtd.uri(server.folder),
        "pool": str(server.folder / "pool"),
        "console": str(server.folder / "console.log"),
    }


def hardware_virtualisation() -> bool:
    """
    Whether the processor can run a VM by itself.

    /dev/kvm alone does not tell: there are machines that have it and emulate instruction by instruction.
    """
    flags = set(re.split(r"\s+", Path("/proc/cpuinfo").read_text()))
    return Path("/dev/kvm").exists() and bool(flags & {"vmx", "svm"})


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def _client_key(source: Path, target: Path) -> None:
    """The key belongs to whoever called sudo, so that their ssh can read it."""
    target.touch(mode=0o600)
    shutil.copyfile(source, target)
    user, group = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if user and group:
        os.chown(target, int(user), int(group))


def _power_on(server: Server, report: Report) -> None:
    if not server.running:
        report(f"{server.name}: switching on")
        _start(server)


def _start(server: Server) -> None:
    libvirtd.start(server.folder)
    _vagrant(server, "up", "--provider", "libvirt", "--no-provision", "--no-destroy-on-error", server.name)


def _vagrant(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    return programs.run(["vagrant", *words], env=environment(server))


def environment(server: Server) -> dict[str, str]:
    """What makes ``vagrant`` itself work on this VM, with everything of it below the VM's folder."""
    return {
        "STANDFAST_VM": str(server.folder / "vm.json"),
        "VAGRANT_CWD": str(vagrantfile().parent),
        "VAGRANT_HOME": str(server.folder / "vagrant/home"),
        "VAGRANT_DOTFILE_PATH": str(server.folder / "vagrant/machine"),
        "VAGRANT_DEFAULT_PROVIDER": "libvirt",
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "VAGRANT_NO_COLOR": "1",
    }


def _boot_id(server: Server) -> str:
    """Changes with each boot; empty while it does not answer."""
    try:
        return server.run("cat /proc/sys/kernel/random/boot_id", check=False, timeout=120).stdout.strip()
    except StandfastError:
        return ""


def _remove(lab: Lab, name: str) -> None:
    """Everything of a VM, however much of it there is."""
    folder = folders(lab) / name
    processes.end(folder)
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise StandfastError(f"lab: {name} is off, but its folder does not go: {error}") from error
    for place in (libvirtd.RUN, folders(lab), lab.root):
        # Only when nothing is in them: another VM's, a libvirt of this machine's, servers of the lab.
        with suppress(OSError):
            place.rmdir()
