"""Containers, volumes, daemons and contexts of Docker that are not declared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from standfast.drift.finding import Finding, quoted
from standfast.drift.known import Known
from standfast.facts.docker import Container, Daemon, EngineState, Held, Volume
from standfast.facts.volume_contents import Contents, InsideDocker

STOCK_FLAGS = re.compile(r"(-H|--host)[= ]fd://|--containerd[= ]\S+")
DATA_ROOT = re.compile(r"--data-root[= ](?P<folder>\S+)")
LOOPBACK = ("127.", "::1", "[::1]")


def containers(known: Known, held: Held) -> Iterator[Finding]:
    """Containers that belong to no declared application."""
    for each in held.containers:
        if _declared(known, each):
            continue
        said = [f"image {each.image_name}", *_ports(known, each)]
        if each.status != "running":
            said.append(each.status)
        if each.project:
            app = f"of the Compose project {each.project}"
            said.append(f"left by `docker compose run` {app}" if each.one_off else app)
        data = [mount.name[:12] for mount in each.mounts if mount.kind == "volume"]
        if data:
            said.append(f"has volume {', '.join(data)}")
        since = _started(each.started)
        yield Finding(
            f"container:{each.name}", "apps", "unmanaged", f"container {each.name}", ", ".join(said), since
        )


def volumes(known: Known, found: Sequence[Volume], held: Held, inside: InsideDocker) -> Iterator[Finding]:
    """Volumes that nobody named, and named ones that are not declared."""
    contents = {each.volume: each for each in inside.volumes}
    declared = known.host.docker.volumes if known.host.docker else {}
    for volume in found:
        if volume.name in declared:
            continue
        users = [
            f"{each.name} at {mount.target}"
            for each in held.containers
            for mount in each.mounts
            if mount.kind == "volume" and mount.name == volume.name
        ]
        look = contents.get(volume.name)
        if volume.anonymous:
            yield _anonymous(volume, users, look)
        else:
            kind = f", {look.kind}" if look and look.kind else ""
            said = f"not declared{kind}; {_users(users)}"
            yield Finding(f"volume:{volume.name}", "volumes", "noted", f"volume {volume.name}", said)


def daemons(known: Known, found: list[Daemon], engine: EngineState | None) -> Iterator[Finding]:
    """A second daemon, flags that open the first one, swarm mode."""
    own = next((each for each in found if "fd://" in each.command), found[0] if found else None)
    for each in found:
        if each is not own:
            root = DATA_ROOT.search(each.command)
            place = root["folder"] if root else each.sockets[0] if each.sockets else each.program
            said = f"a second Docker daemon, with data of its own: {quoted(each.command)}"
            yield Finding(f"daemon:{place}", "docker", "unmanaged", f"dockerd, pid {each.pid}", said)
    if own is not None:
        extra = " ".join(STOCK_FLAGS.sub("", own.command.partition(" ")[2]).split())
        if extra:
            said = f"not declared: started with {quoted(extra)}"
            if "tcp:" in extra:
                said += "; whoever reaches that is root"
            yield Finding("daemon:flags", "docker", "unmanaged", "flags of dockerd", said)
    if engine is not None and engine.swarm:
        yield Finding(
            "docker:swarm",
            "docker",
            "unmanaged",
            "swarm mode",
            "Docker is part of a swarm; others can start containers",
        )


def contexts(inside: InsideDocker) -> Iterator[Finding]:
    """Contexts by which ``docker`` leads to another machine."""
    for each in inside.contexts:
        said = f"{each.account}'s `docker` can lead to {quoted(each.endpoint)}"
        if each.current:
            said = f"{each.account}'s `docker` leads to {quoted(each.endpoint)}: commands hit another machine"
        yield Finding(
            f"context:{each.account}/{each.name}", "docker", "unmanaged", f"Docker context {each.name}", said
        )


def _declared(known: Known, each: Container) -> bool:
    """Services that are no longer in a Compose file are the plan's business: it removes them."""
    return each.project in known.host.apps and not each.one_off


def _ports(known: Known, each: Container) -> Iterator[str]:
    for address, port, protocol in each.ports:
        shown = f"publishes {address or '0.0.0.0'}:{port}"  # noqa: S104 - shown, not opened
        if address.startswith(LOOPBACK):
            yield shown
        else:
            yield f"{shown}/{protocol}, {known.reach(protocol, port)}"


def _anonymous(volume: Volume, users: Sequence[str], look: Contents | None) -> Finding:
    said = ["no name" + (f", {look.kind}" if look and look.kind else "")]
    if look and look.size is not None and look.kind != "empty":
        said.append(_size(look.size))
    said.append(_users(users) + ("" if users else ": a prune would delete it"))
    since = look.newest if look else None
    return Finding(
        f"volume:{volume.name}", "volumes", "unmanaged", f"volume {volume.name[:12]}…", ", ".join(said), since
    )


def _users(users: Sequence[str]) -> str:
    return f"used by {', '.join(users)}" if users else "used by no container"


def _size(number: int) -> str:
    for unit, limit in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= limit:
            return f"{number / limit:.0f} {unit}"
    return f"{number} bytes"


def _started(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00"))
    except ValueError:
        return None
