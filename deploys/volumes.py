"""Named volumes: created here, used by Compose as external ones, never removed."""

from pyinfra import host
from pyinfra.api.deploy import deploy as subject

from standfast.declaration import declared
from standfast.operations import docker

ENVIRONMENT_LABEL = "standfast.environment"


@subject("volumes")
def deploy() -> None:
    """Declare the volumes that hold the applications' data."""
    declaration = declared()
    if declaration.host.docker is None:
        return
    for name, volume in host.loop(declaration.host.docker.volumes.items()):
        docker.volume(name, labels={ENVIRONMENT_LABEL: declaration.environment.value, **volume.labels})
