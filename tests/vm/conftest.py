"""One suite, two kinds of servers: ``--driver vagrant`` (a VM) or ``--driver nspawn`` (a container)."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType

import pytest

from standfast.lab.drivers import DRIVERS, Driver
from tests.server.conftest import LAB, Repository, no_lab_left_behind, repository

__all__ = ["LAB", "Repository", "no_lab_left_behind", "repository"]


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Ctrl-C or kill, once or twice: the run ends, and the clearing up is not interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


for each in (signal.SIGINT, signal.SIGTERM):
    signal.signal(each, interrupt)


def pytest_addoption(parser: pytest.Parser) -> None:
    """What the servers of this run are."""
    parser.addoption(
        "--driver", choices=list(DRIVERS), default="vagrant", help="what the servers are made of"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a real server."""
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker("server")


@pytest.fixture(scope="session")
def driver_name(request: pytest.FixtureRequest) -> str:
    """``vagrant`` or ``nspawn``."""
    name: str = request.config.getoption("--driver")
    return name


@pytest.fixture(scope="session")
def driver(driver_name: str) -> Driver:
    """The verbs of this run's servers."""
    return DRIVERS[driver_name]
