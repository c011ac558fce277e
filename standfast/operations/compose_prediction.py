"""
What ``docker compose up`` will do to each service, known before it is run.

Compose's own rehearsal says what happens to containers; its rules differ from version to version, so
they are not repeated here. What it cannot know, images and volumes that an earlier step of the same run
brings, is told to it (`on_top`); why something happens is found out here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from standfast.apps.archive import Image, full_name, shown
from standfast.apps.compose_file import ComposeFile, Service
from standfast.facts.compose import Rehearsal
from standfast.facts.docker import CONFIG_HASH, CONFIG_IMAGE, NUMBER, Container
from standfast.operations.images import by_name

Outcome = Literal["unchanged", "create", "recreate", "start", "restart", "remove", "wait"]

COMPLETED = "service_completed_successfully"
PAUSED = "it is paused"
STARTING = "it is starting or was paused, and its health check has not passed since"
MISSING = "is missing on the server"
# A label makes Compose make a container anew, as the new image will.
SEED = {"labels": {"standfast.rehearsal": "1"}}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What will happen to one service."""

    service: str
    outcome: Outcome
    reason: str = ""
    """Why, in words that a person knows."""
    forced: bool = False
    """Whether Compose must be told to make it anew, because it cannot be known what it would do."""
    file: str = ""
    """The mounted file that has changed, when that is the reason."""


@dataclass(frozen=True, slots=True)
class Situation:
    """All that decides what happens."""

    project: str
    file: ComposeFile
    containers: tuple[Container, ...]
    """Those of the project."""
    present: tuple[Image, ...]
    """Images on the server."""
    coming: Mapping[str, Image]
    """Images that will be there by then, by full name."""
    volumes: Collection[str]
    """Volumes on the server."""
    written: Mapping[str, float] = field(default_factory=dict)
    """When the files that containers see were written last, by path; infinite for those about to be."""

    def of(self, service: str) -> list[Container]:
        """The containers of a service, without those of ``docker compose run``."""
        own = [each for each in self.containers if each.service == service and not each.one_off]
        return sorted(own, key=lambda each: int(each.labels.get(NUMBER, "0") or 0))

    def completes(self, service: str) -> bool:
        """Whether a service is a job that ends."""
        return service in jobs(self.file)


def jobs(file: ComposeFile) -> list[str]:
    """Services that end when they are done, as other services' dependencies say."""
    return [
        dependency.service
        for service in file.services.values()
        for dependency in service.dependencies
        if dependency.condition == COMPLETED
    ]


def on_top(situation: Situation) -> str:
    """
    A Compose file that tells the rehearsal what will be true by then and is not yet; empty when nothing.

    Services whose image changes get another label; external volumes that are still to be made count as
    Compose's own, because it would not go on without them.
    """
    services = {
        service.name: SEED
        for service in situation.file.services.values()
        if any(_new_image(situation, service, container) for container in situation.of(service.name))
    }
    volumes = {
        key: {"external": False, "name": volume.name}
        for key, volume in situation.file.volumes.items()
        if volume.external and volume.name not in situation.volumes
    }
    document: dict[str, Any] = {}
    if services:
        document["services"] = services
    if volumes:
        document["volumes"] = volumes
    return json.dumps(document) if document else ""


def predict(situation: Situation, rehearsal: Rehearsal) -> list[Verdict]:
    """
    What ``up`` will do, service by service, in the file's order; nothing to do means all unchanged.

    A service that is unhealthy or crashes does not run as declared, and ``up`` does nothing about it: it
    is waited for, and when that is in vain, apply fails. A job that has completed counts as unchanged,
    and runs again when anything else has to be done.
    """
    verdicts: dict[str, Verdict] = {}
    for service in situation.file.services.values():
        if events := _events(situation, service, rehearsal):
            verdicts[service.name] = _verdict(situation, service, rehearsal, events)
    anew = {name for name, each in verdicts.items() if each.outcome in {"create", "recreate"}}
    ordered = [_explained(situation, each, anew) for each in verdicts.values()]
    ordered += _gone(situation, rehearsal, of_run=False)
    if all(each.outcome in {"unchanged", "wait"} for each in ordered):
        return ordered
    return [_again(situation, each) for each in ordered] + _gone(situation, rehearsal, of_run=True)


def _events(situation: Situation, service: Service, rehearsal: Rehearsal) -> dict[str, frozenset[str]]:
    """What happens to each container of a service, by container name; the future ones included."""
    names = {each.name for each in situation.of(service.name)}
    new = re.compile(
        re.escape(service.container_name)
        if service.container_name
        else f"{re.escape(situation.project)}[-_]{re.escape(service.name)}[-_][0-9]+"
    )
    found = {name: words for name, words in rehearsal.events.items() if name in names or new.fullmatch(name)}
    # Of a stopped container, some versions of Compose say nothing.
    return found | {name: frozenset() for name in names if name not in found and service.enabled}


