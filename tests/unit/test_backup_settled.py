"""Whoever looks at containers waits while a backup holds one, and not for what a dead run has left."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from standfast.host.backup import layout, settled

Held = Callable[[int], Path]


@pytest.fixture
def held(tmp_path: Path) -> Held:
    """Writes down that a process holds a container, and says where."""

    def write(pid: int) -> Path:
        note = {"how": "pause", "since": "then", "pid": pid, "containers": [{"id": "1", "name": "web"}]}
        (tmp_path / "held.json").write_text(json.dumps(note))
        return tmp_path / "held.json"

    return write


def waited(note: Path, tries: int = 3) -> int:
    """How often it has looked before it went on."""
    code = settled.WAIT.replace(str(layout.HELD), str(note)).replace("120", str(tries))
    code = code.replace("sleep 0.5", "sleep 0")
    done = subprocess.run(["sh", "-euc", f"{code}\necho $n"], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_run_at_work_is_waited_for_and_not_for_ever(held: Held) -> None:
    assert waited(held(os.getpid())) == 3


def test_a_dead_run_is_not_waited_for(held: Held) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert waited(held(gone.pid)) == 0


def test_nothing_is_held(tmp_path: Path) -> None:
    assert waited(tmp_path / "held.json") == 0


def test_a_note_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "held.json").touch()
    assert waited(tmp_path / "held.json") == 0
