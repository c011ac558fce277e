"""For all tests: what standfast keeps about its own runs goes to a folder of the test run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from tempfile import TemporaryDirectory

import pytest

from tests.sizes import LONG

DATABASES = {"postgresql", "live", "django_python"}
"""Fixtures that start a PostgreSQL on this machine, or install what works with one."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is only part of the long run is not here in others; it is not skipped."""
    for item in items:
        if DATABASES & set(getattr(item, "fixturenames", ())):
            assert item.path.parent.name in ("guard", "schema"), "script/test looks for them only there"
            item.add_marker("database")
    left_out = [item for item in items if item.get_closest_marker("long") and not LONG]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session", autouse=True)
def state_folder() -> Iterator[None]:
    """The audit log of the developer's own account is not for tests."""
    with TemporaryDirectory(prefix="standfast-state-") as folder:
        os.environ["XDG_STATE_HOME"] = folder
        yield
