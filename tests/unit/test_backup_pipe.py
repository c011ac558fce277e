"""What is large, into and out of a program by a named pipe: all of it, or a failure, and nobody waits for ever."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from standfast.host.backup import inside, manifest, pipe
from standfast.host.backup.growing import Growing
from standfast.host.backup.pipe import Pipe

LARGE = 3_000_000  # bytes; more than a pipe takes


@pytest.fixture(params=["by the pipe", "by the program's own"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pipe | None]:
    """A pipe that is in no container, so that no prefix leads into one; and none."""
    if request.param != "by the pipe":
        yield None
        return
    path = tmp_path / "pipe"
    os.mkfifo(path)
    node = os.open(path, os.O_PATH)
    yield Pipe((), str(path), node)
    os.close(node)


def test_all_of_the_output_is_in_the_file(way: Pipe | None, tmp_path: Path) -> None:
    with pipe.into_file(way, ["head", "-c", str(LARGE), "/dev/zero"], tmp_path / "out") as finish:
        done = finish()
    assert done.code == 0
    assert (tmp_path / "out").read_bytes() == bytes(LARGE)


@pytest.mark.parametrize("script", ["exit 7", "echo some; exit 7"])
def test_a_program_that_fails_says_why(way: Pipe | None, tmp_path: Path, script: str) -> None:
    with pipe.into_file(way, ["sh", "-c", f"echo because >&2; {script}"], tmp_path / "out") as finish:
        done = finish()
    assert (done.code, done.reason) == (7, "because")


def test_what_nobody_waits_for_is_killed(way: Pipe | None, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    with pipe.into_file(way, ["sh", "-c", f"echo $$ > {told}; exec sleep 1000"], tmp_path / "out"):
        while not told.exists() or not told.read_text():
            time.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


def test_a_full_disk_ends_the_program_too(way: Pipe | None) -> None:
    with pipe.into_file(way, ["head", "-c", str(LARGE), "/dev/zero"], Path("/dev/full")) as finish:
        assert finish().code != 0


def test_a_program_takes_all_of_its_input(way: Pipe | None, tmp_path: Path) -> None:
    def write(sink: IO[bytes]) -> str:
        sink.write(bytes(LARGE))
        return "written"

    done, written = pipe.feed(way, ["sh", "-c", f"cat > {tmp_path}/in"], write)
    assert (done.code, written) == (0, "written")
    assert (tmp_path / "in").read_bytes() == bytes(LARGE)


@pytest.mark.parametrize("script", ["echo no >&2; exit 3", "head -c 10 > /dev/null; echo no >&2; exit 3"])
def test_a_program_that_takes_too_little_is_no_success(way: Pipe | None, script: str) -> None:
    done, written = pipe.feed(way, ["sh", "-c", script], lambda sink: sink.write(bytes(LARGE)))
    assert (done.code, done.reason, written) == (3, "no", None)


def test_no_link_leads_out_of_a_container_and_no_device_is_opened(tmp_path: Path) -> None:
    (tmp_path / "tmp").symlink_to("/etc")
    (tmp_path / "real").mkdir()
    (tmp_path / "real/link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="Not a directory"):
        inside.walked(str(tmp_path), ["tmp", "passwd"])
    node = inside.walked(str(tmp_path), ["real", "link"])
    assert stat.S_ISLNK(os.fstat(node).st_mode)  # the link itself: neither a file nor a pipe
    os.close(node)


def test_a_growing_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    with Growing(path) as growing, path.open("ab", buffering=0) as target:

        def write() -> None:
            for _ in range(30):
                target.write(os.urandom(100_000))
            growing.complete()

        writer = threading.Thread(target=write)
        writer.start()
        assert manifest.passed_on(growing) == manifest.stored_file(path)
        writer.join()
    assert path.stat().st_size == LARGE
