"""The full example with backups declared, and what tests of restores do to it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.toybox import manage

BACKUPS = """\
    databases:
      toybox: {{app: toybox}}
    backups:
      repository: {repository}
      password: {{file: build/secrets/backup_password}}
      drill: never
"""
PASSWORD = "pa$$ w0rd"


def declare_backups(infra: Repository, repository: str, more: str = "") -> None:
    """Add backups to the example's inventory; `more` are further lines of `backups`."""
    path = infra.root / "inventories/lab.yml"
    text = path.read_text()
    assert "toybox_pgdata: {}" in text
    text = text.replace("toybox_pgdata: {}", "toybox_pgdata: {backup: dump}")
    text = text.replace("toybox_media: {}", "toybox_media: {backup: daily}")
    path.write_text(text.rstrip("\n") + "\n" + BACKUPS.format(repository=repository) + more)
    secret = infra.write("build/secrets/backup_password", f"{PASSWORD}\n")
    secret.chmod(0o600)


def sql(server: Server, statements: str, database: str = "toybox") -> list[str]:
    """Rows of an answer of the application's database."""
    done = server.run(
        f"sudo docker exec -i toybox-db-1 psql -XAtq -v ON_ERROR_STOP=1 -U toybox -d {database} -f -",
        input=statements,
    )
    return done.stdout.splitlines()


def counted(server: Server) -> dict[str, Any]:
    """Rows, pictures and hashes of what the application sees."""
    found: dict[str, Any] = json.loads(manage(server, "counts --json --hash"))
    return found


def rows(server: Server) -> dict[str, int]:
    """Rows of every table, also while the application is being restarted."""
    names = sql(
        server, "SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1;"
    )
    numbers = sql(server, "".join(f"SELECT count(*) FROM {name};\n" for name in names))  # noqa: S608 quoted names
    return dict(zip(names, map(int, numbers), strict=True))


def host(server: Server, arguments: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the program on the server as root."""
    return server.run(f"sudo standfast-host {arguments}", check=check, timeout=600)
