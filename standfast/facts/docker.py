"""
The Docker engine and what it holds: containers, images, volumes, and the daemons themselves.

Three answers, never mixed up: there is no Docker (``None`` or nothing held), Docker answered, or it is
installed and did not answer (`CouldNotLook`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.apps.archive import Image
from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script
from standfast.host.backup import settled

ABSENT = 9
NO_CLIENT = 8
SILENT = 7

SAID_NOTHING = "its command printed nothing"
ANONYMOUS = re.compile(r"[0-9a-f]{64}")
CONTAINERD_STORE = "io.containerd.snapshotter.v1"

ONE_OFF = "com.docker.compose.oneoff"
PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
CONFIG_HASH = "com.docker.compose.config-hash"
CONFIG_IMAGE = "com.docker.compose.image"

# Docker's commands see no environment of ours, so that DOCKER_HOST and the like cannot lead elsewhere, and
# neither can a context that somebody chose for root (`docker context use`).
# When something fails: an installation that was cut off before the engine held a container counts as none.
HERE = "DOCKER_CONTEXT=default"
QUESTION = f"""docker() {{ timeout 60 env -i PATH="$PATH" HOME=/root LC_ALL=C {HERE} docker "$@"; }}
absent() {{
  command -v dockerd || [ -e /snap/bin/docker ] || return 0
  [ -z "$(ls -A /var/lib/docker/containers)" ] || return 1
  dpkg-query -W -f '${{db:Status-Abbrev}}' docker.io | grep -q '^i[^i]'
}} > /dev/null 2>&1
answered() {{
  [ "$1" = 0 ] || docker version --format '{{{{.Server.Version}}}}' > /dev/null 2>&1 && return "$1"
  absent && return {ABSENT}
  (unset -f docker; command -v docker) > /dev/null || return {NO_CLIENT}
  return "$1"
}}
# One column of a list. A table has its heading even when nothing is in it, so that silence is no answer.
listed() {{
  found=$(docker "$@") || return
  [ -n "$found" ] || return {SILENT}
  printf '%s\\n' "$found" | sed 1d
}}
trap 'answered "$?"; exit "$?"' EXIT
{settled.UNDISTURBED}
{settled.WAIT}
"""

CONTAINER = (
    '{"id":{{json .ID}},"name":{{json .Name}},"image":{{json .Image}},"image_name":{{json .Config.Image}},'
    f'"labels":{{{{json .Config.Labels}}}},"status":{settled.STATE},"exit":{{{{json .State.ExitCode}}}},'
    '"started":{{json .State.StartedAt}},'
    f'"health":{settled.HEALTH},'
    '"mounts":{{json .Mounts}},"ports":{{json .HostConfig.PortBindings}},'
    '"restart":{{json .HostConfig.RestartPolicy.Name}}}'
)
IMAGE = (
    '{"id":{{json .ID}},"names":{{json .RepoTags}},"digests":{{json .RepoDigests}},'
    '"created":{{json .Created}},"layers":{{json .RootFS.Layers}},"settings":{{json .Config}}}'
)


@dataclass(frozen=True, slots=True)
class EngineState:
    """A Docker engine that answers."""

    id: str
    version: str
    root: str
    """Folder with everything that Docker holds."""
    live_restore: bool
    """Whether containers go on running while the daemon is restarted."""
    driver: str
    """Storage driver, for example ``overlay2``."""
    containerd_store: bool
    """Whether images are kept by containerd; their ids differ from those in archives then."""
    swarm: bool
    compose: str
    """Version of the Compose plugin; empty when it is not installed."""


@dataclass(frozen=True, slots=True)
class Attached:
    """Something that a container mounts."""

    kind: str
    """``volume``, ``bind`` or ``tmpfs``."""
    name: str
    """A volume's name, else empty."""
    source: str
    target: str

    @property
    def anonymous(self) -> bool:
        """Whether it is a volume that nobody named."""
        return self.kind == "volume" and ANONYMOUS.fullmatch(self.name) is not None


