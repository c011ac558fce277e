"""The throwaway twin of an application: made, looked at, and removed, also after a kill."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from standfast.host.backup import containers, programs, records, state, writers
from standfast.host.backup.faults import Fault
from standfast.host.restore import health, run, throwaway
from standfast.host.restore.programs import output

APPS = Path("/srv/apps")
"""Where apply puts applications, each in a folder of its name with its ``compose.yml``."""
FILES = Path("/run/standfast/drill")
"""In memory, for root only: a resolved Compose file holds the application's secrets."""
FETCHED = run.FETCHED / "drill"
"""What was fetched from the repository, in clear."""
IMAGES = "standfast-drill"
"""Names of images that came for a drill from another server begin so, and a slash follows."""
PATIENCE = 300
"""Seconds in which an application must answer."""
PAUSE = 1.0
LOG_LINES = 12


@dataclass(frozen=True)
class Twin:
    """One application's twin."""

    app: str
    project: str
    config: Mapping[str, Any]
    """Of the application itself, as Compose resolves it."""
    file: Path

    def compose(self, *arguments: str) -> str:
        """Run Compose on the twin."""
        return output(
            ["docker", "compose", "--project-name", self.project, "--file", str(self.file), *arguments]
        )

    def volumes(self) -> dict[str, str]:
        """Its volumes, by those of the server that they stand for."""
        return throwaway.twins_of(self.config, self.project)


def resolved(app: str, folder: Path = APPS) -> dict[str, Any]:
    """
    An application as Compose resolves its file, with its environment and so with its secrets.

    Raises:
        Fault: the application is not on this server, or Compose does not accept its file.
    """
    path = folder / app / "compose.yml"
    if not path.is_file():
        raise Fault(f"application {app}: expected its Compose file at {path}. Run `standfast apply` first.")
    text = output(
        ["docker", "compose", "--project-name", app, "--file", str(path), "config", "--format", "json"]
    )
    config: dict[str, Any] = json.loads(text)
    return config


def prepared(app: str, config: Mapping[str, Any]) -> Twin:
    """
    Make the volumes of an application's twin; nothing runs yet.

    + config: the application as Compose resolves it
    """
    project = f"standfast-drill-{app}"
    twin = Twin(app, project, config, FILES / f"{project}.json")
    state.write(twin.file, json.dumps(throwaway.harmless(config, project)))
    for name in twin.volumes().values():
        output(["docker", "volume", "create", "--label", f"{throwaway.LABEL}={project}", name])
    return twin


def started(twin: Twin, service: str) -> str:
    """
    Start one service alone, and wait until it is healthy; id of its container.

    Raises:
        Fault: it does not start.
    """
    try:
        twin.compose("up", "--detach", "--no-deps", "--wait", "--wait-timeout", str(PATIENCE), service)
    except Fault as fault:
        raise Fault(f"the throwaway {twin.app}/{service} does not start: {fault}") from fault
    return containers.service(twin.project, service).id


def page(twin: Twin, url: str | None) -> str:
    """
    Start the whole application, and ask it for its page; what was asked, in words.

    + url: the application's health address on the server

    Raises:
        Fault: it does not start, does not answer in time, or cannot be asked at all.
    """
    asked = throwaway.asked_service(twin.config, url) if url else None
    if url and asked is None:
        raise Fault(f"no service of {twin.app} publishes the port of {url}, so the twin cannot be asked")
    if asked is None and not any(service.get("healthcheck") for service in twin.config["services"].values()):
        raise Fault(
            f"application {twin.app} has no `health` address and no service with a health check, so nobody "
            "knows whether it works. Declare `health` in the inventory."
        )
    try:
        twin.compose("up", "--detach")
    except Fault as fault:
        raise Fault(f"the application does not start: {fault}{_log(twin)}") from fault
    return _waited(twin, lambda: _state(twin, url, asked), url)


def _waited(twin: Twin, look: Callable[[], str], url: str | None) -> str:
    deadline = time.monotonic() + PATIENCE
    while problem := look():
        if problem.startswith("!") or time.monotonic() > deadline:
            raise Fault(f"the application does not work: {problem.lstrip('!')}{_log(twin)}")
        time.sleep(PAUSE)
    return f"{urlsplit(url).path or '/'} answered" if url else "all health checks passed"


