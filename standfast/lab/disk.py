"""
A server's disk: an overlay over the base image, with everything that makes it this server.

Everything is written before the overlay is mounted; nobody but the server writes there later.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from uuid import uuid4

from standfast.lab import network
from standfast.lab.image import ACCOUNT
from standfast.lab.places import Lab, Report
from standfast.lab.programs import run

ARCHIVES = "var/cache/apt/archives"

# Docker's overlay2 cannot stand on an overlay: these are ordinary folders of this machine.
PLAIN_FOLDERS = {"docker": "/var/lib/docker", "containerd": "/var/lib/containerd"}


def make(lab: Lab, disk: Path, image: Path, name: str, host: int, report: Report) -> None:
    """Write a new server's disk into the folder ``disk``."""
    disk.mkdir()
    # Guests have set-uid programs; this machine's accounts must not reach them.
    disk.chmod(0o700)
    for folder in ("upper", "work", "root", *PLAIN_FOLDERS):
        (disk / folder).mkdir()
    upper = _Upper(disk / "upper", image)
    _identity(upper, name)
    _addresses(upper, lab, host)
    _name_servers(upper, report)
    _access(upper, lab)
    _packages(upper, lab)


def mount(disk: Path, image: Path) -> list[str]:
    """The command that mounts a server's root, to run in a mount namespace of its own."""
    layers = f"lowerdir={image},upperdir={disk}/upper,workdir={disk}/work,redirect_dir=on"
    return ["mount", "-t", "overlay", "-o", layers, "overlay", f"{disk}/root"]


def keep_packages(lab: Lab, disk: Path) -> None:
    """Hand the packages that a server has downloaded on to the servers after it."""
    shelf = lab.cache / "archives"
    shelf.mkdir(parents=True, exist_ok=True)
    for package in (disk / "upper" / ARCHIVES).glob("*.deb"):
        # Links, not copies: apt replaces files and never writes into them.
        _link_or_copy(package, shelf / package.name)


class _Upper:
    """The writable layer; folders get owner and mode from the image below."""

    def __init__(self, upper: Path, image: Path) -> None:
        self._upper = upper
        self._image = image
        self._like(upper, image)

    def folder(self, name: str) -> Path:
        path = self._upper / name
        if not path.exists():
            if name not in ("", "."):
                self.folder(str(Path(name).parent))
            path.mkdir(mode=0o755)
            self._like(path, self._image / name)
        return path

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        path = self.folder(str(Path(name).parent)) / Path(name).name
        path.write_text(text)
        path.chmod(mode)
        return path

    @staticmethod
    def _like(path: Path, model: Path) -> None:
        if model.exists():
            status = model.stat()
            os.chown(path, status.st_uid, status.st_gid)
            path.chmod(status.st_mode & 0o7777)


def _identity(upper: _Upper, name: str) -> None:
    upper.write("etc/hostname", f"{name}\n")
    upper.write(
        "etc/hosts",
        f"127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost ip6-localhost ip6-loopback\n",
    )
    upper.write("etc/machine-id", f"{uuid4().hex}\n", mode=0o444)
    for kind in ("ed25519", "ecdsa", "rsa"):
        key = upper.folder("etc/ssh") / f"ssh_host_{kind}_key"
        run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"root@{name}", "-f", str(key)])


def _addresses(upper: _Upper, lab: Lab, host: int) -> None:
    """No IPv6 default route: this machine forwards no IPv6, and apt would wait for it."""
    one = network.subnet(lab)
    upper.write(
        # The number sorts before systemd's own 80-container-host0.network.
        "etc/systemd/network/10-host0.network",
        f"""[Match]
Name=host0

[Link]
MACAddress={one.hardware_address(host)}
MTUBytes={network.mtu()}

[Network]
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=ipv6
Gateway={one.address(1)}

[Address]
Address={one.address(host)}/24

[Address]
Address={one.address6(host)}/64
DuplicateAddressDetection=none
""",
    )


def _name_servers(upper: _Upper, report: Report) -> None:
    """A resolver on this machine's loopback is out of a server's reach; ask behind it."""
    text = Path("/etc/resolv.conf").read_text()
    if _only_loopback(text):
        behind = Path("/run/systemd/resolve/resolv.conf")
        if behind.exists():
            text = behind.read_text()
        else:
            report(
                "warning: /etc/resolv.conf names only a resolver on this machine's loopback; "
                "names will not resolve inside the server, so apt will not work there"
            )
    upper.write("etc/resolv.conf", text)


def _only_loopback(text: str) -> bool:
    lines = [line.split() for line in text.splitlines() if line.startswith("nameserver")]
    return all(words[1].startswith(("127.", "::1")) for words in lines if len(words) > 1)


def _access(upper: _Upper, lab: Lab) -> None:
    public = lab.key.with_suffix(".pub").read_text()
    home = upper.folder(f"home/{ACCOUNT}")
    key = upper.write(f"home/{ACCOUNT}/.ssh/authorized_keys", public, mode=0o600)
    owner = home.stat()
    for path in (key.parent, key):
        os.chown(path, owner.st_uid, owner.st_gid)
    key.parent.chmod(0o700)


def _packages(upper: _Upper, lab: Lab) -> None:
    """
    Start with the packages that other servers have downloaded, linked and not copied.

    Each server has a folder of its own, as apt locks it.
    """
    shelf = lab.cache / "archives"
    folder = upper.folder(ARCHIVES)
    if shelf.is_dir():
        for package in shelf.glob("*.deb"):
            _link_or_copy(package, folder / package.name)


def _link_or_copy(source: Path, target: Path) -> None:
    """A hard link, or a copy where the two folders are on different file systems."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except FileNotFoundError:
        return  # apt-get clean was faster
    except OSError:
        new = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copyfile(source, new)
        new.replace(target)
