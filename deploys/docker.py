"""The Docker engine: one daemon, logs that do not fill the disk, containers that survive its restart."""

from pyinfra.api.deploy import deploy as subject

from standfast.declaration import declared, template
from standfast.operations import docker, docker_guard, systemd


@subject("docker")
def deploy() -> None:
    """Declare the engine and its configuration; the configuration is there before the first start."""
    declaration = declared()
    if declaration.host.docker is None:
        return
    guarded = docker_guard.wanted(declaration)

    docker.sole_daemon()
    if guarded:
        docker_guard.ready(declaration)  # first: the engine does not start with a guard that does not answer
    docker.configuration(template("docker/daemon.json.j2"), guarded=guarded)
    docker.installed()
    systemd.service("docker")
    if not guarded:
        docker_guard.removed()
