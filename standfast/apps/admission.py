"""
What is wrong with applications before they touch a server: data that would get lost, open ports.

Pure: Compose files, declared volumes, firewall rules and known images in, messages out.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations

from standfast.apps.archive import Image, full_name
from standfast.apps.compose_file import ComposeFile, Mount, Port, Service
from standfast.inventory.schema import AllowRule, Database, Volume

EVERYTHING = frozenset({"", "*", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound


def faults(
    file: ComposeFile,
    *,
    host: str,
    app: str,
    volumes: Collection[str],
    allow: Sequence[AllowRule],
    images: Mapping[str, Image],
    archives: Collection[str],
) -> list[str]:
    """
    Every reason not to run a Compose file, each with its place.

    + host: name in the inventory, for messages
    + app: name in the inventory, for messages
    + volumes: names under `docker.volumes`
    + allow: rules under `firewall.allow`
    + images: images known so far, by full name
    + archives: image names that the app declares under `images`
    """
    found = [f"{file.at(line)}: {message}." for line, message in file.unsupported]
    used = {full_name(service.image) for service in file.services.values() if service.image}
    found += [
        f"hosts.{host}.apps.{app}.images: no service of {file.path} uses the image {name}. "
        f"It uses: {', '.join(sorted(service.image for service in file.services.values())) or 'none'}."
        for name in archives
        if full_name(name) not in used
    ]
    for service in file.services.values():
        found += _image_faults(file, service)
        found += _mount_faults(file, service, host, volumes)
        found += _declared_volume_faults(file, service, images)
        found += _port_faults(file, service, host, allow)
    return found


def uncovered(
    file: ComposeFile,
    *,
    host: str,
    app: str,
    volumes: Mapping[str, Volume],
    databases: Collection[Database],
) -> list[str]:
    """
    Mounted volumes of which nobody has said how their data get into a backup, each with its place.

    + volumes: what is under `docker.volumes`
    + databases: what is under `databases`
    """
    found = []
    dumped = {database.service for database in databases if database.app == app}
    for service in file.services.values():
        for mount in service.mounts:
            named = file.volumes.get(mount.source) if mount.kind == "volume" else None
            if named is None or named.name not in volumes:
                continue  # refused already, with a better message
            place = f"{file.at(mount.line)}: service {service.name} mounts the volume {named.name}"
            wanted = volumes[named.name].backup
            if wanted is None:
                found.append(
                    f"{place}, and it is in no backup. Write `backup: daily`, `weekly`, or `dump` when it "
                    "holds nothing but a declared database, or `backup: none` and a `reason`, under "
                    f"hosts.{host}.docker.volumes.{named.name}."
                )
            elif wanted == "dump" and service.name not in dumped and not _mounted_by(file, mount, dumped):
                found.append(
                    f"{place} with `backup: dump`, and no database of this service is declared. Write "
                    f"`{app}: {{app: {app}, service: {service.name}}}` under hosts.{host}.databases."
                )
    for name in sorted(dumped - file.services.keys()):
        found.append(
            f"hosts.{host}.databases: expected a service of {file.path}, not {name}. It has: "
            f"{', '.join(sorted(file.services))}."
        )
    return list(dict.fromkeys(found))


def unmounted(file: ComposeFile, service: Service, path: str, hint: str = "") -> str:
    """What is wrong when a service mounts nothing at a path that its image declares as a volume."""
    return (
        f"{file.at(service.image_line)}: the image {service.image} keeps data in {path}, and service "
        f"{service.name} mounts nothing there{hint}. A new container would begin with an "
        f"empty, anonymous volume. Mount a named one: `- NAME:{path}`."
    )


def _mounted_by(file: ComposeFile, mount: Mount, services: Collection[str]) -> bool:
    """Whether one of these services mounts the same volume."""
    return any(
        other.source == mount.source
        for name in services
        if name in file.services
        for other in file.services[name].mounts
    )


def collisions(files: Mapping[str, ComposeFile]) -> list[str]:
    """Ports that two services want; `files` are the Compose files of one server by application."""
    wanted = [
        (app, service, port, number)
        for app, file in files.items()
        for service in file.services.values()
        for port in service.ports
        for number in port.published
    ]
    return [
        f"{files[app].at(one.line)}: {app}/{service.name} publishes port {number}/{one.protocol}, "
        f"and so does {other_app}/{other_service.name} ({files[other_app].at(other.line)}). "
        "Give one of them another port."
        for (app, service, one, number), (other_app, other_service, other, other_number) in combinations(
            wanted, 2
        )
        if number == other_number
        and one.protocol == other.protocol
        and (app, service.name) != (other_app, other_service.name)
        and overlap(one.address, other.address)
    ]


def overlap(one: str, other: str) -> bool:
    """Whether two listeners on the same port, at these addresses, exclude each other."""
    return one == other or one in EVERYTHING or other in EVERYTHING


def _image_faults(file: ComposeFile, service: Service) -> Iterator[str]:
    if not service.image:
        yield (
            f"{file.at(service.line)}: service {service.name} has no `image`, and servers build none. "
            "Build it, save it with `docker save`, and name it under the app's `images`."
        )


def _mount_faults(file: ComposeFile, service: Service, host: str, volumes: Collection[str]) -> Iterator[str]:
    for mount in service.mounts:
        if mount.kind != "volume":
            continue
        place = f"{file.at(mount.line)}: service {service.name} mounts"
        named = file.volumes.get(mount.source)
        if not mount.source:
            name = f"{service.name}_{posixpath.basename(mount.target) or 'data'}"
            yield (
                f"{place} an anonymous volume at {mount.target}. A new container would begin with an "
                f"empty one. Write `{name}:{mount.target}`, {_declare(name, host)}."
            )
        elif named is None:
            yield f"{place} the volume {mount.source}, which is not declared. {_sentence(mount.source, host)}"
        elif not named.external:
            yield (
                f"{file.at(named.line)}: the volume {mount.source} belongs to Compose, so that "
                f"`docker compose down -v` deletes it. {_sentence(mount.source, host)}"
            )
        elif named.name not in volumes:
            yield (
                f"{file.at(named.line)}: the external volume {named.name} is declared nowhere. "
                f"Write `{named.name}: {{}}` under hosts.{host}.docker.volumes."
            )


def _declared_volume_faults(
    file: ComposeFile, service: Service, images: Mapping[str, Image]
) -> Iterator[str]:
    """What the image declares as a volume must be mounted from somewhere."""
    image = images.get(full_name(service.image)) if service.image else None
    targets = {mount.target for mount in service.mounts}
    for path in map(posixpath.normpath, image.volumes if image is not None else ()):
        if path in targets:
            continue
        near = [each for each in targets if each.startswith(f"{path}/") or path.startswith(f"{each}/")]
        hint = f" (a mount at {near[0]} does not cover it)" if near else ""
        yield unmounted(file, service, path, hint)


def _port_faults(file: ComposeFile, service: Service, host: str, allow: Sequence[AllowRule]) -> Iterator[str]:
    for port in service.ports:
        place = f"{file.at(port.line)}: service {service.name} publishes"
        if not port.published:
            yield (
                f"{place} a port that Docker chooses anew at each start. Write the server's port too, "
                'for example "127.0.0.1:8000:8000".'
            )
        closed = [number for number in port.published if not port.local and not _allowed(number, port, allow)]
        if closed:
            yield (
                f"{place} port {', '.join(map(str, closed))}/{port.protocol} to the outside, and the "
                "firewall does not declare it. Publish it at 127.0.0.1 when only this server needs it, or "
                f"write `{{port: {closed[0]}, protocol: [{port.protocol}]}}` under "
                f"hosts.{host}.firewall.allow."
            )


def _allowed(number: int, port: Port, allow: Sequence[AllowRule]) -> bool:
    for rule in allow:
        low, _, high = str(rule.port).partition("-")
        if port.protocol in rule.protocol and int(low) <= number <= int(high or low):
            return True
    return False


def _declare(volume: str, host: str) -> str:
    return (
        f"`{volume}: {{external: true}}` under the file's `volumes:` and "
        f"`{volume}: {{}}` under hosts.{host}.docker.volumes"
    )


def _sentence(volume: str, host: str) -> str:
    return f"Write {_declare(volume, host)}."
