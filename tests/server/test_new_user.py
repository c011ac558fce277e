"""A new user's path: the built wheel in an empty environment, without this repository around."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from standfast.lab.nspawn import Server

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of an environment into which the wheel was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copy2(ROOT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)],
        check=True,
        capture_output=True,
    )
    shutil.rmtree(source)
    wheel = next(folder.glob("*.whl"))
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    pip = [str(folder / "venv/bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", str(constraints(folder)), str(wheel)], check=True)
    return folder / "venv/bin"


def constraints(folder: Path) -> Path:
    """The locked versions, without hashes: the test must not fail on tomorrow's releases."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line.removesuffix("\\").strip() for line in lines if "==" in line and not line.startswith(" ")]
    path = folder / "constraints.txt"
    path.write_text("\n".join(pins) + "\n")
    return path


def test_init_edit_plan(installed: Path, server: Server, tmp_path: Path) -> None:
    def standfast(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(installed / "standfast"), *arguments],
            cwd=tmp_path / "infra" if (tmp_path / "infra").exists() else tmp_path,
            env={**os.environ, "PYTHONPATH": "", **secrets},
            capture_output=True,
            text=True,
            check=False,
        )

    secrets: dict[str, str] = {}
    made = standfast("init", "infra")
    assert made.returncode == 0, made.stderr
    inventory = tmp_path / "infra/inventories/lab.yml"
    inventory.write_text(
        f"environment: lab\nhosts:\n  web-1:\n    address: {server.name}\n"
        f"    ssh: {{config: {server.ssh_config}}}\n    packages: [tree]\n"
    )
    planned = standfast("plan", "lab")
    assert planned.returncode == 2, planned.stdout + planned.stderr
    assert "package tree" in planned.stdout
    assert "standfast/templates" not in planned.stderr
