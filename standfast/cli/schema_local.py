"""A database of this machine for ``standfast schema --local``: what was typed becomes a comparison."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from standfast.errors import StandfastError, UsageError
from standfast.host.backup.faults import Fault
from standfast.host.schema import address, check, django, draft_file, migrations
from standfast.host.schema.answer import Answer
from standfast.host.schema.comparison import Ignored
from standfast.host.schema.migrations import Project, Report
from standfast.host.schema.throwaway import Throwaway
from standfast.host.schema.wish import Wish


@dataclass(frozen=True)
class Given:
    """The command line."""

    local: str
    migrations: tuple[str, ...]
    schema: str | None
    role: str | None
    extensions: tuple[str, ...]
    ignore: tuple[str, ...]
    image: str | None
    python: str | None
    dump: bool


def compared(given: Given, adopt: str | None, *, quiet: bool) -> tuple[dict[str, Any], Path | None]:
    """
    Hold the database against its migrations; the answer, and the file with the draft when one was written.

    Raises:
        UsageError: the command line is wrong; nothing was done.
        StandfastError: it could not be compared.
    """
    try:
        reach, in_url = address.reach(_url(given.local))
        wish = _wish(given, given.schema or in_url)
        target = draft_file.target(Path(adopt), wish.projects) if adopt else None
        answer = check.perform(
            reach, replace(wish, adopt=target is not None), _silent if quiet else _say, _runner(given.python)
        )
        return {"server": "", **answer.as_json()}, _adopted(answer, target)
    except Fault as fault:
        raise (UsageError if fault.code == UsageError.exit_code else StandfastError)(str(fault)) from None


def _url(local: str) -> str:
    """The URL that a variable holds, so that no password stands in a command line; a URL as it is."""
    if "://" in local:
        return local
    if local not in os.environ:
        raise UsageError(f"--local {local}: there is no environment variable of this name.")
    return os.environ[local]


def _wish(given: Given, schema: str | None) -> Wish:
    if not given.migrations:
        raise UsageError("--local: expected --migrations DIR with it.")
    projects = []
    for each in given.migrations:
        framework, folder = draft_file.framework_and_folder(each)
        projects.append(migrations.found(Path(folder), framework, schema))
    return Wish(
        projects=tuple(projects),
        role=given.role,
        extensions=given.extensions,
        ignored=tuple(_ignored(each) for each in given.ignore),
        image=given.image,
        dump=given.dump,
    )


def _ignored(text: str) -> Ignored:
    what, sign, reason = text.partition("=")
    if not sign or not reason.strip():
        raise UsageError(
            f"--ignore {text}: expected WHAT=WHY, for example 'table public.spatial_*=of PostGIS'."
        )
    return Ignored(what.strip(), reason.strip())


def _runner(python: str | None) -> check.DjangoRunner:
    def run(project: Project, made: Throwaway, role: str, report: Report) -> None:
        django.apply(project, made, role, report, python)

    return run


def _adopted(answer: Answer, target: tuple[Path, str] | None) -> Path | None:
    if target is None or answer.draft is None or not answer.draft.sql:
        return None
    file, framework = target
    draft_file.written(file, draft_file.text(answer.draft, answer.draft_leaves or (), file, framework))
    return file


def _say(line: str) -> None:
    click.echo(click.style(line, dim=True), err=True)


def _silent(_: str) -> None:
    """With ``--json`` nothing but the answer is said."""
