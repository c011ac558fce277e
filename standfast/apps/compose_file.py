"""
A user's Compose file, as far as it matters before anything is started: services, mounts, ports.

Compose on the server reads the file as well, and has the last word. This reading knows the line of
everything, needs no server, and is strict where Compose would lose data.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from standfast.apps.interpolation import Unfilled, interpolate
from standfast.errors import InventoryError

MERGE_TAG = "tag:yaml.org,2002:merge"
NULL_TAG = "tag:yaml.org,2002:null"

First = Callable[[str], yaml.Node | None]
"""Finds the nearest setting of a name, in a service and in what it extends."""


@dataclass(frozen=True, slots=True)
class Mount:
    """Something that a service mounts."""

    line: int
    kind: str
    """``volume``, ``bind``, ``tmpfs``, or another word of Compose's."""
    source: str
    """A volume's key in the file, or a path on the server; empty for an anonymous volume."""
    target: str
    """Path in the container."""


@dataclass(frozen=True, slots=True)
class Port:
    """A published port."""

    line: int
    address: str
    """Address on the server; empty for every address."""
    published: tuple[int, ...]
    """Ports on the server; empty when Docker shall choose one."""
    protocol: str

    @property
    def local(self) -> bool:
        """Whether only the server itself reaches it."""
        return self.address == "::1" or self.address.startswith("127.")


