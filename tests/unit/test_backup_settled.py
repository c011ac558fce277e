"""
Whoever looks at containers waits while a backup holds one, and not for what a dead run has left.

What was seen while one was held is looked at again.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from standfast.facts.database_guard import asking
from standfast.facts.docker import Contents
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


def seen(place: Path, then: str) -> tuple[str, int]:
    """
    What is told in the end of a look at containers, and how often it was made.

    + then: shell code, run by each look; ``$note`` is that of a backup that holds a container
    """
    state = place / "state"
    state.mkdir()
    os.utime(state, (0, 0))  # the time of a folder is exact to some thousandths of a second
    looks = place / "looks"
    code = settled.UNDISTURBED.replace(str(layout.STATE), str(state))
    look = f"look() {{ echo look >> {looks}; {then}; grep -c look {looks}; }}"
    shell = f"note={state}/held.json\n{code}\n{look}\nundisturbed look"
    done = subprocess.run(["sh", "-euc", shell], capture_output=True, text=True, check=True)
    return done.stdout, len(looks.read_text().splitlines())


def test_what_was_seen_while_a_container_was_held_is_looked_at_again(tmp_path: Path) -> None:
    """It was held after the wait, and let go before the look's end: no note is left."""
    first = f'[ "$(grep -c look {tmp_path}/looks)" = 1 ]'
    assert seen(tmp_path, f'! {first} || {{ : > "$note"; rm "$note"; }}') == ("2\n", 2)


def test_what_nobody_has_disturbed_is_looked_at_once(tmp_path: Path) -> None:
    assert seen(tmp_path, ":") == ("1\n", 1)


def test_a_server_that_makes_copies_all_the_time_is_not_looked_at_for_ever(tmp_path: Path) -> None:
    assert seen(tmp_path, 'sleep 0.02; : > "$note"; rm "$note"') == (f"{settled.TRIES}\n", settled.TRIES)


QUESTIONS = {
    "containers": Contents().command().get_raw_value(),
    "a database": asking("docker ps | tail -n 1", 'docker exec "$id" psql', "SELECT 1").get_raw_value(),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_plan_asks_again(question: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are asked of a Docker whose container is paused when it is looked at for the first time."""
    state, again = tmp_path / "state", tmp_path / "again"
    state.mkdir()
    os.utime(state, (0, 0))
    docker = tmp_path / "docker"
    docker.write_text(f"""#!/bin/sh
case "$1 $2" in
  'container inspect' | 'exec '*)
    [ ! -e {again} ] || {{ echo running; exit; }}
    : > {again}; : > {state}/held.json; rm {state}/held.json
    echo paused; exit 1 ;;
  *) echo HEADING; echo web ;;
esac
""")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    command = QUESTIONS[question].replace(str(layout.STATE), str(state))
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert "running" in done.stdout
    assert "paused" not in done.stdout
