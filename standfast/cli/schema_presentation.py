"""How the answer of ``standfast schema`` looks on a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click

from standfast.documents import FORMAT, SchemaDatabase, SchemaDocument

SIGNS = {"only live": ("+", "green"), "only other": ("-", "red")}
WIDTH = 44
LINES = 40
"""Of pg_dump, at most; all of them are in ``--json``."""


def show(answers: Sequence[Mapping[str, Any]], errors: Mapping[str, str], *, as_json: bool) -> None:
    """
    Print the answers for machines, or for people.

    + errors: what could not be compared, by server
    """
    if as_json:
        document: SchemaDocument = {
            "format": FORMAT,
            "kind": "schema",
            "equal": not errors and all(each["equal"] for each in answers),
            "databases": cast("list[SchemaDatabase]", list(answers)),
            "errors": dict(errors),
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    for each in answers:
        print_database(each)
    if answers:
        click.echo(summary(answers))


def print_database(answer: Mapping[str, Any], indent: str = "") -> None:
    """Print what differs in one database."""
    seconds = click.style(f"{answer['seconds']:.1f} s", dim=True)
    server = f"{answer['server']}  " if answer["server"] else ""
    name = server + click.style(answer["database"], bold=True)
    version = answer["version"].split(" ")[0]
    click.echo(f"{indent}{name}  PostgreSQL {version}, {answer['objects']:,} objects  {seconds}")
    for side in answer["sides"]:
        _print_side(side, indent)
    if answer["left_out"]:
        click.echo(f"{indent}  left out")
    for each in answer["left_out"]:
        click.echo(f"{indent}    · {each['object']:<{WIDTH}} {each['reason']}")
    if answer["protected"]:
        roles = ", ".join(answer["bypassing"]) or "nobody"
        tables = "1 table has" if answer["protected"] == 1 else f"{answer['protected']} tables have"
        click.echo(f"{indent}  {tables} row level security; these roles see every row all the same: {roles}")
    if not answer["dump"]:
        click.echo(
            f"{indent}  {click.style('!', fg='yellow')} without pg_dump: the catalogues alone were compared"
        )


def say_adopted(answer: Mapping[str, Any], file: Path) -> None:
    """Say where the draft is, and what it does not do."""
    draft = answer["draft"]
    click.echo(
        f"draft: {file}. Read it; the live database has all of it: mark it as done there.",
        err=True,
    )
    for line in (*draft["notes"], *draft["leaves"]):
        click.echo(f"  {click.style('!', fg='yellow')} {line}", err=True)


def summary(answers: Sequence[Mapping[str, Any]]) -> str:
    """The last line."""
    found = sum(len(side["differences"]) for answer in answers for side in answer["sides"])
    hidden = any(side["unexplained"] for answer in answers for side in answer["sides"])
    if not found and not hidden:
        return "no differences"
    words = f"{found} difference{'' if found == 1 else 's'}"
    return f"{words}, and lines of pg_dump that none of them explains" if hidden else words


def _print_side(side: Mapping[str, Any], indent: str) -> None:
    if not side["differences"] and not side["unexplained"] and not side["noted"]:
        click.echo(
            f"{indent}  as {side['against']} say"
            if side["against"].endswith("s")
            else f"{indent}  as in {side['against']}"
        )
        return
    click.echo(f"{indent}  held against {side['against']}")
    for each in side["differences"]:
        sign, colour = SIGNS.get(each["what"], ("~", "yellow"))
        words = _words(each, side["against"])
        first, *more = words.splitlines() or [""]
        click.echo(f"{indent}    {click.style(sign, fg=colour)} {each['object']:<{WIDTH}} {first}")
        for line in more:
            click.echo(f"{indent}        {line}")
    for each in side["noted"]:
        click.echo(f"{indent}    {click.style('·', dim=True)} {each['object']:<{WIDTH}} {_noted(each)}")
    if side["unexplained"]:
        click.echo(f"{indent}    pg_dump differs in these lines, and nothing above explains them:")
    for line in side["unexplained"][:LINES]:
        click.echo(f"{indent}      {line}")
    if len(side["unexplained"]) > LINES:
        click.echo(f"{indent}      and {len(side['unexplained']) - LINES} more lines (see --json)")


def _words(each: Mapping[str, Any], against: str) -> str:
    if each["what"] == "only live":
        return f"not in {against}: {each['live']}" if each["live"] else f"not in {against}"
    if each["what"] == "only other":
        return f"in {against}, not in the live database"
    if "\n" in each["live"] + each["other"]:
        return f"{each['what']}, live:\n{each['live'].strip()}\n{against}:\n{each['other'].strip()}"
    return f"{each['what']}: {each['live'] or 'none'}; in {against}: {each['other'] or 'none'}"


def _noted(each: Mapping[str, Any]) -> str:
    """What has changed since a backup, without its content."""
    words = {"only live": "new since then", "only other": "gone since then"}
    return words.get(each["what"], f"{each['what']}: changed since then")
