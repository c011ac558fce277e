"""
A pytest plugin: fixtures for each declared server, one test for each declared thing, a JSON report.

A test asks for `host` (testinfra) and `declared` (the inventory's part), and for at most one of the
names in `THINGS`; it then runs once for each such thing of each server.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from testinfra.host import Host as LiveHost

from standfast.inventory.loader import Loaded, load
from standfast.inventory.schema import Environment, Host
from standfast.verification.ssh import live_host

THINGS: dict[str, Callable[[Host], list[str]]] = {
    "package": lambda host: list(host.packages),
    "user": lambda host: list(host.users),
    "volume": lambda host: list(host.docker.volumes) if host.docker else [],
    "app": lambda host: list(host.apps),
    "site": lambda host: list(host.caddy.sites) if host.caddy else [],
}

loaded_key = pytest.StashKey[Loaded]()
names_key = pytest.StashKey[list[str]]()
results_key = pytest.StashKey[list[dict[str, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options that ``standfast verify`` passes."""
    group = parser.getgroup("standfast")
    group.addoption("--inventory", help="inventory file")
    group.addoption("--host", action="append", default=[], help="only this host")
    group.addoption("--report", help="file for the JSON report")


def pytest_configure(config: pytest.Config) -> None:
    """Load the inventory; secrets are not needed."""
    loaded = load(Path(config.getoption("--inventory")))
    chosen = config.getoption("--host")
    config.stash[loaded_key] = loaded
    config.stash[names_key] = [name for name in loaded.inventory.hosts if not chosen or name in chosen]
    config.stash[results_key] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Once for each server, or once for each thing of each server."""
    if not {"host", "declared", "server"} & set(metafunc.fixturenames):
        return
    hosts = metafunc.config.stash[loaded_key].inventory.hosts
    names = metafunc.config.stash[names_key]
    asked = [thing for thing in THINGS if thing in metafunc.fixturenames]
    if not asked:
        metafunc.parametrize("server", names, scope="session")
        return
    pairs = [(name, thing) for name in names for thing in THINGS[asked[0]](hosts[name])]
    metafunc.parametrize(("server", asked[0]), pairs, ids=[f"{name}-{thing}" for name, thing in pairs])


class Connections:
    """SSH connections, opened when a test first needs them."""

    def __init__(self, loaded: Loaded, stack: ExitStack) -> None:
        self._loaded, self._stack = loaded, stack
        self._open: dict[str, LiveHost] = {}

    def host(self, name: str) -> LiveHost:
        """The live server of this name."""
        if name not in self._open:
            declared = self._loaded.inventory.hosts[name]
            connection = live_host(declared.address, declared.ssh, self._loaded.root)
            self._open[name] = self._stack.enter_context(connection)
        return self._open[name]


@pytest.fixture(scope="session")
def connections(request: pytest.FixtureRequest) -> Iterator[Connections]:
    """All connections of the run; closed at its end."""
    with ExitStack() as stack:
        yield Connections(request.config.stash[loaded_key], stack)


@pytest.fixture
def host(server: str, connections: Connections) -> LiveHost:
    """The live server, as testinfra sees it; commands run as root."""
    return connections.host(server)


@pytest.fixture
def declared(server: str, request: pytest.FixtureRequest) -> Host:
    """The server's part of the inventory."""
    return request.config.stash[loaded_key].inventory.hosts[server]


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> Environment:
    """How precious the environment is."""
    return request.config.stash[loaded_key].inventory.environment


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note each outcome once: the call's, or that of a set-up that went wrong."""
    report = yield
    callspec = getattr(item, "callspec", None)
    nothing_declared = callspec is not None and not isinstance(callspec.params.get("server", ""), str)
    if not nothing_declared and (report.when == "call" or report.outcome != "passed"):
        crash = getattr(report.longrepr, "reprcrash", None)
        item.config.stash[results_key].append(
            {
                "server": callspec.params.get("server", "") if callspec else "",
                "check": item.name,
                "file": item.location[0],
                "outcome": report.outcome,
                "message": crash.message if crash else str(report.longrepr or ""),
            }
        )
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report."""
    path = session.config.getoption("--report")
    if path:
        Path(path).write_text(json.dumps(session.config.stash[results_key]), encoding="utf-8")
