"""The base images: Debian as a rented server has it on its first day, built once and cached."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from standfast.errors import StandfastError, UsageError
from standfast.lab.places import Lab, Report, file_lock, silent
from standfast.lab.programs import run

RELEASES = {"trixie": "Debian 13", "bookworm": "Debian 12"}

# Count up when the commands below change; the package list and the releases count by themselves.
RECIPE = 1

PACKAGES = (
    # what boots
    *("systemd", "systemd-sysv", "dbus", "libpam-systemd", "udev", "kmod"),
    # what a rented server is reached and run with
    *("openssh-server", "sudo", "cron", "logrotate", "procps", "tzdata", "python3"),
    *("iproute2", "iptables", "iputils-ping", "netbase", "ca-certificates", "curl"),
    *("less", "nano"),
)

# Without it nobody but root can ping; Debian 12 has these settings in its systemd package.
RELEASE_PACKAGES = {"trixie": ("linux-sysctl-defaults",), "bookworm": ()}

ACCOUNT = "ops"

FILES: Mapping[str, str] = {
    "etc/sudoers.d/90-cloud-init-users": f"{ACCOUNT} ALL=(ALL) NOPASSWD:ALL\n",
    "etc/ssh/sshd_config.d/50-cloud-init.conf": "PermitRootLogin no\nPasswordAuthentication no\n",
    "etc/default/locale": "LANG=C.UTF-8\n",
    # Kept packages are handed on to the next server, see disk.py.
    "etc/apt/apt.conf.d/20keep": 'Binary::apt::APT::Keep-Downloaded-Packages "true";\n',
}

COMMANDS = (
    f"useradd --create-home --shell /bin/bash --groups sudo,adm {ACCOUNT}",
    "systemctl enable systemd-networkd.service ssh.service",
    "rm -f /etc/ssh/ssh_host_* /etc/resolv.conf /etc/hostname",
    "truncate --size 0 /etc/machine-id",
)

MINIMUM_FREE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that goes into an image; two machines with equal recipes get equal images."""

    release: str
    architecture: str
    sources: tuple[str, ...]
    packages: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]
    version: int = RECIPE

    @property
    def key(self) -> str:
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


def ensure(lab: Lab, release: str, report: Report = silent) -> Path:
    """
    The folder of a release's base image; the first call builds it (about 20 s).

    Raises:
        UsageError: there is no such release here.
        StandfastError: it cannot be built; nothing is left of the attempt.
    """
    if release not in RELEASES:
        raise UsageError(f"lab: release: expected {' or '.join(RELEASES)}, not {release}")
    recipe = first_day(release)
    images = lab.cache / "images"
    ready = images / f"{release}-{recipe.key}"
    if ready.is_dir():
        return ready
    images.mkdir(parents=True, exist_ok=True)
    # Set-uid programs of a guest are nothing for this machine's accounts.
    images.chmod(0o700)
    with file_lock(images / f".{release}.lock", report):
        if not ready.is_dir():
            _clear_leftovers(images, release)
            report(f"building the {RELEASES[release]} base image, once (about 20 s)")
            _build(recipe, ready)
    return ready


def first_day(release: str) -> Recipe:
    """What a server of this release has on its first day."""
    return Recipe(
        release=release,
        architecture=run(["dpkg", "--print-architecture"]).stdout.strip(),
        sources=_sources(release),
        packages=(*PACKAGES, *RELEASE_PACKAGES[release]),
        files=tuple(FILES.items()),
        commands=COMMANDS,
    )


def _sources(release: str) -> tuple[str, ...]:
    """
    The mirror that this machine's own apt uses, with security and updates.

    On a machine whose apt knows no Debian mirror (Ubuntu): nothing; mmdebstrap then takes
    Debian's own default.
    """
    text = run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(ORIGIN)|$(LABEL)|$(REPO_URI)",
            "Created-By: Packages",
        ]
    ).stdout
    found: dict[str, str] = {}
    for line in text.splitlines():
        origin, label, uri = line.split("|", 2)
        if origin == "Debian":
            found.setdefault(label, uri.rstrip("/"))
    if not {"Debian", "Debian-Security"} <= found.keys():
        return ()
    return (
        f"deb {found['Debian']} {release} main",
        f"deb {found['Debian']} {release}-updates main",
        f"deb {found['Debian-Security']} {release}-security main",
    )


def _build(recipe: Recipe, ready: Path) -> None:
    """Build beside the place, then rename: a name that is there is an image that is complete."""
    free = shutil.disk_usage(ready.parent).free
    if free < MINIMUM_FREE:
        raise StandfastError(
            f"lab: {ready.parent}: an image needs 1 GB of disk, {free // 1_000_000} MB are free. "
            "Make room, or name another folder in STANDFAST_CACHE_DIR. Nothing was changed."
        )
    building = Path(mkdtemp(prefix=f".{recipe.release}.building-", dir=ready.parent))
    try:
        root = building / "root"
        make_root(recipe, root)
        root.rename(ready)
    except StandfastError as error:
        raise StandfastError(f"{error}\n  No image was made; nothing else was changed.") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def make_root(recipe: Recipe, root: Path) -> None:
    """
    Make a whole Debian in the folder ``root``, which is not there yet.

    Raises:
        StandfastError: it cannot be made; the folder may be there, half full.
    """
    run(_mmdebstrap(recipe, root), env=_apt_proxy())
    for name, text in recipe.files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        (root / name).chmod(0o440 if "sudoers" in name else 0o644)


def _mmdebstrap(recipe: Recipe, root: Path) -> list[str]:
    """
    The build's command line, in namespaces that end with this process.

    If standfast is killed, the kernel kills the build, and its mounts go with it.
    """
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [
        *alone,
        "mmdebstrap",
        "--mode=root",
        "--format=directory",
        "--variant=minbase",
        "--dpkgopt=force-unsafe-io",
        f"--architectures={recipe.architecture}",
        f"--include={','.join(recipe.packages)}",
        *(f'--customize-hook=chroot "$1" sh -c "{command}"' for command in recipe.commands),
        recipe.release,
        str(root),
        *recipe.sources,
    ]


def _apt_proxy() -> dict[str, str]:
    """The proxy that this machine's apt is told to use, in the form mmdebstrap's apt reads."""
    text = run(["apt-config", "dump", "--format", "%v%n", "Acquire::http::Proxy"]).stdout.strip()
    return {"http_proxy": text} if text and text != "DIRECT" else {}


def _clear_leftovers(images: Path, release: str) -> None:
    """What a killed build left; nobody builds now, because we hold the lock."""
    for leftover in images.glob(f".{release}.building-*"):
        shutil.rmtree(leftover, ignore_errors=True)
