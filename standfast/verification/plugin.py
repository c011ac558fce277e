"""
A pytest plugin: fixtures for each declared server, one test for each declared thing, a JSON report.

A test asks for `host` (testinfra) or `seen` (what the server has said already), for `declared` (the
inventory's part), and for names in `THINGS`; it then runs once for each such thing of each server.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import pytest
from testinfra.host import Host as LiveHost

from standfast.errors import StandfastError
from standfast.inventory.loader import Loaded, load
from standfast.inventory.schema import Environment, Host
from standfast.verification import expected
from standfast.verification.outside import Outside
from standfast.verification.seen import Seen
from standfast.verification.ssh import connected

THINGS: dict[str, Callable[[Host, Loaded], Sequence[str]]] = {
    "package": lambda host, _: expected.packages(host),
    "user": lambda host, _: list(host.users),
    "unit": lambda host, _: expected.units(host),
    "private_file": lambda host, _: expected.private_files(host),
    "root_only_file": lambda host, _: expected.root_only_files(host),
    "volume": lambda host, _: list(host.docker.volumes) if host.docker else [],
    "app": lambda host, _: list(host.apps),
    "service": expected.services,
    "site": lambda host, _: list(host.caddy.sites) if host.caddy else [],
    "opening": lambda host, _: expected.openings(host),
    "guarded_port": lambda host, _: [str(port) for port in expected.guarded(host)],
    "family": lambda *_: ["ipv4", "ipv6"],
}
PARALLEL = 20

loaded_key = pytest.StashKey[Loaded]()
names_key = pytest.StashKey[Sequence[str]]()
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
    if not {"host", "seen", "declared", "server"} & set(metafunc.fixturenames):
        return
    loaded = metafunc.config.stash[loaded_key]
    names = metafunc.config.stash[names_key]
    asked = [thing for thing in THINGS if thing in metafunc.fixturenames]
    if not asked:
        metafunc.parametrize("server", names, scope="session")
        return
    rows = [
        (name, *combination)
        for name in names
        for combination in product(*(THINGS[thing](loaded.inventory.hosts[name], loaded) for thing in asked))
    ]
    metafunc.parametrize(("server", *asked), rows, ids=["-".join(row) for row in rows])


class Connections:
    """All servers of the run, connected and looked at side by side; each once."""

    def __init__(self, loaded: Loaded, names: Sequence[str], stack: ExitStack) -> None:
        self._loaded = loaded
        self._open = {
            name: stack.enter_context(connected(declared.address, declared.ssh, loaded.root))
            for name in names
            for declared in [loaded.inventory.hosts[name]]
        }
        self._pool = stack.enter_context(ThreadPoolExecutor(PARALLEL))
        self._outside: dict[str, Future[Outside]] = {}
        self._seen = {name: self._pool.submit(self._see, name) for name in names}

    def _see(self, name: str) -> Seen:
        declared = self._loaded.inventory.hosts[name]

        def connected(connection: Sequence[str]) -> None:
            self._outside[name] = self._pool.submit(self._open[name].outside, declared, connection)

        return self._open[name].see(name, declared, connected)

    def seen(self, name: str) -> Seen:
        """What a server said when it was looked at."""
        try:
            return self._seen[name].result()
        except StandfastError as error:  # the same one for every assertion, and no fault of theirs
            pytest.fail(str(error), pytrace=False)

    def outside(self, name: str) -> Outside:
        """What a server lets in from here; silence takes its time, so it is asked for last."""
        self.seen(name)
        return self._outside[name].result()

    def host(self, name: str) -> LiveHost:
        """The live server of this name, once its connection is there."""
        self.seen(name)
        return self._open[name].host


connections_key = pytest.StashKey[Connections]()
closing_key = pytest.StashKey[ExitStack]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Look at the servers already; the assertions are collected meanwhile."""
    stash = session.config.stash
    stash[closing_key] = ExitStack()
    if not session.config.option.collectonly:
        stash[connections_key] = Connections(stash[loaded_key], stash[names_key], stash[closing_key])


@pytest.fixture(scope="session")
def connections(request: pytest.FixtureRequest) -> Connections:
    """All connections of the run; closed at its end."""
    return request.config.stash[connections_key]


@pytest.fixture
def host(server: str, connections: Connections) -> LiveHost:
    """The live server, as testinfra sees it; commands run as root."""
    return connections.host(server)


@pytest.fixture
def seen(server: str, connections: Connections) -> Seen:
    """What the server said to the questions of our own assertions."""
    return connections.seen(server)


@pytest.fixture
def outside(server: str, connections: Connections) -> Outside:
    """What the server lets in from here."""
    tried = connections.outside(server)
    if tried.cannot:
        pytest.skip(f"cannot be tried from here: {tried.cannot}")
    return tried


@pytest.fixture
def declared(server: str, request: pytest.FixtureRequest) -> Host:
    """The server's part of the inventory."""
    return request.config.stash[loaded_key].inventory.hosts[server]


@pytest.fixture
def root(request: pytest.FixtureRequest) -> Path:
    """The team's repository."""
    return request.config.stash[loaded_key].root


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever waits for ports that stay silent comes last."""
    items.sort(key=lambda item: "outside" in getattr(item, "fixturenames", ()))


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
    """Close the connections and write the report."""
    session.config.stash[closing_key].close()
    path = session.config.getoption("--report")
    if path:
        Path(path).write_text(json.dumps(session.config.stash[results_key]), encoding="utf-8")
