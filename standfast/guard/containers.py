"""Containers of this machine's Docker, as far as commands that run in them need to be understood."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from standfast.errors import CouldNotLook
from standfast.guard import layout

_SECONDS = 20
_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"


@dataclass(frozen=True)
class Container:
    """A running container."""

    id: str
    name: str
    """What docker calls it; Compose gives the next one of a service the same name."""
    project: str
    service: str
    environment: dict[str, str]


def named(kind_and_name: str, through: Sequence[str], folder: str) -> Container:
    """
    The container that a command would run in.

    + kind_and_name: ``container db`` or ``service db``
    + through: the words before ``exec``: ``docker compose -p shop``
    + folder: where the command was called

    Raises:
        CouldNotLook: Docker does not answer, or no such container runs.
    """
    kind, _, name = kind_and_name.partition(" ")
    if kind == "service":
        lines = _docker([*through[1:], "ps", "-q", name], folder).split()
        if not lines:
            raise CouldNotLook(f"the service {name} does not run, so nobody can look into its database")
        return _inspected(lines[0], folder)
    if kind == "container":
        return _inspected(name, folder)
    raise CouldNotLook(
        f"it runs on {kind_and_name}, and what it would hit there cannot be looked up from here"
    )


def beside(container: Container, host: str, folder: str) -> Container | None:
    """The container of the same project that is called `host` there; ``None`` when there is none."""
    if not container.project:
        return None
    filters = [f"label={_PROJECT}={container.project}", f"label={_SERVICE}={host}"]
    ids = _docker(["ps", "-q", *(word for each in filters for word in ("--filter", each))], folder).split()
    return _inspected(ids[0], folder) if ids else None


def _inspected(name: str, folder: str) -> Container:
    data: list[dict[str, Any]] = json.loads(_docker(["inspect", "--type", "container", name], folder))
    config = data[0]["Config"]
    labels = config.get("Labels") or {}
    pairs = [each.partition("=") for each in config.get("Env") or []]
    environment = {key: value for key, _, value in pairs}
    called = str(data[0]["Name"]).lstrip("/")
    return Container(data[0]["Id"], called, labels.get(_PROJECT, ""), labels.get(_SERVICE, ""), environment)


def _docker(arguments: Sequence[str], folder: str) -> str:
    program = shutil.which("docker", path=layout.path_behind_shims())
    if program is None:
        raise CouldNotLook("docker is not installed here, so nobody can look into the container")
    try:
        done = subprocess.run(
            [program, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CouldNotLook(f"docker does not answer: {error}") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        raise CouldNotLook(f"docker could not be asked: {last}")
    return done.stdout
