"""The benchmark's small version, so that it cannot rot. No time is asserted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from bench.contestants import SHORT

ROOT = Path(__file__).parents[2]


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
    for tool in SHORT.values():
        assert f"| nothing to do | 1 | LAN | {tool} |" in done.stdout
    assert "| round trips, LAN, standfast: at most 3 | 2.00 | yes |" in done.stdout
    assert "| help | 1 | LAN | standfast |" in done.stdout
    assert "ansible-core 2" in done.stdout
