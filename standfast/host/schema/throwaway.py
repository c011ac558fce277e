"""
A PostgreSQL server of the same major version that lives for one comparison, in a folder or in memory.

It listens on no network: a container without one, or a socket in a folder that only its owner may enter.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from standfast.host.backup import programs
from standfast.host.backup.faults import Fault
from standfast.host.schema import keeper
from standfast.host.schema.address import quoted_name
from standfast.host.schema.catalogue import Catalogue, Server
from standfast.host.schema.reach import Reach

PATIENCE = 90
PAUSE = 0.1
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_locks_per_transaction": "1024",
    "wal_level": "logical",
}
PLACES = ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin", "/opt/homebrew/opt/postgresql@{}/bin")
ATTRIBUTES = {
    "superuser": "SUPERUSER",
    "may log in": "LOGIN",
    "may make roles": "CREATEROLE",
    "may make databases": "CREATEDB",
    "may replicate": "REPLICATION",
}


@dataclass(frozen=True)
class Throwaway:
    """A server that is up, with the live one's roles and an empty database of the same name."""

    superuser: Reach
    user: str
    """The superuser's name."""
    host: str
    """For applications: the folder of its socket, or an address in its own network."""
    container: str | None = None
    password: str = field(default="", repr=False)
    """Of the superuser, where the server asks for one."""
    database: str = "postgres"
    label: str = ""
    """Value of `keeper.LABEL` on its containers."""

    def as_role(self, role: str, schema: str | None = None) -> Reach:
        """The way to the database as another role, with a schema in which names are looked up first."""
        settings = [f"-c role={_in_options(role)}"]
        if schema:
            settings.append(f"-c search_path={_in_options(identifier(schema))}")
        return replace(self.superuser, session=" ".join(settings))


@contextmanager
def started(server: Server, image: str | None, words: str) -> Iterator[Throwaway]:
    """
    A throwaway server.

    + server: what it must be like
    + image: Docker image; ``None``: PostgreSQL's programs of this machine
    + words: what it is called in messages

    Raises:
        Fault: it does not start, or PostgreSQL of that version is not here.
    """
    with _container(server, image, words) if image else _cluster(server, words) as made:
        yield made


def prepare(made: Throwaway, server: Server, live: Catalogue, own: Collection[str]) -> Throwaway:
    """
    Make the roles and the database; the way to that database.

    + own: roles that the migrations make themselves
    """
    script = list(_roles(server, live, own))
    script.append(f"CREATE DATABASE {identifier(server.database)} {_like(server)};")
    fallback = (
        f"CREATE DATABASE {identifier(server.database)} TEMPLATE template0 OWNER {identifier(server.owner)};"
    )
    try:
        made.superuser.psql("\n".join(script))
    except Fault as fault:
        # The system's locale of a live database need not exist here; the schema does not depend on it.
        if "locale" not in str(fault) and "encoding" not in str(fault):
            raise
        made.superuser.psql(fallback)
    if server.owner in own:
        raise Fault(
            f"role {server.owner} owns the database, yet a migration makes it: it cannot be made before."
        )
    reach = replace(made.superuser, database=quoted_name(server.database))
    return replace(made, superuser=reach, database=server.database)


