"""Every case file beside this one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.operations import cases

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*/*.yml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path: Path) -> None:
    case = cases.load(path)
    outcome = cases.run(case)
    assert outcome.changes == case.get("changes", [])
    for part in [case["refused"]] if isinstance(case.get("refused"), str) else case.get("refused", []):
        assert part in outcome.refused
    assert bool(outcome.refused) == bool(case.get("refused"))
    for part in case.get("contains", []):
        assert part in "\n".join(outcome.commands)
    for line in case.get("diff", []):
        assert line in outcome.diffs.splitlines()


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_commands_are_shell(path: Path) -> None:
    for command in cases.run(cases.load(path)).commands:
        subprocess.run(["sh", "-n"], input=command, text=True, check=True)
