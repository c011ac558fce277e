"""
The guard of Docker: an authorization plugin that systemd starts for its socket.

`docker.configuration` names it to the engine: it must answer by then, until the engine has forgotten it.
"""

from __future__ import annotations

from standfast.declaration import Declaration, template
from standfast.host.guard.docker_switch import SETTLE, SOCKET
from standfast.host.guard.protection import CONFIGURATION, Protection
from standfast.operations import files, systemd
from standfast.operations.change import Change
from standfast.operations.files import Activation
from standfast.rendering import plain

SYSTEMD = "/etc/systemd/system"
UNITS = {
    f"{SYSTEMD}/standfast-docker-guard-failed.service": "guards/standfast-docker-guard-failed.service.j2",
    f"{SYSTEMD}/standfast-docker-guard.service": "guards/standfast-docker-guard.service.j2",
    f"{SYSTEMD}/{SOCKET}": f"guards/{SOCKET}.j2",
    f"{SYSTEMD}/docker.service.d/standfast-guard.conf": "guards/docker.service.conf.j2",
}
READ_UNITS = Activation(Change("reload", "systemd", "reads the new unit"), "systemctl daemon-reload")


def wanted(declaration: Declaration) -> bool:
    """Whether the guard shall be in force: as declared, else where the environment is precious."""
    said = declaration.host.guards.docker
    return declaration.environment.precious if said is None else said


def ready(declaration: Declaration) -> None:
    """Make sure that the guard answers, and knows what it protects; the program comes with base."""
    docker = declaration.host.docker
    volumes = docker.volumes if docker else {}
    protected = Protection(
        environment=declaration.environment.value,
        volumes=tuple(name for name, volume in volumes.items() if volume.protect),
    )
    files.file(str(CONFIGURATION), plain(protected.text()), mode="600")
    files.file(str(SETTLE), template("guards/docker-settle.sh.j2"), mode="755", validate='sh -n "$new"')
    for path, name in UNITS.items():
        files.file(path, template(name), activate=READ_UNITS)
    systemd.service(SOCKET)


def removed() -> None:
    """Make sure that nothing is left of the guard; the engine must not name it any more."""
    systemd.service(SOCKET, running=False, enabled=False)
    for path in reversed(UNITS):
        files.absent(path, activate=READ_UNITS)
    files.absent(str(SETTLE))
    files.absent(str(CONFIGURATION))
