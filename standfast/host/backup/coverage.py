"""Is everything that containers mount in a backup? Asked of the server as it is now."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from standfast.host.backup import containers, programs
from standfast.host.backup.configuration import Configuration
from standfast.host.backup.containers import Container


def gaps(configuration: Configuration) -> list[str]:
    """
    Mounted volumes that no backup holds and that nobody excluded, one sentence each.

    Raises:
        Fault: Docker is installed and does not answer.
    """
    if shutil.which("docker", path=programs.PATH) is None:
        return []
    return found(configuration, containers.containers())


def found(configuration: Configuration, mounted_by: Iterable[Container]) -> list[str]:
    """The same, of known containers."""
    covered = {*configuration.volumes, *configuration.dumped, *configuration.excluded}
    sentences = {}
    for container in mounted_by:
        for mount in container.mounts:
            if mount.volume in covered:
                continue
            anonymous = len(mount.volume) == 64 and not set(mount.volume) - set("0123456789abcdef")
            kind, short, remedy = ("volume", mount.volume, "declare it")
            if anonymous:
                kind, short = "anonymous volume", mount.volume[:12]
                remedy = "mount a named one and declare it"
            sentences[mount.volume] = (
                f"the {kind} {short}, which {container.words} mounts at {mount.path}, is in no backup; "
                f"{remedy} under `docker.volumes`, with `backup`"
            )
    return [sentences[name] for name in sorted(sentences)]
