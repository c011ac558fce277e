"""The program on servers, as the one file that it is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from standfast import __version__
from standfast.operations.host_program import archive


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("host") / "standfast-host"
    path.write_bytes(archive())
    return path


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(program), *arguments], capture_output=True, text=True, check=False
    )


def test_it_runs_from_one_file(program: Path) -> None:
    assert run(program, "--version").stdout == f"standfast-host {__version__}\n"


def test_an_unknown_command_is_refused(program: Path) -> None:
    done = run(program, "fly")
    assert (done.returncode, done.stdout) == (3, "")
    assert "no command 'fly'" in done.stderr


def test_the_same_source_gives_the_same_bytes() -> None:
    first = archive()
    archive.cache_clear()
    assert archive() == first
