"""
What is predicted for each service when real engines answered so.

``answers/VERSION-SITUATION.txt`` is what Docker 26.1 with Compose 2.26.1 and Docker 28.5 with Compose
2.40.3 (and containerd's image store) said about the application in ``answers/compose.yml``: the output
of `Contents`, and that of `Project`.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from standfast.apps import compose_file
from standfast.apps.archive import Image, full_name
from standfast.facts.compose import Project, Rehearsal
from standfast.facts.docker import Contents
from standfast.operations.compose_prediction import SEED, STARTING, Situation, Verdict, on_top, predict
from standfast.operations.images import by_name

ANSWERS = Path(__file__).parent / "answers"
VERSIONS = ("2.26", "2.40")
FOLDER = "/srv/apps/demo"


def recorded(version: str, name: str) -> tuple[Situation, Rehearsal]:
    """A situation and what Compose would do in it."""
    contents, project = (ANSWERS / f"{version}-{name}.txt").read_text().split("---\n")
    held = Contents().process(contents.splitlines())
    rehearsal = Project().process(project.splitlines())
    assert rehearsal is not None
    text = (ANSWERS / "compose.yml").read_text()
    return (
        Situation(
            project="demo",
            file=compose_file.read(text, "compose.yml", {"DB_PASSWORD": "x"}, FOLDER),
            containers=tuple(each for each in held.containers if each.project == "demo"),
            present=held.images,
            coming={},
            volumes=("demo_data",),
        ),
        rehearsal,
    )


def outcomes(verdicts: list[Verdict]) -> dict[str, str]:
    """What changes, and why."""
    return {
        each.service: f"{each.outcome}: {each.reason}".removesuffix(": ")
        for each in verdicts
        if each.outcome != "unchanged"
    }


AGAIN = "start: it runs again at every start"
CONFIGURATION = "recreate: its configuration changes"
INSIDE = "recreate: it lives inside web"

CASES: dict[str, dict[str, dict[str, str]]] = {
    # Compose 2.26 makes everything anew that depends on what is made anew; 2.40 restarts what asks for it.
    "environment": {
        "2.26": {"migrate": AGAIN, "app": CONFIGURATION, "web": CONFIGURATION, "side": INSIDE},
        "2.40": {"migrate": AGAIN, "app": CONFIGURATION, "web": CONFIGURATION, "side": INSIDE},
    },
    "unchanged": {"2.26": {}, "2.40": {}},
    "replicas": {
        "2.26": {"migrate": AGAIN, "tool": "create"},
        "2.40": {"migrate": AGAIN, "tool": "create"},
    },
    "stopped": {
        "2.26": {"migrate": AGAIN, "app": "start: it ended with code 137"},
        "2.40": {"migrate": AGAIN, "app": "start: it ended with code 137"},
    },
    "paused": {
        "2.26": {"migrate": AGAIN, "app": "start: it is paused"},
        "2.40": {"migrate": AGAIN, "app": "start: it is paused"},
    },
    "removed": {
        "2.26": {"migrate": AGAIN, "web": "create", "side": INSIDE},
        "2.40": {"migrate": AGAIN, "web": "create", "side": INSIDE},
    },
    "unhealthy": {"2.26": {"db": "wait: it is unhealthy"}, "2.40": {"db": "wait: it is unhealthy"}},
    "crashing": {
        "2.26": {"app": "wait: it crashes again and again, code 1"},
        "2.40": {"app": "wait: it crashes again and again, code 1"},
    },
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", CASES)
def test_prediction(version: str, name: str) -> None:
    situation, rehearsal = recorded(version, name)
    assert not rehearsal.fault
    assert outcomes(predict(situation, rehearsal)) == CASES[name][version]


@pytest.mark.parametrize("version", VERSIONS)
def test_service_that_is_still_starting(version: str) -> None:
    """Nothing to do about it, and something to know: after a power cut, for example."""
    situation, rehearsal = recorded(version, "unchanged")
    containers = tuple(replace(each, health=each.health and "starting") for each in situation.containers)
    verdicts = predict(replace(situation, containers=containers), rehearsal)
    assert not outcomes(verdicts)
    assert {each.service: each.reason for each in verdicts if each.reason} == {"db": STARTING}


@pytest.mark.parametrize("version", VERSIONS)
def test_image_that_is_about_to_come(version: str) -> None:
    situation, rehearsal = recorded(version, "image")
    new = Image("sha256:" + "1" * 64, layers=("sha256:2",))
    situation = replace(situation, coming={full_name("demo/web:1"): new})
    assert json.loads(on_top(situation)) == {"services": {"web": SEED}}
    web = by_name(situation.present, "demo/web:1")
    assert web is not None
    assert outcomes(predict(situation, rehearsal)) == {
        "migrate": AGAIN,
        "web": f"recreate: image {web.short} → 111111111111",
        "side": INSIDE,
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_image_that_is_there_already(version: str) -> None:
    """The archive's image under the id that an engine gave it, or recognised by its content."""
    situation, _ = recorded(version, "unchanged")
    web = by_name(situation.present, "demo/web:1")
    assert web is not None
    same = replace(web, id="sha256:" + "3" * 64, settings={**web.settings, "Hostname": "other"})
    assert not on_top(replace(situation, coming={full_name("demo/web:1"): same}))


@pytest.mark.parametrize("version", VERSIONS)
def test_service_that_is_no_longer_in_the_file(version: str) -> None:
    situation, rehearsal = recorded(version, "orphan")
    services = {name: each for name, each in situation.file.services.items() if name != "side"}
    situation = replace(situation, file=replace(situation.file, services=services))
    assert outcomes(predict(situation, rehearsal)) == {
        "migrate": AGAIN,
        "side": "remove: it is no longer in the Compose file",
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_file_that_a_container_mounts(version: str) -> None:
    situation, rehearsal = recorded(version, "unchanged")
    started = rehearsal.modified["settings.conf"]
    path = f"{FOLDER}/settings.conf"
    assert not outcomes(predict(replace(situation, written={path: started - 3600}), rehearsal))
    for written in (started + 3600, math.inf):
        found = outcomes(predict(replace(situation, written={path: written}), rehearsal))
        assert found == {"migrate": AGAIN, "app": "restart: settings.conf has changed"}
    assert not outcomes(predict(replace(situation, written={f"{FOLDER}/.env": math.inf}), rehearsal))


@pytest.mark.parametrize("version", VERSIONS)
def test_volume_that_is_about_to_be_made(version: str) -> None:
    situation, _ = recorded(version, "unchanged")
    told = json.loads(on_top(replace(situation, volumes=())))
    assert told == {"volumes": {"demo_data": {"external": False, "name": "demo_data"}}}


@pytest.mark.parametrize("version", VERSIONS)
def test_file_that_compose_does_not_accept(version: str) -> None:
    _, rehearsal = recorded(version, "invalid")
    assert "compose.yml" in rehearsal.fault
    assert "stop_signall" in rehearsal.fault
