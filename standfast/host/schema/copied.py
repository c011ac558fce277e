"""The catalogue that lies beside each copy of a database: written with the dump, compared ever after."""

from __future__ import annotations

import json
from pathlib import Path

from standfast.host.backup import state
from standfast.host.backup.faults import Fault
from standfast.host.backup.postgres import Place
from standfast.host.schema import catalogue
from standfast.host.schema.address import quoted_name
from standfast.host.schema.catalogue import Catalogue
from standfast.host.schema.comparison import compare, told
from standfast.host.schema.reach import Reach


def reach(place: Place, database: str) -> Reach:
    """The way to a database that backups know."""
    options = (*(("--host", place.socket) if place.socket else ()), "--username", place.user)
    return Reach(f"database {database}", quoted_name(database), prefix=place.prefix, options=options)


def write(place: Place, database: str, snapshot: str, file: Path) -> bool:
    """
    Write down what is in a database, as one exported snapshot sees it; whether that was possible.

    A copy without it is a good copy all the same.
    """
    try:
        _, found = catalogue.read(reach(place, database), snapshot)
    except Fault:
        return False
    state.write(file, json.dumps(found.as_json(), ensure_ascii=False))
    return True


def parse(text: str) -> Catalogue:
    """A catalogue as `write` has written it."""
    return catalogue.parse(json.loads(text))


def differences(then: Catalogue, now: Catalogue) -> list[str]:
    """What a restored copy lacks or has too much, one sentence each; roles are compared elsewhere."""
    return [
        f"{each.object}: {each.what}, {each.live or 'none'} instead of {each.other or 'none'}"
        for each in told(compare(now, then))
        if each.key.kind not in ("role", "publication", "event trigger")
    ]
