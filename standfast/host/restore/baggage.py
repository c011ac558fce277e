"""
What another server needs to drill this one's backups: configuration, secrets, applications.

It travels from standard output to standard input through the controller's memory, and there it is in files
of root's in memory for as long as the drill runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from standfast.host.backup import configuration, layout, state
from standfast.host.backup.configuration import Configuration
from standfast.host.backup.faults import Fault, Refused, WrongConfiguration
from standfast.host.backup.records import Item
from standfast.host.backup.restic import Repository
from standfast.host.restore import twin
from standfast.host.restore.programs import output

FORMAT = 1
ID_LENGTH = 12
"""Digits of an image's id that are enough to tell it from others."""


@dataclass(frozen=True)
class Baggage:
    """What one server has packed for another one."""

    configuration: Configuration
    secrets: Mapping[str, str]
    """Content of each file of `layout.Secrets`, by its field; files that are missing are not in it."""
    apps: Mapping[str, Mapping[str, Any]]
    """Each application as Compose resolves it; its images have names that nothing else has."""
    images: Mapping[str, str]
    """Ids of these images, by name."""

    def unpacked(self, folder: Path) -> layout.Secrets:
        """
        Write the secrets into files, for root only.

        + folder: in memory
        """
        paths = {field: folder / "secrets" / field for field in asdict(layout.SECRETS)}
        for field, text in self.secrets.items():
            state.write(paths[field], text)
        return layout.Secrets(**paths)

    def named(self) -> None:
        """
        Give the images their names here; `twin.removed` takes them away.

        Raises:
            Fault: one is not here.
        """
        for name, identity in self.images.items():
            output(["docker", "image", "tag", identity, name])

    def resolved(self, app: str) -> Mapping[str, Any]:
        """
        An application as Compose resolves it.

        Raises:
            Fault: it was not packed.
        """
        if app not in self.apps:
            raise Fault(f"application {app}: its server has not said what it is")
        return self.apps[app]


def packed() -> str:
    """
    Everything that another server needs.

    Raises:
        Refused: the repository is a folder of this server, which nobody else can open.
        Fault: an application cannot be read.
    """
    settings = configuration.load()
    if Repository(settings).local:
        raise Refused(
            f"the repository {settings.repository} is a folder of this server, so no other server can open "
            "it. Declare one that is elsewhere (sftp, rest, s3), or drill here. Nothing was done."
        )
    files = {field: Path(path) for field, path in asdict(layout.SECRETS).items()}
    apps = {app: twin.resolved(app) for app in {each.app for each in settings.databases.values()} if app}
    images = _renamed(apps)
    return json.dumps(
        {
            "format": FORMAT,
            "configuration": settings.text(),
            "secrets": {
                field: path.read_text(encoding="utf-8") for field, path in files.items() if path.exists()
            },
            "apps": apps,
            "images": images,
        }
    )


def _renamed(apps: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """
    Call images by names that mean nothing elsewhere: there the same name may be another version in service.

    Returns their ids, by the new names.
    """
    images = {}
    for service in (each for app in apps.values() for each in app["services"].values()):
        identity = output(["docker", "image", "inspect", "--format", "{{.Id}}", service["image"]]).strip()
        name = f"{twin.IMAGES}/{identity.partition(':')[2][:ID_LENGTH]}:latest"
        images[name], service["image"] = identity, name
    return images


def parse(text: str) -> Baggage:
    """
    What `packed` has printed.

    Raises:
        WrongConfiguration: it is not that; nothing was done.
    """
    try:
        data = json.loads(text)
        settings = configuration.parse(data["configuration"])
        found = Baggage(settings, data["secrets"], data["apps"], data["images"])
        known = data["format"] == FORMAT
    except (ValueError, TypeError, KeyError, AttributeError):
        known = False
    if not known:  # what is wrong stays unsaid: it may have a secret in it
        raise WrongConfiguration(
            "standard input: expected what `standfast-host drill --pack` of the same version prints on the "
            "other server. Nothing was done."
        )
    return found


def told(text: str) -> list[Item]:
    """
    What a drill on another server has come to, as the controller says it.

    Raises:
        WrongConfiguration: it is not that; nothing was recorded.
    """
    try:
        data = json.loads(text)
        return [
            Item(
                each["kind"],
                each["name"],
                bool(each["ok"]),
                f"on {data['on']}: {each['message']}",
                each["snapshot"],
                each["data"],
            )
            for each in data["items"]
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise WrongConfiguration(
            f"standard input: expected a drill's items: {error}. Nothing was done."
        ) from None
