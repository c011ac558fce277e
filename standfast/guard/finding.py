"""Which database a command would hit."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from standfast.errors import CouldNotLook
from standfast.guard import containers, django_settings, dotenv, layout
from standfast.guard.addresses import OTHER, POSTGRESQL, SQLITE, Address, NotAnAddress, parse, with_defaults
from standfast.host.guard import arguments
from standfast.host.guard.catalogue import Catalogue, Program
from standfast.host.guard.classification import Verdict
from standfast.host.guard.words import Word

USUAL = ("DATABASE_URL", "DIRECT_URL", "POSTGRES_PRISMA_URL", "POSTGRES_URL", "DB_URL", "PG_URL")
_SECONDS = 20
_VARIABLE = re.compile(
    r"""(?:process\.env\.|process\.env\[['"]|\benv\(\s*['"]|ENV\[['"]|ENV\.fetch\(['"]|Deno\.env\.get\(['"])([A-Za-z_]\w*)"""
)
_LITERAL = re.compile(r"""['"]((?:postgres(?:ql)?|mysql|sqlite|file)://?[^'"\s]+|file:[^'"\s]+)['"]""")
_DATASOURCE = re.compile(r"datasource\s+\w+\s*\{(.*?)\}", re.DOTALL)
_SETTING = r"^\s*{}\s*=\s*(?:env\(\s*\"(\w+)\"\s*\)|\"([^\"]*)\")"


@dataclass(frozen=True)
class Command:
    """A judged command with everything that says which database it means."""

    verdict: Verdict
    program: Program
    folder: Path
    environment: Mapping[str, str]
    container: containers.Container | None = None
    inside: tuple[str, ...] = ()

    @property
    def given(self) -> arguments.Arguments:
        """Its own arguments."""
        return arguments.read(self.program, [Word(each) for each in self.verdict.command[1:]])

    def option(self, *names: str) -> str | None:
        """The last value of an option."""
        values = self.given.of(names)
        return values[-1].text if values else None

    def variables(self, *more: Path) -> Mapping[str, tuple[str, str]]:
        """Variables with their sources; ``.env`` files count only for what runs here."""
        if self.container is not None:
            where = f"in the environment of {self.verdict.inside}"
            return {name: (value, f"{name} {where}") for name, value in self.environment.items()}
        named = [each.path for each in self.verdict.env_files]
        return dotenv.of_project(self.folder, self.environment, more, program=self.program.name, named=named)


def database(verdict: Verdict, catalogue: Catalogue, environment: Mapping[str, str]) -> Address:
    """
    The database that a command would hit.

    + environment: that of the caller

    Raises:
        CouldNotLook: it cannot be found out; the message says what was looked at.
    """
    if verdict.database is None:
        raise CouldNotLook("which database its SQL drops or connects to is only known when it runs")
    command = _command(verdict, catalogue, environment)
    finder = _FINDERS.get(command.program.name, _usual)
    try:
        found = finder(command)
    except (NotAnAddress, django_settings.Unclear) as problem:
        raise CouldNotLook(str(problem)) from None
    if found is None:
        raise CouldNotLook(
            f"it is not clear which database `{command.program.name}` would hit: neither its options nor "
            f"{', '.join(USUAL[:1])} in the environment or a .env file name one"
        )
    if verdict.database and found.kind != SQLITE:
        found = replace(found, database=verdict.database, source=f"{found.source} and its SQL")
    return _reached(found, command)


def _command(verdict: Verdict, catalogue: Catalogue, environment: Mapping[str, str]) -> Command:
    program = catalogue.programs[verdict.program]
    folder = Path(verdict.cwd)
    if not verdict.inside:
        inherited = {} if verdict.cleared else dict(environment)
        visible = dotenv.with_files(inherited, verdict.env_files, verdict.environment)
        return Command(verdict, program, folder, visible)
    if verdict.env_files:
        raise CouldNotLook(f"{verdict.env_files[0].path} is in {verdict.inside}, and may say which database")
    container = containers.named(verdict.inside, verdict.through, str(folder))
    inside = ("docker", "exec", "-i", container.id)
    return Command(
        verdict, program, folder, {**container.environment, **verdict.environment}, container, inside
    )


def _reached(address: Address, command: Command) -> Address:
    """An address as it is reached from here; inside a Compose project, hosts are services."""
    if command.container is None or address.kind == OTHER:
        account = getpass.getuser()
        return with_defaults(address, command.environment, account)
    if address.kind == SQLITE:
        raise CouldNotLook(f"the file {address.database} is in {command.verdict.inside}")
    local = address.host in ("", "localhost", "127.0.0.1") or address.host.startswith("/")
    container = (
        command.container
        if local
        else containers.beside(command.container, address.host, str(command.folder))
    )
    if container is None:
        return address
    own = container.environment
    user = address.user or own.get("POSTGRES_USER") or "postgres"
    name = address.database or own.get("POSTGRES_DB") or user
    socket = address.host if address.host.startswith("/") else ""
    return replace(address, host=socket, container=container.name, user=user, database=name)


def _from_variables(
    names: tuple[str, ...], variables: Mapping[str, tuple[str, str]], folder: Path
) -> Address | None:
    for name in names:
        value, source = variables.get(name, ("", ""))
        if value.strip():
            return parse(value, source, folder=str(folder))
    return None


def _usual(command: Command) -> Address | None:
    for option in ("--url", "--db-url", "--database-url", "-database", "--connection"):
        value = command.option(option)
        if value and "://" in value:
            return parse(value, option, folder=str(command.folder))
    for word in command.verdict.command[1:]:
        match = re.fullmatch(r"(?:-{1,2}[\w-]+=)?(\w+://.*@.*)", word)
        if match:
            return parse(match[1], "the command line", folder=str(command.folder))
    return _from_variables(USUAL, command.variables(), command.folder)


def _configured(*names: str) -> Callable[[Command], Address | None]:
    """Frameworks whose configuration is a program: connection strings in it, and variables that hold one."""

    def find(command: Command) -> Address | None:
        given = command.option("--config", "--knexfile", "-d", "--dataSource", "-c")
        files = [command.folder / given] if given else []
        files += [each for name in names for each in sorted(command.folder.glob(name))]
        for path in files if command.container is None else []:
            found = _in_text(_read(path), command, path)
            if found is not None:
                return found
        return _usual(command)

    return find


def _in_text(text: str, command: Command, path: Path) -> Address | None:
    variables = command.variables(path.parent)
    for name in [each for each in _VARIABLE.findall(text) if "SHADOW" not in each.upper()]:
        value, source = variables.get(name, ("", ""))
        if "://" in value or value.startswith("file:"):
            return parse(value, source, folder=str(path.parent))
    literal = _LITERAL.search(text)
    return parse(literal[1], f"{path}", folder=str(path.parent)) if literal else None


def _prisma(command: Command) -> Address | None:
    """``--url``, the schema's ``directUrl`` and ``url``, the configuration, then the usual variables."""
    url = command.option("--url")
    if url:
        return parse(url, "--url", folder=str(command.folder))
    if command.container is None:
        for path in sorted(command.folder.glob("prisma.config.*")):
            # With one of these, the schema's own url does not count. Source: Prisma's warning that says so.
            text = _read(path)
            found = _in_text(text, command, path) if re.search(r"\b(?:adapter|datasource)\b", text) else None
            if found is not None:
                return found
    schema = _prisma_schema(command)
    if schema is not None:
        variables = command.variables(schema.parent)
        source = _DATASOURCE.search(re.sub(r"^\s*//.*$", "", _read(schema), flags=re.MULTILINE))
        for setting in ("directUrl", "url") if source else ():
            match = re.search(_SETTING.format(setting), source[1] if source else "", re.MULTILINE)
            if match and match[1]:
                found = _from_variables((match[1],), variables, schema.parent)
                if found is None:
                    raise CouldNotLook(f"{schema}: {setting} is env({match[1]}), which is set nowhere")
                return found
            if match:
                return parse(match[2], str(schema), folder=str(schema.parent))
    return _configured("prisma.config.*")(command)


def _prisma_schema(command: Command) -> Path | None:
    given = command.option("--schema")
    if given is None:
        try:
            given = json.loads(_read(command.folder / "package.json") or "{}").get("prisma", {}).get("schema")
        except (ValueError, AttributeError):
            given = None
    names = [given] if given else ["prisma/schema.prisma", "schema.prisma", "prisma/schema"]
    for name in names:
        path = command.folder / name
        if path.is_dir():
            whole = [each for each in sorted(path.rglob("*.prisma")) if _DATASOURCE.search(_read(each))]
            path = whole[0] if whole else path
        if path.is_file():
            return path
    return None


def _django(command: Command) -> Address | None:
    folder = command.folder
    script = command.verdict.command[0]
    if script.endswith(".py") and command.container is None:
        folder = (folder / script).parent
    alias = command.option("--database") or "default"
    return django_settings.address(
        folder, command.option("--settings"), alias, _complete(command), command.inside
    )


def _complete(command: Command) -> dict[str, str]:
    """docker itself needs this machine's environment; Django there has its container's."""
    return dict(os.environ) if command.container is not None else dict(command.environment)


def _rails(command: Command) -> Address | None:
    found = _from_variables(("DATABASE_URL",), command.variables(), command.folder)
    if found is not None or command.container is not None:
        return found
    assigned = dict(word.split("=", 1) for word in command.verdict.command[1:] if re.match(r"\w+=", word))
    environment = {**command.environment, **assigned}
    path = command.folder / "config/database.yml"
    text = re.sub(r"<%=?(.*?)%>", lambda match: _erb(match[1], environment), _read(path), flags=re.DOTALL)
    try:
        sections = yaml.safe_load(text) or {}
    except yaml.YAMLError:
        raise CouldNotLook(f"{path} cannot be read without running it") from None
    section = sections.get(environment.get("RAILS_ENV", "development"), {})
    section = section.get("primary", section) if isinstance(section, dict) else {}
    return _from_parts({str(key): str(value) for key, value in section.items()}, str(path), command.folder)


def _erb(code: str, environment: Mapping[str, str]) -> str:
    match = re.search(
        r"""ENV(?:\.fetch\(|\[)\s*['"](\w+)['"]\s*[\])]?(?:\s*(?:,|\{|\|\|)\s*['"]?([\w./-]+)['"]?)?""", code
    )
    return environment.get(match[1], match[2] or "") if match else ""


def _laravel(command: Command) -> Address | None:
    named = command.option("--env")  # it reads .env.NAME then
    variables = replace(
        command, environment={**command.environment, **({"APP_ENV": named} if named else {})}
    ).variables()
    values = {name: value for name, (value, _) in variables.items()}
    if values.get("DB_URL") or values.get("DATABASE_URL"):
        return _from_variables(("DB_URL", "DATABASE_URL"), variables, command.folder)
    parts = {
        "adapter": values.get("DB_CONNECTION", ""),
        "database": values.get("DB_DATABASE", ""),
        "host": values.get("DB_HOST", ""),
        "port": values.get("DB_PORT", ""),
        "username": values.get("DB_USERNAME", ""),
        "password": values.get("DB_PASSWORD", ""),
    }
    return _from_parts(parts, "the DB_… variables", command.folder)


def _from_parts(parts: Mapping[str, str], source: str, folder: Path) -> Address | None:
    if parts.get("url"):
        return parse(parts["url"], source, folder=str(folder))
    adapter, name = parts.get("adapter", "") or parts.get("dialect", ""), parts.get("database", "")
    if not adapter or not name:
        return None
    kinds = (("postg", POSTGRESQL), ("pgsql", POSTGRESQL), ("sqlite", SQLITE))
    kind = next((kind for word, kind in kinds if word in adapter), OTHER)
    if kind == SQLITE:
        return Address(SQLITE, str(folder / name), source=source)
    return Address(
        kind,
        name,
        host=parts.get("host", ""),
        port=parts.get("port", ""),
        user=parts.get("username", ""),
        password=parts.get("password", ""),
        source=source,
    )


def _sequelize(command: Command) -> Address | None:
    path = command.folder / (command.option("--config") or "config/config.json")
    environment = command.option("--env") or command.environment.get("NODE_ENV") or "development"
    try:
        section = json.loads(_read(path) or "{}").get(environment, {})
    except (ValueError, AttributeError):
        section = {}
    variable = section.get("use_env_variable")
    if variable:
        return _from_variables((str(variable),), command.variables(), command.folder)
    found = _from_parts({key: str(value) for key, value in section.items()}, str(path), command.folder)
    return found or _usual(command)


def _alembic(command: Command) -> Address | None:
    path = command.folder / (command.option("-c", "--config") or "alembic.ini")
    match = re.search(r"^\s*sqlalchemy\.url\s*=\s*(\S+)", _read(path), re.MULTILINE)
    found = _usual(command)
    if found is not None or match is None or match[1].startswith("driver://"):
        return found
    return parse(match[1].replace("%%", "%"), str(path), folder=str(command.folder))


def _supabase(command: Command) -> Address | None:
    url = command.option("--db-url")
    if url:
        return parse(url, "--db-url")
    if command.given.has("--linked"):
        raise CouldNotLook(
            "--linked means the database of the project in the cloud, and its password is not here"
        )
    port = re.search(
        r"\[db\][^\[]*?^\s*port\s*=\s*(\d+)", _read(command.folder / "supabase/config.toml"), re.M | re.S
    )
    return Address(
        POSTGRESQL,
        "postgres",
        "127.0.0.1",
        port[1] if port else "54322",
        "postgres",
        "postgres",
        source="Supabase's own",
    )


def _postgresql(command: Command) -> Address | None:
    """psql: options, the first argument, then PGDATABASE and its kin."""
    plain = [each.word.text for each in command.given.plain]
    address = _server(command, command.option("-d", "--dbname") or (plain[0] if plain else ""))
    second = plain[1] if len(plain) > 1 else ""
    return replace(address, user=address.user or second)


def _server(command: Command, named: str) -> Address:
    """A database by its name or connection string, on the server that the options name."""
    source = "the command line"
    if "://" in named or "=" in named:
        address = parse(named, source)
    else:
        address = Address(POSTGRESQL, named, source=source)
    # What a connection string says counts more than options. Source: psql(1), --dbname.
    host = address.host or command.option("-h", "--host") or ""
    others = [f"{each}=" for each in ("service", "hostaddr") if re.search(rf"\b{each}\s*=", named)]
    others += [each for each in ("PGSERVICE", "PGHOSTADDR") if command.environment.get(each)]
    if others and not host:
        raise CouldNotLook(f"{others[0]} says which server it is, and standfast does not read that")
    return replace(
        address,
        host=host,
        port=address.port or command.option("-p", "--port") or "",
        user=address.user or command.option("-U", "--username") or "",
    )


def _dropdb(command: Command) -> Address | None:
    """Its only argument is what it drops; only ``--maintenance-db`` may be a connection string."""
    plain = command.given.plain
    if len(plain) != 1 or plain[0].doubtful:
        return None
    server = _server(command, command.option("--maintenance-db") or "")
    return replace(server, database=plain[0].word.text)


def _pg_restore(command: Command) -> Address | None:
    """With ``--create`` it only connects to ``--dbname``; it drops what the dump was made of."""
    address = _server(command, command.option("-d", "--dbname") or "")
    if not command.given.has("-C|--create", abbreviated=True):
        return address
    return replace(address, database=_dumped(command), source="the command line and its dump")


def _dumped(command: Command) -> str:
    """The database that a dump was made of, as its list of contents begins."""
    plain = command.given.plain
    program = shutil.which("pg_restore", path=layout.path_behind_shims())
    if program is None or len(plain) != 1 or plain[0].doubtful or command.container is not None:
        raise CouldNotLook("--create drops what the dump names, and the dump cannot be read here")
    try:
        done = subprocess.run(
            [program, "--list", plain[0].word.text],
            cwd=command.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CouldNotLook(f"pg_restore --list does not answer: {error}") from None
    match = re.search(r"^; +dbname: (.+)$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or match is None:
        raise CouldNotLook(f"{plain[0].word.text} does not say which database --create would drop")
    return match[1]


def _sqlite(command: Command) -> Address | None:
    plain = [each.word.text for each in command.given.plain]
    if not plain:
        return None
    return Address(SQLITE, str(command.folder / plain[0]), source="the command line")


def _unknown_kind(command: Command) -> Address | None:
    """Databases that standfast cannot look into yet."""
    plain = [each.word.text for each in command.given.plain]
    name = command.option("-D", "--database", "--db") or (plain[-1] if plain else command.program.name)
    host = command.option("-h", "--host") or "localhost"
    return Address(OTHER, name, host=host, source="the command line")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


_FINDERS: dict[str, Callable[[Command], Address | None]] = {
    "prisma": _prisma,
    "django": _django,
    "rails": _rails,
    "artisan": _laravel,
    "sequelize": _sequelize,
    "drizzle-kit": _configured("drizzle.config.*"),
    "knex": _configured("knexfile.*"),
    "typeorm": _configured("data-source.*", "src/data-source.*", "ormconfig.*"),
    "alembic": _alembic,
    "supabase": _supabase,
    "psql": _postgresql,
    "dropdb": _dropdb,
    "pg_restore": _pg_restore,
    "sqlite3": _sqlite,
    **dict.fromkeys(("mysql", "mysqladmin", "redis-cli", "mongosh", "mongorestore"), _unknown_kind),
}


def every_database(folder: Path, environment: Mapping[str, str]) -> Iterator[Address]:
    """The database of the project in a folder, for the daily copy."""
    for name in ("prisma", "django", "rails", "artisan"):
        marks = {
            "prisma": "prisma",
            "django": "manage.py",
            "rails": "config/database.yml",
            "artisan": "artisan",
        }
        if not (folder / marks[name]).exists() and not (
            name == "prisma" and (folder / "schema.prisma").exists()
        ):
            continue
        verdict = Verdict(
            "unknown", program=name, command=("manage.py" if name == "django" else name,), cwd=str(folder)
        )
        command = Command(verdict, Program(name), folder, environment)
        try:
            found = _FINDERS[name](command)
        except (NotAnAddress, django_settings.Unclear, CouldNotLook):
            continue
        if found is not None:
            yield with_defaults(found, environment, getpass.getuser())
            return
    usual = _from_variables(USUAL, dotenv.of_project(folder, environment), folder)
    if usual is not None:
        yield with_defaults(usual, environment, getpass.getuser())
