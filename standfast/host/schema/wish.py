"""What a database is held against: from a command line, or as JSON from the controller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from standfast.host.schema import migrations, security
from standfast.host.schema.comparison import Ignored
from standfast.host.schema.migrations import Project
from standfast.host.schema.security import Declared


@dataclass(frozen=True)
class Wish:
    """What a database is held against, and how."""

    projects: tuple[Project, ...] = ()
    role: str | None = None
    """Who runs the migrations in service; ``None``: the owner of most tables."""
    extensions: tuple[str, ...] = ()
    """Made by a superuser before the migrations run."""
    ignored: tuple[Ignored, ...] = ()
    security: Declared | None = None
    image: str | None = None
    """Of the throwaway server; ``None``: PostgreSQL's programs of this machine."""
    dump: bool = True
    """Whether pg_dump looks too, for which it needs the lock of a SELECT on every table."""
    adopt: bool = False
    """Whether a migration is drafted."""


def on_image(wish: Wish, image: str) -> Wish:
    """The same wish, with a throwaway server of this image."""
    return replace(wish, image=image)


def wish_from(data: Mapping[str, Any]) -> Wish:
    """A wish from JSON, as the controller sends it."""
    projects = tuple(
        Project(
            **{**each, "scripts": tuple(migrations.Script(**script) for script in each.get("scripts", ()))}
        )
        for each in data.get("projects", ())
    )
    declared = data.get("security")
    return Wish(
        projects=projects,
        role=data.get("role"),
        extensions=tuple(data.get("extensions", ())),
        ignored=tuple(Ignored(**each) for each in data.get("ignored", ())),
        security=None if declared is None else _declared(declared),
        dump=bool(data.get("dump", True)),
        adopt=bool(data.get("adopt", False)),
    )


def _declared(data: Mapping[str, Any]) -> Declared:
    tables = {
        name: security.Protected(
            each["state"], None if each.get("policies") is None else tuple(each["policies"])
        )
        for name, each in data.get("tables", {}).items()
    }
    bypass = data.get("bypass")
    return Declared(tables, None if bypass is None else tuple(bypass))