@dataclass(frozen=True, slots=True)
class Container:
    """One container, running or not."""

    id: str
    name: str
    image: str
    """Id of the image that it was made from."""
    image_name: str
    status: str
    """
    ``created``, ``running``, ``paused``, ``restarting``, ``removing``, ``exited`` or ``dead``.

    One that Docker has started again by itself in the last seconds is restarting, too.
    """
    exit_code: int
    started: str
    """Time of its last start, in UTC: ``2026-11-22T06:37:57.543146736Z``."""
    health: str = ""
    """``starting`` (not asked yet), ``healthy``, ``unhealthy``; empty without a health check."""
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Attached, ...] = ()
    ports: tuple[tuple[str, int, str], ...] = ()
    """Address (empty for every one), port and protocol of what it publishes."""

    @property
    def project(self) -> str:
        """The Compose project that it belongs to; empty when none."""
        return self.labels.get(PROJECT, "")

    @property
    def service(self) -> str:
        """The Compose service that it belongs to; empty when none."""
        return self.labels.get(SERVICE, "")

    @property
    def one_off(self) -> bool:
        """Whether ``docker compose run`` made it."""
        return self.labels.get(ONE_OFF) == "True"


@dataclass(frozen=True, slots=True)
class Held:
    """What a Docker engine holds; nothing when there is no engine."""

    present: bool
    """Whether there is an engine."""
    containers: tuple[Container, ...] = ()
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Volume:
    """One Docker volume."""

    name: str
    mountpoint: str
    driver: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def anonymous(self) -> bool:
        """Whether nobody named it: 64 hexadecimal digits."""
        return ANONYMOUS.fullmatch(self.name) is not None


@dataclass(frozen=True, slots=True)
class Daemon:
    """A process that is a Docker daemon."""

    pid: int
    program: str
    """Path of its executable."""
    command: str
    """Its command line."""
    sockets: tuple[str, ...]
    """Sockets that it listens on."""


class Engine(Fact["EngineState | None"]):
    """
    The Docker engine; ``None`` when there is none.

    Raises:
        CouldNotLook: Docker is installed and does not answer.

    Source: docker-info(1).
    """

    @override
    def command(self) -> StringCommand:
        return script(f"{QUESTION}docker version > /dev/null || exit\ndocker info --format '{{{{json .}}}}'")

    @override
    def parse(self, answer: Answer) -> EngineState | None:
        if not answered(answer):
            return None
        try:
            info = json.loads(answer.text)
        except ValueError:
            raise unanswered(f"it printed `{answer.text[:80]}`" if answer.text else SAID_NOTHING) from None
        if info.get("ServerErrors"):
            raise unanswered(info["ServerErrors"][-1])
        plugins = {each["Name"]: each for each in info["ClientInfo"].get("Plugins") or ()}
        return EngineState(
            id=info["ID"],
            version=info["ServerVersion"],
            root=info["DockerRootDir"],
            live_restore=info["LiveRestoreEnabled"],
            driver=info["Driver"],
            containerd_store=["driver-type", CONTAINERD_STORE] in (info["DriverStatus"] or []),
            swarm=info["Swarm"]["LocalNodeState"] not in {"", "inactive"},
            compose=plugins.get("compose", {}).get("Version", ""),
        )


class Contents(Fact[Held]):
    """
    All containers and images.

    Raises:
        CouldNotLook: Docker is installed and does not answer.

    Source: docker-container-inspect(1), docker-image-inspect(1).
    """

    @override
    def command(self) -> StringCommand:
        return script(
            f"{QUESTION}containers() {{\n"
            "  ids=$(listed ps --all --no-trunc --format 'table {{.ID}}') || return\n"
            f"  {settled.LATELY}\n"
            f"  [ -z \"$ids\" ] || docker container inspect --format '{CONTAINER}' $ids\n"
            "}\n"
            "undisturbed containers || gone=$?\n"
            "echo images; ids=$(listed image ls --no-trunc --format 'table {{.ID}}') || exit\n"
            f"[ -z \"$ids\" ] || docker image inspect --format '{IMAGE}' $ids || gone=$?\n"
            'exit "${gone:-0}"'
        )

    @override
    def parse(self, answer: Answer) -> Held:
        if not answered(answer):
            return Held(present=False)
        border = answer.lines.index("images")
        return Held(
            present=True,
            containers=tuple(_container(json.loads(line)) for line in answer.lines[:border]),
            images=tuple({one.id: one for one in map(_image, answer.lines[border + 1 :])}.values()),
        )


class Volumes(Fact[dict[str, Volume]]):
    """
    Volumes by name; none when there is no Docker.

    Raises:
        CouldNotLook: Docker is installed and does not answer.

    Source: docker-volume-inspect(1).
    """

    @override
    def command(self) -> StringCommand:
        return script(
            f"{QUESTION}names=$(listed volume ls --format 'table {{{{.Name}}}}') || exit\n"
            "[ -z \"$names\" ] || docker volume inspect --format '{{json .}}' $names"
        )

    @override
    def parse(self, answer: Answer) -> dict[str, Volume]:
        if not answered(answer):
            return {}
        found = map(json.loads, answer.lines)
        return {
            each["Name"]: Volume(each["Name"], each["Mountpoint"], each["Driver"], each["Labels"] or {})
            for each in found
        }


