"""Ports of the server that something undeclared listens on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from standfast.drift.finding import Finding, quoted
from standfast.drift.known import Known
from standfast.facts.docker import Held
from standfast.facts.sockets import Listener

DOCKER_PROXY = "docker-proxy"
SSH_PORT = 22
BY_HAND = re.compile(r"(session-.*|run-.*|user@.*)\.(scope|service)")
IN_CONTAINER = re.compile(r"docker-(?P<id>[0-9a-f]{64})\.scope")

# Who asks for an address or the time has a port for the answer.
CLIENTS = {
    *(
        "systemd-networkd.service",
        "systemd-timesyncd.service",
        "NetworkManager.service",
        "networking.service",
    ),
    *("chrony.service", "ntpsec.service", "dhcpcd.service", "systemd-resolved.service"),
}


def findings(known: Known, listeners: list[Listener], held: Held) -> Iterator[Finding]:
    """What listens to the network and is not declared; loopback is this server's own business."""
    owners = {each.id: each for each in held.containers}
    seen = set()
    for each in listeners:
        key = (each.protocol, each.port, each.pid)
        if key in seen or _loopback(each.address) or _declared(known, each):
            continue
        seen.add(key)
        reach = known.reach(each.protocol, each.port)
        inside = IN_CONTAINER.fullmatch(each.unit)
        owner = owners.get(inside["id"]) if inside else None
        if owner is not None and owner.project in known.host.apps:
            continue
        yield Finding(
            f"port:{each.protocol}/{each.port}",
            "firewall",
            "unmanaged",
            f"port {each.port}/{each.protocol}",
            f"not declared; {_who(each, owner.name if owner else '')}; {reach}",
        )


def _loopback(address: str) -> bool:
    return address.startswith("127.") or address in {"::1", "::ffff:127.0.0.1"}


def _declared(known: Known, each: Listener) -> bool:
    if each.process == DOCKER_PROXY:  # the container is a finding when it is not declared
        return True
    by_socket = each.pid == 1  # systemd itself listens, for ssh.socket
    if by_socket or (each.unit.startswith("ssh") and each.process == "sshd"):
        return each.protocol == "tcp" and each.port in _ssh_ports(known)
    if each.unit == "caddy.service" and known.host.caddy is not None:
        return True
    if each.unit in CLIENTS:
        return True
    return known.lets_in(each.protocol, each.port) and each.pid > 0 and not BY_HAND.fullmatch(each.unit)


def _ssh_ports(known: Known) -> set[int]:
    ports = {SSH_PORT, *((known.port,) if known.port else ())}
    for name, value in known.host.ssh_server.settings.items():
        if name.lower() == "port" and value.isdecimal():
            ports.add(int(value))
    return ports


def _who(each: Listener, container: str) -> str:
    if not each.pid:
        return "the kernel itself listens"
    place = f" in container {container}" if container else f" in {each.unit}" if each.unit else ""
    return f"{each.process} (pid {each.pid}){place} listens: {quoted(each.command)}"
