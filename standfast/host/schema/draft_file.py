"""The file that a draft becomes: as Prisma, Django or plain SQL keep their migrations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from standfast.host.backup.faults import WrongConfiguration
from standfast.host.schema.draft import Draft
from standfast.host.schema.migrations import DJANGO, PRISMA, SQL, Project

HEAD = "Draft by standfast: what the live database has and no migration makes. Read it before you use it."
THERE = "The live database has all of this already: there, mark it as done instead of running it:"
LEFT = "Not in this draft; decide yourself:"
AFTER = "Tried on a throwaway database; what still differs with it:"
CLEAN = "Tried on a throwaway database: with it the migrations build what is live."


def target(path: Path, projects: Sequence[Project]) -> tuple[Path, str]:
    """
    Where the draft goes, and the framework that it is for.

    + path: a file that ends in ``.py`` (Django) or ``.sql``, or the folder of a new migration of Prisma

    Raises:
        WrongConfiguration: it fits none of these migrations, or is there already; nothing was done.
    """
    frameworks = {each.framework for each in projects}
    if path.suffix == ".py":
        framework, file = DJANGO, path
    elif path.suffix == ".sql" and frameworks != {PRISMA}:
        framework, file = SQL, path
    else:
        framework, file = PRISMA, path if path.suffix == ".sql" else path / "migration.sql"
    if framework not in frameworks:
        raise WrongConfiguration(
            f"--adopt {path}: expected a file for {' or '.join(sorted(frameworks))}: NAME/migration.sql of "
            "Prisma, APP/migrations/NAME.py of Django, NAME.sql else. Nothing was done."
        )
    if framework == PRISMA and file.name != "migration.sql":
        raise WrongConfiguration(
            f"--adopt {path}: Prisma's migrations are NAME/migration.sql. Nothing was done."
        )
    if file.exists():
        raise WrongConfiguration(f"--adopt {path}: there is such a file already. Nothing was done.")
    if framework == DJANGO and file.parent.name != "migrations":
        raise WrongConfiguration(f"--adopt {path}: expected APP/migrations/NAME.py. Nothing was done.")
    return file, framework


def text(draft: Draft, leaves: Sequence[str], file: Path, framework: str) -> str:
    """The content of the file."""
    lines = [HEAD]
    if mark := _mark(file, framework):
        lines += [THERE, f"  {mark}"]
    if draft.notes:
        lines += [LEFT, *(f"  {note}" for note in draft.notes)]
    lines += [AFTER, *(f"  {each}" for each in leaves)] if leaves else [CLEAN]
    if framework == DJANGO:
        return _django(draft, lines, file)
    head = "".join(f"-- {line}\n" for each in lines for line in each.splitlines())
    return f"{head}\n{draft.sql}\n"


def _mark(file: Path, framework: str) -> str:
    if framework == PRISMA:
        return f"npx prisma migrate resolve --applied {file.parent.name}"
    if framework == DJANGO:
        return f"python manage.py migrate --fake {file.parent.parent.name} {file.stem}"
    return ""


def _django(draft: Draft, lines: Sequence[str], file: Path) -> str:
    before = sorted(path.stem for path in file.parent.glob("[0-9]*.py") if path.stem < file.stem)
    dependency = f'("{file.parent.parent.name}", "{before[-1]}")' if before else ""
    plain = "\\" not in draft.sql and '"""' not in draft.sql and not draft.sql.endswith('"')
    sql = f'"""\n{draft.sql}\n"""' if plain else repr(draft.sql)
    comments = "".join(f"# {line}\n" for each in lines for line in each.splitlines())
    return (
        f"{comments}from django.db import migrations\n\nSQL = {sql}\n\n\n"
        "class Migration(migrations.Migration):\n"
        f"    dependencies = [{dependency}]\n"
        "    operations = [migrations.RunSQL(SQL, migrations.RunSQL.noop)]\n"
    )


def written(file: Path, content: str) -> None:
    """
    Write a new file; it is never put in the place of another one.

    Raises:
        WrongConfiguration: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as out:
            out.write(content)
    except OSError as error:
        raise WrongConfiguration(f"{file}: cannot be written: {error.strerror}.") from None


def framework_and_folder(given: str) -> tuple[str | None, str]:
    """``prisma:FOLDER``, ``django:FOLDER``, ``sql:FOLDER``, or a folder alone."""
    found = re.match(r"^(prisma|django|sql):(.*)$", given, re.DOTALL)
    return (found[1], found[2]) if found else (None, given)
