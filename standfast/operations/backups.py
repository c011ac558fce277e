"""Backups: the inventory's wishes in the words of the program that makes them on the server."""

from __future__ import annotations

from collections.abc import Mapping

from standfast.errors import InventoryError
from standfast.host.backup import configuration
from standfast.host.backup.configuration import Configuration, Keep, Schedule
from standfast.inventory.schema import Backups, Host
from standfast.inventory.secrets import SecretValue
from standfast.rendering import Rendered

ELSEWHERE = "Give `backups.repository` a place elsewhere (sftp:, rest:, s3:)"
WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def configured(name: str, host: Host, wanted: Backups) -> Configuration:
    """
    What the host program has to know.

    + name: the server's name in the inventory
    """
    volumes = host.docker.volumes if host.docker else {}
    return Configuration(
        server=name,
        repository=wanted.repository,
        timezone=host.timezone,
        append_only=wanted.append_only,
        databases={
            key: configuration.Database(
                database=each.name or key,
                user=each.user or key,
                app=each.app,
                service=each.service if each.app else None,
                socket=each.socket,
                may_shrink=tuple(each.may_shrink),
            )
            for key, each in host.databases.items()
        },
        volumes={
            key: configuration.Volume(when=each.backup, writers=each.writers)
            for key, each in volumes.items()
            if each.backup in ("daily", "weekly")
        },
        dumped=tuple(key for key, each in volumes.items() if each.backup == "dump"),
        excluded={key: each.reason or "" for key, each in volumes.items() if each.backup == "none"},
        health={key: each.health for key, each in host.apps.items() if each.health},
        keep=Keep(**wanted.keep.model_dump()),
        schedule=Schedule(
            databases=tuple(wanted.databases),
            volumes=wanted.volumes,
            weekday=WEEKDAYS.index(wanted.weekday),
            check=wanted.check,
            drill=None if wanted.drill == "never" else wanted.drill,
        ),
        ping={str(job): url for job, url in wanted.ping.items()},
    )


def credentials(secrets: Mapping[str, SecretValue]) -> Rendered:
    """
    The file with access keys for the repository's storage, by variable.

    Raises:
        InventoryError: a value has more than one line; nothing has been changed.
    """
    for name, value in secrets.items():
        if "\n" in value.reveal():
            raise InventoryError(
                f"backups.credentials.{name}: expected a value on one line. Nothing was changed."
            )
    return Rendered(
        "".join(f"{name}={value.reveal()}\n" for name, value in secrets.items()),
        "".join(f"{name}=‹{name}›\n" for name in secrets),
    )


def attention(host: Host, *, production: bool) -> list[str]:
    """What every plan says about backups, because nobody would notice it in time; pure."""
    if not production:
        return []
    if host.backups is None:
        return ["nothing of this server is in a backup: declare `backups`"]
    if host.backups.repository.startswith("/"):
        place = host.backups.repository
        return [f"the only backups are on the server itself, in {place}: they go when it goes. {ELSEWHERE}"]
    return []
