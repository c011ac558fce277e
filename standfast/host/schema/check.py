"""One comparison from beginning to end: read the live database, build the migrations, tell what differs."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from standfast.host.backup.faults import Fault, WrongConfiguration
from standfast.host.schema import catalogue, comparison, django, draft, dump, migrations, security, throwaway
from standfast.host.schema.catalogue import Catalogue, Key, Server
from standfast.host.schema.comparison import Difference, Ignored
from standfast.host.schema.draft import Draft, Sides
from standfast.host.schema.dump import Dump
from standfast.host.schema.migrations import DJANGO, Project, Report
from standfast.host.schema.reach import Reach
from standfast.host.schema.security import Declared
from standfast.host.schema.throwaway import Throwaway

DjangoRunner = Callable[[Project, Throwaway, str, Report], None]


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


@dataclass(frozen=True)
class Side:
    """The live database held against one other thing."""

    name: str
    """``the migrations``, ``the declaration``, ``the backup of …``."""
    differences: tuple[Difference, ...] = ()
    unexplained: tuple[str, ...] = ()
    """Lines of pg_dump that differ for a reason that is not known."""

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences and not self.unexplained

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "against": self.name,
            "differences": [each.as_json() for each in self.differences],
            "unexplained": list(self.unexplained),
        }


@dataclass(frozen=True)
class Answer:
    """What was found."""

    database: str
    version: str
    objects: int
    sides: tuple[Side, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    bypassing: tuple[str, ...] = ()
    """Roles that see every row, when a table has row level security."""
    protected: int = 0
    """Tables with row level security."""
    dumped: bool = True
    draft: Draft | None = None
    draft_leaves: tuple[str, ...] | None = None
    """What would still differ with the draft; it was tried. ``None``: there is no draft."""
    seconds: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return all(side.equal for side in self.sides)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "database": self.database,
            "version": self.version,
            "objects": self.objects,
            "equal": self.equal,
            "sides": [each.as_json() for each in self.sides],
            "left_out": [{"object": words, "reason": reason} for words, reason in self.left_out],
            "protected": self.protected,
            "bypassing": list(self.bypassing),
            "dump": self.dumped,
            "draft": None
            if self.draft is None
            else {
                "sql": self.draft.sql,
                "notes": list(self.draft.notes),
                "leaves": list(self.draft_leaves or ()),
            },
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True)
class _Built:
    """What migrations have made."""

    catalogue: Catalogue
    dump: Dump


@dataclass(frozen=True)
class _Compared:
    """The live database held against its migrations."""

    side: Side
    left_out: Collection[Key]
    reasons: Sequence[tuple[str, str]]
    draft: Draft | None = None
    leaves: tuple[str, ...] | None = None


@dataclass(frozen=True)
class _Live:
    """What is in service."""

    reach: Reach
    server: Server
    catalogue: Catalogue
    dump: Dump


def perform(reach: Reach, wish: Wish, report: Report, run_django: DjangoRunner = django.apply) -> Answer:
    """
    Hold a live database against its migrations and its declaration. Nothing is written to it.

    Raises:
        WrongConfiguration: there is nothing to hold it against.
        Fault: it does not answer, a migration fails, a throwaway server does not start.
    """
    if not wish.projects and wish.security is None:
        raise WrongConfiguration(
            "expected migrations, or a declaration of row level security. Nothing was done."
        )
    started = time.monotonic()
    server, found = catalogue.read(reach)
    report(f"{reach.words}: PostgreSQL {server.version}, {len(found.objects):,} objects read")
    live = _Live(reach, server, found, dump.taken(reach) if wish.dump and wish.projects else {})
    compared = _with_migrations(live, wish, report, run_django) if wish.projects else None
    sides = [compared.side] if compared else []
    if wish.security is not None:
        differences = security.differences(wish.security, found, server.superuser)
        sides.append(Side("the declaration", tuple(differences)))
    protected = len(security.protected(found))
    return Answer(
        database=reach.words,
        version=server.version,
        objects=len(found.objects),
        sides=tuple(sides),
        left_out=tuple(compared.reasons) if compared else (),
        bypassing=tuple(security.bypassing(found)) if protected else (),
        protected=protected,
        dumped=wish.dump,
        draft=compared.draft if compared else None,
        draft_leaves=compared.leaves if compared else None,
        seconds=time.monotonic() - started,
    )


def _with_migrations(live: _Live, wish: Wish, report: Report, run_django: DjangoRunner) -> _Compared:
    role = wish.role or live.server.migrator
    own = {name for project in wish.projects for name in project.roles}
    with throwaway.started(live.server, wish.image, "the throwaway database") as bare:
        made = throwaway.prepare(bare, live.server, live.catalogue, own)
        _build(made, live.catalogue, wish, role, run_django, report)
        built = _looked(made, dumped=wish.dump)
        ignored = [*wish.ignored, *comparison.bookkeeping([live.catalogue, built.catalogue])]
        found, differences = _compared(live, built, ignored)
        if not wish.adopt or found.side.equal:
            return found
        texts = (live.dump or dump.taken(live.reach), built.dump or dump.taken(made.superuser))
        drafted = draft.made(
            Sides(live.catalogue, built.catalogue, *texts, differences, role), found.left_out
        )
        return replace(found, draft=drafted, leaves=_tried(made, role, drafted, live, ignored))


def _compared(live: _Live, built: _Built, ignored: Sequence[Ignored]) -> tuple[_Compared, list[Difference]]:
    """What to tell, and everything that differs."""
    both = [live.catalogue, built.catalogue]
    left_out = {key for each in both for key in each.objects if comparison.covered(key, ignored)}
    differences = comparison.compare(live.catalogue, built.catalogue, ignored)
    lines = dump.unexplained(live.dump, built.dump, differences, left_out) if live.dump else []
    side = Side("the migrations", tuple(comparison.told(differences)), tuple(lines))
    return _Compared(side, left_out, comparison.left_out(both, ignored)), differences


def _build(
    made: Throwaway, live: Catalogue, wish: Wish, role: str, run_django: DjangoRunner, report: Report
) -> None:
    for name in wish.extensions:
        made.superuser.psql(f"CREATE EXTENSION IF NOT EXISTS {throwaway.identifier(name)} CASCADE;")
    for project in wish.projects:
        try:
            if project.framework == DJANGO:
                run_django(project, made, role, report)
            else:
                migrations.apply(project, made, role, report)
        except WrongConfiguration:
            raise
        except Fault as fault:
            raise Fault(f"{fault}{migrations.missing_extension(str(fault), live)}") from None


def _looked(made: Throwaway, *, dumped: bool) -> _Built:
    reach = made.superuser
    _, found = catalogue.read(reach)
    return _Built(found, dump.taken(reach) if dumped else {})


def _tried(
    made: Throwaway, role: str, drafted: Draft, live: _Live, ignored: Sequence[Ignored]
) -> tuple[str, ...]:
    """Run the draft on the throwaway database; what still differs then."""
    try:
        made.as_role(role).psql(drafted.sql)
    except Fault as fault:
        return (f"the draft fails: {str(fault).partition(': ')[2]}",)
    found, _ = _compared(live, _looked(made, dumped=bool(live.dump)), ignored)
    return (*(f"{each.object}: {each.what}" for each in found.side.differences), *found.side.unexplained)


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
