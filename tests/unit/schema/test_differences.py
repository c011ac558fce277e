"""Differences that people make by hand, each one found and named, and no alarm where there is none."""

from __future__ import annotations

import pytest

from standfast.host.schema import catalogue, comparison, dump
from standfast.host.schema.catalogue import Catalogue
from standfast.host.schema.dump import Dump
from tests.unit.schema.conftest import Live
from tests.unit.schema.injected import BASE, INJECTED

SILENT = ("foreign key not enforced",)
"""What pg_dump itself does not see."""


def looked(live: Live, database: str) -> tuple[Catalogue, Dump]:
    reach = live.reach(database)
    return catalogue.read(reach)[1], dump.taken(reach)


@pytest.fixture(scope="module")
def base(live: Live) -> tuple[Catalogue, Dump]:
    """What the migrations build."""
    live.database("base", BASE)
    return looked(live, "base")


@pytest.mark.parametrize("name", INJECTED)
def test_each_difference_is_named_and_nothing_else(
    live: Live, base: tuple[Catalogue, Dump], name: str
) -> None:
    by_hand, expected = INJECTED[name]
    live.sql(f'CREATE DATABASE "{name}" TEMPLATE base OWNER app')
    live.sql(by_hand, name)
    found, text = looked(live, name)
    differences = comparison.compare(found, base[0])
    assert {(each.object, each.what) for each in comparison.told(differences)} == expected
    assert dump.unexplained(text, base[1], differences, []) == []
    # With the catalogues' answer taken away the gate speaks up.
    assert dump.unexplained(text, base[1], [], []) or name in SILENT
