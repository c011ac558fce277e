"""Every operation that we ship stands in the table that tests/server/test_every_operation.py plays."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import pytest

from standfast import operations
from tests.server.every_operation import ROWS, WITHOUT

REMEDY = "add a row to tests/server/every_operation.py, or say in WITHOUT there why there is none"


def shipped() -> list[str]:
    """All functions with our ``@operation``, for example ``files.file``."""
    found = []
    for module in iter_modules(operations.__path__):
        members = vars(import_module(f"{operations.__name__}.{module.name}"))
        found += [
            f"{module.name}.{name}"
            for name, each in members.items()
            if hasattr(each, "_inner") and each.__module__ == f"{operations.__name__}.{module.name}"
        ]
    return sorted(found)


@pytest.mark.parametrize("name", shipped())
@pytest.mark.parametrize("situation", ["create", "change"])
def test_it_has_a_row(name: str, situation: str) -> None:
    rows = [row for row in ROWS if (row.operation, row.situation) == (name, situation)]
    assert bool(rows) != (f"{name}: {situation}" in WITHOUT), REMEDY
    assert any(row.operation == name for row in ROWS), REMEDY


def test_no_row_is_left_over() -> None:
    names = {row.operation for row in ROWS} | {each.partition(":")[0] for each in WITHOUT}
    assert names <= set(shipped())
