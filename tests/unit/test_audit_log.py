"""The controller's audit log, and what journals and records tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from standfast.engine import chain, controller_log
from standfast.engine.caller import caller
from standfast.engine.journal import parse
from standfast.engine.timeline import ServerLog, told, verify_server
from standfast.inventory.loader import Loaded, load

FIRST = {
    "run": "20261122T120300-0a1b2c3d",
    "who": "ops@laptop",
    "started": "2026-11-22T12:03:07+00:00",
    "steps": [
        ["caddy: update /etc/caddy/Caddyfile", "caddy: reload caddy.service"],
        ["apps: recreate toybox/web"],
    ],
}


def journal(*notes: str) -> str | None:
    """What is told of a journal with these notes."""
    run = parse("\n".join([json.dumps(FIRST), *notes, ""]))
    assert run is not None
    return run.told()


BEGUN_FIRST = "begin 0 812 2026-11-22T12:03:08Z"
ENDED_FIRST = "end 0 0 2026-11-22T12:03:09Z"
BEGUN_SECOND = "begin 1 840 2026-11-22T12:03:09Z"
LAST = "the last apply (ops@laptop, 2026-11-22 12:03 UTC) "
GOES_ON = ". This apply goes on from there."
CADDY = "caddy: update /etc/caddy/Caddyfile, caddy: reload caddy.service"


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ([], f"was cut off before its first change; not begun: {CADDY}, apps: recreate toybox/web{GOES_ON}"),
        ([BEGUN_FIRST], f"was cut off while: {CADDY}; not begun: apps: recreate toybox/web{GOES_ON}"),
        (
            [BEGUN_FIRST, ENDED_FIRST],
            f"was cut off after: {CADDY}; not begun: apps: recreate toybox/web{GOES_ON}",
        ),
        (
            [BEGUN_FIRST, ENDED_FIRST, BEGUN_SECOND, "cut x"],
            f"was cut off while: apps: recreate toybox/web{GOES_ON}",
        ),
        (
            [BEGUN_FIRST, ENDED_FIRST, BEGUN_SECOND, "cut x", "end 1 137 x"],
            f"was cut off while: apps: recreate toybox/web (which the server then ended with an error){GOES_ON}",
        ),
        (
            [BEGUN_FIRST, ENDED_FIRST, BEGUN_SECOND, "end 1 1 x", "finished failed x"],
            f"failed at: apps: recreate toybox/web{GOES_ON}",
        ),
        (
            [BEGUN_FIRST, ENDED_FIRST, "finished interrupted x"],
            f"was interrupted after: {CADDY}; not begun: apps: recreate toybox/web{GOES_ON}",
        ),
        (
            [BEGUN_FIRST, ENDED_FIRST, BEGUN_SECOND, "end 1 0 x"],
            "was cut off after its last change, before its check",
        ),
        (
            [BEGUN_FIRST, ENDED_FIRST, BEGUN_SECOND, "finished interrupted x", "end 1 0 x"],
            "was not waited for, and has ended well: apps: recreate toybox/web.",
        ),
    ],
)
def test_a_journal_tells_what_was_left_half_way(notes: list[str], expected: str) -> None:
    assert journal(*notes) == LAST + expected


def test_a_restore_is_told_as_what_it_is() -> None:
    restore = json.dumps({**FIRST, "action": "restore", "steps": [["restore: update database toybox"]]})
    for notes, how in {
        ("cut x", "end 0 0 x"): "was not waited for, and has ended well: restore: update database toybox.",
        ("finished interrupted x",): "was cut off while: restore: update database toybox.",
        ("end 0 1 x", "finished failed x"): "failed at: restore: update database toybox.",
    }.items():
        run = parse("\n".join([restore, BEGUN_FIRST, *notes, ""]))
        assert run is not None
        assert run.told() == LAST.replace("apply", "restore") + how


def test_a_run_that_ended_tells_nothing() -> None:
    assert journal(BEGUN_FIRST, ENDED_FIRST, BEGUN_SECOND, "end 1 0 x", "finished failed x") is None
    assert parse("") is None
    assert parse('{"who": "ops@lap') is None
    assert parse("[]\nbegin 0 1 x") is None


def test_a_cut_off_record_tells_changes_like_the_others() -> None:
    record = {**FIRST, "outcome": "cut off", "begun": 2, "done": 1}
    assert told(record) == {
        "run": FIRST["run"],
        "who": "ops@laptop",
        "started": FIRST["started"],
        "outcome": "cut off",
        "changed": ["caddy: update /etc/caddy/Caddyfile", "caddy: reload caddy.service"],
        "cut_off_in": ["apps: recreate toybox/web"],
        "not_done": [],
    }


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    """An inventory in a repository of its own; the log goes to the same folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "infra/inventories/production.yml"
    path.parent.mkdir(parents=True)
    path.write_text("environment: production\nhosts:\n  web-1: {address: 203.0.113.10}\n")
    return load(path)


