"""How many Docker daemons there are: what one has just forked has its name and is no daemon."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from standfast.facts.docker import Daemons
from standfast.inventory.schema import Docker, Host
from standfast.verification.looks import looks

HOST = Host(address="192.0.2.1", docker=Docker())
WAYS = {
    "fact": lambda: str(Daemons().command()),
    "verify": lambda: looks("web-1", HOST)["daemons"],
}


@pytest.fixture
def forked(tmp_path: Path) -> Iterator[None]:
    """A process of that name, and one that it has forked."""
    program = shutil.copy(shutil.which("bash") or "", tmp_path / "dockerd")
    with subprocess.Popen(
        [program, "-c", "exec 3<&0; (echo; read -r <&3) & wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.kill()


def count(script: str) -> int:
    shown = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    return sum("dockerd" in line or "pid:[" in line for line in shown.splitlines())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.skipif(os.getuid() != 0, reason="only root sees the namespaces of other people's processes")
def test_a_child_of_a_daemon_is_none(way: str, request: pytest.FixtureRequest) -> None:
    before = count(WAYS[way]())
    request.getfixturevalue("forked")
    assert count(WAYS[way]()) == before + 1
