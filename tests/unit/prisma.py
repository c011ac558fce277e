"""
The real Prisma, without its binary: the schema engine's WASM build ships inside the npm package.

The adapter does not know two of PostgreSQL's types, so two lines are added after the installation, here only.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

PACKAGE = """\
{"name": "shop", "private": true,
 "scripts": {"db:reset": "prisma migrate reset --skip-seed --force", "dev": "prisma generate"},
 "dependencies": {"prisma": "6.19.0", "@prisma/client": "6.19.0", "@prisma/adapter-pg": "6.19.0"}}
"""
ENVIRONMENT = {
    "PRISMA_QUERY_ENGINE_LIBRARY": "/bin/true",
    "PRISMA_SCHEMA_ENGINE_BINARY": "/bin/true",
    "PRISMA_HIDE_UPDATE_MESSAGE": "1",
    "CHECKPOINT_DISABLE": "1",
}
CONFIG = """\
import { defineConfig } from 'prisma/config'
import { PrismaPg } from '@prisma/adapter-pg'
export default defineConfig({
  experimental: { adapter: true },
  engine: 'js',
  schema: 'prisma/schema.prisma',
  adapter: async () => new PrismaPg({ connectionString: process.env.DATABASE_URL, idleTimeoutMillis: 50 }),
})
"""
SCHEMA = """\
generator client {
  provider   = "prisma-client"
  output     = "../generated"
  engineType = "client"
}
datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}
model User {
  id      Int      @id @default(autoincrement())
  email   String   @unique
  lessons Lesson[]
}
model Lesson {
  id        Int    @id @default(autoincrement())
  title     String
  teacher   User   @relation(fields: [teacherId], references: [id])
  teacherId Int
}
"""
MIGRATION = """\
CREATE TABLE "User" ("id" SERIAL NOT NULL, "email" TEXT NOT NULL, CONSTRAINT "User_pkey" PRIMARY KEY ("id"));
CREATE TABLE "Lesson" ("id" SERIAL NOT NULL, "title" TEXT NOT NULL, "teacherId" INTEGER NOT NULL,
    CONSTRAINT "Lesson_pkey" PRIMARY KEY ("id"));
CREATE UNIQUE INDEX "User_email_key" ON "User"("email");
ALTER TABLE "Lesson" ADD CONSTRAINT "Lesson_teacherId_fkey" FOREIGN KEY ("teacherId") REFERENCES "User"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE;
"""
ROWS = """\
INSERT INTO "User"(email) SELECT format('u%s@example.com', i) FROM generate_series(1, 100) i;
INSERT INTO "Lesson"(title, "teacherId") SELECT format('L%s', i), 1 + i % 100 FROM generate_series(1, 300) i;
"""
# What nobody had written down in a migration.
BY_HAND = """\
CREATE TABLE lesson_sessions (id serial PRIMARY KEY, lesson integer NOT NULL, at timestamptz DEFAULT now());
INSERT INTO lesson_sessions(lesson) SELECT i FROM generate_series(1, 250) i;
ALTER TABLE lesson_sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_sessions ON lesson_sessions FOR SELECT TO viewer USING (lesson < 10);
GRANT SELECT ON lesson_sessions, "User" TO viewer;
"""
_PATCH = (
    "  switch (fieldTypeId) {",
    "  if (fieldTypeId === 18 || fieldTypeId === 19) fieldTypeId = ScalarColumnType.TEXT;\n  switch (fieldTypeId) {",
)


def installed() -> Path:
    """A folder with node_modules; installed once for this account."""
    assert shutil.which("npm"), "npm is not installed: script/bootstrap installs it"
    mark = hashlib.sha256((PACKAGE + str(_PATCH)).encode()).hexdigest()[:12]
    base = Path(os.environ.get("STANDFAST_CACHE_DIR") or Path.home() / ".cache/standfast")
    folder = base / f"prisma-{mark}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test runs at a time
        if not (folder / "complete").exists():
            _install(folder)
    return folder


def _install(folder: Path) -> None:
    (folder / "package.json").write_text(PACKAGE)
    npm = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
    subprocess.run(npm, cwd=folder, check=True)
    for name in ("index.js", "index.mjs"):
        path = folder / "node_modules/@prisma/adapter-pg/dist" / name
        text = path.read_text()
        assert text.count(_PATCH[0]) == 1, "the adapter is another one than this patch is for"
        path.write_text(text.replace(*_PATCH))
    (folder / "complete").touch()


def project(folder: Path, url: str) -> None:
    """A project that uses it, with one migration."""
    (folder / "node_modules").symlink_to(installed() / "node_modules")
    files = {
        "package.json": PACKAGE,
        "prisma.config.ts": CONFIG,
        ".env": f'DATABASE_URL="{url}"\n',
        "prisma/schema.prisma": SCHEMA,
        "prisma/migrations/migration_lock.toml": 'provider = "postgresql"\n',
        "prisma/migrations/20260101000000_init/migration.sql": MIGRATION,
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def migrate(folder: Path, url: str, *arguments: str) -> str:
    """Run ``prisma migrate …`` in a project; what it says."""
    done = subprocess.run(
        ["node_modules/.bin/prisma", "migrate", *arguments],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
