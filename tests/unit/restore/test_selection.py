"""Which copy is taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from standfast.host.backup.faults import Fault, WrongConfiguration
from standfast.host.backup.restic import Snapshot
from standfast.host.restore.selection import BEFORE_RESTORE, choose

TOKYO = ZoneInfo("Asia/Tokyo")
START = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)  # 03:00 of the 21st in Tokyo


def copy(number: int, *more: str, name: str = "shop") -> Snapshot:
    time = START + timedelta(days=number)
    return Snapshot(f"{number}abc" * 10, time, ("standfast", f"database:{name}", *more), (), "web-1")


EVERY = [copy(0), copy(1), copy(1, name="other"), copy(2), copy(3, "suspect"), copy(4, BEFORE_RESTORE)]


@pytest.mark.parametrize(
    ("at", "number"),
    [
        (None, 2),
        ("2026-11-22T03:00", 1),
        ("2026-11-22T02:59:59", 0),
        ("2026-11-21T18:00:00Z", 1),
        ("2026-11-22", 1),
        ("2027-01-01", 2),
        ("3abc3abc", 3),
        ("4abc", 4),
    ],
)
def test_the_copy_that_is_meant(at: str | None, number: int) -> None:
    assert choose(EVERY, "database", "shop", at, TOKYO).id == f"{number}abc" * 10


@pytest.mark.parametrize("at", ["2026-11-20", "9abc", "0abc0abd"])
def test_there_is_none(at: str) -> None:
    with pytest.raises(Fault, match="The newest ones are: 2abc2abc"):
        choose(EVERY, "database", "shop", at, TOKYO)


def test_no_copy_at_all_and_no_time_at_all() -> None:
    with pytest.raises(Fault, match="no copy at all"):
        choose([], "volume", "media", None, TOKYO)
    with pytest.raises(WrongConfiguration, match="yesterday"):
        choose(EVERY, "database", "shop", "yesterday", TOKYO)
