"""The Docker engine: exactly one daemon, its packages, its configuration, its volumes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Generator, Mapping
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand

from standfast.errors import InventoryError, Refused
from standfast.facts.docker import HERE, Daemon, Daemons, Engine, EngineState, Volumes
from standfast.facts.docker_guard import GuardsOff
from standfast.facts.files import File
from standfast.facts.system import OperatingSystem, Release
from standfast.host.guard.docker_switch import KEY, NAME, OFF, SETTLE, SOCKET
from standfast.operations import apt, files
from standfast.operations.attention import attention
from standfast.operations.change import Change, Step
from standfast.operations.named import operation
from standfast.rendering import Rendered, plain

CONFIGURATION = "/etc/docker/daemon.json"
SNAP = "/snap/"
# Where an engine keeps what it holds; with another value it would begin with nothing.
PLACES = ("storage-driver", "userns-remap")
ROOT = "/var/lib/docker"
VALID = '! command -v dockerd > /dev/null || dockerd --validate --config-file="$new" || exit'
# dockerd ends when its configuration names a plugin that does not answer.
ANSWERS = f"""{SETTLE} ask || {{
  echo "the guard of Docker does not answer, so it was not put in force. Look: systemctl status {SOCKET}" >&2
  exit 1
}}"""

# What dockerd takes over on SIGHUP; everything else needs a restart. Source: dockerd(8).
RELOADABLE = frozenset(
    {
        *("authorization-plugins", "debug", "default-runtime", "features", "insecure-registries"),
        *("labels", "live-restore", "max-concurrent-downloads", "max-concurrent-uploads"),
        *("max-download-attempts", "registry-mirrors", "runtimes", "shutdown-timeout"),
    }
)


@operation
def sole_daemon() -> Generator[StringCommand, None, None]:
    """
    Make sure that there are not two Docker daemons, each with containers and volumes of its own.

    Raises:
        Refused: there are, or the only one is snap's; nothing has been changed.
    """
    daemons = host.get_fact(Daemons)
    from_snap = [each for each in daemons if each.program.startswith(SNAP)]
    if len(daemons) > 1:
        raise Refused(
            f"docker: expected one Docker daemon, found {len(daemons)}:\n{_listed(daemons)}\n"
            "  Each has containers and volumes of its own, and both write firewall rules. Look with "
            "`docker -H unix://SOCKET ps -a` and `volume ls` which one holds your data, copy what only the "
            "other one has, and stop that other one. Remove nothing before. Nothing was changed."
        )
    if from_snap:
        raise Refused(
            f"docker: expected no Docker or the one of your distribution, found snap's:\n{_listed(daemons)}\n"
            "  A second daemon would not see its containers and volumes. Move them first; "
            "`snap remove docker` deletes them. Nothing was changed."
        )
    host.noop(f"{len(daemons)} Docker daemon")
    return
    yield  # an operation is a generator also when it never changes anything


@operation
def installed() -> Generator[StringCommand, None, None]:
    """
    Make sure that the Docker engine and Compose are installed; an engine that is there is kept.

    Raises:
        Refused: the release has no Compose 2; nothing has been changed.
        CouldNotLook: Docker is installed and does not answer.
    """
    engine = host.get_fact(Engine)
    if engine is not None and engine.compose:
        host.noop(f"Docker {engine.version} and Compose {engine.compose} are installed")
        return
    yield from apt.packages._inner(names=packages_for(host.get_fact(OperatingSystem)))


@operation
def configuration(content: Rendered, *, guarded: bool = False) -> Generator[StringCommand, None, None]:
    """
    Make sure that the engine has this configuration, also before its very first start.

    It is checked by the daemon that will use it. Containers go on running: what the daemon does not
    take over while it runs, it takes over at a restart under live-restore.

    + content: ``daemon.json``, whole; what is there and not in it goes
    + guarded: name our authorization plugin in it as well, which must answer by then; the emergency switch on
      the server takes precedence

    Raises:
        InventoryError: the content is not JSON, or names authorization plugins itself although `guarded`;
            nothing has been changed.
        Refused: the engine is part of a swarm, which excludes live-restore; or it would look for its data
            elsewhere; nothing has been changed.
        CouldNotLook: Docker is installed and does not answer.
    """
    wanted = _parsed(content)
    named = guarded and not _switched_off()
    if named:
        content = _naming_guard(content, wanted)
        wanted = _parsed(content)
    engine = host.get_fact(Engine)
    if engine is not None and engine.swarm and wanted.get("live-restore"):
        raise Refused(
            "docker: expected an engine of its own, found one in swarm mode, which excludes live-restore. "
            "Leave the swarm (`docker swarm leave`), or have your own templates/docker/daemon.json.j2 "
            "without live-restore. Nothing was changed."
        )
    activation = None
    if engine is not None:
        present = host.get_fact(File, path=CONFIGURATION)
        old = _keys((present.content if present is not None else None) or b"{}")
        _stay(engine, old, wanted)
        activation = _activation(engine, old, wanted)
    yield from files.file._inner(
        path=CONFIGURATION,
        content=content,
        validate=VALID + (f"\n{ANSWERS}" if named else ""),
        activate=activation,
    )


@operation
def volume(name: str, *, labels: Mapping[str, str] | None = None) -> Generator[StringCommand, None, None]:
    """
    Make sure that a named volume exists; it is never removed or replaced.

    + name: volume name, ``[a-zA-Z0-9][a-zA-Z0-9_.-]*``
    + labels: given when the volume is created; those of a volume that is there stay as they are

    Raises:
        CouldNotLook: Docker is installed and does not answer.
    """
    if name in host.get_fact(Volumes):
        host.noop(f"volume {name} exists")
        return
    words = [word for key, value in (labels or {}).items() for word in ("--label", f"{key}={value}")]
    yield Step(
        f"{HERE} docker volume create {shlex.join(words)} -- {shlex.quote(name)} > /dev/null",
        changes=[Change("create", f"volume {name}", "empty")],
    )


def packages_for(release: Release) -> list[str]:
    """
    The packages that hold the engine, its command and Compose 2 in a release.

    Raises:
        Refused: the release has none.
    """
    if release.id == "ubuntu":
        return ["docker.io", "docker-compose-v2"]
    if release.id == "debian" and release.version != "12":
        return ["docker.io", "docker-cli", "docker-compose"]
    raise Refused(
        f"docker: {release.name} has no package of Compose 2. Upgrade the server to Debian 13, or "
        "install Docker's own packages (docker-ce, docker-ce-cli, docker-compose-plugin) by hand; "
        "standfast uses them when they are there. Nothing was changed."
    )


def _listed(daemons: list[Daemon]) -> str:
    return "\n".join(
        f"    pid {each.pid}  {each.command}  socket {', '.join(each.sockets) or 'none'}" for each in daemons
    )


def _parsed(content: Rendered) -> dict[str, Any]:
    place = "templates/docker/daemon.json.j2 (rendered)"
    try:
        wanted = json.loads(content.text)
    except json.JSONDecodeError as error:
        raise InventoryError(f"{place}:{error.lineno}:{error.colno}: this is not JSON: {error.msg}") from None
    if not isinstance(wanted, dict):
        raise InventoryError(f"{place}: expected an object, `{{…}}`")
    return wanted


def _switched_off() -> bool:
    off = host.get_fact(GuardsOff)
    if off:
        attention(
            f"the guard of Docker is switched off by hand: {OFF} is there. When the trouble is over, remove "
            "it and apply"
        )
    return off


def _naming_guard(content: Rendered, wanted: Mapping[str, Any]) -> Rendered:
    """The guard on a line of its own, so that a shell without our program can take it out again."""
    if KEY in wanted:
        raise InventoryError(
            f"templates/docker/daemon.json.j2: expected no `{KEY}`, because `guards.docker` writes it. Take "
            "it out there, or say `guards: {docker: false}` in the inventory. Nothing was changed."
        )
    if not wanted:
        return plain(f'{{\n  "{KEY}": ["{NAME}"]\n}}\n')
    return plain(f'{{\n  "{KEY}": ["{NAME}"],\n{content.text.split("{", 1)[1].lstrip(chr(10))}')


def _keys(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _stay(engine: EngineState, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuse a configuration under which the engine would no longer see what it holds."""
    moves = [key for key in PLACES if old.get(key) != new.get(key)]
    root = str(new.get("data-root", ROOT))
    if engine.root != root and not engine.root.startswith(f"{root}/"):  # userns-remap adds a folder
        moves.append("data-root")
    snapshotter = [each.get("features", {}).get("containerd-snapshotter", False) for each in (old, new)]
    if snapshotter[0] != snapshotter[1]:
        moves.append("features.containerd-snapshotter")
    if moves:
        raise Refused(
            f"docker: {CONFIGURATION}: {', '.join(moves)} would change, and the engine would not see the "
            f"containers, images or volumes that it has in {engine.root}. Keep the setting: put your own "
            "templates/docker/daemon.json.j2 into your repository. Or move the data and the setting by hand "
            "first. Nothing was changed."
        )


