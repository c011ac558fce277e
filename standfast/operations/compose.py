"""Applications in Docker Compose: admitted, predicted service by service, and started as predicted."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import replace

from pyinfra import host
from pyinfra.api import StringCommand

from standfast.apps import admission
from standfast.apps.application import Application
from standfast.apps.archive import full_name
from standfast.apps.compose_file import Service
from standfast.documents import Action
from standfast.errors import Refused
from standfast.facts.compose import Project, Rehearsal, bundle
from standfast.facts.docker import Container, Contents, Volume, Volumes
from standfast.facts.sockets import Listener, Listeners
from standfast.inventory.schema import AllowRule, Database
from standfast.inventory.schema import Volume as DeclaredVolume
from standfast.operations.attention import attention
from standfast.operations.change import Change, Step
from standfast.operations.compose_prediction import Outcome, Situation, Verdict, on_top, predict
from standfast.operations.compose_script import up_script
from standfast.operations.images import PATH, Use, from_archives, from_registries
from standfast.operations.named import operation

UNCHANGED = "Nothing was changed."
DOCKER_PROXY = "docker-proxy"

ACTIONS: Mapping[Outcome, Action] = {
    "create": "create",
    "recreate": "recreate",
    "start": "start",
    "restart": "restart",
    "remove": "remove",
    "wait": "run",
}


@operation
def admitted(
    server: str,
    applications: Sequence[Application],
    *,
    volumes: Mapping[str, DeclaredVolume],
    allow: Sequence[AllowRule],
    databases: Collection[Database] | None = None,
) -> Generator[StringCommand, None, None]:
    """
    Look whether applications may run here: no data would be lost, no port is taken or open by accident.

    + server: name in the inventory, for messages
    + volumes: the declared volumes
    + allow: what the firewall lets in
    + databases: the declared databases; ``None`` where nothing is backed up

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
        if databases is not None:
            found += admission.uncovered(
                app.compose, host=server, app=app.name, volumes=volumes, databases=databases
            )
        found += _taken(app, listeners, held.containers)
    found += admission.collisions({app.name: app.compose for app in applications})
    if found:
        raise Refused("\n  ".join([f"{server}: the applications cannot run like this:", *found, UNCHANGED]))
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
    wanted: dict[str, list[Use]] = {}
    for service in app.compose.services.values():
        if service.image and full_name(service.image) not in archived:
            wanted.setdefault(service.image, []).append(_use(app, service))
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
    verdicts = _predicted(app)
    todo = [each for each in verdicts if each.outcome != "unchanged"]
    if not todo:
        for each in verdicts:
            if each.reason:
                attention(f"{app.name}: {each.service}: {each.reason}")
        host.noop(f"{app.name} runs as declared")
        return
    yield Step(up_script(app, verdicts), changes=[_change(app, each) for each in todo])


def _use(app: Application, service: Service) -> Use:
    return Use(
        who=f"{app.name}/{service.name}",
        mounted=tuple(mount.target for mount in service.mounts),
        unmounted=admission.unmounted(app.compose, service, PATH),
    )


def _predicted(app: Application) -> list[Verdict]:
    """What will happen to each service; all are created where Docker is still to be installed."""
    held = host.get_fact(Contents)
    own = tuple(each for each in held.containers if each.project == app.name)
    volumes: dict[str, Volume] = host.get_fact(Volumes)
    situation = Situation(
        project=app.name,
        file=app.compose,
        containers=own,
        present=held.images,
        coming=app.images(),
        volumes=tuple(volumes),
    )
    more = on_top(situation)
    rehearsal = _rehearse(app, more) if held.present else None
    written = _written(app, rehearsal)
    if rehearsal is not None and math.inf in written.values():
        contents = {file.name: file.content.text.encode() for file in app.files}
        rehearsal = _rehearse(app, more, contents)
        _same_images(app, rehearsal)
    if rehearsal is None:
        return _all_new(app, own)
    if rehearsal.fault:
        raise Refused(f"{app.compose.path}: Compose does not accept it: {rehearsal.fault}\n  {UNCHANGED}")
    for warning in rehearsal.warnings:
        attention(f"{app.compose.path}: {warning}")
    return predict(replace(situation, written=written), rehearsal)


def _written(app: Application, rehearsal: Rehearsal | None) -> dict[str, float]:
    """When the server's files were written, by path; infinite where they are not as declared."""
    times = {}
    for file in app.files:
        checksum = hashlib.sha256(file.content.text.encode()).hexdigest()
        same = rehearsal is not None and rehearsal.checksums.get(file.name) == checksum
        times[f"{app.folder}/{file.name}"] = rehearsal.modified[file.name] if same and rehearsal else math.inf
    return times


def _all_new(app: Application, own: tuple[Container, ...]) -> list[Verdict]:
    """What happens where Docker or Compose is installed by an earlier step of the same run."""
    if own:
        raise Refused(
            f"{app.name}: its containers are there, and Compose is not installed yet, so what it would do to "
            "them cannot be predicted. Install it first: `standfast apply ENV --only docker`. "
            f"{UNCHANGED}"
        )
    services = app.compose.services.values()
    return [Verdict(each.name, "create") for each in services if each.enabled and each.replicas]


def _rehearse(app: Application, more: str, candidates: Mapping[str, bytes] | None = None) -> Rehearsal | None:
    """Ask Compose, about the files on the server or about candidates for them."""
    options = {"_stdin": bundle(candidates)} if candidates else {}
    names = [file.name for file in app.files]
    answer: Rehearsal | None = host.get_fact(
        Project,
        folder=app.folder,
        files=names,
        env=app.has_env,
        candidates=bool(candidates),
        on_top=more,
        **options,
    )
    return answer


def _same_images(app: Application, rehearsal: Rehearsal | None) -> None:
    """Two readings of one file must agree, or the plan would not be the truth."""
    if rehearsal is None or rehearsal.fault:
        return
    ours = {full_name(each.image) for each in app.compose.services.values() if each.enabled}
    if ours != {full_name(name) for name in rehearsal.images}:
        raise Refused(
            f"{app.compose.path}: Compose sees the images {', '.join(sorted(rehearsal.images))} in it, "
            f"standfast {', '.join(sorted(ours))}, so nothing can be predicted. Please report this, with "
            f"the file. {UNCHANGED}"
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
                        f"{app.compose.at(port.line)}: service {service.name} wants port {number}/"
                        f"{port.protocol}, and {holder} has it. Stop that, or choose another port."
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
        if container.status not in {"running", "restarting"}:
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
    waits = f": wait for it, at most {app.start_timeout} s" if verdict.outcome == "wait" else ""
    return Change(ACTIONS[verdict.outcome], f"{app.name}/{verdict.service}", verdict.reason + waits)
