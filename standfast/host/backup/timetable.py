"""When each job was due last, in the server's time zone: pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from standfast.host.backup.configuration import Configuration

LIMITS = {"daily": timedelta(hours=26), "weekly": timedelta(days=8)}
"""How old a copy may be before it is late."""
CHECK_LIMIT = timedelta(hours=50)
DRILL_LIMIT = timedelta(days=35)


def jobs(configuration: Configuration, now: datetime) -> dict[str, datetime]:
    """
    The last moment, up to `now`, at which each job that looks after the copies had to begin; UTC.

    Jobs: ``check``, ``prune``, ``drill``.
    """
    schedule = configuration.schedule
    zone = ZoneInfo(configuration.timezone)
    found = {
        "check": _last(schedule.check, now, zone),
        "prune": _last(schedule.check, now, zone, weekday=schedule.weekday),
    }
    if schedule.drill is not None:
        found["drill"] = _last(schedule.drill, now, zone, day=schedule.drill_day)
    return found


def copies(configuration: Configuration, now: datetime) -> dict[tuple[str, str], datetime]:
    """The last moment, up to `now`, at which each copy had to be begun, by kind and name; UTC."""
    schedule = configuration.schedule
    zone = ZoneInfo(configuration.timezone)
    dumps = max(_last(at, now, zone) for at in schedule.databases)
    found = {("database", name): dumps for name in configuration.databases}
    for name, volume in configuration.volumes.items():
        weekday = schedule.weekday if volume.when == "weekly" else None
        found["volume", name] = _last(schedule.volumes, now, zone, weekday=weekday)
    return found


def _last(
    at: str, now: datetime, zone: ZoneInfo, *, weekday: int | None = None, day: int | None = None
) -> datetime:
    clock = time.fromisoformat(at)
    for each in _backwards(now.astimezone(zone).date()):
        if weekday is not None and _cron_weekday(each) != weekday:
            continue
        if day is not None and each.day != day:
            continue
        moment = datetime.combine(each, clock, zone).astimezone(timezone.utc)
        if moment <= now:
            return moment
    raise ValueError(f"no day {day} of a month")


def _backwards(today: date) -> Iterator[date]:
    return (today - timedelta(days=days) for days in range(100))


def _cron_weekday(day: date) -> int:
    """0 is Sunday, as cron counts."""
    return day.isoweekday() % 7
