"""
The Vagrant box: the lab's Debian with a kernel of its own, built once and cached.

It is for machines that can download no box or have no hardware virtualisation, and never leaves the
machine: its SSH keys are made with it, so nobody else can log in, and the host keys are known from the
start. Docker, Caddy and the application are not in it; what else apply installs is, because a package
manager is slow where a processor is emulated.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from standfast.errors import StandfastError, UsageError
from standfast.lab import image, initrd
from standfast.lab.places import Lab, Report, file_lock, silent
from standfast.lab.programs import run

RELEASES = ("trixie",)
ACCOUNT = "vagrant"
DISK_GIGABYTES = 12
MINIMUM_FREE = 4_000_000_000

# Count up when what is done in `_build` changes; packages, files and commands count by themselves.
RECIPE = 2

PACKAGES = (
    "busybox-static",
    "apparmor",  # without it Docker cannot start a container on a kernel that has AppArmor
    "unattended-upgrades",
    "htop",
)

FILES = {
    "etc/sudoers.d/90-vagrant": f"{ACCOUNT} ALL=(ALL) NOPASSWD:ALL\n",
    "etc/fstab": "/dev/vda / ext4 defaults,noatime 0 0\n",
    "etc/hostname": "debian\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 debian\n::1 localhost ip6-localhost ip6-loopback\n",
    # The name server inside of qemu's user-mode network; it asks those of this machine.
    "etc/resolv.conf": "nameserver 10.0.2.3\n",
    "etc/systemd/network/10-any.network": (
        "[Match]\nName=en* eth*\n\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\nLinkLocalAddressing=ipv6\n"
    ),
}

COMMANDS = (
    f"useradd --create-home --shell /bin/bash {ACCOUNT}",
    f"install -d -m 700 -o {ACCOUNT} -g {ACCOUNT} /home/{ACCOUNT}/.ssh",
    # Without these, the first boot would build indices that the packages have built already.
    "touch /etc/.updated /var/.updated",
)


@dataclass(frozen=True, slots=True)
class Box:
    """A box that is ready: a folder of files that only root reads."""

    folder: Path

    @property
    def package(self) -> Path:
        """What ``vagrant box add`` takes."""
        return self.folder / "package.box"

    @property
    def kernel(self) -> Path:
        """The kernel, outside of the disk: there is no boot loader in the box."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The initial RAM disk that belongs to the kernel."""
        return self.folder / "initrd.img"

    @property
    def key(self) -> Path:
        """The private key that opens every machine made from the box."""
        return self.folder / "id_ed25519"

    @property
    def host_key(self) -> str:
        """Public SSH host key, `type base64`."""
        return " ".join((self.folder / "ssh_host_ed25519_key.pub").read_text().split()[:2])


def ensure(lab: Lab, release: str, report: Report = silent) -> Box:
    """
    The box of a release; the first call builds it (about a minute).

    Raises:
        UsageError: there is no box of that release.
        StandfastError: it cannot be built; nothing is left of the attempt.
    """
    if release not in RELEASES:
        raise UsageError(f"lab: release: expected {' or '.join(RELEASES)} for a VM, not {release}")
    recipe = _recipe(release)
    key = sha256(json.dumps([asdict(recipe), RECIPE, DISK_GIGABYTES]).encode()).hexdigest()[:12]
    boxes = lab.cache / "boxes"
    ready = boxes / f"{release}-{key}"
    boxes.mkdir(parents=True, exist_ok=True)
    boxes.chmod(0o700)
    with file_lock(boxes / f".{release}.lock", report):
        if not ready.is_dir():
            for leftover in boxes.glob(f".{release}.building-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            report(f"building the {image.RELEASES[release]} box, once (about a minute)")
            _build_beside(recipe, ready)
    return Box(ready)


def _recipe(release: str) -> image.Recipe:
    first_day = image.first_day(release)
    return replace(
        first_day,
        packages=(*first_day.packages, f"linux-image-cloud-{first_day.architecture}", *PACKAGES),
        files=(*first_day.files, *FILES.items()),
        commands=(*first_day.commands, *COMMANDS),
    )


def _build_beside(recipe: image.Recipe, ready: Path) -> None:
    """A name that is there is a box that is complete."""
    free = shutil.disk_usage(ready.parent).free
    if free < MINIMUM_FREE:
        raise StandfastError(
            f"lab: {ready.parent}: a box needs 4 GB of disk while it is built, {free // 1_000_000} MB are "
            "free. Make room, or name another folder in STANDFAST_CACHE_DIR. Nothing was changed."
        )
    building = Path(mkdtemp(prefix=f".{recipe.release}.building-", dir=ready.parent))
    try:
        box = Box(building / "box")
        box.folder.mkdir()
        _build(recipe, building / "root", box)
        box.folder.rename(ready)
    except StandfastError as error:
        raise StandfastError(f"{error}\n  No box was made; nothing else was changed.") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _build(recipe: image.Recipe, root: Path, box: Box) -> None:
    image.make_root(recipe, root)
    _keys(root, box)
    initrd.make(root, box.initrd)
    shutil.move(next((root / "boot").glob("vmlinuz-*")), box.kernel)
    _pack(root, box)


def _keys(root: Path, box: Box) -> None:
    """The host's key and the client's: in the disk, and beside it for us."""
    host_key = box.folder / "ssh_host_ed25519_key"
    for key in (box.key, host_key):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "standfast-box", "-f", str(key)])
    for key in (host_key, host_key.with_suffix(".pub")):
        shutil.copy2(key, root / "etc/ssh" / key.name)
    host_key.unlink()
    home = root / "home" / ACCOUNT
    authorized = home / ".ssh/authorized_keys"
    shutil.copyfile(box.key.with_suffix(".pub"), authorized)
    authorized.chmod(0o600)
    run(["chown", f"--reference={home}", str(authorized)])


def _pack(root: Path, box: Box) -> None:
    """Folder → file system → compressed disk → box."""
    raw, disk = root.with_name("disk.raw"), root.with_name("box.img")
    run(["truncate", "--size", f"{DISK_GIGABYTES}G", str(raw)])
    run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(raw)])
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(disk)])
    raw.unlink()
    about = {"provider": "libvirt", "format": "qcow2", "virtual_size": DISK_GIGABYTES}
    root.with_name("metadata.json").write_text(json.dumps(about))
    pack = ["tar", "--create", "--sparse", "--directory", str(root.parent), "--file", str(box.package)]
    run([*pack, "metadata.json", "box.img"])
