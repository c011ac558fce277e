"""The benchmark's small version, so that it cannot rot. No time is asserted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bench.backups import IN_PLACE, OURS_BACKUP, OURS_RESTORE, RAW_BACKUP, RAW_RESTORE
from bench.contestants import PLAIN, STANDFAST

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif("STANDFAST_BENCH" not in os.environ, reason="takes minutes; set STANDFAST_BENCH=1")
def test_the_small_benchmark_runs_every_tool() -> None:
    done = subprocess.run(
        [ROOT / "bench/run", "--small"],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "STANDFAST_LAB_DIR"},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    for tool in (STANDFAST, PLAIN, "pyinfra", "Ansible + mitogen", "Ansible, pipelining", "Ansible"):
        assert f"| nothing to do, LAN | {tool} |" in done.stdout
    assert "ansible-core 2" in done.stdout


@pytest.mark.skipif("STANDFAST_BENCH" not in os.environ, reason="takes minutes; set STANDFAST_BENCH=1")
def test_the_small_benchmark_of_backups_measures_everything() -> None:
    done = subprocess.run(
        [ROOT / "bench/backup", "--small"],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "STANDFAST_LAB_DIR"},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    for what in (OURS_BACKUP, RAW_BACKUP, OURS_RESTORE, RAW_RESTORE, IN_PLACE):
        assert f"| `{what}` |" in done.stdout
    assert "writers of a volume stand still" in done.stdout
