"""Quotes, variables, aliases, broken files, odd passwords, a database that is down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from standfast.guard import masking
from standfast.guard.addresses import NotAnAddress, parse
from standfast.host.guard.classification import classify, classify_all
from tests.unit.guard.conftest import ENCODED, PASSWORD, Laptop, Server

SHELL = {
    # what a shell would run: what we know about it
    "prisma 'migrate' \"reset\"": "destructive",
    "prisma mig''rate re\\set": "destructive",
    "A=migrate B=reset; npx prisma $A ${B}": "destructive",
    "X=-v; docker compose down $X": "destructive",
    "docker compose down $FLAGS": "unknown",
    "prisma migrate $WHAT": "unknown",
    "prisma $(cat command)": "unknown",
    'psql -c "$SQL"': "unknown",
    'psql -c "SELECT * FROM $TABLE"': "harmless",
    "docker logs $CONTAINER": "harmless",
    "echo $(docker volume rm data)": "destructive",
    "echo `dropdb shop`": "destructive",
    "true && { dropdb shop; }": "destructive",
    "if true; then dropdb shop; fi": "destructive",
    "for d in a b; do dropdb $d; done": "destructive",
    "reset() { prisma migrate reset; }; reset": "destructive",
    "alias r='prisma migrate'; r reset": "destructive",
    "eval 'prisma migrate reset'": "destructive",
    "exec prisma migrate reset": "destructive",
    'sh -c "sh -c \'sh -c \\"dropdb shop\\"\'"': "destructive",
    "dropdb shop # not harmless": "destructive",
    "# dropdb shop": "harmless",
    "echo dropdb shop": "harmless",
    "echo 'a; dropdb shop'": "harmless",
    "psql <<EOF\nDROP TABLE users;\nEOF": "destructive",
    "psql <<< 'DROP TABLE users'": "destructive",
    "cat drop.sql | psql": "unknown",
    "psql < /dev/null": "harmless",
    "$PROGRAM migrate reset": "unknown",
    "$IPT -F": "unknown",
    "$RUN build": "harmless",
    "psql -c 'DO $$ BEGIN EXECUTE ''DROP TABLE x''; END $$'": "destructive",
    "psql -c \"SELECT 'DROP ' || t FROM x \\\\gexec\"": "unknown",
    "psql -c '\\! dropdb shop'": "destructive",
    "ssh web-1 'docker volume rm data'": "destructive",
    "find . -name x | xargs docker volume rm": "destructive",
    "echo db | xargs -I{} dropdb {}": "destructive",
    "nohup timeout -k 5 60 nice -n 5 dropdb shop &": "destructive",
    "sudo -u postgres -- env -u A B=c dropdb shop": "destructive",
    "docker compose -f x.yml exec -T -e A=b db psql -U app -c 'drop table x'": "destructive",
    "docker run --rm -it -v /a:/b image psql -c 'truncate x'": "destructive",
    "unterminated 'quote; dropdb x": "harmless",
    "while :; do": "harmless",
    "": "harmless",
}


@pytest.mark.parametrize("text", SHELL)
def test_what_a_shell_would_run(text: str) -> None:
    assert classify(["sh", "-c", text], cwd="/srv/nowhere").level == SHELL[text]


@pytest.mark.parametrize(
    "argv",
    [
        ["/usr/lib/postgresql/15/bin/dropdb", "x"],
        ["env", "-i", "/usr/bin/dropdb", "x"],
        ["env", "-S", "dropdb x"],
        ["env", "-C", "/srv", "A=b", "dropdb", "x"],
        ["npx", "--yes", "--package=prisma@6", "--", "prisma", "migrate", "reset"],
        ["npx", "-p", "prisma", "-c", "prisma migrate reset"],
        ["npm", "exec", "--", "prisma", "migrate", "reset"],
        ["yarn", "dlx", "prisma", "migrate", "reset"],
        ["corepack", "pnpm", "prisma", "migrate", "reset"],
        ["python3.11", "-I", "-m", "alembic", "downgrade", "base"],
        ["node", "--enable-source-maps", "/app/node_modules/prisma/build/index.js", "migrate", "reset"],
        ["bash", "-e", "-o", "pipefail", "-c", "dropdb x"],
        ["git", "-C", "app", "clean", "-xdff"],
        ["docker", "--context=prod", "-l", "debug", "volume", "rm", "a"],
        ["rm", "-fr", "--", "/var/lib/docker/../docker/volumes"],
        ["DROPDB".lower(), "--if-exists", "-f", "x"],
    ],
)
def test_spellings_without_a_shell(argv: list[str]) -> None:
    assert classify(argv, cwd="/srv").level == "destructive"


def test_scripts_of_a_package(tmp_path: Path) -> None:
    scripts = {
        "db:reset": "dotenv -e .env -- prisma migrate reset",
        "all": "npm run db:reset && echo done",
        "pretest": "prisma db push --force-reset",
        "test": "jest",
        "loop": "npm run loop",
        "build": "next build",
        "push": "drizzle-kit push",
    }
    (tmp_path / "package.json").write_text(json.dumps({"scripts": scripts}))
    (tmp_path / "src").mkdir()
    where = str(tmp_path / "src")
    for command in (
        "npm run db:reset",
        "npm run all",
        "npm test",
        "pnpm all",
        "yarn db:reset",
        "bun run all",
    ):
        assert classify(command.split(), cwd=where).level == "destructive", command
    assert classify(["npm", "--prefix", str(tmp_path), "run", "db:reset"], cwd="/").level == "destructive"
    assert classify(["npm", "run", "push", "--", "--force"], cwd=where).level == "destructive"
    assert classify(["npm", "run", "push"], cwd=where).harmless
    assert classify(["npm", "run", "build"], cwd=where).harmless
    assert classify(["npm", "run", "loop"], cwd=where).level == "unknown"  # it never ends, and says so
    (tmp_path / "package.json").write_text("{ not json")
    assert classify(["npm", "run", "db:reset"], cwd=where).harmless


def test_files_that_are_read_first(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("SELECT 1;\n\\ir b.sql\n")
    (tmp_path / "b.sql").write_text("\\i a.sql\n/* no */ DROP TABLE users;")
    found = classify(["psql", "-f", "a.sql"], cwd=str(tmp_path))
    assert (found.level, found.entry and found.entry.name) == ("destructive", "sql-drop")
    missing = classify(["psql", "-f", "c.sql"], cwd=str(tmp_path))
    assert missing.level == "unknown"
    assert "the file c.sql cannot be read" in missing.reason
    (tmp_path / "run.sh").write_text("set -e\ndropdb shop\n")
    assert classify(["bash", "run.sh"], cwd=str(tmp_path)).level == "destructive"


def test_everything_in_a_command_is_found() -> None:
    found = classify_all(["sh", "-c", "dropdb a; docker volume rm b; ls; restic forget x"])
    assert [each.entry.name for each in found if each.entry] == [
        "dropdb",
        "docker-volume-rm",
        "restic-forget",
    ]


PASSWORDS = [
    "p@ss",
    "a/b",
    "a?b=c",
    "a#b",
    "a:b",
    "p@h/x@y",
    "%",
    "%zz",
    "p w",
    "'\"`$(x)",
    "пароль",
    "a\\b",
    "@",
    "",
]


@pytest.mark.parametrize("password", PASSWORDS)
def test_odd_passwords_are_read_and_never_shown(password: str) -> None:
    url = f"postgresql://kim:{password}@db.example.com:5433/shop?sslmode=require&schema=public"
    address = parse(url, "DATABASE_URL")
    assert (address.host, address.port, address.database, address.user) == (
        "db.example.com",
        "5433",
        "shop",
        "kim",
    )
    assert address.more == (("sslmode", "require"),)
    if "%" not in password or password == "%":
        assert address.password == password
    assert len(password) < 3 or password not in repr(address)
    assert len(password) < 3 or password not in masking.masked(["psql", url])
    assert address.name == "db.example.com:5433/shop"


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["psql", "postgresql://u:s3cret@h/d"], "psql 'postgresql://u:***@h/d'"),
        (["mysql", "-ps3cret", "shop"], "mysql '-p***' shop"),
        (["x", "--password", "s3cret"], "x --password '***'"),
        (["x", "--api-token=s3cret"], "x '--api-token=***'"),
        (["env", "PGPASSWORD=s3cret", "psql"], "env 'PGPASSWORD=***' psql"),
        (["sh", "-c", "SECRET_KEY='s3 cret' run"], "sh -c 'SECRET_KEY=*** run'"),
        (["psql", "-c", "ALTER ROLE a PASSWORD 's3cret'"], None),
        (["psql", "-c", "ALTER ROLE a PASSWORD $$s3cret$$"], None),
        (["psql", "-c", "ALTER ROLE a PASSWORD $x_1$s3cret$$ s3 cret$x_1$; SELECT 1"], None),
        (
            ["docker", "exec", "-p1", "db", "mysql", "-uroot", "-ps3cret", "shop"],
            "docker exec -p1 db mysql -uroot '-p***' shop",
        ),
        (["ssh", "h", "/usr/bin/mariadb-admin", "-ps3cret"], "ssh h /usr/bin/mariadb-admin '-p***'"),
        (["redis-cli", "-a", "s3cret", "FLUSHALL"], "redis-cli -a '***' FLUSHALL"),
        (["redis-cli", "--pass", "s3cret", "FLUSHALL"], "redis-cli --pass '***' FLUSHALL"),
        (["mongosh", "-u", "a", "-p", "s3cret", "--eval", "x"], "mongosh -u a -p '***' --eval x"),
        (["sudo", "mongorestore", "-ps3cret", "--drop"], "sudo mongorestore '-p***' --drop"),
        (["sh", "-c", "mysql -uroot -ps3cret shop < a.sql"], "sh -c 'mysql -uroot -p*** shop < a.sql'"),
        (["sh", "-c", "mysqldump -p's3 cret' shop"], "sh -c 'mysqldump -p*** shop'"),
        (
            ["ssh", "h", "redis-cli -a s3cret FLUSHALL; ls -a /srv"],
            "ssh h 'redis-cli -a *** FLUSHALL; ls -a /srv'",
        ),
        (["sh", "-c", "x --api-token s3cret && y"], "sh -c 'x --api-token *** && y'"),
        (["sh", "-c", "mkdir -p mysql/a; cp -p mysql /srv"], "sh -c 'mkdir -p mysql/a; cp -p mysql /srv'"),
        (["npx", "supabase@2", "db", "reset", "-p", "s3cret"], "npx supabase@2 db reset -p '***'"),
    ],
)
def test_secrets_are_masked(argv: list[str], shown: str | None) -> None:
    assert "s3cret" not in masking.masked(argv)
    assert "s3 cret" not in masking.masked(argv)
    assert shown is None or masking.masked(argv) == shown


def test_what_is_no_connection_string() -> None:
    for text in ("", "shop", "postgresql://", "://x", "postgresql://h"):
        with pytest.raises(NotAnAddress) as problem:
            parse(text, "DATABASE_URL")
        assert "DATABASE_URL: expected" in str(problem.value)


BROKEN = """\
entries:
  ok-one:
    does: Deletes all orders of the shop.
    program: [shopctl]
    when: {words: [wipe]}
    hits: [database]
  bad-one:
    does: Deletes something else entirely.
    program: psql
    when: {word: [wipe]}
    hits: [database]
