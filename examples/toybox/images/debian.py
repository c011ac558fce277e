"""A Debian root filesystem as the lowest layer of an image: mmdebstrap, with the mirror apt uses."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from images import archive

RELEASE = "trixie"
TIDY = Path(__file__).resolve().parent / "tidy"
EPOCH = 1_735_689_600
"""Files newer than this (1 January 2025) get this date, so that two builds are the same."""
DROPPED = (
    *("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/lintian/*"),
    *("/usr/share/locale/*", "/usr/share/i18n/*", "/usr/share/bug/*", "/usr/share/pixmaps/*"),
)


class BuildFailed(Exception):
    """An image cannot be built; the message is the end of the story, no archive was written."""


@dataclass(frozen=True, slots=True)
class Root:
    """
    What a root filesystem is made of.

    + packages: besides Debian's essential ones
    + before: program that runs before the packages are installed; its argument is the root
    + after: program that runs when they are
    + dropped: paths that are not unpacked, besides documentation and translations
    + inputs: further content that goes into it, for the cache
    """

    name: str
    packages: tuple[str, ...]
    before: Path | None = None
    after: Path | None = None
    dropped: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def key(self, architecture: str) -> str:
        """Changes whenever this root must be built anew; the mirror's packages are not looked at."""
        programs = [file.read_text() for file in (self.before, self.after, TIDY) if file]
        told = (self.packages, self.dropped, self.inputs, programs)
        recipe = [RELEASE, EPOCH, architecture, DROPPED, told, Path(__file__).read_text()]
        return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]


def architecture() -> str:
    """This machine's, in Debian's and Docker's words: `amd64`, `arm64`."""
    return run(["dpkg", "--print-architecture"]).strip()


def build(root: Root, path: Path) -> archive.Layer:
    """
    Build a root filesystem as a layer, 15 to 30 s.

    Raises:
        BuildFailed: mmdebstrap failed or is missing; nothing is left of the attempt.
    """
    if not shutil.which("mmdebstrap"):
        raise BuildFailed("mmdebstrap is not installed: apt-get install mmdebstrap")
    with tempfile.TemporaryDirectory(prefix=f"{root.name}-", dir=path.parent) as folder:
        plain = Path(folder) / "root.tar"
        run(
            command(root, plain),
            {**os.environ, **root.environment, "SOURCE_DATE_EPOCH": str(EPOCH), "TMPDIR": folder},
        )
        with plain.open("rb") as tar:
            return archive.compress(tar, path)


def command(root: Root, plain: Path) -> list[str]:
    """The call of mmdebstrap."""
    options = [
        "--variant=essential",
        f"--include={','.join(root.packages)}",
        '--aptopt=Apt::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in (*DROPPED, *root.dropped)),
    ]
    if root.before:
        options.append(f'--essential-hook={shlex.quote(str(root.before))} "$1"')
    for after in (root.after, TIDY):
        if after:
            options.append(f'--customize-hook={shlex.quote(str(after))} "$1"')
    # The last program takes apt away, so mmdebstrap has nothing to clean.
    options.append("--skip=cleanup/apt")
    return [*ALONE, "mmdebstrap", *options, RELEASE, str(plain), *sources()]


# What mmdebstrap mounts goes with it, even when it is killed; without root it sees to that itself.
ALONE = ("unshare", "--mount", "--propagation", "private") if os.geteuid() == 0 else ()


def sources() -> Sequence[str]:
    """Lines for apt with the mirror that this machine uses, none where apt knows no Debian mirror."""
    text = run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages"]
    )
    mirrors: dict[str, str] = {}
    for origin, label, uri in (line.split("|", 2) for line in text.splitlines()):
        if origin == "Debian":
            mirrors.setdefault(label, uri)
    lines = []
    if main := mirrors.get("Debian"):
        lines += [f"deb {main} {RELEASE} main", f"deb {main} {RELEASE}-updates main"]
    if security := mirrors.get("Debian-Security"):
        lines.append(f"deb {security} {RELEASE}-security main")
    return lines


RUNNING: set[subprocess.Popen[str]] = set()
"""Programs that have not ended; see `stop`."""


def run(call: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """
    Run a program to its end and return what it printed.

    Raises:
        BuildFailed: it is missing or failed.
    """
    try:
        # In a session of its own: Ctrl-C reaches only us, and `stop` ends it in order.
        child = subprocess.Popen(
            call,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise BuildFailed(f"{call[0]} is not installed") from None
    RUNNING.add(child)
    try:
        out, err = child.communicate()
    finally:
        RUNNING.discard(child)
    if child.returncode:
        end = "\n".join(f"  {line}" for line in err.strip().splitlines()[-15:])
        raise BuildFailed(f"{shlex.join(call)[:200]} …: exit {child.returncode}\n{end}")
    return out


def stop() -> None:
    """Ask every running program to end; mmdebstrap takes its half-built root away first."""
    for child in list(RUNNING):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
