"""
A libvirtd of one VM's own, on a machine with or without systemd.

It lives in mount and process namespaces of its own and has its files in the VM's folder, so it meets no
libvirtd of this machine's, and everything that it starts ends with it. It is found, and ended, as
every server of the lab is; see processes.py.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from standfast.errors import StandfastError
from standfast.lab import processes, programs

START_SECONDS = 120

# As root and without the protections that need a daemon, a group or an account of this machine's.
QEMU = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""

LIBVIRTD = """\
unix_sock_dir = "{folder}/libvirt"
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_rw_perms = "0700"
"""

# Where libvirt looks for its things: below the VM's folder, for this libvirtd alone.
PLACES = {
    "etc": "/etc/libvirt",
    "lib": "/var/lib/libvirt",
    "cache": "/var/cache/libvirt",
    "log": "/var/log/libvirt",
}
RUN = Path("/run/libvirt")

# libvirtd wants to find this account and this group before it reads that they are not to be used. The package
# that makes them would start a libvirtd of this machine's own.
ACCOUNTS = {
    "passwd": "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin",
    "group": "libvirt-qemu:x:64055:",
}

# $1: the VM's folder, which the tmpfs also has as its name: that is how processes.py knows us.
# The shell stays number 1 of the namespace and takes leave of every qemu that has ended.
START = "\n".join(
    [
        f'set -e; mount -t tmpfs "$1" {RUN}',
        *(f'mount --bind "$1/libvirt/{name}" {place}' for name, place in PLACES.items()),
        *(f'mount --bind "$1/libvirt/{name}" /etc/{name}' for name in ACCOUNTS),
        'libvirtd --config "$1/libvirt/etc/libvirtd.conf" & wait $!',
    ]
)


def uri(folder: Path) -> str:
    """How libvirt's clients reach it."""
    return f"qemu+unix:///system?socket={folder}/libvirt/libvirt-sock"


def start(folder: Path) -> None:
    """
    Start it, if it is not running, and wait until it answers.

    Raises:
        StandfastError: it does not answer in time; the message has its last words.
    """
    if processes.leader(folder) is not None:
        return
    home = folder / "libvirt"
    for name in PLACES:
        (home / name).mkdir(parents=True, exist_ok=True)
    for name, line in ACCOUNTS.items():
        here = Path("/etc", name).read_text()
        there = any(each.startswith("libvirt-qemu:") for each in here.splitlines())
        (home / name).write_text(here if there else f"{here}{line}\n")
    (home / "etc/qemu.conf").write_text(QEMU)
    (home / "etc/libvirtd.conf").write_text(LIBVIRTD.format(folder=folder))
    for place in (RUN, *map(Path, PLACES.values())):
        place.mkdir(parents=True, exist_ok=True)
    alone = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    with log(folder).open("ab") as output:
        # setsid --fork: nobody's child, so it outlives this command and leaves no zombie.
        subprocess.run(
            ["setsid", "--fork", *alone, "--mount-proc", "sh", "-c", START, "libvirtd", str(folder)],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            # It is not to register anything with this machine's systemd.
            env={**os.environ, "PATH": programs.PATH, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"},
        )
    if not processes.wait_until(lambda: _answers(folder), START_SECONDS):
        words = log(folder).read_text(errors="replace").splitlines()[-8:]
        raise StandfastError(
            f"lab: libvirtd does not answer within {START_SECONDS} s:\n  " + "\n  ".join(words)
        )


def log(folder: Path) -> Path:
    """What libvirtd has said."""
    return folder / "libvirtd.log"


def _answers(folder: Path) -> bool:
    if not (folder / "libvirt/libvirt-sock").exists():
        return False
    return virsh(folder, "list", check=False).returncode == 0


def virsh(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """
    Ask the VM's libvirtd.

    Raises:
        StandfastError: with check, it said no, or is not there.
    """
    return programs.run(["virsh", "--connect", uri(folder), "--quiet", *words], check=check)
