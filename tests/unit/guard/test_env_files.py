"""Which file of variables says which database a command hits."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from standfast.errors import CouldNotLook
from standfast.guard import finding
from standfast.host.guard.classification import classify, shipped
from tests.unit import prisma

REAL, SCRATCH = "postgresql://u:p@db.example/real", "postgresql://u:p@localhost/scratch"
RESET = "prisma migrate reset --force"
SCHEMA = 'datasource db {\n  provider = "postgresql"\n  url = env("DATABASE_URL")\n}\n'


def written(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"DATABASE_URL={text}\n" if text in (REAL, SCRATCH) else text)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A project of Next.js and Prisma."""
    written(
        tmp_path,
        {
            "package.json": '{"scripts": {"db:reset": "dotenv -e .env.production -- prisma migrate reset"}}',
            "prisma/schema.prisma": SCHEMA,
        },
    )
    (tmp_path / ".git").mkdir()
    return tmp_path


def database(folder: Path, command: str, **environment: str) -> str:
    verdict = classify(command.split(), cwd=str(folder))
    assert verdict.level == "destructive"
    return finding.database(verdict, shipped(), environment).database


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({".env": REAL, ".env.local": SCRATCH}, "."),
        ({".env": REAL, ".env.development": SCRATCH, ".env.development.local": SCRATCH}, "."),
        ({".env": REAL, "prisma/.env": SCRATCH}, "."),
        ({"prisma/.env": REAL, "prisma/.env.local": SCRATCH}, "."),
        ({".env": REAL, "src/.env": SCRATCH, "src/.env.local": SCRATCH}, "src"),
    ],
)
def test_the_real_prisma_reads_the_same_file(shop: Path, files: dict[str, str], where: str) -> None:
    written(shop, files)
    (shop / "node_modules").symlink_to(prisma.installed() / "node_modules")
    folder = shop / where
    schema = os.path.relpath(shop / "prisma/schema.prisma", folder)
    done = subprocess.run(
        [shop / "node_modules/.bin/prisma", *RESET.split()[1:], "--schema", schema],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(shop), **prisma.ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    said = re.search(r'PostgreSQL database "(\w+)"', done.stdout)
    assert said, done.stdout + done.stderr
    assert said[1] == "real"
    assert database(folder, f"npx {RESET} --schema {schema}") == "real"


CONFIG = "import { defineConfig } from 'prisma/config'\nexport default defineConfig({ schema: 'prisma' })\n"


def test_with_a_configuration_prisma_reads_what_that_loads(shop: Path) -> None:
    written(
        shop, {".env": REAL, ".env.local": SCRATCH, "prisma.config.ts": f"import 'dotenv/config'\n{CONFIG}"}
    )
    assert database(shop, f"npx {RESET}") == "real"
    own = f"import {{ config }} from 'dotenv'\nconfig({{ path: '.env.local' }})\n{CONFIG}"
    written(shop, {"prisma.config.ts": own})
    with pytest.raises(CouldNotLook, match=r"not known which of them counts .* set DATABASE_URL"):
        database(shop, f"npx {RESET}")
    assert database(shop, f"npx {RESET}", DATABASE_URL=SCRATCH) == "scratch"
    written(shop, {".env.local": REAL.replace("u:p", "migrate:other")})  # another role, the same database
    assert database(shop, f"npx {RESET}") == "real"


def test_nobody_guesses_which_file_a_program_reads(shop: Path) -> None:
    config = "export default { dbCredentials: { url: process.env.DATABASE_URL } }"
    written(shop, {".env": REAL, ".env.local": SCRATCH, "drizzle.config.ts": config})
    with pytest.raises(CouldNotLook, match=r"\.env\.local and .*\.env name different databases"):
        database(shop, "npx drizzle-kit push --force")
    (shop / ".env.local").unlink()
    assert database(shop, "npx drizzle-kit push --force") == "real"


def test_laravel_reads_the_file_of_its_environment(tmp_path: Path) -> None:
    lines = "DB_CONNECTION=pgsql\nDB_HOST=localhost\nDB_DATABASE={}\n"
    written(
        tmp_path, {".env": lines.format("shop"), ".env.testing": lines.format("testing"), ".env.local": REAL}
    )
    assert database(tmp_path, "php artisan migrate:fresh") == "shop"
    assert database(tmp_path, "php artisan migrate:fresh --env=testing") == "testing"
    assert database(tmp_path, "php artisan migrate:fresh", APP_ENV="testing") == "testing"


@pytest.mark.parametrize(
    "command",
    [
        f"dotenv -e .env.production -- npx {RESET}",
        f"dotenv -e .env.production -e .env.local -- npx {RESET}",
        f"dotenv -o -e .env.local -e .env.production -- npx {RESET}",
        f"dotenv -c production -- npx {RESET}",
        f"npx dotenv-cli -e .env.production -- {RESET}",
        f"dotenv -v DATABASE_URL={REAL} -- npx {RESET}",
        f"dotenvx run -f .env.production -- npx {RESET}",
        f"dotenvx run --env-file=.env.production -- npx {RESET}",
        f"env-cmd -f .env.production npx {RESET}",
        "npm run db:reset",
        f"node --env-file=.env.production node_modules/.bin/{RESET}",
        f"node --env-file .env.local --env-file .env.production node_modules/prisma/build/index.js {RESET[7:]}",
        f"bun --env-file=.env.production run {RESET}",
        "uv run --env-file .env.production alembic downgrade base",
        "flask --env-file .env.production db downgrade base",
    ],
)
def test_the_file_that_a_wrapper_reads_counts_first(shop: Path, command: str) -> None:
    written(shop, {".env": SCRATCH, ".env.local": SCRATCH, ".env.production": REAL})
    if "-c production" in command:
        (shop / ".env.local").unlink()
    assert database(shop, command) == "real"
    (shop / ".env.production").unlink()
    if ".env.production" in command or command.startswith("npm"):
        with pytest.raises(CouldNotLook, match=r"\.env\.production may say which database is meant, and it"):
            database(shop, command)


def test_bun_hands_on_what_it_reads_itself(shop: Path) -> None:
    written(shop, {".env": SCRATCH, ".env.local": REAL})
    assert database(shop, f"bunx {RESET}") == "real"
    assert database(shop, f"bunx {RESET}", DATABASE_URL=SCRATCH) == "scratch"


def test_variables_that_are_set_already(shop: Path) -> None:
    written(shop, {".env": SCRATCH, ".env.production": REAL})
    given = {"DATABASE_URL": SCRATCH}
    assert database(shop, f"dotenv -e .env.production -- npx {RESET}", **given) == "scratch"
    assert database(shop, f"dotenv -o -e .env.production -- npx {RESET}", **given) == "real"
    assert database(shop, f"env-cmd -f .env.production npx {RESET}", **given) == "real"
    assert database(shop, f"env-cmd --no-override -f .env.production npx {RESET}", **given) == "scratch"
    with pytest.raises(CouldNotLook, match="on the command line"):
        database(shop, f"env-cmd -f .env.production env DATABASE_URL={SCRATCH} npx {RESET}")
