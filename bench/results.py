"""What was measured: kept between runs, so that the whole can be measured in parts; the tables made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from bench.contestants import DRIFT, MITOGEN, PIPELINING, PLAIN, PYINFRA, STANDFAST

CLICK = "python -c 'import click'"
NOTHING, PROVISION, VERIFY, HELP, FLEET, TURNS = (
    *("nothing to do", "first provision", "verify", "help", "nothing to do, without Docker"),
    "round trips",
)
LAN, FAR = "LAN", "100 ms"


@dataclass(frozen=True)
class Measured:
    """One run of one tool; of `TURNS` the number is one of round trips."""

    what: str
    hosts: int
    link: str
    tool: str
    number: float
    """Seconds."""
    megabytes: float
    versions: str = ""
    """What was at work, so that different versions are never one row."""


@dataclass(frozen=True)
class Goal:
    """What was set out to be reached."""

    what: str
    hosts: int
    link: str
    ours: str
    other: str
    """A tool on the same servers; empty when the limit is absolute."""
    limit: float
    faster: bool = False
    """Whether the other one must take at least `limit` times as long; else ours at most."""


GOALS = (
    Goal(NOTHING, 1, LAN, STANDFAST, PLAIN, 4),
    Goal(NOTHING, 1, FAR, STANDFAST, PLAIN, 1.5),
    Goal(NOTHING, 1, LAN, STANDFAST, MITOGEN, 5, faster=True),
    Goal(NOTHING, 1, FAR, STANDFAST, MITOGEN, 8, faster=True),
    Goal(NOTHING, 1, LAN, STANDFAST, PIPELINING, 18, faster=True),
    Goal(NOTHING, 1, FAR, STANDFAST, PIPELINING, 28, faster=True),
    Goal(NOTHING, 1, LAN, STANDFAST, PYINFRA, 6, faster=True),
    Goal(NOTHING, 1, FAR, STANDFAST, PYINFRA, 15, faster=True),
    Goal(TURNS, 1, LAN, STANDFAST, "", 3),
    Goal(TURNS, 1, LAN, DRIFT, "", 3),
    Goal(PROVISION, 1, LAN, STANDFAST, PLAIN, 1.15),
    Goal(PROVISION, 1, FAR, STANDFAST, PLAIN, 1.15),
    Goal(VERIFY, 1, LAN, STANDFAST, "", 3),
    Goal(HELP, 1, LAN, STANDFAST, CLICK, 2.5),
)
MANY, MANY_TIMES, MANY_MEGABYTES = 20, 4, 250


class Results:
    """All runs, in a file that grows."""

    def __init__(self, path: Path | None) -> None:
        """
        + path: where they are kept; ``None`` keeps them nowhere
        """
        self.path = path
        self.all: list[Measured] = []
        self.versions = ""
        if path is not None and path.exists():
            self.all = [Measured(**json.loads(line)) for line in path.read_text().splitlines()]

    def add(self, one: Measured) -> None:
        """Keep a run; it stays when the next one is interrupted."""
        one = replace(one, versions=self.versions)
        self.all.append(one)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(asdict(one))}\n")

    def of(self, what: str, hosts: int, link: str, tool: str) -> list[Measured]:
        """The runs of one tool in one situation, with the versions of now."""
        wanted = (what, hosts, link, tool, self.versions)
        return [
            each
            for each in self.all
            if (each.what, each.hosts, each.link, each.tool, each.versions) == wanted
        ]

    def middle(self, what: str, hosts: int, link: str, tool: str) -> float | None:
        """Their median; ``None`` when there is none."""
        runs = self.of(what, hosts, link, tool)
        return median(run.number for run in runs) if runs else None

    def table(self) -> Iterator[str]:
        """Medians, and how many times as long as standfast each tool took."""
        yield "| what | servers | distance | tool | median | runs | against standfast | memory |"
        yield "|---|---|---|---|---|---|---|---|"
        rows = dict.fromkeys(
            (each.what, each.hosts, each.link, each.tool)
            for each in self.all
            if each.versions == self.versions and each.what != TURNS
        )
        order = {what: number for number, what in enumerate(dict.fromkeys(row[0] for row in rows))}
        for row in sorted(rows, key=lambda row: (order[row[0]], row[1], row[2] != LAN)):
            runs = self.of(*row)
            seconds = median(run.number for run in runs)
            ours = self.middle(*row[:3], STANDFAST)
            ratio = f"{seconds / ours:.2f} ×" if ours else ""
            memory = max(run.megabytes for run in runs)
            cells = [*map(str, row), f"{seconds:.2f} s", str(len(runs)), ratio, f"{memory:.0f} MB"]
            yield f"| {' | '.join(cells)} |"

    def goals(self) -> Iterator[str]:
        """What was to be reached, and what was measured; without a word where nothing was."""
        yield "| goal | measured | reached |"
        yield "|---|---|---|"
        for goal in GOALS:
            ours = self.middle(goal.what, goal.hosts, goal.link, goal.ours)
            other = self.middle(goal.what, goal.hosts, goal.link, goal.other) if goal.other else 1.0
            if ours is not None and other is not None:
                yield _row(goal, ours, other)
        one, many = (self.middle(FLEET, hosts, LAN, STANDFAST) for hosts in (1, MANY))
        if one and many:
            megabytes = max(run.megabytes for run in self.of(FLEET, MANY, LAN, STANDFAST))
            yield (
                f"| {MANY} servers: at most {MANY_TIMES} × one server | {many / one:.2f} × | "
                f"{_yes(many <= MANY_TIMES * one)} |"
            )
            yield (
                f"| {MANY} servers: less than {MANY_MEGABYTES} MB | {megabytes:.0f} MB | "
                f"{_yes(megabytes < MANY_MEGABYTES)} |"
            )


def _row(goal: Goal, ours: float, other: float) -> str:
    if goal.faster:
        words, value = f"at least {goal.limit:g} × faster than {goal.other}", other / ours
        good = value >= goal.limit
    else:
        value = ours / other
        words = f"at most {goal.limit:g}" + (f" × {goal.other}" if goal.other else _unit(goal))
        good = value <= goal.limit
    unit = " ×" if goal.other else _unit(goal)
    return f"| {goal.what}, {goal.link}, {goal.ours}: {words} | {value:.2f}{unit} | {_yes(good)} |"


def _unit(goal: Goal) -> str:
    return "" if goal.what == TURNS else " s"


def _yes(good: bool) -> str:
    return "yes" if good else "**no**"
