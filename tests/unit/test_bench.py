"""The benchmark's tables: parts are put together, medians and goals are right."""

from __future__ import annotations

from pathlib import Path

from bench.contestants import PLAIN, STANDFAST
from bench.results import FLEET, LAN, NOTHING, PROVISION, Measured, Results


def measured(results: Results, what: str, hosts: int, tool: str, *seconds: float) -> None:
    for each in seconds:
        results.add(Measured(what, hosts, LAN, tool, each, 70))


def test_parts_that_were_measured_apart_are_one_table(tmp_path: Path) -> None:
    first = Results(tmp_path / "results.jsonl")
    first.versions = "of today"
    measured(first, NOTHING, 1, STANDFAST, 1.0, 9.0)
    second = Results(tmp_path / "results.jsonl")
    second.versions = "of today"
    measured(second, NOTHING, 1, STANDFAST, 2.0)
    measured(second, NOTHING, 1, PLAIN, 0.5)
    table = list(second.table())
    assert "| nothing to do | 1 | LAN | standfast | 2.00 s | 3 | 1.00 × | 70 MB |" in table
    assert "| nothing to do | 1 | LAN | plain ssh | 0.50 s | 1 | 0.25 × | 70 MB |" in table


def test_other_versions_are_not_mixed_in(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl")
    results.versions = "of yesterday"
    measured(results, NOTHING, 1, STANDFAST, 100.0)
    results.versions = "of today"
    measured(results, NOTHING, 1, STANDFAST, 1.0)
    assert results.middle(NOTHING, 1, LAN, STANDFAST) == 1.0


def test_a_goal_that_is_missed_says_so_and_one_that_was_not_measured_says_nothing() -> None:
    results = Results(None)
    measured(results, NOTHING, 1, STANDFAST, 1.0)
    measured(results, NOTHING, 1, PLAIN, 0.2)
    measured(results, PROVISION, 1, STANDFAST, 60.0)
    measured(results, FLEET, 1, STANDFAST, 1.0)
    measured(results, FLEET, 20, STANDFAST, 3.9)
    _, _, *rows = results.goals()
    assert rows == [
        "| nothing to do, LAN, standfast: at most 4 × plain ssh | 5.00 × | **no** |",
        "| 20 servers: at most 4 × one server | 3.90 × | yes |",
        "| 20 servers: less than 250 MB | 70 MB | yes |",
    ]
