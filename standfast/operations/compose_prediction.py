"""
What ``docker compose up`` will do to each service, known before it is run.

Pure: what Compose makes of the files, what the engine holds, which images there will be. The rules are
those of Compose 2 itself; the tests hold them against what it really does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from standfast.apps.archive import Image, full_name, shown
from standfast.apps.compose_file import ComposeFile, Service
from standfast.facts.docker import CONFIG_HASH, CONFIG_IMAGE, NUMBER, Container
from standfast.operations.images import by_name

Outcome = Literal["unchanged", "create", "recreate", "start", "restart", "remove"]

COMPLETED = "service_completed_successfully"
NOT_RUNNING = frozenset({"created", "exited", "dead", "paused"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What will happen to one service."""

    service: str
    outcome: Outcome
    reason: str = ""
    """Why, in words that a person knows."""
    attention: str = ""
    """What is wrong with it that nothing here repairs."""


@dataclass(frozen=True, slots=True)
class Situation:
    """All that decides what happens."""

    file: ComposeFile
    hashes: Mapping[str, str]
    """Compose's checksum of each service that it would run."""
    containers: tuple[Container, ...]
    """Those of the project."""
    present: tuple[Image, ...]
    """Images on the server."""
    coming: Mapping[str, Image]
    """Images that will be there by then, by full name."""
    written: Mapping[str, float]
    """When the files that containers see were written last, by path; infinite for those about to be."""

    def of(self, service: str) -> list[Container]:
        """The containers of a service, without those of ``docker compose run``."""
        own = [each for each in self.containers if each.service == service and not each.one_off]
        return sorted(own, key=lambda each: int(each.labels.get(NUMBER, "0") or 0))

    def completes(self, service: str) -> bool:
        """Whether a service is a job that ends, as another service's dependency says."""
        return any(
            dependency.service == service and dependency.condition == COMPLETED
            for other in self.file.services.values()
            for dependency in other.dependencies
        )


def predict(situation: Situation) -> list[Verdict]:
    """
    What ``up`` will do, service by service, in the file's order; nothing to do means all unchanged.

    A job that has completed counts as unchanged, and runs again when anything else has to be done.
    """
    verdicts: dict[str, Verdict] = {}
    for name in _in_order(situation):
        service = situation.file.services[name]
        verdicts[name] = _follow(service, _alone(situation, service), verdicts)
    gone = [
        Verdict(name, "remove", "it is no longer in the Compose file")
        for name in dict.fromkeys(each.service for each in situation.containers if not each.one_off)
        if name not in situation.file.services
    ]
    ordered = [verdicts[name] for name in situation.file.services if name in verdicts] + gone
    if all(each.outcome == "unchanged" for each in ordered):
        return ordered
    return [_again(situation, each) for each in ordered] + _left_behind(situation)


def shared(file: ComposeFile) -> list[Service]:
    """Services that live inside another one; their checksum depends on its container."""
    return [service for service in file.services.values() if service.namespaces]


def overrides(situation: Situation) -> str:
    """
    A Compose file that replaces references to services by those to their containers.

    So Compose does it itself before it computes a checksum. Empty when there is nothing to replace.
    """
    lines = []
    for service in shared(situation.file):
        targets = {key: situation.of(name) for key, name in service.namespaces.items()}
        if not all(targets.values()):
            continue
        lines.append(f"  {service.name}:")
        lines += [f'    {key}: "container:{found[0].id}"' for key, found in targets.items()]
        lines.append("    depends_on:")
        lines += [
            f"      {each.service}: {{condition: {each.condition}, restart: {str(each.restart).lower()}, "
            "required: true}"
            for each in service.dependencies
        ]
    return "\n".join(["services:", *lines, ""]) if lines else ""


def _in_order(situation: Situation) -> list[str]:
    """Services that will run, what is depended on first."""
    ordered: dict[str, None] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in ordered or name in above or name not in situation.hashes:
            return
        for dependency in situation.file.services[name].dependencies:
            visit(dependency.service, (*above, name))
        ordered[name] = None

    for name in situation.file.services:
        visit(name, ())
    return list(ordered)


