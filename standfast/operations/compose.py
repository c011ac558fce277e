"""Applications in Docker Compose: admitted, predicted service by service, and started as predicted."""

from __future__ import annotations

import hashlib
import math
import shlex
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import replace

from pyinfra import host
from pyinfra.api import StringCommand

from standfast.apps import admission
from standfast.apps.application import Application
from standfast.apps.archive import full_name
from standfast.errors import Refused
from standfast.facts.compose import Project, Resolved, bundle, compose_function
from standfast.facts.docker import Container, Contents, Held
from standfast.facts.sockets import Listener, Listeners
from standfast.inventory.schema import AllowRule
from standfast.operations.change import Action, Change, Step
from standfast.operations.compose_prediction import (
    Outcome,
    Situation,
    Verdict,
    overrides,
    predict,
    service_names,
)
from standfast.operations.images import from_archives, from_registries
from standfast.operations.named import operation

DOCKER_PROXY = "docker-proxy"
LOG_LINES = 20

ACTIONS: Mapping[Outcome, Action] = {
    "create": "create",
    "recreate": "recreate",
    "start": "start",
    "restart": "restart",
    "remove": "remove",
}


@operation
def admitted(
    server: str,
    applications: Sequence[Application],
    *,
    volumes: Collection[str],
    allow: Sequence[AllowRule],
) -> Generator[StringCommand, None, None]:
    """
    Look whether applications may run here: no data would be lost, no port is taken or open by accident.

    + server: name in the inventory, for messages
    + volumes: names of the declared volumes
    + allow: what the firewall lets in

    Raises:
        Refused: everything that speaks against it, with its place; nothing has been changed.
        CouldNotLook: Docker is installed and does not answer.
    """
    held = host.get_fact(Contents)
    listeners = host.get_fact(Listeners)
    on_server = {full_name(name): image for image in held.images for name in image.names}
    found: list[str] = []
    for app in applications:
        found += admission.faults(
            app.compose,
            host=server,
            app=app.name,
            volumes=volumes,
            allow=allow,
            images=on_server | app.images(),
            archives=app.archives,
        )
        found += _taken(app, listeners, held.containers)
    found += admission.collisions({app.name: app.compose for app in applications})
    if found:
        listed = "\n".join(f"  {fault}" for fault in found)
        raise Refused(
            f"{server}: apps: {listed.strip() if len(found) == 1 else chr(10) + listed}\n"
            "  Nothing was changed."
        )
    host.noop(f"{len(applications)} applications may run")
    return
    yield  # an operation is a generator also when it never changes anything


@operation
def images(app: Application) -> Generator[StringCommand, None, None]:
    """
    Make sure that the images of an application are there: from its archives, else from a registry.

    Raises:
        CouldNotLook: Docker is installed and does not answer.
    """
    if app.archives:
        yield from from_archives._inner(app.archives)
    archived = {full_name(name) for name in app.archives}
    wanted: dict[str, str] = {}
    for service in app.compose.services.values():
        if service.image and full_name(service.image) not in archived:
            wanted.setdefault(service.image, f"{app.name}/{service.name}")
    if wanted:
        yield from from_registries._inner(wanted)


@operation
def up(app: Application) -> Generator[StringCommand, None, None]:
    """
    Make sure that an application runs as its files say; what happens to each service is predicted.

    The plan names every service that is created, made anew, started or removed, and why. The command waits
    until all services are healthy and the application's health address answers.

    Raises:
        Refused: Compose does not accept the file, or sees other images in it; nothing has been changed.
        CouldNotLook: Docker is installed and does not answer.
    """
    held = host.get_fact(Contents)
    own = tuple(each for each in held.containers if each.project == app.name)
    situation = _situation(app, held, own)
    if situation is None:
        verdicts = [Verdict(name, "create") for name in app.compose.services]
    else:
        verdicts = predict(situation)
    todo = [each for each in verdicts if each.outcome != "unchanged"]
    troubles = [f"{app.name}/{each.service}: {each.attention}" for each in verdicts if each.attention]
    if not todo:
        host.noop("; ".join(troubles) or f"{app.name} runs as declared")
        return
    yield Step(_up_script(app, verdicts), changes=[_change(app, each) for each in todo])


def _situation(app: Application, held: Held, own: tuple[Container, ...]) -> Situation | None:
    """What decides what happens; nothing when Docker or Compose is still to be installed."""
    names = [file.name for file in app.files]
    contents = {file.name: file.content.text.encode() for file in app.files}
    wanted = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    present = host.get_fact(Project, folder=app.folder, files=names, env=app.has_env)
    if present is None:
        if own:
            raise Refused(
                f"{app.name}: its containers are there, and Compose is not installed yet, so what it would do to "
                "them cannot be predicted. Install it first: `standfast apply ENV --only docker`. "
                "Nothing was changed."
            )
        return None
    new = dict(present.checksums) != wanted
    resolved = _ask(app, contents) if new else present
    _accept(app, resolved)
    situation = Situation(
        file=app.compose,
        hashes=resolved.hashes,
        containers=own,
        present=held.images,
        coming=app.images(),
        written={
            f"{app.folder}/{name}": present.modified[name]
            if present.checksums.get(name) == wanted[name]
            else math.inf
            for name in names
        },
    )
    if references := overrides(situation):
        resolved = _ask(app, contents if new else {}, references)
        situation = replace(situation, hashes=resolved.hashes)
    return situation


