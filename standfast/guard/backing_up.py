"""Copies on request and every day; which database a folder's project has."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from standfast.errors import CouldNotLook, Refused, StandfastError, UsageError
from standfast.guard import copies, finding, restoring
from standfast.guard.addresses import POSTGRESQL, Address, NotAnAddress, parse, with_defaults

Report = Callable[[str], None]
IN_CONTAINER = "container:"


class NotAgreed(Refused):
    """Nobody said yes."""


def project(folder: Path, variable: str | None, name: str | None = None) -> Address:
    """
    The database of a folder's project.

    + variable: of the environment, with a connection string; it counts more than what the project says
    + name: ``HOST/DATABASE`` that is meant; another database on the same server may be one

    Raises:
        CouldNotLook: the project names none.
        UsageError: the variable holds none, or the project's is not the one that is meant.
    """
    if name is not None and name.startswith(IN_CONTAINER):
        container, _, database = name.removeprefix(IN_CONTAINER).rpartition("/")
        user = copies.chosen(name, None).manifest.user
        return Address(POSTGRESQL, database, container=container, user=user, source="the copy")
    found = (
        _given(variable, folder) if variable else next(iter(finding.every_database(folder, os.environ)), None)
    )
    if found is None:
        raise CouldNotLook(
            f"the project in {folder} names no database: expected DATABASE_URL in the environment or .env, "
            "prisma/schema.prisma, manage.py, …; or give --url-from NAME"
        )
    if name is not None and found.name != name:
        moved = replace(found, database=name.rpartition("/")[2])
        if moved.name != name:
            raise UsageError(
                f"the project's database is {found.name}, not {name}; give --url-from NAME for that one"
            )
        return moved
    return found


def _given(variable: str, folder: Path) -> Address:
    value = os.environ.get(variable, "")
    try:
        return with_defaults(
            parse(value, variable, folder=str(folder)), os.environ, os.environ.get("USER", "")
        )
    except NotAnAddress as problem:
        raise UsageError(str(problem)) from None


def back_up(folders: Sequence[Path], variable: str | None, *, drill: bool, report: Report) -> list[str]:
    """Take a copy of each project's database; what could not be done, one message each."""
    failed = []
    for folder in folders:
        try:
            address = project(folder, variable)
            copy = copies.take(address, copies.DAILY)
            report(f"{address.name}: {copy.told}, in {copy.folder}")
            if drill:
                restoring.drill(address, copy, report)
                report("restored in a drill: every row, table, policy and grant is the same")
            copies.thinned(address.name, report)
        except UsageError:
            raise
        except StandfastError as problem:
            failed.append(f"{folder}: {problem}")
    return failed
