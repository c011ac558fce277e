"""What the migrations of a project build: found in its folder, run on a throwaway database."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from standfast.host.backup.faults import Fault, WrongConfiguration
from standfast.host.schema.catalogue import Catalogue
from standfast.host.schema.throwaway import Throwaway, identifier

PRISMA, SQL, DJANGO = "prisma", "sql", "django"
FRAMEWORKS = (PRISMA, SQL, DJANGO)
SECONDS = 600
UNDOING = re.compile(r"(\.|_|-)(down|undo|rollback)\.sql$", re.IGNORECASE)
# Files of dbmate and goose hold both directions.
UP_AND_DOWN = re.compile(r"^-- *(migrate:down|\+goose +down)\b", re.IGNORECASE | re.MULTILINE)
MAKES_ROLE = re.compile(
    r"\bCREATE\s+(?:ROLE|USER|GROUP)\s+(?:\"((?:[^\"]|\"\")+)\"|([A-Za-z_][\w$]*))", re.IGNORECASE
)
Report = Callable[[str], None]


@dataclass(frozen=True)
class Script:
    """One migration in SQL."""

    name: str
    sql: str


@dataclass(frozen=True)
class Project:
    """The migrations of one application."""

    framework: str
    """One of `FRAMEWORKS`."""
    words: str
    """Where they are, for people."""
    scripts: tuple[Script, ...] = ()
    """In order; none for Django, whose migrations are programs."""
    folder: str = ""
    """Of Django's ``manage.py``."""
    service: str = ""
    """Of the application whose image has Django's migrations, on a server."""
    schema: str | None = None
    """Schema that names without one belong to, when it is not ``public``."""

    @property
    def roles(self) -> set[str]:
        """Roles that the migrations make."""
        found = set()
        for script in self.scripts:
            for quoted, plain in MAKES_ROLE.findall(script.sql):
                found.add(quoted.replace('""', '"') if quoted else plain.lower())
        return found


def found(folder: Path, framework: str | None = None, schema: str | None = None) -> Project:
    """
    The migrations in a folder: Prisma's, Django's, or plain SQL files.

    + folder: the project's own, or the one with the migrations
    + framework: which one, when the folder has several

    Raises:
        WrongConfiguration: there are none, or of two frameworks; nothing was done.
    """
    if not folder.is_dir():
        raise WrongConfiguration(
            f"{folder}: expected a folder with migrations, and there is none. Nothing was done."
        )
    looks = {PRISMA: _prisma, DJANGO: _django, SQL: _sql}
    made = {
        name: project
        for name, look in looks.items()
        if framework in (None, name) and (project := look(folder, schema)) is not None
    }
    if len(made) > 1:
        raise WrongConfiguration(
            f"{folder}: expected migrations of one framework, found those of {' and '.join(made)}. Name "
            "both, one after the other, as FRAMEWORK:FOLDER. Nothing was done."
        )
    if not made:
        raise WrongConfiguration(
            f"{folder}: expected migrations: Prisma's (migrations/NAME/migration.sql), Django's (manage.py) "
            "or SQL files, and found none. Nothing was done."
        )
    return next(iter(made.values()))


def apply(project: Project, made: Throwaway, role: str, report: Report) -> None:
    """
    Run migrations in SQL on a throwaway database, as the role that runs them in service.

    Raises:
        Fault: one failed; which one, with PostgreSQL's words.
    """
    reach = made.as_role(role, project.schema)
    if project.schema:
        statement = (
            f"CREATE SCHEMA IF NOT EXISTS {identifier(project.schema)} AUTHORIZATION {identifier(role)};"
        )
        made.superuser.psql(statement)
    for number, script in enumerate(project.scripts):
        try:
            reach.psql(script.sql, seconds=SECONDS)
        except Fault as fault:
            said = str(fault).removeprefix(f"{reach.words}: ")
            raise Fault(
                f"{project.words}: migration {script.name} failed "
                f"({number} of {len(project.scripts)} had run):\n"
                f"    line {said}\n{_hint(said)}Only a throwaway database was written to."
            ) from None
    report(f"{len(project.scripts)} migrations of {project.words} built on PostgreSQL")


def missing_extension(fault: str, live: Catalogue) -> str:
    """What to do about a failed migration when the live database has an extension that was never declared."""
    names = ", ".join(key.name for key in live.of_kind("extension") if key.name != "plpgsql")
    if not names or not re.search(
        r"(type|function|operator class|extension) .*(does not exist|permission|not available)", fault
    ):
        return ""
    return (
        f"\n    The live database has these extensions: {names}. One that no migration makes is declared "
        "in `extensions` (--extension)."
    )


def _hint(said: str) -> str:
    if "is not available" in said:
        return (
            "    The throwaway PostgreSQL lacks that extension: install its package here, or name an image "
            "that has it (--image).\n"
        )
    if "permission denied to create extension" in said:
        return "    Extensions that a superuser made beforehand are declared in `extensions` (--extension).\n"
    return ""


def _prisma(folder: Path, schema: str | None) -> Project | None:
    for place in (folder, folder / "migrations", folder / "prisma" / "migrations"):
        files = sorted(place.glob("*/migration.sql"), key=lambda path: path.parent.name)
        if not files:
            continue
        lock = place / "migration_lock.toml"
        provider = (
            re.search(r'^provider *= *"([^"]*)"', _read(lock), re.MULTILINE) if lock.is_file() else None
        )
        if provider and provider[1] not in ("postgresql", "postgres", "cockroachdb"):
            raise WrongConfiguration(
                f"{lock}: expected migrations for PostgreSQL, not for {provider[1]}. Nothing was done."
            )
        return Project(PRISMA, str(place), _scripts(files, lambda path: path.parent.name), schema=schema)
    return None


def _sql(folder: Path, schema: str | None) -> Project | None:
    files = sorted((path for path in folder.glob("*.sql") if not UNDOING.search(path.name)), key=_natural)
    if not files:
        return None
    return Project(SQL, str(folder), _scripts(files, lambda path: path.name), schema=schema)


def _django(folder: Path, schema: str | None) -> Project | None:
    if not (folder / "manage.py").is_file():
        return None
    return Project(DJANGO, str(folder), folder=str(folder), schema=schema)


def _scripts(files: Sequence[Path], name: Callable[[Path], str]) -> tuple[Script, ...]:
    return tuple(Script(name(path), UP_AND_DOWN.split(_read(path))[0]) for path in files)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongConfiguration(f"{path}: cannot be read: {error}. Nothing was done.") from None


def _natural(path: Path) -> list[tuple[int, str]]:
    """``2_x`` comes before ``10_x``."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", path.name)]
