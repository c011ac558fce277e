"""Entries of `accept`: what they match, when they end, and what is said about them."""

from __future__ import annotations

from datetime import date

import pytest

from standfast.drift.acceptance import judged
from standfast.drift.finding import Finding
from standfast.inventory.schema import Accepted

TODAY = date(2026, 11, 22)
PLACE = "hosts.web-1.accept"


def finding(name: str, *, repair: bool = False) -> Finding:
    return Finding(name, "base", "unmanaged", name, "not declared", repair=repair)


def entry(what: str, until: date | None = None) -> Accepted:
    return Accepted(what=what, reason="known", until=until)


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("container:mailhog", "container:mailhog"),
        ("port:tcp/*", "port:tcp/6379"),
        ("key:root/SHA256:*", "key:root/SHA256:abc+/x"),
        (
            "firewall:ipv4/filter -A INPUT -s 1.2.3.4/32 -j ACCEPT",
            "firewall:ipv4/filter -A INPUT -s 1.2.3.4/32 -j ACCEPT",
        ),
        ("file:/etc/cron.d/[ab]", "file:/etc/cron.d/a"),
        ("file:/etc/x[1].conf", "file:/etc/x[1].conf"),
    ],
)
def test_matches(what: str, name: str) -> None:
    verdicts, remarks = judged([finding(name)], [entry(what)], TODAY, PLACE)
    assert verdicts[0].accepted is not None
    assert not verdicts[0].counts
    assert remarks == []


def test_case_matters_and_the_rest_counts() -> None:
    verdicts, remarks = judged([finding("container:MailHog")], [entry("container:mailhog")], TODAY, PLACE)
    assert verdicts[0].counts
    assert remarks == [
        "hosts.web-1.accept[0]: `container:mailhog` matches nothing any more; remove the entry"
    ]


@pytest.mark.parametrize(("until", "counts"), [(date(2026, 11, 22), False), (date(2026, 11, 21), True)])
def test_the_last_day_is_part_of_it(until: date, counts: bool) -> None:
    verdicts, remarks = judged([finding("port:tcp/25")], [entry("port:tcp/25", until)], TODAY, PLACE)
    assert verdicts[0].counts == counts
    assert remarks == (
        [f"{PLACE}[0]: `port:tcp/25` was accepted until {until}; decide again"] if counts else []
    )


def test_an_expired_entry_does_not_stand_in_the_way_of_another() -> None:
    entries = [entry("port:tcp/25", date(2020, 1, 1)), entry("port:*")]
    verdicts, _ = judged([finding("port:tcp/25")], entries, TODAY, PLACE)
    assert verdicts[0].accepted == entries[1]


def test_what_apply_repairs_is_not_accepted() -> None:
    verdicts, remarks = judged(
        [finding("unit:x.service", repair=True)], [entry("unit:x.service")], TODAY, PLACE
    )
    assert verdicts[0].counts
    assert "change the declaration" in remarks[0]


def test_what_is_only_noted_never_counts() -> None:
    noted = Finding("volume:x", "volumes", "noted", "volume x", "not declared")
    verdicts, _ = judged([noted], [], TODAY, PLACE)
    assert not verdicts[0].counts
    assert verdicts[0].as_json()["accepted"] is None
