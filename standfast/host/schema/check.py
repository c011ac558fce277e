"""One comparison from beginning to end: read the live database, build the migrations, tell what differs."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from standfast.host.backup.faults import Fault, WrongConfiguration
from standfast.host.schema import catalogue, comparison, django, draft, dump, migrations, security, throwaway
from standfast.host.schema.answer import Answer, Side
from standfast.host.schema.catalogue import Catalogue, Key, Server
from standfast.host.schema.comparison import ONLY_LIVE, ONLY_OTHER, Difference, Ignored
from standfast.host.schema.draft import Draft, Sides
from standfast.host.schema.dump import Dump
from standfast.host.schema.migrations import DJANGO, Project, Report
from standfast.host.schema.reach import Reach
from standfast.host.schema.throwaway import Throwaway
from standfast.host.schema.wish import Wish

RESTORED = "standfast_restored"
Against = Callable[[Catalogue], Side]
DjangoRunner = Callable[[Project, Throwaway, str, Report], None]


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


def perform(
    reach: Reach,
    wish: Wish,
    report: Report,
    run_django: DjangoRunner = django.apply,
    further: Sequence[Against] = (),
) -> Answer:
    """
    Hold a live database against its migrations and its declaration. Nothing is written to it.

    + further: what else it is held against, such as the last backup

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
    sides += [held(found) for held in further]
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
        if any(each.what not in (ONLY_LIVE, ONLY_OTHER) for each in differences) or found.side.unexplained:
            built = _as_restored(live, built, made)
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


def _as_restored(live: _Live, built: _Built, made: Throwaway) -> _Built:
    """
    What migrations have made; where that is like the live one after a dump and a restore, as it is then.

    PostgreSQL writes some expressions in another way once they were read from a dump: a live database
    that was restored one day is not another one for that.
    """
    text = made.superuser.run("pg_dump", "--schema-only", seconds=dump.SECONDS).output
    made.superuser.psql(f"CREATE DATABASE {RESTORED} TEMPLATE template0;")
    restored = replace(made.superuser, database=RESTORED)
    restored.run("psql", "-Xq", "--file", "-", stdin=text, seconds=dump.SECONDS)
    again = _looked(replace(made, superuser=restored), dumped=bool(built.dump))
    made.superuser.psql(f"DROP DATABASE {RESTORED};")
    there, then = live.catalogue.objects, again.catalogue.objects
    objects = {
        key: there[key] if key in there and there[key] == then.get(key) else has
        for key, has in built.catalogue.objects.items()
    }
    parts = {
        part: live.dump[part] if part in live.dump and live.dump[part] == again.dump.get(part) else words
        for part, words in built.dump.items()
    }
    return _Built(Catalogue(objects), parts)


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
