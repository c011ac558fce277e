"""What an image from a registry declares as a volume is looked at after the pull, by the recorded shell."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from pyinfra.context import ctx_host

from standfast.apps.application import application
from standfast.operations import compose
from standfast.operations.attention import collecting
from standfast.operations.change import Step
from standfast.rendering import plain
from tests.operations.cases import RecordedHost

FILE = """\
services:
  cache: {{image: "redis:7", volumes: [{mounts}]}}
  web: {{image: "redis:7", volumes: ["web:/data", "it:/it's $$(here)"]}}
"""
NO_DOCKER = {"fact": "docker.Contents", "output": "standfast-status 9"}


def pull(mounts: str) -> str:
    """The one command for the images of an application."""
    text = plain(FILE.format(mounts=mounts))
    demo = application(
        "demo",
        compose=text,
        compose_path="it's 100%.yml",
        env=None,
        files={},
        archives={},
        secrets={},
        health=None,
        start_timeout=60,
    )
    with ctx_host.use(RecordedHost([NO_DOCKER])), collecting() as said:
        (step,) = compose.images._inner(demo)
    assert isinstance(step, Step)
    assert [each.detail for each in step.changes] == ["pulled, for demo/cache"]
    assert [each.partition(".")[0] for each in said] == ["still to be pulled: redis:7"]
    return step.get_raw_value()


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` whose image declares what stands in the file `declared`."""
    program = tmp_path / "docker"
    program.write_text(f"""#!/bin/sh
echo "$*" >> {tmp_path}/asked
case "$1 $2" in
  'image inspect') cat {tmp_path}/declared ;;
  'pull --quiet') [ ! -e {tmp_path}/unreachable ] || {{ echo 'no such host' >&2; exit 1; }} ;;
  *) exit 125 ;;
esac
""")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def run(command: str) -> subprocess.CompletedProcess[str]:
    """What the command does on a server."""
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("declared", ["", "\n", "/data\n", "/data/./\n"])
def test_everything_is_mounted(docker: Path, declared: str) -> None:
    (docker / "declared").write_text(declared)
    done = run(pull('"cache:/data"'))
    assert (done.returncode, done.stderr) == (0, "")
    assert (docker / "asked").read_text().startswith("pull --quiet -- redis:7\nimage inspect --format ")


def test_a_service_that_mounts_nothing_there(docker: Path) -> None:
    (docker / "declared").write_text("/data/\n/it's $(here)\n")
    done = run(pull('"cache:/data/db"'))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        *(
            f"it's 100%.yml:2: the image redis:7 keeps data in {path}, and service cache mounts nothing there. "
            f"A new container would begin with an empty, anonymous volume. Mount a named one: `- NAME:{path}`."
            for path in ("/data", "/it's $(here)")
        ),
        "The image was pulled; the containers of the application are as they were.",
    ]


def test_a_registry_that_does_not_answer(docker: Path) -> None:
    (docker / "unreachable").touch()
    done = run(pull('"cache:/data"'))
    assert (done.returncode, done.stderr) == (1, "no such host\n")
    assert (docker / "asked").read_text() == "pull --quiet -- redis:7\n"
