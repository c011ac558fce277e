"""Databases on servers for ``standfast schema ENV``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from standfast.cli import schema_presentation
from standfast.cli.presentation import print_errors
from standfast.cli.run import open_servers
from standfast.engine.servers import exit_code
from standfast.errors import UsageError
from standfast.host.backup.faults import Fault
from standfast.host.schema import draft_file
from standfast.host.schema.draft import Draft
from standfast.inventory.schema import Database
from standfast.recovery import schemas


def compared(
    environment: str,
    limit: tuple[str, ...],
    names: tuple[str, ...],
    adopt: str | None,
    *,
    dump: bool,
    as_json: bool,
) -> int:
    """Hold the databases of an environment against their migrations; the exit code."""
    with open_servers(environment, limit, (), quiet=as_json) as (servers, waiting):
        wanted = schemas.chosen(servers, names)
        target = _target(adopt, wanted) if adopt else None
        found = schemas.compare(servers, wanted, waiting.step, dump=dump, adopt=target is not None)
    errors = {name: str(error) for name, error in found.errors.items()}
    schema_presentation.show(found.answers, errors, as_json=as_json)
    for answer in found.answers if target else ():
        _adopt(answer, target)
    print_errors(found.errors)
    if found.errors:
        return exit_code(list(found.errors.values()))
    return 0 if found.equal else 2


def _target(adopt: str, wanted: Mapping[str, Mapping[str, Database]]) -> tuple[Path, str]:
    databases = [each for server in wanted.values() for each in server.values()]
    if len(databases) != 1:
        raise UsageError("--adopt: expected one database with it: --limit HOST --database NAME.")
    try:
        return draft_file.target(Path(adopt), schemas.projects(databases[0]))
    except Fault as fault:
        raise UsageError(str(fault)) from None


def _adopt(answer: Mapping[str, Any], target: tuple[Path, str] | None) -> None:
    drafted = answer["draft"]
    if target is None or drafted is None or not drafted["sql"]:
        return
    file, framework = target
    draft = Draft(drafted["sql"], tuple(drafted["notes"]))
    try:
        draft_file.written(file, draft_file.text(draft, drafted["leaves"], file, framework))
    except Fault as fault:
        raise UsageError(str(fault)) from None
    schema_presentation.say_adopted(answer, file)
