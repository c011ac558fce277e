"""Which servers of a run a command about backups or snapshots is for."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
from collections.abc import Collection

from pyinfra.api import Host

from standfast.engine.servers import Servers
from standfast.errors import Refused


def with_backups(
    servers: Servers, databases: Collection[str] = (), volumes: Collection[str] = ()
) -> list[Host]:
    """
    The connected servers with backups; with names, those that declare all of these.

    Raises:
        Refused: no server of the run does, whether it could be reached or not.
    """
    declared = {each.name: each.host for each in servers.declarations if each.host.backups}
    if not declared:
        raise Refused(f"{servers.loaded.path}: no server here declares `backups`. Nothing was done.")
    fitting = {
        name
        for name, host in declared.items()
        if set(databases) <= set(host.databases)
        and set(volumes) <= set(host.docker.volumes if host.docker else ())
    }
    if not fitting:
        named = ", ".join([*databases, *volumes])
        known = ", ".join(
            f"{name}: {', '.join([*host.databases, *(host.docker.volumes if host.docker else ())])}"
            for name, host in declared.items()
        )
        raise Refused(f"no server declares {named}; there is: {known}. Nothing was done.")
    return [host for host in servers.connected() if host.name in fitting]


def with_snapshots(servers: Servers, volumes: Collection[str] = ()) -> list[Host]:
    """
    The connected servers with snapshots; with names, those that declare all of these volumes.

    Raises:
        Refused: no server of the run does, whether it could be reached or not.
    """
    declared = {
        each.name: each.host.docker.volumes if each.host.docker else {}
        for each in servers.declarations
        if each.host.snapshots
    }
    if not declared:
        raise Refused(f"{servers.loaded.path}: no server here declares `snapshots`. Nothing was done.")
    fitting = {name for name, known in declared.items() if set(volumes) <= set(known)}
    if not fitting:
        known = ", ".join(f"{name}: {', '.join(has)}" for name, has in declared.items())
        raise Refused(
            f"no server with snapshots declares {', '.join(volumes)}; there is: {known}. Nothing was done."
        )
    return [host for host in servers.connected() if host.name in fitting]