def _ask(app: Application, candidates: Mapping[str, bytes], references: str = "") -> Resolved:
    """Ask Compose about files that are not on the server yet, or with references filled in."""
    options = {"_stdin": bundle(candidates)} if candidates else {}
    answer: Resolved | None = host.get_fact(
        Project,
        folder=app.folder,
        files=[file.name for file in app.files],
        env=app.has_env,
        candidates=bool(candidates),
        overrides=references,
        **options,
    )
    return answer or Resolved()


def _accept(app: Application, resolved: Resolved) -> None:
    path = app.compose.path
    if resolved.fault:
        raise Refused(f"{path}: Compose does not accept it: {resolved.fault}\n  Nothing was changed.")
    ours = {app.compose.services[name].image for name in resolved.hashes if name in app.compose.services}
    if {full_name(name) for name in ours} != {full_name(name) for name in resolved.images}:
        raise Refused(
            f"{path}: Compose sees the images {', '.join(sorted(resolved.images))} in it, standfast "
            f"{', '.join(sorted(ours))}, so nothing can be predicted. Please report this, with the file. "
            "Nothing was changed."
        )


def _taken(app: Application, listeners: list[Listener], containers: tuple[Container, ...]) -> list[str]:
    """Ports of an application that somebody else has."""
    found = []
    for service in app.compose.services.values():
        for port in service.ports:
            for number in port.published:
                holder = _holder(app.name, port.address, number, port.protocol, listeners, containers)
                if holder:
                    found.append(
                        f"{app.compose.at(port.line)}: service {service.name} publishes port "
                        f"{number}/{port.protocol}, which is taken by {holder}. Stop that, or choose another port."
                    )
    return found


def _holder(
    project: str,
    address: str,
    number: int,
    protocol: str,
    listeners: list[Listener],
    containers: tuple[Container, ...],
) -> str:
    """Who has a port, other than the project itself; empty when nobody."""
    for container in containers:
        if container.status != "running":
            continue
        for its_address, its_port, its_protocol in container.ports:
            if (its_port, its_protocol) == (number, protocol) and admission.overlap(its_address, address):
                return "" if container.project == project else f"container {container.name}"
    for listener in listeners:
        if (listener.port, listener.protocol) != (number, protocol) or listener.process == DOCKER_PROXY:
            continue
        if admission.overlap(listener.address, address):
            return f"pid {listener.pid}: {listener.command or listener.process}"
    return ""


def _change(app: Application, verdict: Verdict) -> Change:
    return Change(ACTIONS[verdict.outcome], f"{app.name}/{verdict.service}", verdict.reason)


def _up_script(app: Application, verdicts: Sequence[Verdict]) -> str:
    """Shell code that does what was predicted, and says what is wrong when it does not succeed."""
    changed = {
        each.service for each in verdicts if each.outcome == "restart" and each.reason.endswith("changed")
    }
    paused = service_names([each for each in verdicts if each.reason == "it is paused"], "start")
    lines = [
        "set -u; trap '' HUP PIPE",
        compose_function(app.folder, env=app.has_env),
        f"project={shlex.quote(app.name)}; until=$(($(date +%s) + {app.start_timeout}))",
        _REPORT,
        *([f"said=$(compose unpause {shlex.join(paused)} 2>&1) || failed"] if paused else []),
        *(
            [f"said=$(compose restart --no-deps {shlex.join(sorted(changed))} 2>&1) || failed"]
            if changed
            else []
        ),
        f"said=$(compose up --detach --wait --wait-timeout {app.start_timeout} --remove-orphans --no-build "
        "--pull never 2>&1) || failed",
    ]
    if app.health is not None:
        lines.append(_HEALTH.format(url=shlex.quote(app.health)))
    return "\n".join(lines)


# The services come last: of a long output, people see the end.
_REPORT = f"""failed() {{
  printf '%s\\n' "$said" | grep -iE 'error|unhealthy|exited|timeout|no such|denied' | tail -n 5 >&2
  docker ps --all --filter "label=com.docker.compose.project=$project" --format \
'{{{{.ID}}}} {{{{.Label "com.docker.compose.service"}}}} {{{{.Status}}}}' | sort -k 2 |
  while read -r id service status; do
    case $status in
      *unhealthy* | *starting* | Restarting* | Created* | 'Exited ('[1-9]*)
        echo "$service: $status. Its last lines:" >&2
        docker logs --tail {LOG_LINES} "$id" 2>&1 | sed 's/^/  /' >&2 ;;
      *) echo "$service: $status" >&2 ;;
    esac
  done
  exit 1
}}"""

_HEALTH = """url={url}
while said=$(curl --silent --show-error --output /dev/null --max-time 10 --write-out '%{{http_code}}' "$url" 2>&1)
  [ "$said" != 200 ]
do
  if [ "$(date +%s)" -ge "$until" ]; then
    said="error: all services run, and $url answers: $said, expected 200"; failed
  fi
  sleep 1
done"""