def test_the_log_has_its_place_and_its_chain(loaded: Loaded, tmp_path: Path) -> None:
    log = controller_log.path(loaded)
    assert log == tmp_path / "state/standfast/audit/infra/production.jsonl"
    assert controller_log.read(log) == []
    controller_log.append(log, [{"action": "plan"}, {"action": "apply"}])
    controller_log.append(log, [{"action": "unlock", "reason": "ü “quoted”\nline"}])
    lines = controller_log.read(log)
    assert [json.loads(line)["n"] for line in lines] == [1, 2, 3]
    assert chain.check(lines) == []


def test_a_torn_end_of_the_log_does_not_swallow_the_next_record(loaded: Loaded) -> None:
    log = controller_log.path(loaded)
    controller_log.append(log, [{"action": "plan"}])
    with log.open("a") as opened:
        opened.write('{"n": 2, "prev')
    controller_log.append(log, [{"action": "apply"}])
    lines = controller_log.read(log)
    assert json.loads(lines[2])["action"] == "apply"
    assert chain.check(lines) == []


def test_copies_are_found_by_server_and_machine(loaded: Loaded) -> None:
    log = controller_log.path(loaded)
    lines: list[str] = []
    for number in range(3):
        lines.append(chain.linked({"host": "web-1", "machine": "aa", "number": number}, lines))
    other = chain.linked({"host": "web-1", "machine": "bb"}, [])
    controller_log.append(log, [controller_log.as_copy(line) for line in [lines[0], lines[2], other]])
    own = controller_log.read(log)
    assert controller_log.copies(own, "web-1", "aa") == {1: lines[0], 3: lines[2]}
    assert controller_log.copies(own, "web-2", "aa") == {}
    verdict = verify_server(ServerLog("web-1", "aa", (3, chain.sha256(lines[2])), lines), own)
    assert (verdict.faults, len(verdict.notes)) == ([], 1)
    cut = verify_server(ServerLog("web-1", "aa", (2, chain.sha256(lines[1])), lines[:2]), own)
    assert cut.faults == [f"record 3 was removed from the end. The copy here: {lines[2]}"]
    beyond = verify_server(ServerLog("web-1", "aa", (1, chain.sha256(lines[0])), lines), [])
    assert beyond.faults == ["after record 1: added past the server's own count"]
    gone = verify_server(ServerLog("web-1", "aa", None, lines), [])
    assert gone.faults == ["the server's own count of records is gone"]


def test_the_caller_is_known_without_a_repository_and_with_one(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "kim")
    outside = caller(loaded, "plan")
    assert outside.who.startswith("kim@")
    assert (outside.revision, outside.dirty, outside.environment) == (None, None, "production")
    for command in ("init -q", "add .", "-c user.name=x -c user.email=x@example.com commit -qm x"):
        subprocess.run(["git", "-C", str(loaded.root), *command.split()], check=True)
    clean = caller(loaded, "plan")
    assert len(clean.revision or "") == 40
    assert clean.dirty is False
    (loaded.root / "new").touch()
    assert caller(loaded, "plan").dirty is True
    assert clean.run != outside.run


NAMELESS = """
import os, sys
from pathlib import Path
from standfast.engine import audit, controller_log
from standfast.engine.caller import account
from standfast.inventory.loader import load

loaded = load(Path(sys.argv[1]))
os.setuid(54321)
assert account() == "54321", account()
audit.remember(loaded, [{}], print)
try:
    controller_log.folder()
except controller_log.NoHome:
    print("known")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become an account that does not exist")
def test_an_account_without_name_and_home_is_told_that_nothing_is_recorded(tmp_path: Path) -> None:
    inventory = tmp_path / "lab.yml"
    inventory.write_text("environment: lab\nhosts: {web-1: {address: 203.0.113.1}}\n")
    homeless = {"HOME", "XDG_STATE_HOME", "SUDO_USER", "USER", "LOGNAME", "LNAME", "USERNAME"}
    done = subprocess.run(
        [sys.executable, "-c", NAMELESS, str(inventory)],
        env={name: value for name, value in os.environ.items() if name not in homeless},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == (
        "this run could not be recorded: expected a home folder for the audit log, and this account has none. "
        "Set HOME or XDG_STATE_HOME.\nknown\n"
    ), done.stderr
