"""Writers that were held go on, whenever a run is killed: real processes, and a docker that goes on without them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from standfast.host.backup import containers, layout, programs, writers
from standfast.host.backup.faults import Fault
from standfast.host.backup.programs import Done
from tests.unit import fake_docker
from tests.unit.fake_docker import FakeDocker

SLOW = 0.7
"""Seconds that a container takes to end."""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    return fake_docker.installed(tmp_path, monkeypatch, seconds=SLOW)


def waited(condition: Callable[[], bool]) -> None:
    """Wait until something has come about."""
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("this did not come about")


def killed(moment: Callable[[], bool]) -> None:
    """A run that stops all containers and is killed at a moment."""
    code = (
        "import time\n"
        "from standfast.host.backup import containers, programs, writers\n"
        f"programs.PATH = {programs.PATH!r}\n"
        "with writers.held(containers.containers(), 'stop', print): time.sleep(60)\n"
    )
    state = {"STANDFAST_BACKUP_STATE": str(layout.HELD.parent)}
    run = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **state})
    try:
        waited(moment)
    finally:
        run.kill()
        run.wait()


def test_a_run_killed_while_docker_stops_a_container_leaves_it_running(docker: FakeDocker) -> None:
    docker.container("web")
    killed(lambda: docker.stopping("web"))
    assert docker.status("web") == "running", "it has not ended yet"
    writers.release(print)
    waited(lambda: not docker.stopping("web"))
    assert docker.status("web") == "running"
    assert not layout.HELD.exists()


def test_a_run_killed_while_all_stand_still_stops_none_again(docker: FakeDocker) -> None:
    """Somebody has started one of them meanwhile: it is left alone."""
    docker.container("web")
    docker.container("worker")
    killed(lambda: layout.HELD.exists() and '"stopping": false' in layout.HELD.read_text())
    docker.set("worker", "running")
    writers.release(print)
    assert [docker.status(each) for each in ("web", "worker")] == ["running", "running"]
    assert docker.asked("stop") == ["stop web worker"]
    assert docker.asked("start") == ["start web"]


def test_a_writer_that_does_not_go_on_is_not_forgotten_for_the_next_volume(docker: FakeDocker) -> None:
    docker.container("web")
    docker.container("worker")
    web, worker = sorted(containers.containers(), key=lambda each: each.id)
    with (
        pytest.raises(Fault, match=r"does not go on: .*cannot start web"),
        writers.held([web], "stop", print),
    ):
        docker.stick("web")
    with (
        pytest.raises(Fault, match=r"does not go on: .*cannot start web"),
        writers.held([worker], "stop", print),
    ):
        pytest.fail("the second one was held")
    assert [docker.status(each) for each in ("web", "worker")] == ["exited", "running"]
    docker.stick("web", stuck=False)
    with writers.held([worker], "stop", print):
        assert [docker.status(each) for each in ("web", "worker")] == ["running", "exited"]
    assert not layout.HELD.exists()


def test_who_lets_go_waits_for_whoever_does_it_already(docker: FakeDocker) -> None:
    """Else the slower one would let go what the next run holds, and remove its note."""
    docker.container("web")
    killed(lambda: docker.stopping("web"))
    code = f"from standfast.host.backup import programs, writers\nprograms.PATH = {programs.PATH!r}\n"
    state = {"STANDFAST_BACKUP_STATE": str(layout.HELD.parent)}
    other = subprocess.Popen(
        [sys.executable, "-c", f"{code}writers.release(print)"], env={**os.environ, **state}
    )
    waited(lambda: len(docker.asked("stop")) == 2)
    writers.release(print)
    assert not layout.HELD.exists()
    assert other.wait() == 0
    assert len(docker.asked("start")) == 1


@pytest.mark.parametrize(("grace", "least"), [(600, 601), (-1, programs.LONG)])
def test_a_container_that_takes_long_to_end_is_given_its_time(
    docker: FakeDocker, monkeypatch: pytest.MonkeyPatch, grace: int, least: float
) -> None:
    limits = []
    run = programs.run

    def limited(arguments: Sequence[str], *, seconds: float = programs.SHORT) -> Done:
        if arguments[:2] == ["docker", "stop"]:
            limits.append(seconds)
        return run(arguments, seconds=seconds)

    monkeypatch.setattr(programs, "run", limited)
    docker.container("quick")
    docker.container("slow", stop_timeout=grace)
    with writers.held(containers.containers(), "stop", print):
        assert docker.status("slow") == "exited"
    assert docker.status("slow") == "running"
    assert [each >= least for each in limits] == [True]
