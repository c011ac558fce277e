"""``standfast-host schema``: what the controller calls; the wish comes on standard input, JSON goes back."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from typing import Any

from standfast.host import telling
from standfast.host.backup import containers
from standfast.host.backup.faults import Fault, WrongConfiguration
from standfast.host.schema import check, comparison, django, last_backup
from standfast.host.schema.address import quoted_name
from standfast.host.schema.answer import Side
from standfast.host.schema.catalogue import Catalogue
from standfast.host.schema.migrations import Project, Report
from standfast.host.schema.reach import Reach
from standfast.host.schema.throwaway import Throwaway
from standfast.host.schema.wish import Wish, on_image, wish_from

DESCRIPTION = """Hold databases of this server against their migrations. Reads JSON from standard input:
{"databases": [{"name": …, "place": {"database": …, "user": …, "app": …, "service": …}, "wish": {…}}]}.
`standfast schema` calls it. Nothing is written to a live database."""
EPILOG = "exit codes: 0 compared, whether they agree or not; 3 what came on standard input is wrong"


def main(arguments: list[str]) -> int:
    """Compare the databases that are asked for; what cannot be compared is in the answer."""
    argparse.ArgumentParser("standfast-host schema", description=DESCRIPTION, epilog=EPILOG).parse_args(
        arguments
    )
    answers: list[dict[str, Any]] = []
    errors: dict[str, str] = {}
    try:
        asked = json.loads(sys.stdin.read())["databases"]
    except (ValueError, KeyError, TypeError):
        telling.progress(
            "standfast-host schema: expected JSON with `databases` on standard input. Nothing was done."
        )
        return WrongConfiguration.code
    for each in asked:
        try:
            answers.append(_compared(each, errors))
        except Fault as fault:
            errors[str(each["name"])] = str(fault)
    telling.answer(json.dumps({"databases": answers, "errors": errors}, ensure_ascii=False))
    return 0


def _compared(asked: dict[str, Any], errors: dict[str, str]) -> dict[str, Any]:
    place = asked["place"]
    wish = wish_from(asked["wish"])
    words = f"database {asked['name']}"
    if place.get("socket"):
        prefix = ("runuser", "--user", place["user"], "--")
        options = ("--host", place["socket"], "--username", place["user"])
        reach = Reach(words, quoted_name(place["database"]), prefix=prefix, options=options)
    else:
        container = containers.service(place["app"], place["service"])
        prefix = ("docker", "exec", "--interactive", container.id)
        reach = Reach(
            words, quoted_name(place["database"]), prefix=prefix, options=("--username", place["user"])
        )
        wish = on_image(wish, container.image_id)
    further = _last_backup(str(asked["name"]), wish, errors) if asked.get("backup", True) else []
    run_django = partial(_django, str(place.get("app")))
    return check.perform(reach, wish, telling.progress, run_django, further).as_json()


def _last_backup(name: str, wish: Wish, errors: dict[str, str]) -> list[check.Against]:
    """The last backup as one more side; when it cannot be read, that is an error beside the answer."""
    try:
        earlier = last_backup.last(name)
    except Fault as fault:
        errors[name] = str(fault)
        return []
    if earlier is None:
        return []

    def held(live: Catalogue) -> Side:
        found = comparison.told(comparison.compare(live, earlier.catalogue, wish.ignored))
        counting = tuple(each for each in found if last_backup.counts(each))
        return Side(earlier.words, counting, noted=tuple(each for each in found if each not in counting))

    return [held]


def _django(app: str, project: Project, made: Throwaway, role: str, report: Report) -> None:
    django.apply_in_image(project, made, role, report, django.service(app, project.service))
