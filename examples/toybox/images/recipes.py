"""What toybox's two images consist of."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from pathlib import Path

from images.archive import Entry
from images.debian import BuildFailed, Root, run

HERE = Path(__file__).resolve().parent
APP = HERE.parent / "app"
REQUIREMENTS = APP / "requirements.txt"
WEB_USER = 10001
POSTGRES_USER = 999

POSTGRES_ROOT = Root(
    "postgres",
    packages=("postgresql-17", "tzdata"),
    before=HERE / "postgres/before",
    # PostgreSQL does without just-in-time compilation when its library is not there.
    dropped=(
        *("*/libLLVM*", "*/libz3.so*", "*/postgresql/17/lib/llvmjit*", "*/lib/bitcode/*"),
        *("/usr/lib/*/perl/*/CORE/*", "/usr/share/perl/*/unicore/*", "/usr/share/perl/*/Unicode/*"),
    ),
)
POSTGRES_CONFIG: Mapping[str, object] = {
    "Env": [
        "PATH=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG=C.UTF-8",
        "PG_MAJOR=17",
        "PGDATA=/var/lib/postgresql/data",
    ],
    "Entrypoint": ["docker-entrypoint.sh"],
    "Cmd": ["postgres"],
    "ExposedPorts": {"5432/tcp": {}},
    "Volumes": {"/var/lib/postgresql/data": {}},
    "StopSignal": "SIGINT",
}


def postgres_entries() -> list[Entry]:
    """The upper layer of the PostgreSQL image."""
    return [
        Entry("docker-entrypoint-initdb.d", None, 0o755),
        Entry("run/postgresql", None, 0o3775, POSTGRES_USER),
        Entry("var/lib/postgresql/data", None, 0o700, POSTGRES_USER),
        program("usr/local/bin/docker-entrypoint.sh", HERE / "postgres/entrypoint"),
    ]


def web_root() -> Root:
    """Debian's Python with the wheels in it; `wheels` below says where they are put."""
    return Root(
        "web",
        packages=("python3", "tzdata", "media-types"),
        after=HERE / "web/after",
        inputs=(REQUIREMENTS.read_text(),),
    )


def wheels(folder: Path) -> None:
    """
    Install the wheels of requirements.txt in a folder, whatever Python this machine has.

    Raises:
        BuildFailed: no pip, no network, or a file that is not the one that requirements.txt means.
    """
    machine = platform.machine()
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in (17, 27, 28, 34)]
    options = ["--quiet", "--no-deps", "--no-compile", "--require-hashes", "--only-binary=:all:"]
    options += ["--python-version=3.13", "--implementation=cp", f"--target={folder}"]
    options += [f"--platform={name}" for name in (*platforms, f"manylinux2014_{machine}")]
    run([*pip(), "install", *options, f"--requirement={REQUIREMENTS}"])


def pip() -> list[str]:
    """
    How pip is called here.

    Raises:
        BuildFailed: there is none; nothing was built.
    """
    environment = HERE.parents[2] / ".venv/bin/python"
    for python in (sys.executable, str(environment), "python3"):
        try:
            run([python, "-m", "pip", "--version"])
        except BuildFailed:
            continue
        return [python, "-m", "pip"]
    raise BuildFailed("no pip: apt-get install python3-pip, or call this with a Python that has it")


def web_entries() -> list[Entry]:
    """The upper layer of the web image: the application."""
    return [
        *(Entry(f"srv/app/{path}", (APP / path).read_bytes(), 0o644) for path in app_files()),
        Entry("srv/app", None, 0o755),
        Entry("srv/media", None, 0o755, WEB_USER),
        program("usr/local/bin/toybox", HERE / "web/entrypoint"),
        program("usr/local/bin/healthcheck", HERE / "web/healthcheck"),
    ]


def app_files() -> list[Path]:
    """Files of the application, relative to it, without what tools leave there."""
    found = (path.relative_to(APP) for path in APP.rglob("*") if path.is_file())
    return sorted(
        path
        for path in found
        if path.name != "ruff.toml"
        and not any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    )


def web_config(version: str) -> Mapping[str, object]:
    """The configuration of the web image; another version differs in nothing else."""
    return {
        "Env": [
            "PATH=/usr/local/bin:/usr/bin:/bin",
            "LANG=C.UTF-8",
            "PYTHONUNBUFFERED=1",
            "PYTHONDONTWRITEBYTECODE=1",
            f"TOYBOX_VERSION={version}",
        ],
        "User": f"{WEB_USER}:{WEB_USER}",
        "WorkingDir": "/srv/app",
        "Entrypoint": ["toybox"],
        "ExposedPorts": {"8000/tcp": {}},
    }


def program(path: str, source: Path) -> Entry:
    """A file of ours that can be executed in the image."""
    return Entry(path, source.read_bytes(), 0o755)
