"""
A Compose project made harmless, for drills: same images, same commands, nobody outside notices.

No port is published, no volume or folder of the server is written, no network leads anywhere, and no
proxy, log collector or other program finds its containers by their labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any
from urllib.parse import urlsplit

LABEL = "standfast.drill"
"""On everything that a drill makes; whatever has it may be removed."""

_LEFT_OUT = (
    *("ports", "expose", "container_name", "labels", "logging", "external_links", "build", "scale"),
    *("privileged", "devices", "cgroup_parent", "mac_address", "volumes_from", "develop", "dns"),
)
_OF_THE_SERVER = ("/run", "/var/run", "/dev", "/proc", "/sys", "/var/lib/docker")
"""Mounted from here an application would talk to the server itself, for example to Docker."""


def harmless(config: Mapping[str, Any], project: str) -> dict[str, Any]:
    """
    The throwaway twin of a project.

    + config: what ``docker compose config --format json`` prints
    + project: name of the twin; its volumes are those of `volume_names`, which must be made before
    """
    names = volume_names(config, project)
    twin = {
        "name": project,
        "services": {name: _service(service, project) for name, service in config["services"].items()},
        "networks": {name: _network(project) for name in config.get("networks") or {"default": None}},
        "volumes": {key: {"name": name, "external": True} for key, name in names.items()},
    }
    return twin | {key: deepcopy(config[key]) for key in ("secrets", "configs") if key in config}


def volume_names(config: Mapping[str, Any], project: str) -> dict[str, str]:
    """Names of the twin's volumes, by their keys in the Compose file."""
    return {key: f"{project}_{key}" for key in config.get("volumes") or {}}


def twins_of(config: Mapping[str, Any], project: str) -> dict[str, str]:
    """Names of the twin's volumes, by those of the server's that they stand for."""
    names = volume_names(config, project)
    return {
        str((each or {}).get("name", key)): names[key] for key, each in (config.get("volumes") or {}).items()
    }


def asked_service(config: Mapping[str, Any], url: str) -> tuple[str, int] | None:
    """Service and port in its container that answer a URL of the server; ``None`` when none does."""
    parts = urlsplit(url)
    wanted = parts.port or (443 if parts.scheme == "https" else 80)
    for name, service in config["services"].items():
        for port in service.get("ports") or []:
            first, _, last = str(port.get("published") or "").partition("-")
            if first and int(first) <= wanted <= int(last or first) and port.get("protocol") != "udp":
                return name, int(port["target"])
    return None


def _network(project: str) -> dict[str, Any]:
    return {"internal": True, "labels": {LABEL: project}}


def _service(service: Mapping[str, Any], project: str) -> dict[str, Any]:
    twin = {key: deepcopy(value) for key, value in service.items() if key not in _LEFT_OUT}
    twin |= {"restart": "no", "pull_policy": "never", "labels": {LABEL: project}}
    for namespace in ("pid", "ipc", "uts", "userns_mode", "cgroup"):
        if twin.get(namespace) == "host":
            del twin[namespace]
    if not str(twin.get("network_mode", "")).startswith(("service:", "none")):
        twin.pop("network_mode", None)
    if "networks" in twin:
        twin["networks"] = {name: _aliases(network) for name, network in (twin["networks"] or {}).items()}
    if "deploy" in twin:
        twin["deploy"] = {key: twin["deploy"][key] for key in twin["deploy"] if key == "resources"}
    twin["volumes"] = [each for mount in service.get("volumes") or [] if (each := _mount(mount))]
    return twin


def _aliases(network: Mapping[str, Any] | None) -> dict[str, Any]:
    """What other services call it; addresses of its own would be taken already."""
    return {"aliases": list(network["aliases"])} if network and network.get("aliases") else {}


def _mount(mount: Mapping[str, Any]) -> dict[str, Any] | None:
    if mount["type"] != "bind":
        return deepcopy(dict(mount))
    source = str(mount["source"])
    if any(source == folder or source.startswith(f"{folder}/") for folder in _OF_THE_SERVER):
        return None
    return {"type": "bind", "source": source, "target": mount["target"], "read_only": True}
