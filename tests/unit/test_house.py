"""Who may know whom: the direction of knowledge of the design, kept by a test."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# room: prefixes of what it must never import
FORBIDDEN = {
    "standfast/errors.py": ("standfast", "pyinfra", "click", "gevent"),
    "standfast/inventory": (
        *("pyinfra", "gevent", "click", "deploys"),
        *(f"standfast.{room}" for room in ("cli", "engine", "facts", "operations", "lab", "verification")),
    ),
    "standfast/documents": (
        *("pyinfra", "gevent", "click", "deploys"),
        *(f"standfast.{room}" for room in ("cli", "engine", "facts", "inventory", "operations", "lab")),
    ),
    "standfast/facts": (
        *("click", "deploys"),
        *(f"standfast.{room}" for room in ("cli", "engine", "operations", "lab", "verification")),
    ),
    "standfast/operations": (
        *("click", "deploys"),
        *(f"standfast.{room}" for room in ("cli", "engine", "lab", "verification")),
    ),
    "standfast/drift": (
        *("click", "pyinfra", "gevent", "deploys"),
        *(f"standfast.{room}" for room in ("cli", "engine", "operations", "lab", "verification")),
    ),
    "standfast/host/schema": ("standfast.host.firewall", "click", "pyinfra", "gevent"),
    "deploys": ("click", *(f"standfast.{room}" for room in ("cli", "engine", "lab", "verification"))),
    "standfast/engine": ("click", "standfast.cli", "standfast.lab"),
    "standfast/recovery": ("click", "standfast.cli", "standfast.lab", "standfast.verification"),
    "standfast/guard": (
        *("pyinfra", "gevent", "click", "deploys"),
        *(f"standfast.{room}" for room in ("cli", "facts", "operations", "lab", "recovery", "verification")),
    ),
    "standfast/lab": (
        *("click", "pyinfra", "deploys"),
        *(f"standfast.{room}" for room in ("cli", "engine", "facts", "operations", "verification")),
    ),
    "standfast/verification": (
        *("click", "pyinfra", "deploys"),
        *(f"standfast.{room}" for room in ("cli", "engine", "facts", "operations", "lab")),
    ),
}


ALLOWED_ON_SERVERS = {*sys.stdlib_module_names, "standfast", "__future__"}


def modules(room: str) -> list[Path]:
    """All Python files of a room."""
    path = ROOT / room
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Names of all modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return names


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_knows_only_what_it_may(room: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(room)
        for name in imported(path)
        for prefix in FORBIDDEN[room]
        if name == prefix or name.startswith(f"{prefix}.")
    }
    assert found == set()


def test_click_is_imported_by_the_command_line_only() -> None:
    rooms = [path for path in modules("standfast") if "cli" not in path.parts]
    assert [path for path in rooms if "click" in imported(path)] == []


def test_the_program_on_servers_imports_only_itself_and_the_standard_library() -> None:
    found = {name for path in modules("standfast/host") for name in imported(path)}
    assert {name for name in found if name.partition(".")[0] not in ALLOWED_ON_SERVERS} == set()
    ours = {name for name in found if name.startswith("standfast.")}
    assert {
        name for name in ours if not name.startswith(("standfast.host", "standfast.__version__"))
    } == set()
