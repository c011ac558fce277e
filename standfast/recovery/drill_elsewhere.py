"""Drills on another server: the backups of each server, brought back where nothing of it is."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import json
import shlex
import time
from collections.abc import Iterable

from paramiko import SSHException
from pyinfra.api import Host

from standfast.engine.caller import Caller
from standfast.engine.servers import Servers, connector
from standfast.errors import Interrupted, Refused, UsageError
from standfast.recovery.backups import WAIT, BackupFailed, Report, Result, judged, recorded
from standfast.recovery.chosen import with_backups
from standfast.recovery.host_program import follow

PACK = ["drill", "--pack"]
UNPACK = ["drill", "--unpack", "--json", f"--wait={WAIT}"]
REMEMBER = ["drill", "--remember", f"--wait={WAIT}"]
INSPECT = "docker image inspect --format ''"
CHUNK = 1 << 20  # bytes


def drill(servers: Servers, on: str, by: Caller, report: Report) -> list[Result]:
    """
    Bring the newest copies of every other server back on this one, one server after the other.

    What it takes, the repository's password with it, goes from server to server through this process, on
    standard input; there it is in memory while the drill runs. The server whose backups they are keeps the
    record.

    + on: name of the server, one of the run

    Raises:
        UsageError: there is no such server.
        Refused: it is the only one with backups, or it cannot be reached.
    """
    names = [each.name for each in servers.declarations]
    if on not in names:
        raise UsageError(f"--on {on}: there is no such server; there is: {', '.join(names)}")
    hosts = [host for host in with_backups(servers) if host.name != on]
    place = next((host for host in servers.connected() if host.name == on), None)
    if place is None:
        raise servers.failures[on]
    if not hosts and not servers.failures:
        raise Refused(f"--on {on}: no other server of this run declares `backups`. Nothing was done.")
    results = {name: Result(name) for name in (*(host.name for host in hosts), *servers.failures)}
    goes_on = f"a drill on {on} goes on to its end, and removes what it has made; its result is not recorded"
    for host in hosts:
        if any(isinstance(error, Interrupted) for error in servers.failures.values()):
            servers.failures[host.name] = Interrupted(f"{host.name}: interrupted; nothing was begun.")
            continue
        started = time.monotonic()
        servers.each([host], lambda host: _drilled(host, place, results[host.name], report), goes_on=goes_on)
        results[host.name].seconds = time.monotonic() - started
    return recorded(servers, by, results)


def _drilled(host: Host, place: Host, result: Result, report: Report) -> None:
    packed = follow(connector(host), PACK, lambda _: None)
    judged(host, packed, result)
    _bring_images(host, place, (packed.document() or {})["images"].values(), report)
    answer = follow(
        connector(place),
        UNPACK,
        lambda line: report(f"{host.name} on {place.name}  {line}"),
        stdin=packed.output.encode(),
    )
    result.lines = list(answer.errors)
    result.document = answer.document()
    if result.document and "items" in result.document:
        told = json.dumps({"on": place.name, "items": result.document["items"]})
        judged(host, follow(connector(host), REMEMBER, lambda _: None, stdin=told.encode()), result)
    judged(place, answer, result)


def _bring_images(host: Host, place: Host, images: Iterable[str], report: Report) -> None:
    """
    Copy images from server to server, those that are not there yet; without a name, so that none changes.

    + images: ids

    Raises:
        BackupFailed: it was not possible.
    """
    source, target = connector(host), connector(place)
    lacking = [each for each in images if target.exchange(target.as_root(f"{INSPECT} {each}"))[0] != 0]
    if not lacking:
        return
    report(f"{host.name} on {place.name}  bringing {len(lacking)} images")
    try:
        with source.session() as saving, target.session() as loading:
            saving.exec_command(source.as_root(f"docker image save {shlex.join(lacking)} | gzip -1"))
            loading.exec_command(target.as_root("gunzip | docker image load"))
            while chunk := saving.recv(CHUNK):
                loading.sendall(chunk)
            loading.shutdown_write()
            said = loading.makefile_stderr("rb").read().decode(errors="replace").strip()
            failed = loading.recv_exit_status() != 0
    except (SSHException, OSError, EOFError) as error:
        raise BackupFailed(
            f"{host.name}: its images could not be brought to {place.name}: {error}"
        ) from error
    if failed:
        raise BackupFailed(f"{place.name}: the images of {host.name} could not be loaded: {said}")