programs:
  shopctl: {options_with_value: [--env]}
"""


def test_an_entry_that_does_not_parse_guards_its_program_and_no_other(laptop: Laptop) -> None:
    laptop.write("guard.yml", BROKEN)
    done = laptop.guard("check", "--", "psql", "-c", "SELECT 1")
    assert done.returncode == 6
    assert done.stderr.count("guard.yml:10:12: entries.bad-one.when.word: unknown setting") == 1
    assert "It cannot be judged before this is right" in done.stdout
    assert laptop.guard("check", "--", "shopctl", "--env", "x", "wipe").returncode == 6
    assert laptop.guard("check", "--", "shopctl", "list").returncode == 0
    assert laptop.guard("check", "--", "docker", "ps").returncode == 0
    laptop.write("guard.yml", "entries: [")
    everything = laptop.guard("check", "--", "docker", "ps")
    assert everything.returncode == 6
    assert "guard.yml:1:" in everything.stderr
    laptop.write("guard.yml", BROKEN.replace("word:", "words:"))
    assert laptop.guard("check", "--", "psql", "-c", "SELECT 1").returncode == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "entries: {a: {does: Deletes everything there is., program: psq, when: {}, hits: [disk]}}",
            "did you mean `psql`?",
        ),
        (
            "entries: {a: {program: psql, when: {}, hits: [disk]}}",
            "guard.yml:1:11: entries.a.does: expected this setting",
        ),
        ("databases: {shop: precious}", "guard.yml:1:19: databases.shop"),
        ("databse: {shop: disposable}", "guard.yml:1:1: databse: unknown setting"),
        ("programs: {x: {help: 5}}", "programs.x.help"),
        ("- a\n- b", "guard.yml:1:1: expected a mapping"),
        ("", "guard.yml:1:1:"),
    ],
)
def test_faults_of_a_users_file_have_a_place(laptop: Laptop, text: str, message: str) -> None:
    laptop.write("guard.yml", text)
    done = laptop.guard("check", "--", "ls")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_is_down_is_refused(postgresql: Server, laptop: Laptop) -> None:
    postgresql.database("down", "CREATE TABLE t ()")
    postgresql.stop()
    try:
        done = laptop.guard("run", "--", "psql", postgresql.url("down"), "-c", "DROP TABLE t")
    finally:
        postgresql.start()
    assert done.returncode == 6
    assert "could not look: " in done.stderr or "could not be looked into" in done.stderr
    assert PASSWORD not in done.stderr
    assert ENCODED not in done.stderr


def test_a_database_that_is_down_is_refused_in_a_window_too(postgresql: Server, laptop: Laptop) -> None:
    laptop.guard("allow", "--for", "5m", "--reason", "test")
    done = laptop.guard("run", "--", "psql", "postgresql://kim@127.0.0.1:1/shop", "-c", "DROP TABLE t")
    assert done.returncode == 6
    assert "could not look" in done.stderr
    assert "Connection refused" in done.stderr


def test_a_role_that_does_not_see_every_row_takes_no_copy(postgresql: Server, laptop: Laptop) -> None:
    postgresql.database(
        "hidden",
        "CREATE TABLE t AS SELECT generate_series(1, 9) AS a; ALTER TABLE t FORCE ROW LEVEL SECURITY, ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (a < 5)",
    )
    postgresql.sql("GRANT ALL ON t TO shop", "hidden")
    done = laptop.guard("backup", DATABASE_URL=postgresql.url("hidden"))
    assert done.returncode == 1
    assert "row-level security hides rows of public.t" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["allow", "--for", "10m"], "--reason"),
        (["allow", "--for", "10m", "--reason", " "], "--reason"),
        (["allow", "--for", "soon", "--reason", "x"], "--for: expected"),
        (["allow", "--for", "25h", "--reason", "x"], "at most 24h"),
        (["allow", "--for", "0m", "--reason", "x"], "--for"),
        (["check"], "Missing argument"),
        (["run"], "Missing argument"),
        (["backup", "--url-from", "NOTHING"], "NOTHING: expected"),
        (["nonsense"], "No such command"),
    ],
)
def test_wrong_command_lines(laptop: Laptop, arguments: list[str], message: str) -> None:
    done = laptop.guard(*arguments)
    assert done.returncode == 3
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_project_and_without_a_copy(laptop: Laptop) -> None:
    done = laptop.guard("backup")
    assert done.returncode == 1
    assert "names no database" in done.stderr
    missing = laptop.guard("restore", "--yes", DATABASE_URL="postgresql://kim@127.0.0.1:1/shop")
    assert missing.returncode == 1
    assert "there is no copy of localhost:1/shop" in missing.stderr


def test_another_project_of_the_same_name_has_its_own_records(laptop: Laptop) -> None:
    laptop.guard("run", "--", "docker", "volume", "prune", "-f")
    log = laptop.guard("log")
    assert log.returncode == 0
    assert "refused" in log.stdout
    path = next((laptop.home / ".local/state/standfast/audit").rglob("guard.jsonl"))
    path.write_text(path.read_text().replace("refused", "confirmed") + path.read_text())
    assert laptop.guard("log").returncode == 1
