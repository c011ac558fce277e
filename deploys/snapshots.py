"""Snapshots of volumes: the server takes them itself; here is what it needs for that."""

from pyinfra.api.deploy import deploy as subject

from standfast.declaration import declared
from standfast.host.snapshots import layout
from standfast.operations import apt, files, snapshots
from standfast.rendering import plain


@subject("snapshots")
def deploy() -> None:
    """Declare the file system's tools and the program's configuration."""
    declaration = declared()
    wanted = declaration.host.snapshots
    if wanted is None or declaration.host.docker is None:
        return
    volumes = declaration.host.docker.volumes
    snapshots.covered(volumes)
    apt.packages(["btrfs-progs"])
    configuration = snapshots.configured(declaration.name, wanted, volumes)
    files.file(str(layout.CONFIGURATION), plain(configuration.text()), mode="600")
