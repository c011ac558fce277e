"""What the guard of Docker lets through, and what it says when it does not."""

from __future__ import annotations

from pathlib import Path

from standfast.host.guard import docker_disk
from standfast.host.guard.docker_disk import ANONYMOUS, Container, CouldNotLook
from standfast.host.guard.docker_requests import Wish
from standfast.host.guard.protection import CONFIGURATION, Protection

OWN_LABEL = "standfast.drill"
"""On containers of our own drills, which take their anonymous volumes with them."""
ALLOW = 'sudo standfast-host guard allow --for 10m --reason "…"'
REMEDY = f"Nothing was removed. If it is meant, on this server: {ALLOW}, then the same command again."


def refusal(wanted: Wish, protection: Protection | None, place: Path) -> str | None:
    """
    Why something is refused, for the person who wanted it; ``None`` when it is not.

    + protection: ``None`` when nobody knows what is protected: then every volume is
    + place: Docker's folder
    """
    if wanted.what == "prune volumes":
        return _said(
            "removing every volume that no container uses at this moment",
            "a stopped or deleted container's data are among them",
        )
    if protection is None:
        return _said(
            _name(wanted),
            f"{CONFIGURATION} cannot be read, so nobody knows what is protected (apply writes it)",
        )
    if wanted.what == "remove volume":
        reason = _precious(wanted.name, protection, place)
        return _said(_name(wanted), reason) if reason else None
    try:
        for container in docker_disk.called(wanted.name, place):
            if reason := _holds(container, protection, place):
                return _said(_name(wanted), f"it uses the volume {reason}")
    except CouldNotLook as error:
        return _said(_name(wanted), f"nobody can tell which volumes it uses ({error})")
    return None


def _holds(container: Container, protection: Protection, place: Path) -> str:
    """The first precious volume of a container and why it is, else an empty text."""
    if OWN_LABEL in container.labels:
        return ""
    for volume in container.volumes:
        if reason := _precious(volume, protection, place):
            return f"{volume[:12] if ANONYMOUS.fullmatch(volume) else volume}: {reason}"
    return ""


def _precious(volume: str, protection: Protection, place: Path) -> str:
    if volume in protection.volumes:
        return (
            f"it is declared in the inventory ({protection.environment}), and its data would be gone for good"
        )
    if ANONYMOUS.fullmatch(volume) and docker_disk.holds_database(volume, place):
        return "nobody has named it, but there is a database in it"
    return ""


def _name(wanted: Wish) -> str:
    if wanted.what == "remove volume":
        return f"removing the volume {wanted.name}"
    return f"removing the container {wanted.name} together with its volumes"


def _said(what: str, why: str) -> str:
    return f"refused by standfast: {what}: {why}. {REMEDY}"
