"""File systems that are read-only, full, new or gone; swap."""

from __future__ import annotations

from collections.abc import Iterator

from standfast.drift.finding import Finding
from standfast.facts.mounts import FileSystems, Mount

ALMOST = 90  # per cent

# No file systems with data: the kernel's own, containers' layers, images.
VIRTUAL = {
    *(
        "proc",
        "sysfs",
        "devtmpfs",
        "devpts",
        "cgroup",
        "cgroup2",
        "mqueue",
        "hugetlbfs",
        "debugfs",
        "tracefs",
    ),
    *("securityfs", "pstore", "bpf", "configfs", "fusectl", "autofs", "nsfs", "binfmt_misc", "efivarfs"),
    *("rpc_pipefs", "squashfs", "iso9660", "ramfs", "fuse.lxcfs", "fuse.portal"),
}
KERNELS = ("/proc", "/sys", "/dev", "/run", "/snap")
SYSTEM = ("/tmp", "/boot")  # noqa: S108 - looked at, never written
DOCKER = ("/var/lib/docker", "/var/lib/containerd")


def findings(found: FileSystems) -> Iterator[Finding]:
    """What is mounted otherwise than /etc/fstab says, or has no room."""
    declared = {each.target: each for each in found.fstab}
    mounts = {each.target: each for each in found.mounts if _has_data(each)}
    for target, mount in mounts.items():
        line = declared.get(target)
        if mount.read_only and not (line is not None and "ro" in line.options):
            broken = "emergency_ro" in mount.options
            said = "after an error the kernel allows no more writing" if broken else "nothing can be written"
            yield _finding(f"mount:{target}", target, f"read-only: {said}")
        elif target not in declared and target != "/" and not _below(target, (*KERNELS, *SYSTEM, *DOCKER)):
            said = f"not in /etc/fstab, gone after a reboot: {mount.source} ({mount.type})"
            yield _finding(f"mount:{target}", target, said, unmanaged=True)
    for target, line in declared.items():
        if target.startswith("/") and target not in mounts and not _optional(line.options, line.type):
            yield _finding(f"mount:{target}", target, "not mounted, though /etc/fstab says so")
    for each in found.space:
        if each.target in mounts and max(each.used, each.inodes) >= ALMOST:
            said = f"{each.used} % full" if each.used >= ALMOST else f"{each.inodes} % of its inodes are used"
            yield _finding(
                f"disk:{each.target}", f"space on {each.target}", f"{said}, {each.free // 10**6} MB free"
            )
    swaps = [each for each in found.fstab if each.type == "swap"]
    if not swaps:
        for name in found.swaps:
            yield _finding(f"swap:{name}", f"swap {name}", "in use and not in /etc/fstab", unmanaged=True)


def _has_data(mount: Mount) -> bool:
    if mount.type in VIRTUAL or _below(mount.target, KERNELS):
        return False
    return not (mount.type == "overlay" and mount.target.startswith(DOCKER))


def _below(target: str, folders: tuple[str, ...]) -> bool:
    return any(target == folder or target.startswith(f"{folder}/") for folder in folders)


def _optional(options: frozenset[str], kind: str) -> bool:
    automatic = any(each.startswith("x-systemd.automount") for each in options)
    return kind == "swap" or kind in VIRTUAL or automatic or bool(options & {"noauto", "nofail"})


def _finding(id_: str, what: str, why: str, *, unmanaged: bool = False) -> Finding:
    return Finding(id_, "base", "unmanaged" if unmanaged else "changed", what, why)