@dataclass(frozen=True, slots=True)
class Dependency:
    """What a service waits for."""

    service: str
    condition: str = "service_started"
    restart: bool = False
    """Whether the service is restarted when the other one is made anew."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service of a Compose file, variables filled in."""

    name: str
    line: int
    image: str
    """Empty when there is none."""
    image_line: int
    container_name: str = ""
    """Empty where Compose chooses one."""
    mounts: tuple[Mount, ...] = ()
    ports: tuple[Port, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    namespaces: Mapping[str, str] = field(default_factory=dict)
    """Setting and service, where the service lives inside another one: ``network_mode``, ``ipc``, ``pid``."""
    replicas: int = 1
    enabled: bool = True
    """Whether `up` runs it; not so when it has profiles and none of them is in COMPOSE_PROFILES."""
    files: tuple[str, ...] = ()
    """Paths on the server that its `configs` and `secrets` come from."""

    @property
    def binds(self) -> tuple[str, ...]:
        """Paths on the server that the service sees."""
        return (*(mount.source for mount in self.mounts if mount.kind == "bind"), *self.files)


@dataclass(frozen=True, slots=True)
class NamedVolume:
    """An entry of the top-level ``volumes``."""

    line: int
    name: str
    """Its name on the server, when it is external."""
    external: bool


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """A Compose file."""

    path: str
    """The user's file, for messages."""
    services: Mapping[str, Service]
    volumes: Mapping[str, NamedVolume]
    unsupported: tuple[tuple[int, str], ...] = ()
    """Line and message of what standfast cannot look into."""

    def at(self, line: int) -> str:
        """A place in the file, for messages."""
        return f"{self.path}:{line}"


def read(text: str, path: str, variables: Mapping[str, str], folder: str) -> ComposeFile:
    """
    Read a Compose file.

    + path: the user's file, for messages
    + variables: values for ``${NAME}``
    + folder: folder on the server that relative paths start from

    Raises:
        InventoryError: not a Compose file, with line and column; nothing has been changed.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
        raise InventoryError(f"{place}: this is not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise InventoryError(f"{path}: this is not valid YAML: {error}") from None
    if root is None:
        raise InventoryError(f"{path}: expected a Compose file with `services:`, found an empty file")
    return _Reader(path, variables, folder).file(root)


class _Reader:
    """Turns YAML nodes into values; knows the path for messages and the variables."""

    def __init__(self, path: str, variables: Mapping[str, str], folder: str) -> None:
        self.path = path
        self.variables = variables
        self.folder = folder
        self.unsupported: list[tuple[int, str]] = []

    def file(self, root: yaml.Node) -> ComposeFile:
        top = self.mapping(root, "a Compose file with `services:`")
        if "services" not in top:
            raise self.fault(root, "expected `services:`, and there is none")
        if "include" in top:
            self.unsupported.append((_line(top["include"]), "`include` hides services from the checks"))
        sources: dict[str, Mapping[str, str]] = {
            kind: self.sources(top[kind]) for kind in ("configs", "secrets") if kind in top
        }
        nodes = self.mapping(top["services"], "services by name")
        services = {
            name: self.service(name, key_line, self.settings(name, nodes), sources)
            for name, key_line in self.lines(top["services"]).items()
        }
        volumes = {}
        if "volumes" in top:
            lines = self.lines(top["volumes"])
            for key, node in self.mapping(top["volumes"], "volumes by name").items():
                volumes[key] = self.named_volume(key, lines[key], node)
        return ComposeFile(self.path, services, volumes, tuple(self.unsupported))

    def settings(
        self, name: str, services: Mapping[str, yaml.Node], seen: tuple[str, ...] = ()
    ) -> list[dict[str, yaml.Node]]:
        """A service's settings, and those of the services in this file that it extends, nearest first."""
        own = self.mapping(services[name], f"the settings of service {name}")
        extends = own.get("extends")
        if extends is None:
            return [own]
        long = self.mapping(extends, "") if isinstance(extends, yaml.MappingNode) else {"service": extends}
        base = self.text(long["service"]) if "service" in long else ""
        if "file" in long:
            self.unsupported.append((_line(extends), "`extends` with `file` hides settings from the checks"))
            return [own]
        if base not in services or base in (*seen, name):
            raise self.fault(
                extends, f"service {name} extends {base!r}, which is no other service of this file"
            )
        return [own, *self.settings(base, services, (*seen, name))]

    def service(
        self,
        name: str,
        line: int,
        layers: list[dict[str, yaml.Node]],
        sources: Mapping[str, Mapping[str, str]],
    ) -> Service:
        def first(key: str) -> yaml.Node | None:
            return next((layer[key] for layer in layers if key in layer), None)

        def each(key: str) -> Iterator[yaml.Node]:
            for layer in layers:
                if key in layer:
                    yield from self.sequence(layer[key], key)

        if (inherited := first("volumes_from")) is not None:
            self.unsupported.append(
                (
                    _line(inherited),
                    "`volumes_from` cannot be predicted; mount the same volume in both services",
                )
            )
        image, container_name = first("image"), first("container_name")
        files = [
            sources.get(kind, {}).get(self.reference(node), "")
            for kind in ("configs", "secrets")
            for node in each(kind)
        ]
        mounts = {mount.target: mount for mount in reversed([self.mount(node) for node in each("volumes")])}
        tmpfs = [self.tmpfs(node) for node in each("tmpfs")]
        return Service(
            name=name,
            line=line,
            image="" if image is None else self.text(image),
            image_line=line if image is None else _line(image),
            container_name="" if container_name is None else self.text(container_name),
            mounts=(*reversed(mounts.values()), *tmpfs),
            ports=tuple(self.port(node) for node in each("ports")),
            dependencies=self.dependencies(layers[0].get("depends_on"), first),
            namespaces=self.namespaces(first),
            replicas=self.replicas(first("scale"), first("deploy")),
            enabled=self.enabled([self.text(node) for node in each("profiles")]),
            files=tuple(path for path in files if path),
        )

    def dependencies(self, node: yaml.Node | None, first: First) -> tuple[Dependency, ...]:
        found: dict[str, Dependency] = {}
        if isinstance(node, yaml.MappingNode):
            for name, settings in self.mapping(node, "services").items():
                long = {} if _is_null(settings) else self.mapping(settings, f"the settings of {name}")
                condition = self.text(long["condition"]) if "condition" in long else "service_started"
                restart = "restart" in long and self.flag(long["restart"])
                found[name] = Dependency(name, condition, restart)
        elif node is not None:
            found = {name: Dependency(name) for name in map(self.text, self.sequence(node, "services"))}
        for service in self.namespaces(first).values():
            found.setdefault(service, Dependency(service, restart=True))
        return tuple(found.values())

    def namespaces(self, first: First) -> dict[str, str]:
        values = {
            key: self.text(node)
            for key in ("network_mode", "ipc", "pid")
            if (node := first(key)) is not None and not _is_null(node)
        }
        return {
            key: value.removeprefix("service:")
            for key, value in values.items()
            if value.startswith("service:")
        }

    def replicas(self, scale: yaml.Node | None, deploy: yaml.Node | None) -> int:
        if scale is None and isinstance(deploy, yaml.MappingNode):
            scale = self.mapping(deploy, "settings").get("replicas")
        if scale is None:
            return 1
        text = self.text(scale)
        if not text.isdecimal():
            raise self.fault(scale, f"expected a number of containers, not {text!r}")
        return int(text)

    def enabled(self, profiles: list[str]) -> bool:
        active = {name.strip() for name in self.variables.get("COMPOSE_PROFILES", "").split(",")}
        return not profiles or "*" in active or bool(active & set(profiles))

    def mount(self, node: yaml.Node) -> Mount:
        if isinstance(node, yaml.MappingNode):
            long = self.mapping(node, "a mount")
            kind = self.text(long["type"]) if "type" in long else "volume"
            source = self.text(long["source"]) if "source" in long else ""
            target = self.text(long["target"]) if "target" in long else ""
            path = self.absolute(source) if kind == "bind" else source
            return Mount(_line(node), kind, path, _clean(target))
        source, colon, rest = self.text(node).partition(":")
        if not colon:
            return Mount(_line(node), "volume", "", _clean(source))
        kind = "bind" if source.startswith((".", "/", "~")) else "volume"
        path = self.absolute(source) if kind == "bind" else source
        return Mount(_line(node), kind, path, _clean(rest.partition(":")[0]))

    def tmpfs(self, node: yaml.Node) -> Mount:
        return Mount(_line(node), "tmpfs", "", _clean(self.text(node).partition(":")[0]))

    def port(self, node: yaml.Node) -> Port:
        if isinstance(node, yaml.MappingNode):
            long = {key: self.text(value) for key, value in self.mapping(node, "a port").items()}
            published = self.ports(node, long.get("published", ""))
            return Port(_line(node), long.get("host_ip", ""), published, long.get("protocol", "tcp"))
        text, _, protocol = self.text(node).partition("/")
        address, _, published_text = text.rpartition(":")[0].rpartition(":")
        return Port(_line(node), address.strip("[]"), self.ports(node, published_text), protocol or "tcp")

    def ports(self, node: yaml.Node, text: str) -> tuple[int, ...]:
        if not text:
            return ()
        low, _, high = text.partition("-")
        if not low.isdecimal() or not (high or low).isdecimal():
            raise self.fault(node, f"expected a port or a range of ports, not {text!r}")
        return tuple(range(int(low), int(high or low) + 1))

    def named_volume(self, key: str, line: int, node: yaml.Node) -> NamedVolume:
        if _is_null(node):
            return NamedVolume(line, key, external=False)
        settings = self.mapping(node, f"the settings of volume {key}")
        name = self.text(settings["name"]) if "name" in settings else key
        external = settings.get("external")
        if isinstance(external, yaml.MappingNode):  # the old way to write it
            old = self.mapping(external, "a name")
            return NamedVolume(line, self.text(old["name"]) if "name" in old else name, external=True)
        return NamedVolume(line, name, external is not None and self.flag(external))

    def sources(self, node: yaml.Node) -> dict[str, str]:
        """Path on the server of each config or secret that comes from a file."""
        entries = self.mapping(node, "entries by name").items()
        return {
            key: self.absolute(self.text(settings["file"]))
            for key, entry in entries
            if not _is_null(entry) and "file" in (settings := self.mapping(entry, "settings"))
        }

    def reference(self, node: yaml.Node) -> str:
        """The name that a service's short or long reference to a config or secret uses."""
        if isinstance(node, yaml.MappingNode):
            long = self.mapping(node, "a reference")
            return self.text(long["source"]) if "source" in long else ""
        return self.text(node)

    def absolute(self, path: str) -> str:
        expanded = "/root" + path[1:] if path.startswith("~") else path
        return _clean(posixpath.join(self.folder, expanded))

    def flag(self, node: yaml.Node) -> bool:
        return self.text(node).lower() in {"true", "yes", "on", "y", "1"}

    def text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self.fault(node, "expected a single value")
        try:
            return interpolate(str(node.value), self.variables)
        except Unfilled as error:
            raise self.fault(node, str(error)) from None

    def mapping(self, node: yaml.Node, what: str) -> dict[str, yaml.Node]:
        """Keys and values of a mapping; merge keys (``<<``) are followed, the mapping's own keys win."""
        if not isinstance(node, yaml.MappingNode):
            raise self.fault(node, f"expected {what}")
        own: dict[str, yaml.Node] = {}
        merged: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if key.tag == MERGE_TAG:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    merged = self.mapping(source, "a mapping to merge") | merged
            elif key.value in own:
                raise self.fault(key, f"`{key.value}` stands here a second time")
            else:
                own[str(key.value)] = value
        return merged | own

    def lines(self, node: yaml.Node) -> dict[str, int]:
        """Line of each key of a mapping."""
        found = {name: _line(value) for name, value in self.mapping(node, "names").items()}
        for key, _ in node.value:
            if key.tag != MERGE_TAG:
                found[str(key.value)] = _line(key)
        return found

    def sequence(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        if _is_null(node):
            return []
        if what == "tmpfs" and isinstance(node, yaml.ScalarNode):
            return [node]
        raise self.fault(node, f"expected a list of {what}")

    def fault(self, node: yaml.Node, message: str) -> InventoryError:
        mark = node.start_mark
        return InventoryError(f"{self.path}:{mark.line + 1}:{mark.column + 1}: {message}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == NULL_TAG)


def _clean(path: str) -> str:
    return posixpath.normpath(path) if path else ""
