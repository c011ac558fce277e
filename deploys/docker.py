"""The Docker engine: one daemon, logs that do not fill the disk, containers that survive its restart."""

from pyinfra.api.deploy import deploy as subject

from standfast.declaration import declared, template
from standfast.operations import docker, systemd


@subject("docker")
def deploy() -> None:
    """Declare the engine and its configuration; the configuration is there before the first start."""
    if declared().host.docker is None:
        return
    docker.sole_daemon()
    docker.configuration(template("docker/daemon.json.j2"))
    docker.installed()
    systemd.service("docker")
