"""In which order servers are begun, and after how many failures no further one is."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from standfast.errors import UsageError


@dataclass(frozen=True, slots=True)
class Limit:
    """How many servers may fail; with one more, no further server is begun."""

    number: int
    percent: bool = False
    """Whether the number is a share of all servers of the run."""

    def exceeded(self, failed: int, total: int) -> bool:
        """Whether `failed` servers of `total` are too many."""
        return failed * 100 > self.number * total if self.percent else failed > self.number

    def __str__(self) -> str:
        return f"{self.number}{'%' if self.percent else ''}"


@dataclass(frozen=True, slots=True)
class Rollout:
    """How a run goes through its servers. As it is by default: all at once, each on its own."""

    serial: int | None = None
    """How many servers are changed at a time; ``None`` means all."""
    canaries: tuple[str, ...] = ()
    """Servers that come first; all of them must be well before another one is begun."""
    max_failures: Limit | None = None

    @property
    def limit(self) -> Limit | None:
        """What counts: when servers are begun one after the other, the first failure is one too many."""
        return self.max_failures or (Limit(0) if self.serial or self.canaries else None)

    def check(self, names: Collection[str]) -> None:
        """
        Refuse a canary that is not among the servers of the run.

        Raises:
            UsageError: no host was contacted.
        """
        for canary in self.canaries:
            if canary not in names:
                raise UsageError(f"--canary {canary}: not among the servers of this run: {', '.join(names)}")

    def batches(self, names: Sequence[str]) -> list[list[str]]:
        """
        Servers divided into those that are begun together.

        + names: servers that have changes, in the order in which they are begun
        """
        first = [name for name in names if name in self.canaries]
        rest = [name for name in names if name not in self.canaries]
        return [
            part[start : start + size]
            for part in (first, rest)
            for size in [self.serial or max(len(part), 1)]
            for start in range(0, len(part), size)
        ]

    def why_stop(self, failed: Collection[str], total: int) -> str | None:
        """
        Why no further server is begun, in words; ``None`` while the run may go on.

        + failed: servers that could not be connected, were refused, failed, or whose assertions do not hold
        + total: number of servers of the run
        """
        sick = [canary for canary in self.canaries if canary in failed]
        if sick:
            return f"the canary {', '.join(sick)} is not well"
        if self.limit is None or not self.limit.exceeded(len(failed), total):
            return None
        what = (
            f"{len(failed)} of {total} servers failed" if len(failed) > 1 else f"{next(iter(failed))} failed"
        )
        return f"{what}, and --max-failures is {self.limit}{'' if self.max_failures else ' by default'}"


def parse_limit(text: str) -> Limit:
    """
    A limit from the command line: ``3`` servers, or ``10%`` of them.

    Raises:
        ValueError: it is neither.
    """
    match = re.fullmatch(r"(\d+)(%?)", text)
    if match is None or (match[2] and int(match[1]) > 100):
        raise ValueError("expected a number of servers, or a share such as 10%")
    return Limit(int(match[1]), bool(match[2]))
