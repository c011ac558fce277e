"""How drift looks on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from standfast.cli.drift_presentation import print_acceptance, print_drift
from standfast.drift.acceptance import Verdict
from standfast.drift.finding import Finding
from standfast.engine.drift import Drift, HostDrift
from standfast.inventory.schema import Accepted

NOW = datetime.now(UTC)


def one(name: str, kind: str = "unmanaged", **more: object) -> Finding:
    values: dict[str, object] = {
        "id": name,
        "subject": "base",
        "kind": kind,
        "what": name,
        "why": "why",
        **more,
    }
    return Finding(**values)  # type: ignore[arg-type]  # each has its type


def shown(capsys: pytest.CaptureFixture[str], *verdicts: Verdict) -> str:
    host = HostDrift("web-1", "203.0.113.10", "Asia/Tokyo", list(verdicts))
    print_drift(Drift("production", [host]), "standfast apply production")
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("findings", "last"),
    [
        ([], "no differences: web-1 as declared"),
        ([one("a:1", repair=True)], "1 difference. `standfast apply production` repairs it."),
        (
            [one("a:1", repair=True), one("a:2", repair=True)],
            "2 differences. `standfast apply production` repairs them.",
        ),
        (
            [one("a:1", repair=True), one("a:2", repair=True), one("a:3")],
            (
                "3 differences. `standfast apply production` repairs 2; the other needs your decision: "
                "remove, declare, or accept (`accept:` in the inventory)."
            ),
        ),
        (
            [one("a:1"), one("a:2")],
            "2 differences. They need your decision: remove, declare, or accept (`accept:` in the inventory).",
        ),
        ([one("a:1", "noted")], "no differences: web-1 as declared"),
    ],
)
def test_the_last_line_says_what_to_do(
    capsys: pytest.CaptureFixture[str], findings: list[Finding], last: str
) -> None:
    assert shown(capsys, *map(Verdict, findings)).splitlines()[-1] == last


def test_times_are_in_the_servers_time_zone(capsys: pytest.CaptureFixture[str]) -> None:
    zone = ZoneInfo("Asia/Tokyo")
    today = NOW.astimezone(zone)
    text = shown(
        capsys,
        Verdict(one("a:1", since=NOW, by="root")),
        Verdict(one("a:2", since=NOW - timedelta(days=1))),
        Verdict(one("a:3", since=datetime(2020, 1, 31, 23, tzinfo=UTC))),
    )
    assert f"(today {today:%H:%M} by root)" in text
    assert f"(yesterday {today:%H:%M})" in text
    assert "(1 Feb 2020)" in text


def test_accepted_and_noted_ones_come_after_and_many_packages_are_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    accepted = Accepted(what="a:*", reason="the provider's")
    packages = [Verdict(one(f"package:p{n}", "noted")) for n in range(5)]
    text = shown(capsys, Verdict(one("a:1"), accepted), *packages, Verdict(one("b:1", diff="-x\n+y")))
    assert text.index("b:1") < text.index("the provider's") < text.index("5 packages installed by hand")
    assert "1 difference, 1 accepted" in text
    assert "               +y" in text


def test_names_on_a_server_cannot_play_with_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    finding = one("file:x", what="/etc/cron.d/\x1b]0;title\x07", by="ro\x1bot", since=NOW)
    noted = one("volume:x", "noted", what="volume \x1b[2J")
    text = shown(
        capsys, Verdict(finding), Verdict(noted), Verdict(one("a:1"), Accepted(what="a:1", reason="\u202eok"))
    )
    assert all(letter.isprintable() or letter == "\n" for letter in text)


def test_a_long_diff_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, Verdict(one("b:1", diff="\n".join("-x" for _ in range(40)))))
    assert "… 28 more lines" in text


def test_yaml_to_paste_has_what_needs_a_decision(capsys: pytest.CaptureFixture[str]) -> None:
    verdicts = [Verdict(one('a:"1": x')), Verdict(one("b:1", repair=True)), Verdict(one("c:1", "noted"))]
    host = HostDrift("web-1", "203.0.113.10", "Etc/UTC", verdicts)
    print_acceptance(Drift("production", [host]), "came so: really")
    assert capsys.readouterr().out == (
        "# hosts.web-1: put these under its `accept:`\naccept:\n"
        '  - {what: "a:\\"1\\": x", reason: "came so: really"}\n'
    )