def _state(twin: Twin, url: str | None, asked: tuple[str, int] | None) -> str:
    """What keeps the application from working, with ``!`` in front when that will not get better."""
    for service in twin.config["services"]:
        for name, status, code, healthy in _containers(twin, service):
            if status == "exited" and code != 0:
                return f"!{name} ended with exit code {code}"
            if healthy not in ("", "healthy"):
                return f"{name} is {healthy}"
    if url is None or asked is None:
        return ""
    service, port = asked
    parts = urlsplit(url)
    address = _address(twin, service)
    target = f"http://{address}:{port}{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    problem = health.asked(target, {"Host": parts.netloc})
    return f"{parts.path or '/'} of {service}: {problem}" if problem else ""


def _containers(twin: Twin, service: str) -> list[tuple[str, str, int, str]]:
    """Name, status, exit code and health of a service's containers."""
    ids = twin.compose("ps", "--all", "--quiet", service).split()
    found = json.loads(output(["docker", "inspect", "--type", "container", *ids])) if ids else []
    return [
        (
            f"{twin.app}/{service}",
            str(each["State"]["Status"]),
            int(each["State"]["ExitCode"]),
            str((each["State"].get("Health") or {}).get("Status", "")),
        )
        for each in found
    ]


def _address(twin: Twin, service: str) -> str:
    found = json.loads(output(["docker", "inspect", containers.service(twin.project, service).id]))
    networks = found[0]["NetworkSettings"]["Networks"]
    addresses = [str(each["IPAddress"]) for each in networks.values() if each.get("IPAddress")]
    if not addresses:
        raise Fault(f"the throwaway {twin.app}/{service} has no address")
    return addresses[0]


def _log(twin: Twin) -> str:
    """The last words of the application, for the message."""
    done = programs.run(
        [
            *("docker", "compose", "--project-name", twin.project, "--file", str(twin.file)),
            *("logs", "--no-color", "--tail", str(LOG_LINES)),
        ]
    )
    lines = [line for line in done.output.splitlines() if line.strip()][-LOG_LINES:]
    return "".join(f"\n    {line}" for line in lines)


def watched() -> None:
    """
    Have systemd see to it that nothing of a drill stays when this process is killed.

    Raises:
        Fault: it could not be arranged; nothing was made.
    """
    pid = os.getpid()
    done = programs.run(
        [
            *("systemd-run", "--quiet", "--collect", f"--unit=standfast-drill-{pid}"),
            *(writers.PROGRAM, "drill", "--remove-after", f"{pid}:{records.born(pid)}"),
        ]
    )
    if done.code != 0:
        raise Fault(f"nothing was made, because nobody could watch over it: systemd-run: {done.reason}")


def removed_after(pid: int, born: str) -> None:
    """Wait until a process has ended, then remove what drills have left."""
    while records.born(pid) == born:
        time.sleep(PAUSE)
    removed()


def removed() -> None:
    """
    Remove everything that drills have made: by its label, nothing else has it.

    Raises:
        Fault: Docker does not answer, or something could not be removed.
    """
    _dismantled()
    listed = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]
    if names := output([*listed, "--filter", f"reference={IMAGES}/*"]).split():
        output(["docker", "image", "rm", *names])
    shutil.rmtree(FILES, ignore_errors=True)
    shutil.rmtree(FETCHED, ignore_errors=True)
    with suppress(OSError):  # not there, or not empty: a restore that was cut off has left something
        run.FETCHED.rmdir()


def put_away(twin: Twin) -> None:
    """
    Remove one application's twin; what came for all of the drill, images and secrets, stays.

    Raises:
        Fault: Docker does not answer, or something could not be removed.
    """
    _dismantled()
    twin.file.unlink(missing_ok=True)
    shutil.rmtree(FETCHED, ignore_errors=True)


def _dismantled() -> None:
    """Remove containers, networks and volumes; a drill has those of one application at a time."""
    label = f"label={throwaway.LABEL}"
    if ids := output(["docker", "ps", "--all", "--quiet", "--filter", label]).split():
        output(["docker", "rm", "--force", "--volumes", *ids])
    if ids := output(["docker", "network", "ls", "--quiet", "--filter", label]).split():
        output(["docker", "network", "rm", *ids])
    if names := output(["docker", "volume", "ls", "--quiet", "--filter", label]).split():
        output(["docker", "volume", "rm", *names])
