"""The pure parts of the backup program: configuration, manifests, comparison, times, records, coverage."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from standfast.host.backup import (
    comparison,
    configuration,
    coverage,
    layout,
    manifest,
    records,
    restic,
    schedule,
    status,
    timetable,
)
from standfast.host.backup.configuration import Configuration, Database, Schedule, Volume
from standfast.host.backup.containers import Container, Mount
from standfast.host.backup.faults import WrongConfiguration
from standfast.host.backup.manifest import Census, DatabaseManifest, RowSecurity, StoredFile, Table
from standfast.host.backup.records import Item, Record, Run

TOKYO = Configuration(
    server="web-1",
    repository="/srv/restic",
    timezone="Asia/Tokyo",
    databases={"toybox": Database("toybox", "toybox", app="toybox", service="db", may_shrink=("q.*",))},
    volumes={"media": Volume("weekly"), "queue": Volume("daily", "stop", 5)},
    dumped=("pgdata",),
    excluded={"cache": "fills again"},
    schedule=Schedule(databases=("03:00", "15:00"), drill=None),
    ping={"databases": "https://hc.example.com/a"},
)
CENSUS = Census(
    tables={"public.user": Table(4, "12"), "q.job": Table(10, "-3")},
    sequences={"public.user_id_seq": 4},
    extensions={"plpgsql": "1.0"},
    roles={"toybox": "superuser, login", "app": "login"},
    row_security={
        "public.user": RowSecurity(True, False, ("own PERMISSIVE ALL to app using (true) check ()",))
    },
    schema_sha256="abc",
)
MANIFEST = DatabaseManifest(
    name="toybox",
    server="web-1",
    time="2026-11-01T18:00:00+00:00",
    database="toybox",
    user="toybox",
    census=CENSUS,
    files={"dump.pgc": StoredFile(5, "ff")},
    versions={"server": "17.4"},
)


def test_a_configuration_survives_its_file() -> None:
    assert configuration.parse(TOKYO.text()) == TOKYO


@pytest.mark.parametrize(
    "change",
    [{"format": 2}, {"unknown": 1}, {"schedule": {"noon": "12:00"}}, {"databases": {"a": {}}}, {"keep": 3}],
)
def test_a_configuration_of_another_kind_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "backups.json"
    path.write_text(json.dumps({**json.loads(TOKYO.text()), **change}))
    with pytest.raises(WrongConfiguration, match="Nothing was done"):
        configuration.load(path)


def test_a_manifest_survives_its_file() -> None:
    assert manifest.parse(manifest.text(MANIFEST)) == MANIFEST
    later = json.loads(manifest.text(MANIFEST)) | {"a later setting": 1}
    assert manifest.parse(json.dumps(later)) == MANIFEST


def test_a_manifest_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format"):
        manifest.parse(json.dumps({**json.loads(manifest.text(MANIFEST)), "format": 2}))


def test_equal_censuses_have_no_differences() -> None:
    assert comparison.differences(CENSUS, CENSUS) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"tables": {**CENSUS.tables, "public.user": Table(3, "12")}},
            "table public.user has 3 rows, it had 4",
        ),
        ({"tables": {**CENSUS.tables, "public.user": Table(4, "13")}}, "other content in its 4 rows"),
        ({"tables": {"q.job": Table(10, "-3")}}, "table public.user is missing"),
        ({"sequences": {"public.user_id_seq": 3}}, "is at 3, it was at 4"),
        ({"extensions": {}}, "extension plpgsql is missing"),
        ({"roles": {"toybox": "superuser, login"}}, "role app is missing"),
        ({"roles": {"toybox": "login", "app": "login"}}, "role toybox: login; it was: superuser, login"),
        ({"row_security": {"public.user": RowSecurity(True, False)}}, "policy on public.user is missing"),
        ({"row_security": {}}, "row-level security of public.user: off, it was on"),
        ({"large_objects": 1}, "1 large objects, there were 0"),
        ({"schema_sha256": "abd"}, "the schema is another one"),
    ],
)
def test_each_difference_is_named(change: dict[str, object], expected: str) -> None:
    found = comparison.differences(CENSUS, replace(CENSUS, **change))  # type: ignore[arg-type] # one field each
    assert any(expected in sentence for sentence in found), found


def test_a_sequence_may_be_further_on_and_a_role_may_be_new() -> None:
    more = replace(CENSUS, sequences={"public.user_id_seq": 5}, roles={**CENSUS.roles, "postgres": ""})
    assert comparison.differences(CENSUS, more) == []


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (4, None),
        (3, None),
        (2, "has 2 rows; it had 4"),
        (0, "is empty; it had 4"),
        (None, "is gone; it had 4"),
    ],
)
def test_losses_are_told_from_half_the_rows_on(rows: int | None, expected: str | None) -> None:
    tables = {"public.user": Table(rows, "1")} if rows is not None else {}
    found = comparison.losses(CENSUS, replace(CENSUS, tables=tables), ["q.*"])
    assert (found == []) if expected is None else (expected in found[0])


def at(text: str) -> datetime:
    """A moment in Tokyo."""
    return datetime.fromisoformat(f"{text}+09:00").astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "databases", "weekly", "daily"),
    [
        # 22 November 2026 is a Sunday.
        ("2026-11-22 02:59", "2026-11-21 15:00", "2026-11-15 03:30", "2026-11-21 03:30"),
        ("2026-11-22 03:00", "2026-11-22 03:00", "2026-11-15 03:30", "2026-11-21 03:30"),
        ("2026-11-22 03:30", "2026-11-22 03:00", "2026-11-22 03:30", "2026-11-22 03:30"),
        ("2026-11-25 16:00", "2026-11-25 15:00", "2026-11-22 03:30", "2026-11-25 03:30"),
    ],
)
def test_when_copies_were_due(now: str, databases: str, weekly: str, daily: str) -> None:
    assert timetable.copies(TOKYO, at(now)) == {
        ("database", "toybox"): at(databases),
        ("volume", "media"): at(weekly),
        ("volume", "queue"): at(daily),
    }


def test_when_other_jobs_were_due() -> None:
    monthly = replace(TOKYO, schedule=Schedule())
    found = timetable.jobs(monthly, at("2026-11-25 12:00"))
    assert found == {
        "check": at("2026-11-25 04:30"),
        "prune": at("2026-11-22 04:30"),
        "drill": at("2026-11-01 05:00"),
    }
    assert "drill" not in timetable.jobs(TOKYO, at("2026-11-25 12:00"))


def run(job: str, begin: str, *items: Item, outcome: str = "done") -> Run:
    """A run of the past."""
    return Run("id", job, at(begin).isoformat(), at(begin).isoformat(), outcome, "", items)


def copied(begin: str, *, ok: bool = True, snapshot: str | None = "5", name: str = "toybox") -> Item:
    """A copy of the past."""
    return Item("database", name, ok, "said", snapshot, {}, at(begin).isoformat())


def test_what_was_stored_since_is_not_due_again() -> None:
    now = at("2026-11-22 03:10")
    good = run("databases", "2026-11-22 03:00", copied("2026-11-22 03:01"))
    early = run("databases", "2026-11-22 02:50", copied("2026-11-22 02:51"))
    nothing = run("databases", "2026-11-22 03:00", copied("2026-11-22 03:01", ok=False, snapshot=None))
    suspect = run("databases", "2026-11-22 03:00", copied("2026-11-22 03:01", ok=False))
    assert schedule.due("databases", TOKYO, now, [good]) == []
    assert schedule.due("databases", TOKYO, now, [suspect]) == []
    for runs in ([], [early], [nothing]):
        assert schedule.due("databases", TOKYO, now, runs) == [("database", "toybox")]


def test_a_job_that_was_killed_is_due_again() -> None:
    now = at("2026-11-22 04:40")
    assert schedule.due("check", TOKYO, now, [run("check", "2026-11-22 04:30")]) == []
    assert schedule.due("check", TOKYO, now, [run("check", "2026-11-22 04:30", outcome="killed")])
    assert schedule.due("check", TOKYO, now, [run("check", "2026-11-21 04:30")])


def problems(now: str, *runs: Run) -> str | None:
    """What the status says of the database."""
    answer = status.status(TOKYO, at(now), runs)
    (found,) = [each for each in answer["copies"] if each["name"] == "toybox"]
    text: str | None = found["problem"]
    assert text is None or not answer["ok"]
    return text


def test_the_status_knows_late_failed_and_never() -> None:
    good = run("databases", "2026-11-22 03:00", copied("2026-11-22 03:01"))
    bad = run("databases", "2026-11-22 15:00", copied("2026-11-22 15:01", ok=False), outcome="failed")
    assert problems("2026-11-22 04:00") == "there is no good copy yet"
    assert problems("2026-11-22 04:00", good) is None
    assert problems("2026-11-22 16:00", good, bad) == "said"
    assert "27 h old" in (problems("2026-11-23 06:01", good) or "")
    assert "from the future" in (problems("2026-11-22 02:00", good) or "")


def test_a_record_tells_how_a_run_went(tmp_path: Path) -> None:
    done, failed, running = (Record(job, tmp_path) for job in ("databases", "volumes", "check"))
    done.item(Item("database", "toybox", True, "4 rows", "abc", {"rows": 4}))
    done.end("all", failed=False)
    failed.end("no", failed=True)
    found = {each.job: each for each in records.runs(tmp_path)}
    assert {job: each.outcome for job, each in found.items()} == {
        "databases": "done",
        "volumes": "failed",
        "check": "running",
    }
    assert found["databases"].items[0].data == {"rows": 4}
    assert records.last("databases", folder=tmp_path) == found["databases"]
    assert running.items == []


def test_a_run_without_an_end_whose_process_is_gone_was_killed(tmp_path: Path) -> None:
    line = {
        "event": "begin",
        "job": "databases",
        "time": records.now(),
        "pid": os.getpid(),
        "born": "another/1",
    }
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + '\n{"event": "item", "ki')
    (only,) = records.runs(tmp_path)
    assert only.outcome == "killed"


def container(name: str, *mounts: Mount) -> Container:
    """A container of the application."""
    return Container("id", name, "running", "image", "sha", "toybox", "web", False, mounts)


def test_every_mounted_volume_is_covered_or_named() -> None:
    known = [Mount(name, "/d", True) for name in ("media", "pgdata", "cache")]
    assert coverage.found(TOKYO, [container("a", *known)]) == []
    stray, anonymous = Mount("stray", "/s", True), Mount("0" * 64, "/v", False)
    found = coverage.found(TOKYO, [container("a", stray, anonymous), container("b", stray)])
    assert len(found) == 2
    assert "anonymous volume 000000000000, which toybox/web mounts at /v" in found[0]
    assert "the volume stray" in found[1]


def test_the_volume_of_a_path_is_that_of_the_nearest_mount() -> None:
    two = container("a", Mount("outer", "/var/lib", True), Mount("inner", "/var/lib/postgresql/data", True))
    assert two.volume_of("/var/lib/postgresql/data/pgdata") == "inner"
    assert two.volume_of("/var/lib/postgresql/database") == "outer"
    assert two.volume_of("/srv") is None


@pytest.mark.parametrize(
    "text", ["2026-11-22T18:59:00.123456789+09:00", "2026-11-22T09:59:00.1Z", "2026-11-22T09:59:00Z"]
)
def test_times_of_restic(text: str) -> None:
    assert restic.moment(text) - datetime(2026, 11, 22, 9, 59, tzinfo=UTC) < timedelta(seconds=1)


def test_tags_name_what_a_snapshot_is_of() -> None:
    def snapshot(*tags: str) -> restic.Snapshot:
        return restic.Snapshot("id", at("2026-11-22 03:00"), tags, (), "web-1")

    assert snapshot(layout.TAG, layout.tag("database", "toybox")).subject == ("database", "toybox")
    assert snapshot(layout.TAG, "volume:a:b", layout.SUSPECT).subject == ("volume", "a:b")
    assert snapshot(layout.TAG, "volume:a", layout.SUSPECT).suspect
    assert snapshot(layout.WARM).subject is None
    assert snapshot("database:toybox").subject is None
