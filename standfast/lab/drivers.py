"""The drivers of the lab: containers by systemd-nspawn and VMs by Vagrant, with the same verbs."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from standfast.errors import StandfastError
from standfast.lab import nspawn, vagrant
from standfast.lab.places import Report, silent


class Server(Protocol):
    """A server of the lab, whatever it is made of; the drivers' classes say more."""

    @property
    def name(self) -> str: ...
    @property
    def release(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def address6(self) -> str: ...
    @property
    def folder(self) -> Path: ...
    @property
    def ssh_config(self) -> Path: ...
    @property
    def key(self) -> Path: ...
    @property
    def ports(self) -> Mapping[int, int]: ...
    @property
    def state(self) -> str: ...
    def run(
        self, command: str, *, check: bool = True, input: str | None = None, timeout: float | None = 300
    ) -> subprocess.CompletedProcess[str]: ...


class Driver(Protocol):
    """The verbs; each driver is a module that has them."""

    def up(self, name: str, release: str = "trixie", report: Report = silent) -> Server: ...
    def servers(self) -> Sequence[Server]: ...
    def names(self) -> Sequence[str]: ...
    def get(self, name: str) -> Server: ...
    def reboot(self, name: str, report: Report = silent) -> Server: ...
    def power_cut(self, name: str) -> Server: ...
    def power_on(self, name: str, report: Report = silent) -> Server: ...
    def snapshot(self, name: str, label: str, report: Report = silent) -> Server: ...
    def restore(self, name: str, label: str, report: Report = silent) -> Server: ...
    def destroy(self, name: str, report: Report = silent) -> None: ...
    def clear(self, report: Report = silent) -> None: ...


# The first is what `standfast lab up` takes when nobody says otherwise.
DRIVERS: dict[str, Driver] = {"nspawn": nspawn, "vagrant": vagrant}


def driver_of(name: str) -> str:
    """
    Which driver has a server of that name.

    Raises:
        StandfastError: none has; the message names the servers that are there.
    """
    for driver, module in DRIVERS.items():
        if name in module.names():
            return driver
    there = ", ".join(name for module in DRIVERS.values() for name in module.names()) or "no server"
    raise StandfastError(
        f"lab: {name}: no such server; there is: {there}. `standfast lab up {name}` makes it."
    )


def up(name: str, driver: str, release: str, report: Report = silent) -> Server:
    """
    Make a server by this driver, or switch it on.

    Raises:
        StandfastError: another driver has a server of that name; or as the driver's own ``up``.
    """
    for other, module in DRIVERS.items():
        if other != driver and name in module.names():
            raise StandfastError(
                f"lab: {name} is there already, by the driver {other}. To make it anew: "
                f"standfast lab destroy {name}. Nothing was changed."
            )
    return DRIVERS[driver].up(name, release, report)


def servers() -> list[tuple[str, Server]]:
    """Every server of the lab with its driver's name, by the server's name."""
    found = [(driver, server) for driver, module in DRIVERS.items() for server in module.servers()]
    return sorted(found, key=lambda pair: pair[1].name)
