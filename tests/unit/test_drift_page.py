"""docs/drift.md says what the tests show, and the examples for a schedule are what they claim to be."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from tests.server import drifts

ROOT = Path(__file__).parents[2]


def test_the_page_lists_every_drift() -> None:
    assert drifts.table() in drifts.PAGE.read_text(encoding="utf-8"), "run `python -m tests.server.drifts`"


def test_there_are_many_and_none_twice() -> None:
    assert len(drifts.DRIFTS) >= 60
    titles = [each.title for each in drifts.DRIFTS]
    assert len(set(titles)) == len(titles)
    assert len({(each.id, each.kind, each.round) for each in drifts.DRIFTS}) == len(titles)


def test_what_is_injected_is_shell() -> None:
    for each in drifts.DRIFTS:
        for script in (each.do, "" if each.undo == drifts.APPLY else each.undo):
            subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_the_schedules_run_drift() -> None:
    cron = (ROOT / "examples/schedule/standfast-drift").read_text()
    job = cron.splitlines()[-1]
    assert job in (ROOT / "docs/drift.md").read_text()
    subprocess.run(["sh", "-n"], input=job.split(" ", 6)[6], text=True, check=True)
    workflow = yaml.safe_load((ROOT / "examples/schedule/drift.yml").read_text())
    steps = workflow["jobs"]["production"]["steps"]
    assert steps[-1]["run"] == "standfast drift production"