def _alone(situation: Situation, service: Service) -> Verdict:
    """What happens to a service for reasons of its own."""
    containers = situation.of(service.name)
    if not containers:
        return Verdict(service.name, "create" if service.replicas else "unchanged")
    for container in containers:
        if reason := _outdated(situation, service, container):
            return Verdict(service.name, "recreate", reason + _left_data(service, container))
    if len(containers) > service.replicas:
        return Verdict(service.name, "remove", f"{len(containers)} → {service.replicas} containers")
    if len(containers) < service.replicas:
        return Verdict(service.name, "create", f"{len(containers)} → {service.replicas} containers")
    return _state(situation, service, containers)


def _outdated(situation: Situation, service: Service, container: Container) -> str:
    """Why a container has to be made anew; empty when it has not."""
    reasons = []
    if container.labels.get(CONFIG_HASH) != situation.hashes[service.name]:
        reasons.append("its configuration changes")
    old = container.labels.get(CONFIG_IMAGE) or container.image
    coming = situation.coming.get(full_name(service.image))
    image = coming or by_name(situation.present, service.image)
    if image is None:
        reasons.append(f"image {service.image} is pulled again")
    elif not _same(situation, old, image):
        reasons.append(f"image {shown(old)} → {image.short}")
    return ", ".join(reasons)


def _same(situation: Situation, old: str, image: Image) -> bool:
    known = next((each for each in situation.present if each.id == old), None)
    return image.same(known) if known is not None else old in {image.id, image.digest}


def _left_data(service: Service, container: Container) -> str:
    """A warning about data in anonymous volumes that the new container will not mount."""
    targets = {mount.target for mount in service.mounts}
    left = [each for each in container.mounts if each.anonymous and each.target in targets]
    return "".join(
        f"; what is in {each.target} now stays behind in the anonymous volume {shown(each.name)}: "
        "copy it first if you need it"
        for each in left
    )


def _state(situation: Situation, service: Service, containers: list[Container]) -> Verdict:
    name = service.name
    for container in containers:
        if container.status == "exited" and container.exit_code == 0 and situation.completes(name):
            continue
        if container.status in NOT_RUNNING:
            return Verdict(name, "start", _status(container))
        if changed := _seen_late(situation, service, container):
            return Verdict(name, "restart", f"{changed} has changed")
    troubles = [_trouble(container) for container in containers]
    return Verdict(name, "unchanged", attention=next(filter(None, troubles), ""))


def _status(container: Container) -> str:
    if container.status in {"exited", "dead"}:
        return f"it ended with code {container.exit_code}"
    return {"paused": "it is paused"}.get(container.status, "it never ran")


def _trouble(container: Container) -> str:
    if container.status == "restarting":
        return f"it crashes again and again, code {container.exit_code}"
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


def _follow(service: Service, verdict: Verdict, before: Mapping[str, Verdict]) -> Verdict:
    """What happens to a service because of what it depends on."""
    if verdict.outcome in {"create", "recreate"}:
        return verdict
    anew = {name for name, each in before.items() if each.outcome in {"create", "recreate"}}
    if inside := sorted(anew & set(service.namespaces.values())):
        return Verdict(service.name, "recreate", f"it lives inside {inside[0]}")
    made = {name for name in anew if before[name].outcome == "recreate"}
    restarting = [each.service for each in service.dependencies if each.restart and each.service in made]
    if restarting and verdict.outcome == "unchanged":
        return Verdict(service.name, "restart", f"it depends on {restarting[0]}")
    return verdict


def _again(situation: Situation, verdict: Verdict) -> Verdict:
    """A job that has completed is run by every ``up``."""
    if verdict.outcome == "unchanged" and situation.completes(verdict.service):
        running = [each for each in situation.of(verdict.service) if each.status == "running"]
        if not running:
            return Verdict(verdict.service, "start", "it runs again at every start")
    return verdict


def _left_behind(situation: Situation) -> list[Verdict]:
    """Containers of ``docker compose run`` that have ended; ``--remove-orphans`` takes them away."""
    ended = [each for each in situation.containers if each.one_off and each.status in {"exited", "dead"}]
    return [Verdict(each.name, "remove", "left by `docker compose run`") for each in ended]


def _seconds(time: str) -> float:
    """Docker's time, in seconds since 1970."""
    whole, _, rest = time.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return moment.timestamp() + float(f"0.{rest or 0}")


def service_names(verdicts: Collection[Verdict], outcome: Outcome) -> list[str]:
    """Services with this outcome."""
    return [each.service for each in verdicts if each.outcome == outcome]
