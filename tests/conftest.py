"""For all tests: what standfast keeps about its own runs goes to a folder of the test run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture(scope="session", autouse=True)
def state_folder() -> Iterator[None]:
    """The audit log of the developer's own account is not for tests."""
    with TemporaryDirectory(prefix="standfast-state-") as folder:
        os.environ["XDG_STATE_HOME"] = folder
        yield
