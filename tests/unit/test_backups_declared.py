"""From the inventory to what the server is told about backups; what a plan refuses and points out."""

from __future__ import annotations

from pathlib import Path

import pytest

from standfast.apps import admission, compose_file
from standfast.host.backup import configuration
from standfast.inventory.loader import load
from standfast.inventory.schema import Database, Docker, Host, Volume
from standfast.operations import backups
from standfast.rendering import render_file
from standfast.resources import templates_dir

EVERYTHING = Path(__file__).parents[1] / "inventories/valid/everything.yml"
COMPOSE = """\
services:
  db:
    image: postgres:17
    volumes: [pgdata:/var/lib/postgresql/data]
  admin:
    image: adminer
    volumes: [pgdata:/look:ro]
  web:
    image: web
    volumes: [media:/media, ./conf:/conf]
volumes:
  pgdata: {external: true}
  media: {external: true}
"""


def everything() -> Host:
    """The host with every setting."""
    return load(EVERYTHING).inventory.hosts["web-1"]


def uncovered(volumes: dict[str, Volume], databases: list[Database]) -> list[str]:
    """What is said of the Compose file above."""
    file = compose_file.read(COMPOSE, "compose.yml", {}, "/srv/apps/shop")
    return admission.uncovered(file, host="web-1", app="shop", volumes=volumes, databases=databases)


DUMPED, WEEKLY = Volume(backup="dump"), Volume(backup="weekly")
SHOP = Database(app="shop")


def test_nothing_is_said_where_everything_is_covered() -> None:
    assert uncovered({"pgdata": DUMPED, "media": WEEKLY}, [SHOP]) == []
    excluded = Volume(backup="none", reason="fills again")
    assert uncovered({"pgdata": WEEKLY, "media": excluded}, []) == []


@pytest.mark.parametrize(
    ("volumes", "databases", "expected"),
    [
        (
            {"pgdata": DUMPED, "media": Volume()},
            [SHOP],
            "compose.yml:10: service web mounts the volume media, and it is in no backup.",
        ),
        ({"pgdata": DUMPED, "media": WEEKLY}, [], "with `backup: dump`, and no database of this service"),
        ({"pgdata": DUMPED, "media": WEEKLY}, [Database(app="other")], "no database of this service"),
        (
            {"pgdata": WEEKLY, "media": WEEKLY},
            [Database(app="shop", service="pg")],
            "not pg. It has: admin, db, web",
        ),
    ],
)
def test_what_nobody_thought_of_is_refused(
    volumes: dict[str, Volume], databases: list[Database], expected: str
) -> None:
    assert any(expected in sentence for sentence in uncovered(volumes, databases))


def test_the_server_is_told_everything_and_no_secret() -> None:
    host = everything()
    assert host.backups is not None
    told = backups.configured("web-1", host, host.backups)
    assert configuration.parse(told.text()) == told
    assert told.databases["toybox"].user == "reader"
    assert told.databases["old"] == configuration.Database("old", "old", socket="/var/run/postgresql")
    assert set(told.volumes) == {"toybox_media", "toybox_queue"}
    assert told.volumes["toybox_media"].writers == "stop"
    assert told.dumped == ("toybox_pgdata",)
    assert told.excluded == {"toybox_cache": "it fills again"}
    assert (told.schedule.weekday, told.schedule.drill) == (1, None)
    assert "STANDFAST_BACKUP_PASSWORD" not in told.text()


def test_crons_times() -> None:
    host = everything()
    assert host.backups is not None
    monthly = host.backups.model_copy(update={"drill": "05:07", "databases": ["00:05"]})
    for wanted, expected in (
        (host.backups, ["0 3 * * *", "0 15 * * *", "30 3 * * *", "30 4 * * *", "@reboot", "17 * * * *"]),
        (monthly, ["5 0 * * *", "30 3 * * *", "30 4 * * *", "7 5 1 * *", "@reboot", "17 * * * *"]),
    ):
        told = backups.configured("web-1", host, wanted)
        path = templates_dir() / "backups/cron.j2"
        text = render_file(
            path, {"configuration": told, "program": "/usr/local/sbin/standfast-host"}, {}
        ).text
        lines = [line for line in text.splitlines() if " root " in line]
        assert [line.partition(" root ")[0] for line in lines] == expected
        assert text.endswith("\n")
        assert not [line for line in text.splitlines() if line != line.rstrip()]


@pytest.mark.parametrize(
    ("place", "production", "expected"),
    [
        ("/srv/restic", True, "the only backups are on the server itself"),
        ("/srv/restic", False, None),
        ("sftp:backup@example.com:/srv", True, None),
        (None, True, "nothing of this server is in a backup"),
        (None, False, None),
    ],
)
def test_what_every_plan_points_out(place: str | None, production: bool, expected: str | None) -> None:
    settings = {"repository": place, "password": {"env": "PASSWORD"}}
    declared = {"address": "192.0.2.1", "docker": {}, **({"backups": settings} if place else {})}
    host = Host.model_validate(declared)
    assert host.docker == Docker()
    found = backups.attention(host, production=production)
    assert (found == []) if expected is None else (expected in found[0])
