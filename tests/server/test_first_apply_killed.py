"""The first apply of the whole example, cut off before, in and after its commands, one after the other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from itertools import cycle
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.test_journal import dying
from tests.server.toybox import ask, build_images, full_toybox

MOST = 80  # commands
DIED = {"kill": -9, "cut": 1}


@pytest.mark.long
def test_cut_off_at_every_boundary_and_in_every_kind_of_operation(
    repository: Repository, lab_server: Callable[[str], Server], tmp_path: Path
) -> None:
    """
    Before each command the connection is cut, after each one the controller is killed.

    The first command of each kind is also left in its middle, by one or the other in turn. Every next
    apply tells what was left open, and goes on from there.
    """
    server = lab_server("test-killed")
    (tmp_path / "images").mkdir()
    build_images(tmp_path / "images")
    full_toybox(repository, server, tmp_path / "images")
    ways = cycle(DIED)
    kinds: set[str] = set()
    made: set[str] = set()
    runs, last = 0, ""
    for _ in range(MOST):
        before, on_trial = _cut_at_the_next(repository, made, last)
        runs += on_trial
        if before.returncode == 0:
            break
        runs += 1
        last = _cut_at(before)
        if on_trial:  # the cut before each of its commands is what the server must undo
            made.add(last)
            continue
        way, moment = ("kill", "after") if _kind(last) in kinds else (next(ways), "sent")
        kinds.add(_kind(last))
        run = dying(repository, way, moment, 0)
        assert run.returncode == DIED[way], run.stderr
        assert _told(run).startswith(f"was cut off before its first change; not begun: {last}")
        runs += 1
        if moment == "after":  # one whose input was never sent is made by the next apply
            made.add(last)
    else:
        raise AssertionError(f"no end after {MOST} rounds; still to do: {repository.targets()}")
    print(f"{runs} cuts and kills; in the middle of: {', '.join(sorted(kinds))}")
    assert ask(server).stdout != ""
    repository.standfast("apply", "lab", "--yes", expect=0)
    repository.standfast("plan", "lab", expect=0)
    records = json.loads(repository.standfast("audit", "lab", "--json", expect=0).stdout)["records"]
    assert sum(record["outcome"] in {"cut off", "connection lost"} for record in records) >= runs
    assert "none altered" in repository.standfast("audit", "lab", "--verify", expect=0).stdout


def _cut_at_the_next(
    repository: Repository, made: Collection[str], last: str
) -> tuple[CompletedProcess[str], int]:
    """
    An apply that is cut off before the first command that was not made yet.

    + last: where the apply before was cut off

    What is on trial (sshd, the firewall) is undone by the server when nobody confirms it, so an apply begins
    with it again: it is let through, up to the next command. Returns as well how many were.
    """
    for number in range(MOST):
        run = dying(repository, "cut", "before", number)
        if run.returncode == 0:
            return run, number
        assert run.returncode == DIED["cut"], run.stderr
        if number == 0 and last:
            assert last in _told(run) or "after its last change" in _told(run)
        if _cut_at(run) not in made:
            return run, number
        assert _cut_at(run).startswith(("ssh: ", "firewall: ")), f"done again: {_cut_at(run)}"
    raise AssertionError(f"no further than {last}")


def _told(run: CompletedProcess[str]) -> str:
    """What a run reports of the one before."""
    (line,) = [line for line in run.stderr.splitlines() if "the last apply (" in line]
    return line.partition(" UTC) ")[2]


def _cut_at(run: CompletedProcess[str]) -> str:
    """The first change of the command before which a run was cut off."""
    match = re.search(r"It happened while: (.*?)(?:, |; whether )", run.stderr)
    assert match, run.stderr
    return match[1]


def _kind(change: str) -> str:
    """What sort of thing a change is about: commands of one kind are made alike."""
    _, action, target = change.split(" ", 2)
    if target.startswith("/"):
        return f"{action} {'folder' if target.endswith('/') else 'file'}"
    noun = re.match(r"(?:package|account|group|image|volume) ", target)
    suffix = re.search(r"\.(?:service|timer)$", target)
    return f"{action} {noun.group().strip() if noun else suffix.group() if suffix else target}"
