"""The program on servers, as the one file that it is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from standfast import __version__
from standfast.host import compiled
from standfast.operations.host_program import COMPILED, archive


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


def run_copy(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program from its compiled copy."""
    start = f"import sys; sys.path.insert(0, {str(copy)!r}); from standfast.host.__main__ import main; "
    return subprocess.run(
        [sys.executable, "-I", "-c", f"{start}sys.exit(main(sys.argv[1:]))", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_its_compiled_copy_does_the_same(program: Path, tmp_path: Path) -> None:
    copy = tmp_path / "cache" / "one.zip"
    umask = os.umask(0o077)
    try:
        compiled.write(program, copy)
    finally:
        os.umask(umask)
    assert run_copy(copy, "--version").stdout == f"standfast-host {__version__}\n"
    for command, code in ((("iptables", "-L"), 0), (("iptables", "-F"), 6)):
        done = run_copy(copy, "guard-ask", *command)
        assert (done.returncode, done.stderr) == (code, run(program, "guard-ask", *command).stderr)
    assert copy.stat().st_mode & 0o777 == 0o644, "shims of all accounts read it"
    assert copy.parent.stat().st_mode & 0o777 == 0o755


def test_nothing_is_compiled_at_a_start_from_the_copy(program: Path, tmp_path: Path) -> None:
    copy = tmp_path / "one.zip"
    compiled.write(program, copy)
    start = (
        f"import sys; sys.path.insert(0, {str(copy)!r}); from standfast.host.guard import classification; "
    )
    show = "print(classification.__cached__ or classification.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", start + show], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{copy}/standfast/host/guard/classification.pyc"


def test_a_harmless_command_waits_for_no_slow_library(program: Path, tmp_path: Path) -> None:
    copy = tmp_path / "one.zip"
    compiled.write(program, copy)
    start = f"import sys; sys.path.insert(0, {str(copy)!r}); from standfast.host.guard import asking; "
    judge = "asking.main(['iptables', '-L', '-n']); "
    slow = {"re", "json", "typing", "collections", "functools", "dataclasses", "pathlib", "enum", "inspect"}
    show = f"print(sorted(sys.modules.keys() & {slow!r}))"
    done = subprocess.run(
        [sys.executable, "-IS", "-c", start + judge + show], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_copy_that_cannot_be_written_stops_nothing(program: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    compiled.write(program, tmp_path / "file" / "one.zip")
    # A name that is too long for the file system: the folder is there, and nothing is left in it.
    compiled.write(program, tmp_path / ("x" * 250))
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_the_newest_copies_stay(program: Path, tmp_path: Path) -> None:
    """Programs that run meanwhile import from theirs."""
    for number in range(5):
        compiled.write(program, tmp_path / f"{number}.zip")
        os.utime(tmp_path / f"{number}.zip", (number, number))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["2.zip", "3.zip", "4.zip"]


def test_elsewhere_it_leaves_no_copy(program: Path) -> None:
    kept = Path(COMPILED)
    before = sorted(kept.iterdir()) if kept.exists() else []
    run(program, "--version")
    assert [each.name for each in program.parent.iterdir()] == [program.name]
    assert (sorted(kept.iterdir()) if kept.exists() else []) == before