def _activation(engine: EngineState, old: Mapping[str, Any], new: Mapping[str, Any]) -> files.Activation:
    changed = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    # A reload keeps what is no longer written, but not the plugins: they are set as they are written.
    if changed <= RELOADABLE and old.keys() - {KEY} <= new.keys():
        return files.Activation(
            Change("reload", "docker.service", "containers keep running"), "systemctl reload docker.service"
        )
    keeps = bool(new.get("live-restore")) or engine.live_restore
    what = "containers keep running" if keeps else "containers stop; those with `restart:` come back"
    logs = "; log settings hold for containers made from now on" if _logs(changed) else ""
    return files.Activation(
        Change("restart", "docker.service", what + logs), (_LIVE_RESTORE if keeps else "") + _RESTART
    )


# Taken over by a reload; only then does the restart leave containers alone.
_LIVE_RESTORE = """systemctl reload docker.service || exit
seconds=0
until [ "$(docker info --format '{{.LiveRestoreEnabled}}')" = true ]; do
  [ "$seconds" -lt 20 ] || { echo 'live-restore did not come on; nothing was restarted' >&2; exit 1; }
  sleep 1; seconds=$((seconds + 1))
done
"""

# Debian's unit refuses to start more than three times a minute, and a refused restart leaves it down.
_RESTART = """systemctl reset-failed docker.service 2> /dev/null
systemctl restart docker.service"""


def _logs(changed: set[str]) -> bool:
    return bool(changed & {"log-driver", "log-opts"})
