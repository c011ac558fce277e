"""What npm, pnpm, yarn and bun run: scripts, programs of node_modules, packages of a workspace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from standfast.host.guard.classification import classify

RESET = "prisma migrate reset --force"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A repository with two packages; only the one of them can lose data."""
    (tmp_path / ".git").mkdir()
    scripts = {
        ".": {"root:reset": "dropdb shop"},
        "packages/api": {"db:reset": RESET, "build": "tsc"},
        "packages/web": {"build": "next build"},
        "node_modules/other": {"build": RESET},
    }
    for folder, each in scripts.items():
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        named = {"name": f"@shop/{folder.rpartition('/')[2]}", "scripts": each}
        (tmp_path / folder / "package.json").write_text(json.dumps(named))
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        f"yarn run {RESET}",
        f"bun run {RESET}",
        f"bun --bun run {RESET}",
        f"bun run node_modules/prisma/build/index.js {RESET[7:]}",
        f"pnpm run {RESET}",
        f"node ./node_modules/.bin/../prisma/build/index.js {RESET[7:]}",
        f"node packages/../node_modules/prisma/build/index.js {RESET[7:]}",
        f"yarn workspace @shop/api {RESET}",
        "yarn workspace api db:reset",
        "yarn workspace @shop/api run db:reset",
        "yarn --cwd packages/api db:reset",
        "yarn workspaces run db:reset",
        "yarn workspaces foreach -A --exclude web run db:reset",
        "pnpm --filter api db:reset",
        "pnpm --filter=@shop/api run db:reset",
        "pnpm -F ./packages/api run db:reset",
        "pnpm --filter ...api... db:reset",
        "pnpm -r run db:reset",
        "pnpm -C packages/api db:reset",
        f"pnpm --filter api exec {RESET}",
        "npm run db:reset -w api",
        "npm run db:reset --workspace=packages/api",
        "npm -w @shop/api run db:reset",
        "npm run db:reset -ws",
        "npm run db:reset --prefix packages/api",
        "bun --filter api run db:reset",
    ],
)
def test_it_is_judged_in_the_package_that_is_meant(workspace: Path, command: str) -> None:
    found = classify(command.split(), cwd=str(workspace))
    assert found.level == "destructive"
    assert found.program == "prisma"
    if "node_modules" not in command and "api" in command and "..." not in command:
        assert found.cwd == str(workspace / "packages/api")


@pytest.mark.parametrize(
    "command",
    [
        "yarn workspace web build",
        "pnpm --filter web build",
        "pnpm -r build",
        "npm run build -w api",
        "npm run build -ws",
        "npm run prisma migrate reset",  # npm runs scripts only
        "npm run build -- -w api",
        "pnpm --filter nothing build",
    ],
)
def test_what_loses_nothing_runs(workspace: Path, command: str) -> None:
    assert classify(command.split(), cwd=str(workspace)).harmless


def test_the_root_of_a_workspace(workspace: Path) -> None:
    for command in ("pnpm -w root:reset", "pnpm --workspace-root run root:reset"):
        found = classify(command.split(), cwd=str(workspace / "packages/web"))
        assert (found.program, found.cwd) == ("dropdb", str(workspace))


def test_a_workspace_too_large_to_look_through(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("standfast.host.guard.unwrapping._SEARCHED", 1)
    found = classify(["pnpm", "--filter", "api", "db:reset"], cwd=str(workspace))
    assert found.level == "unknown"
    assert "more than 1 folders" in found.reason
