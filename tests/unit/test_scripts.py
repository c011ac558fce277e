"""The README's commands: asked for help, or told what they do not know, they do nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "script" / script, *arguments], capture_output=True, text=True, timeout=20, check=False
    )


@pytest.mark.parametrize("script", ["demo", "test"])
def test_help_shows_every_way_to_call_it(script: str) -> None:
    done = run(script, "--help")
    assert done.returncode == 0
    assert f"script/{script} --" in done.stdout
    assert "pipefail" not in done.stdout


@pytest.mark.parametrize("script", ["demo", "test"])
def test_a_word_that_it_does_not_know_is_refused(script: str) -> None:
    done = run(script, "--destory")
    assert done.returncode == 3
    assert "found --destory. Nothing was done." in done.stderr
