"""The benchmarks' small versions, so that they cannot rot. No time is asserted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bench.backups import IN_PLACE, OURS_BACKUP, OURS_RESTORE, RAW_BACKUP, RAW_RESTORE
from bench.contestants import SHORT

ROOT = Path(__file__).parents[2]


def small(program: str) -> str:
    """What the small version of a benchmark prints."""
    done = subprocess.run(
        [ROOT / "bench" / program, "--small"],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "STANDFAST_LAB_DIR"},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return done.stdout


def test_the_small_benchmark_runs_every_tool() -> None:
    said = small("run")
    for tool in SHORT.values():
        assert f"| nothing to do | 1 | LAN | {tool} |" in said
    assert "| round trips, LAN, standfast: at most 3 | 2.00 | yes |" in said
    assert "| help | 1 | LAN | standfast |" in said
    assert "ansible-core 2" in said


@pytest.mark.long
def test_the_small_benchmark_of_backups_measures_everything() -> None:
    said = small("backup")
    for what in (OURS_BACKUP, RAW_BACKUP, OURS_RESTORE, RAW_RESTORE, IN_PLACE):
        assert f"| `{what}` |" in said
    assert "writers of a volume stand still" in said
