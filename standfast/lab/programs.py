"""The programs of this machine that the lab needs, and how they are run."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from standfast.errors import StandfastError

# program: Debian packages that it needs
NSPAWN = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "iptables": "iptables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "mount": "mount",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
}

VAGRANT = {
    "vagrant": "vagrant vagrant-libvirt",
    "libvirtd": "libvirt-daemon libvirt-daemon-driver-qemu",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mke2fs": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "mount": "mount",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
}

# An ordinary account's PATH often lacks the sbin folders.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin:/usr/sbin:/sbin"])


def require(programs: Mapping[str, str] = NSPAWN) -> None:
    """
    Make sure that this machine can have lab servers that need these programs.

    Raises:
        StandfastError: not Linux, not root, or a program is missing; nothing has been changed.
    """
    if platform.system() != "Linux":
        raise StandfastError(
            f"lab: expected Linux, found {platform.system()}; "
            "use the Vagrantfile instead (docs/lab.md). Nothing was changed."
        )
    missing = [program for program in programs if shutil.which(program, path=PATH) is None]
    if missing:
        packages = sorted({programs[program] for program in missing})
        raise StandfastError(
            f"lab: not installed on this machine: {', '.join(missing)}. "
            f"On Debian or Ubuntu: sudo apt-get install {' '.join(packages)}. Nothing was changed."
        )
    if os.geteuid() != 0:
        raise StandfastError("lab: servers are made by root; run it with sudo. Nothing was changed.")


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """
    Run a program of this machine and return its output as text; it ends when this process does.

    Raises:
        StandfastError: with check, the program failed; the message has its last words.
    """
    done = subprocess.run(
        # A program that outlives a killed standfast would write into what destroy removes.
        ["setpriv", "--pdeathsig", "KILL", *argv],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8", **(env or {})},
    )
    if check and done.returncode != 0:
        raise StandfastError(f"lab: `{' '.join(argv)}` failed: {last_words(done)}")
    return done


def last_words(done: subprocess.CompletedProcess[str], lines: int = 6) -> str:
    """The end of what a program said, preferably on stderr."""
    text = done.stderr.strip() or done.stdout.strip() or f"exit {done.returncode}"
    return "\n  ".join(text.splitlines()[-lines:])