def _verdict(
    situation: Situation, service: Service, rehearsal: Rehearsal, events: Mapping[str, frozenset[str]]
) -> Verdict:
    words = frozenset[str]().union(*events.values())
    containers = situation.of(service.name)
    if "Recreate" in words:
        why = _why(situation, service, rehearsal)
        return Verdict(service.name, "recreate", why, forced=MISSING in why)
    if "Removing" in words:
        left = sum("Removing" not in each for each in events.values())
        return Verdict(service.name, "remove", f"{len(containers)} → {left} containers")
    if "Creating" in words:
        scale = f"{len(containers)} → {len(events)} containers" if containers else ""
        return Verdict(service.name, "create", scale)
    if "Stopping" in words:
        return Verdict(service.name, "restart")
    return _state(situation, service, containers)


def _why(situation: Situation, service: Service, rehearsal: Rehearsal) -> str:
    """Why containers of a service are made anew; empty when the reason lies with other services."""
    reasons: dict[str, None] = {}
    for container in situation.of(service.name):
        new_hash = rehearsal.hashes.get(service.name)
        # The checksum of a service inside another one has that one's container in it.
        if not service.namespaces and new_hash != container.labels.get(CONFIG_HASH):
            reasons["its configuration changes"] = None
        if change := _new_image(situation, service, container):
            reasons[change] = None
        if left := _left_data(service, container):
            reasons[left] = None
    return ", ".join(reasons)


def _new_image(situation: Situation, service: Service, container: Container) -> str:
    """How the image of a container changes; empty when it does not."""
    old = container.labels.get(CONFIG_IMAGE) or container.image
    present = by_name(situation.present, service.image)
    image = situation.coming.get(full_name(service.image)) or present
    known = next((each for each in situation.present if each.id == old), None)
    if image is not None and not (image.same(known) if known else old in {image.id, image.digest}):
        return f"image {shown(old)} → {image.short}"
    return f"image {service.image} {MISSING}" if present is None else ""


def _left_data(service: Service, container: Container) -> str:
    """A warning about data in anonymous volumes that the new container will not mount."""
    targets = {mount.target for mount in service.mounts}
    left = [each for each in container.mounts if each.anonymous and each.target in targets]
    return ", ".join(
        f"what is in {each.target} now stays behind in the anonymous volume {shown(each.name)}: "
        "copy it first if you need it"
        for each in left
    )


def _state(situation: Situation, service: Service, containers: list[Container]) -> Verdict:
    """The fate of a service whose containers stay."""
    name = service.name
    for container in containers:
        if container.status == "paused":
            return Verdict(name, "start", PAUSED)
        if container.status in {"exited", "created", "dead"}:
            if container.exit_code == 0 and situation.completes(name) and container.status == "exited":
                continue
            ended = f"it ended with code {container.exit_code}"
            return Verdict(name, "start", "it never ran" if container.status == "created" else ended)
        if changed := _seen_late(situation, service, container):
            return Verdict(name, "restart", f"{changed} has changed", file=changed)
    trouble = next(filter(None, map(_trouble, containers)), "")
    if trouble:
        return Verdict(name, "wait", trouble)
    starting = any(container.health == "starting" for container in containers)
    return Verdict(name, "unchanged", STARTING if starting else "")


def _trouble(container: Container) -> str:
    if container.status == "restarting":
        code = f", code {container.exit_code}" if container.exit_code else ""
        return f"it crashes again and again{code}"
    return "it is unhealthy" if container.health == "unhealthy" else ""


def _seen_late(situation: Situation, service: Service, container: Container) -> str:
    """The name of a file that has changed since the container was started and mounted it."""
    started = _seconds(container.started)
    for path, written in situation.written.items():
        if written > started and any(_within(path, bind) for bind in service.binds):
            return path.rpartition("/")[2]
    return ""


def _within(path: str, bind: str) -> bool:
    return path == bind or path.startswith(f"{bind.rstrip('/')}/")


def _explained(situation: Situation, verdict: Verdict, anew: set[str]) -> Verdict:
    """Name the other service where that is the reason."""
    if verdict.reason or verdict.outcome not in {"recreate", "restart"}:
        return verdict
    service = situation.file.services[verdict.service]
    inside = next((name for name in service.namespaces.values() if name in anew), "")
    needs = next((each.service for each in service.dependencies if each.service in anew), "")
    reason = f"it lives inside {inside}" if inside else f"it depends on {needs}" if needs else ""
    return Verdict(verdict.service, verdict.outcome, reason or "Compose says so")


def _again(situation: Situation, verdict: Verdict) -> Verdict:
    """A job that has completed is run by every ``up``."""
    if verdict.outcome != "unchanged" or not situation.completes(verdict.service):
        return verdict
    if any(each.status == "running" for each in situation.of(verdict.service)):
        return verdict
    return Verdict(verdict.service, "start", "it runs again at every start")


def _gone(situation: Situation, rehearsal: Rehearsal, *, of_run: bool) -> list[Verdict]:
    """
    Containers that go and belong to no service of the file.

    + of_run: those of ``docker compose run``, which only go along with other changes
    """
    names: dict[str, str] = {}
    for container in situation.containers:
        if container.one_off == of_run and "Removing" in rehearsal.events.get(container.name, ()):
            if of_run:
                names[container.name] = "left by `docker compose run`"
            elif container.service not in situation.file.services:
                names[container.service] = "it is no longer in the Compose file"
    return [Verdict(name, "remove", reason) for name, reason in names.items()]


def _seconds(time: str) -> float:
    """Docker's time, in seconds since 1970."""
    whole, _, rest = time.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return moment.timestamp() + float(f"0.{rest or 0}")