def identifier(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def programs_of(major: int) -> str | None:
    """The folder of this machine with PostgreSQL's server programs of a major version."""
    folders = [Path(place.format(major)) for place in PLACES]
    if found := shutil.which("postgres"):
        folders.append(Path(found).resolve().parent)
    for folder in folders:
        if os.access(folder / "initdb", os.X_OK) and os.access(folder / "postgres", os.X_OK):
            done = programs.run([str(folder / "postgres"), "--version"])
            if re.search(rf"\(PostgreSQL\) {major}(?!\d)", done.output):
                return str(folder)
    return None


def _like(server: Server) -> str:
    collation = server.collation.replace("'", "''")
    character_type = server.character_type.replace("'", "''")
    return (
        f"TEMPLATE template0 OWNER {identifier(server.owner)} ENCODING '{server.encoding}' "
        f"LC_COLLATE '{collation}' LC_CTYPE '{character_type}'"
    )


def _roles(server: Server, live: Catalogue, own: Collection[str]) -> Iterator[str]:
    roles = {key.name: live.objects[key] for key in live.of_kind("role") if key.name not in own}
    for name, has in roles.items():
        words = [word for attribute, word in ATTRIBUTES.items() if has.get(attribute) == "yes"]
        if has.get("bypasses row level security") == "yes" and has.get("superuser") != "yes":
            words.append("BYPASSRLS")
        if has.get("inherits") == "no":
            words.append("NOINHERIT")
        if name != server.superuser:
            yield f"CREATE ROLE {identifier(name)} {' '.join(words)};"
    for name, has in roles.items():
        for group in filter(None, has.get("member of", "").split(", ")):
            if group in roles or group.startswith("pg_"):
                yield f"GRANT {identifier(group)} TO {identifier(name)};"


@contextmanager
def _cluster(server: Server, words: str) -> Iterator[Throwaway]:
    folder = programs_of(server.major)
    if folder is None:
        raise Fault(
            f"a throwaway PostgreSQL {server.major} is needed, and its programs are not on this machine. "
            f"Install postgresql-{server.major}, or name an image with --image when Docker is here. "
            "Nothing was done."
        )
    account = _account()
    root = Path(tempfile.mkdtemp(prefix="standfast-schema-"))
    with keeper.watching(keeper.FOLDER, str(root)):
        if account:
            os.chown(root, account.pw_uid, account.pw_gid)
        process = _postgres(folder, root, server.superuser, account)
        try:
            options = ("--host", str(root), "--username", server.superuser)
            made = Reach(words, "postgres", folder=folder, options=options, writes=True)
            ready = [f"{folder}/pg_isready", "--quiet", "--host", str(root)]
            _wait(
                lambda: programs.run(ready).code == 0,
                lambda: process.poll() is not None,
                lambda: _last(root / "log"),
            )
            yield Throwaway(made, server.superuser, str(root))
        finally:
            process.send_signal(signal.SIGQUIT)  # "immediate": its children end with it
            process.wait()


def _postgres(
    folder: str, root: Path, superuser: str, account: pwd.struct_passwd | None
) -> subprocess.Popen[bytes]:
    data = root / "data"
    initdb = [
        *(f"{folder}/initdb", "--pgdata", str(data), "--username", superuser, "--auth", "trust"),
        *("--no-sync", "--encoding", "UTF8", "--locale", "C.UTF-8"),
    ]
    settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
    postgres = [
        *(f"{folder}/postgres", "-D", str(data), "-k", str(root), "--listen_addresses=", *settings),
    ]
    owner = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    environment = programs.surroundings()
    made = subprocess.run(
        initdb,
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=programs.tied,
        **owner,  # type: ignore[call-overload]
    )
    if made.returncode != 0:
        raise Fault(f"a throwaway PostgreSQL could not be made: {made.stderr.strip()}")
    with (root / "log").open("wb") as log:
        process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
            postgres,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=programs.tied,
            **owner,
        )
    return process


def _account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: who does it instead; ``None`` when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Fault("PostgreSQL does not run as root, and there is no account postgres or nobody.")


@contextmanager
def _container(server: Server, image: str, words: str) -> Iterator[Throwaway]:
    keeper.remove_forgotten()
    label = keeper.new_name()
    name = f"standfast-schema-{os.getpid()}-{time.monotonic_ns()}"
    arguments = [
        *("docker", "run", "--detach", "--rm", "--name", name, "--label", f"{keeper.LABEL}={label}"),
        *("--network", "none", "--tmpfs", "/standfast:mode=1777", "--env", "PGDATA=/standfast/data"),
        *("--env", f"POSTGRES_USER={server.superuser}", "--env", "POSTGRES_DB=postgres"),
        *("--env", "POSTGRES_PASSWORD", "--env", "POSTGRES_INITDB_ARGS=--no-sync"),
        *(image, "postgres", *(f"--{key}={value}" for key, value in SETTINGS.items())),
    ]
    with keeper.watching(keeper.CONTAINERS, label):
        password = secrets.token_urlsafe(24)
        done = programs.run(arguments, environment={"POSTGRES_PASSWORD": password})
        if done.code != 0:
            raise Fault(f"a throwaway PostgreSQL from {image} does not start: {done.reason}")
        prefix = ("docker", "exec", "--interactive", name)
        # While an image prepares itself, its server answers on the socket only.
        ready = [*prefix, "pg_isready", "--quiet", "--host", "127.0.0.1"]
        _wait(lambda: programs.run(ready).code == 0, lambda: not _runs(name), lambda: _log(name))
        options = ("--username", server.superuser)
        made = Reach(words, "postgres", prefix=prefix, options=options, writes=True)
        yield Throwaway(made, server.superuser, "127.0.0.1", name, password, label=label)


def _wait(ready: Callable[[], bool], ended: Callable[[], bool], log: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if ended() or time.monotonic() > deadline:
            raise Fault(f"a throwaway PostgreSQL does not start: {log()}")
        time.sleep(PAUSE)


def _runs(name: str) -> bool:
    done = programs.run(["docker", "inspect", "--format", "{{.State.Running}}", name])
    return done.output.strip() == "true"


def _log(name: str) -> str:
    return programs.run(["docker", "logs", "--tail", "5", name]).reason


def _last(log: Path) -> str:
    try:
        return "; ".join(log.read_text(errors="replace").splitlines()[-3:])
    except OSError:
        return ""


def _in_options(value: str) -> str:
    """A value in ``PGOPTIONS``."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
