"""Docker's containers and volumes, as they are at this moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from standfast.host.backup import programs
from standfast.host.backup.faults import Fault

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
ONE_OFF = "com.docker.compose.oneoff"
STOP_SECONDS = 10
"""Docker's own, where a container has none. Source: docker-stop(1)."""


@dataclass(frozen=True)
class Mount:
    """A volume in a container."""

    volume: str
    path: str
    """In the container."""
    writable: bool


@dataclass(frozen=True)
class Container:
    """A container, running or not."""

    id: str
    name: str
    status: str
    """``running``, ``paused``, ``exited``, …"""
    image: str
    image_id: str
    app: str | None
    service: str | None
    one_off: bool
    mounts: tuple[Mount, ...]
    stop_seconds: int = STOP_SECONDS
    """For which it may go on when it is asked to end; negative when nothing kills it."""

    @property
    def words(self) -> str:
        """What people call it."""
        return f"{self.app}/{self.service}" if self.app and self.service else f"container {self.name}"

    def volume_of(self, path: str) -> str | None:
        """The volume that a path in the container is in."""
        inside = [each for each in self.mounts if PurePosixPath(path).is_relative_to(each.path)]
        return max(inside, key=lambda each: len(each.path)).volume if inside else None


@dataclass(frozen=True)
class DockerVolume:
    """A volume, as Docker knows it."""

    name: str
    mountpoint: str
    driver: str
    options: Mapping[str, str]
    labels: Mapping[str, str]


def containers() -> list[Container]:
    """
    All containers of the server.

    Raises:
        Fault: Docker does not answer.
    """
    listed = _docker("ps", "--all", "--quiet", "--no-trunc")
    ids = listed.output.split()
    if not ids:
        return []
    # One that is removed between the two questions is none.
    inspected = programs.run(["docker", "inspect", "--type", "container", *ids])
    try:
        return [_container(each) for each in json.loads(inspected.output)]
    except (ValueError, KeyError, TypeError) as error:
        raise Fault(f"docker inspect: {inspected.reason} ({error})") from None


def volume(name: str) -> DockerVolume:
    """
    A volume.

    Raises:
        Fault: there is none of this name, or Docker does not answer.
    """
    done = programs.run(["docker", "volume", "inspect", name])
    if done.code != 0:
        raise Fault(f"volume {name}: expected it on this server: {done.reason}")
    data = json.loads(done.output)[0]
    return DockerVolume(
        name=str(data["Name"]),
        mountpoint=str(data["Mountpoint"]),
        driver=str(data["Driver"]),
        options=data.get("Options") or {},
        labels=data.get("Labels") or {},
    )


def service(app: str, name: str) -> Container:
    """
    The running container of a Compose service.

    Raises:
        Fault: none or several of it run.
    """
    own = [each for each in containers() if (each.app, each.service) == (app, name) and not each.one_off]
    running = [each for each in own if each.status == "running"]
    if len(running) == 1:
        return running[0]
    if running:
        raise Fault(f"{app}/{name}: expected one container, {len(running)} run")
    found = f"it is {own[0].status}" if own else "there is none"
    raise Fault(f"{app}/{name}: expected a running container, {found}")


def do(action: str, *ids: str) -> None:
    """
    Let Docker do something to containers: ``pause``, ``unpause``, ``start``.

    Raises:
        Fault: Docker could not, for one of them at least.
    """
    _docker(action, *ids)


def stop(*those: Container) -> None:
    """
    Stop containers, and wait for those that are being stopped already.

    Raises:
        Fault: one of them at least has not stopped. Docker goes on stopping it, whoever has asked for that.
    """
    patient = any(each.stop_seconds < 0 for each in those)
    longest = max(each.stop_seconds for each in those)
    seconds = programs.LONG if patient else programs.SHORT + longest
    _docker("stop", *(each.id for each in those), seconds=seconds)


def _docker(*arguments: str, seconds: float = programs.SHORT) -> programs.Done:
    done = programs.run(["docker", *arguments], seconds=seconds)
    if done.code != 0:
        raise Fault(f"docker {arguments[0]}: {done.reason}")
    return done


def _container(data: Mapping[str, Any]) -> Container:
    labels = data["Config"].get("Labels") or {}
    return Container(
        id=str(data["Id"]),
        name=str(data["Name"]).lstrip("/"),
        status=str(data["State"]["Status"]),
        image=str(data["Config"]["Image"]),
        image_id=str(data["Image"]),
        app=labels.get(PROJECT),
        service=labels.get(SERVICE),
        one_off=str(labels.get(ONE_OFF, "")).lower() == "true",
        mounts=tuple(
            Mount(str(each["Name"]), str(each["Destination"]), bool(each["RW"]))
            for each in data["Mounts"]
            if each["Type"] == "volume"
        ),
        stop_seconds=STOP_SECONDS if (own := data["Config"].get("StopTimeout")) is None else int(own),
    )
