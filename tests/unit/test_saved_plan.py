"""Plan files that are none, or are for something else: named before any server is contacted."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from standfast.engine import saved_plan
from standfast.errors import UsageError
from standfast.inventory.loader import load
from tests.documents import valid
from tests.unit.test_documents import PLAN

INVENTORY = "environment: production\nhosts: {web-1: {address: 203.0.113.1}}\n"


@pytest.fixture
def saved(tmp_path: Path) -> dict[str, Any]:
    """A saved plan as a document."""
    inventory = tmp_path / "inventories/production.yml"
    inventory.parent.mkdir()
    inventory.write_text(INVENTORY)
    document = saved_plan.document(PLAN, load(inventory), [], ["base"])
    valid(document)
    found: dict[str, Any] = json.loads(json.dumps(document))
    return found


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "cut short or damaged"),
        (lambda _: "", "cut short or damaged"),
        (lambda _: "[]", "found another JSON file"),
        (lambda _: json.dumps(PLAN.as_json()), "found another JSON file"),
        (lambda text: text.replace('"format": 1', '"format": 7'), "format 7; this is"),
        (lambda text: text.replace('"standfast": "', '"standfast": "9.'), "made by standfast 9."),
        (lambda text: text.replace('"only": ["base"]', '"only": "base"'), "damaged at only"),
        (lambda text: text.replace('"action": "update"', '"action": "explode"'), "hosts.0.changes.0.action"),
        (lambda text: text.replace('"salt"', '"sugar"'), "damaged at salt"),
        (lambda text: text.replace('"salt": "', '"salt": "x'), "damaged at salt"),
    ],
)
def test_a_file_that_is_no_plan_is_named(
    saved: dict[str, Any], tmp_path: Path, damage: Callable[[str], str], message: str
) -> None:
    path = tmp_path / "monday.plan.json"
    path.write_text(json.dumps(saved))
    assert saved_plan.read(path).only == ("base",)
    path.write_text(damage(json.dumps(saved)))
    with pytest.raises(UsageError, match=message) as caught:
        saved_plan.read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_plan_takes_the_place_of_a_plan_and_of_nothing_else(saved: dict[str, Any], tmp_path: Path) -> None:
    saved_plan.check_place(tmp_path / "new.json")
    path = tmp_path / "monday.plan.json"
    path.write_text(json.dumps(saved))
    saved_plan.check_place(path)
    for text in (INVENTORY, json.dumps(PLAN.as_json()), "[]"):
        path.write_text(text)
        with pytest.raises(UsageError, match="found another file; it is as it was"):
            saved_plan.check_place(path)


def test_a_plan_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        saved_plan.read(tmp_path / "none.json")
    (tmp_path / "image.json").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UsageError, match="cut short or damaged"):
        saved_plan.read(tmp_path / "image.json")


def apply(folder: Path, document: dict[str, Any], expect: int) -> str:
    """What `apply FILE` says to a plan; no server is there to be contacted."""
    (folder / "monday.plan.json").write_text(json.dumps(document))
    done = subprocess.run(
        [sys.executable, "-m", "standfast.cli.main", "apply", "monday.plan.json", "--yes"],
        cwd=folder,
        env={**os.environ, "XDG_STATE_HOME": str(folder / ".state")},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == expect, done.stderr
    assert "connecting" not in done.stderr
    return done.stderr


def test_a_plan_from_another_inventory_is_refused(saved: dict[str, Any], tmp_path: Path) -> None:
    other = tmp_path / "inventories/staging.yml"
    other.write_text(INVENTORY)
    said = apply(tmp_path, {**saved, "inventory": str(other)}, 6)
    assert "these files have changed: production.yml, staging.yml. Nothing was changed." in said
    inventory = tmp_path / "inventories/production.yml"
    inventory.write_text(INVENTORY.replace("203.0.113.1", "203.0.113.9"))
    assert "these files have changed: production.yml. Nothing was changed." in apply(tmp_path, saved, 6)
    inventory.unlink()
    assert "production.yml" in apply(tmp_path, saved, 3)


def test_a_plan_from_another_version_is_refused(saved: dict[str, Any], tmp_path: Path) -> None:
    assert "Make the plan again" in apply(tmp_path, {**saved, "standfast": "9.9"}, 3)


def plan(folder: Path, output: str, *, writable: bool = True) -> subprocess.CompletedProcess[str]:
    """
    Have the plan of a server that cannot be reached saved.

    + writable: whether this machine's disk has room
    """
    (folder / "lab.yml").write_text(
        "environment: lab\nhosts: {web-1: {address: 127.0.0.1, ssh: {port: 1}}}\n"
    )

    def fill() -> None:
        if not writable:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    return subprocess.run(
        [sys.executable, "-m", "standfast.cli.main", "plan", "./lab.yml", "-o", output],
        cwd=folder,
        env={**os.environ, "XDG_STATE_HOME": str(folder / ".state")},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        preexec_fn=fill,
        check=False,
    )


def test_a_place_that_cannot_be_written_is_named_before_anything_is_contacted(tmp_path: Path) -> None:
    done = plan(tmp_path, "none/monday.json")
    assert done.returncode == 3
    assert done.stderr == (
        "error: none/monday.json: expected a file that can be written: No such file or directory. "
        "Nothing was written; choose another place.\n"
    )


@pytest.mark.parametrize("output", ["monday.json", "/dev/full"])
def test_a_plan_that_cannot_be_saved_is_shown_and_the_old_file_stays(tmp_path: Path, output: str) -> None:
    old = json.dumps({"kind": "saved-plan"})
    (tmp_path / "monday.json").write_text(old)
    done = plan(tmp_path, output, writable=output == "/dev/full")
    assert done.returncode == 3
    assert "web-1 (127.0.0.1): no SSH connection" in done.stderr
    assert f"error: {output}: expected a file that can be written: " in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "monday.json").read_text() == old
    assert {each.name for each in tmp_path.iterdir()} - {".state"} == {"monday.json", "lab.yml"}


def test_a_saved_plan_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "monday.json").symlink_to("newest.json")
    for _ in range(2):
        assert plan(tmp_path, "monday.json").returncode == 1
        assert json.loads((tmp_path / "newest.json").read_text())["format"] == 1
    assert (tmp_path / "monday.json").is_symlink()
    assert (tmp_path / "newest.json").stat().st_mode & 0o777 == 0o600
    assert {each.name for each in tmp_path.iterdir()} - {".state"} == {
        "monday.json",
        "newest.json",
        "lab.yml",
    }
    assert plan(tmp_path, "/dev/null").returncode == 1
