"""
The smallest RAM disk that mounts a VM's disk and goes on from there.

Debian's own brings udev and a hundred programs; where a processor is emulated, that is half of a boot. A VM
has one disk, of a known kind: a shell and the modules for it are enough.
"""

from __future__ import annotations

import lzma
import stat
from collections.abc import Iterator
from pathlib import Path

from standfast.lab.programs import run

MODULES = ("virtio_pci", "virtio_blk", "ext4")

INIT = """\
#!/bin/busybox sh
busybox=/bin/busybox
$busybox mount -t devtmpfs devtmpfs /dev
for module in $($busybox cat /order); do $busybox insmod "/$module"; done
until [ -b /dev/vda ]; do $busybox sleep 0.1; done
$busybox mount -t ext4 -o noatime /dev/vda /root || exec $busybox sh
$busybox mount -o move /dev /root/dev
exec $busybox switch_root /root /sbin/init
"""


def make(root: Path, target: Path) -> None:
    """
    Write the RAM disk for the kernel in the Debian below ``root``, which has ``busybox-static``.

    Raises:
        StandfastError: a module is not there.
    """
    modules = {Path(path).stem.removesuffix(".ko"): _plain(root, path) for path in _needed(root)}
    with target.open("wb") as archive:
        for folder in ("bin", "dev", "root"):
            archive.write(_entry(folder, stat.S_IFDIR | 0o755))
        # The kernel speaks here before there is a /dev.
        archive.write(_entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)))
        archive.write(_entry("init", stat.S_IFREG | 0o755, INIT.encode()))
        archive.write(_entry("bin/busybox", stat.S_IFREG | 0o755, (root / "usr/bin/busybox").read_bytes()))
        archive.write(_entry("order", stat.S_IFREG | 0o644, " ".join(modules).encode()))
        for name, content in modules.items():
            archive.write(_entry(name, stat.S_IFREG | 0o644, content))
        archive.write(_entry("TRAILER!!!", 0))


def _needed(root: Path) -> Iterator[str]:
    """Files of the modules and of what they need, in the order in which they are loaded."""
    (kernel,) = (entry.name for entry in (root / "usr/lib/modules").iterdir())
    for module in MODULES:
        asked = ["chroot", str(root), "modprobe", "--set-version", kernel, "--show-depends", module]
        for line in run(asked).stdout.splitlines():
            verb, _, rest = line.partition(" ")
            if verb == "insmod":  # else it is built into the kernel
                yield rest.split()[0]


def _plain(root: Path, path: str) -> bytes:
    content = (root / path.removeprefix("/")).read_bytes()
    return lzma.decompress(content) if path.endswith(".xz") else content


def _entry(name: str, mode: int, content: bytes = b"", *, device: tuple[int, int] = (0, 0)) -> bytes:
    """
    One file of a "newc" archive.

    Source: cpio(5).
    """
    numbers = (0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0)
    head = b"070701" + "".join(f"{number:08X}" for number in numbers).encode() + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(part: bytes) -> bytes:
    return part + b"\0" * (-len(part) % 4)
