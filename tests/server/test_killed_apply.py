"""A first apply whose controller is killed: the next one brings the server to its end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from standfast.lab import nspawn
from standfast.lab.nspawn import Server
from tests.server.conftest import STANDFAST, Repository
from tests.server.toybox import ask, build_images, full_toybox


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    build_images(folder)
    return folder


@pytest.fixture
def blank(request: pytest.FixtureRequest) -> Iterator[Server]:
    name = f"test-kill{request.node.callspec.params['moment']}"
    yield nspawn.up(name, report=lambda _: None)
    nspawn.destroy(name)


@pytest.mark.parametrize("moment", [1, 2, 3, 4, 5])
def test_a_first_apply_killed_at_any_moment_converges(
    repository: Repository, blank: Server, images: Path, moment: int
) -> None:
    full_toybox(repository, blank, images)
    # While packages are installed, right after Docker started, while images load, while services start, …
    needle = ["package docker.io", "volume toybox_pgdata", "image toybox/web:1", "toybox/web\n", "caddy"][
        moment - 1
    ]
    process = subprocess.Popen(
        [*STANDFAST, "apply", "lab", "--yes"],
        cwd=repository.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if needle in line:
            break
    else:
        pytest.fail(f"apply never said {needle!r}")
    time.sleep(1)
    process.kill()
    process.wait()
    repository.standfast("apply", "lab", "--yes", expect=0)
    repository.standfast("plan", "lab", expect=0)
    assert ask(blank).returncode == 0