class Daemons(Fact[list[Daemon]]):
    """
    Every Docker daemon of the server, snap's included.

    Daemons inside containers (Docker in Docker) are not the server's: they live in another PID
    namespace than the shell that looks. A child of a daemon has its name until it becomes the program
    that it was forked for.

    Source: proc(5), pid_namespaces(7), ss(8).
    """

    @override
    def command(self) -> StringCommand:
        return script(
            "ss -Hxlp | grep docker | sed 's/^/socket /'\n"
            "for folder in /proc/[0-9]*; do\n"
            '  [ "$(cat $folder/comm 2> /dev/null)" = dockerd ] || continue\n'
            '  [ "$(readlink $folder/ns/pid)" = "$(readlink /proc/self/ns/pid)" ] || continue\n'
            "  parent=$(sed -n 's/^PPid:[[:space:]]*//p' $folder/status 2> /dev/null)\n"
            '  [ "$(cat /proc/$parent/comm 2> /dev/null)" != dockerd ] || continue\n'
            '  echo "daemon ${folder#/proc/}|$(readlink $folder/exe)|$(tr "\\0" " " < $folder/cmdline)"\n'
            "done"
        )

    @override
    def parse(self, answer: Answer) -> list[Daemon]:
        if answer.status != 0:
            raise CouldNotLook(
                f"docker: the server's processes could not be read: {answer.reason}. Nothing was changed."
            )
        sockets = [line for line in answer.lines if line.startswith("socket ")]
        found = []
        for line in answer.lines:
            if line.startswith("daemon "):
                pid, program, command = line.removeprefix("daemon ").split("|", 2)
                own = (each.split()[5] for each in sockets if f"pid={pid}," in each)
                listening = tuple(path for path in own if path.endswith("docker.sock"))
                found.append(Daemon(int(pid), program, command.strip(), listening))
        return found


def answered(answer: Answer) -> bool:
    """
    Whether Docker answered; false when there is none.

    Raises:
        CouldNotLook: Docker is installed and did not answer, or not fully.
    """
    if answer.status == 0:
        return True
    if answer.status == ABSENT:
        return False
    if answer.status == NO_CLIENT:
        raise CouldNotLook(
            "docker: the daemon is installed and the command `docker` is not, so it cannot be asked. "
            "Install the command (Debian 13: `sudo apt install docker-cli`). Nothing was changed."
        )
    # What was removed between the list and the look is no fault.
    if answer.errors and all("No such" in line for line in answer.errors):
        return True
    if answer.status == SILENT:
        raise unanswered(SAID_NOTHING)
    raise unanswered("no answer within a minute" if answer.status == 124 else answer.reason)


def unanswered(reason: str) -> CouldNotLook:
    """The error for a daemon that is installed and does not answer."""
    return CouldNotLook(
        f"docker: Docker is installed and does not answer ({reason}). "
        "Start it (`sudo systemctl start docker`), see `journalctl -u docker`. Nothing was changed."
    )


def _container(found: Mapping[str, Any]) -> Container:
    return Container(
        id=found["id"],
        name=found["name"].removeprefix("/"),
        image=found["image"],
        image_name=found["image_name"],
        status=found["status"],
        exit_code=found["exit"],
        started=found["started"],
        health="" if found["health"] == "none" else found["health"],
        labels=found["labels"] or {},
        mounts=tuple(
            Attached(each["Type"], each.get("Name", ""), each.get("Source", ""), each["Destination"])
            for each in found["mounts"] or ()
        ),
        ports=tuple(_ports(found["ports"] or {})),
    )


def _ports(bindings: Mapping[str, Sequence[Mapping[str, str]]]) -> Iterator[tuple[str, int, str]]:
    for inner, outer in bindings.items():
        for each in outer or ():
            if each["HostPort"].isdecimal():
                yield each["HostIp"], int(each["HostPort"]), inner.partition("/")[2]


def _image(line: str) -> Image:
    found = json.loads(line)
    return Image(
        id=found["id"],
        created=found["created"],
        layers=tuple(found["layers"] or ()),
        settings=found["settings"] or {},
        names=(*(found["names"] or ()), *(found["digests"] or ())),
    )
