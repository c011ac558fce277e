"""
Backups and restores on a real server, beside the bare tools that they are made of.

The bare ones do less: they count nothing, compare nothing, and take whatever comes through the pipe. They are
given the same options (no compression by pg_dump, as many jobs), the same machine and the same data,
alternately with ours, each time with a new repository.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.contestants import BenchError, timed
from bench.declared import Declared, throwaway
from bench.main import reached
from standfast.lab import nspawn
from standfast.lab.nspawn import Server

TABLES = 5
PASSWORD = "/etc/standfast/backup-password"  # noqa: S105 - a path
CONFIGURATION = "/etc/standfast/backups.json"
PROGRAM = "/usr/local/sbin/standfast-host"
FILL = """
CREATE TABLE bench_{table} AS SELECT g AS id, md5(g::text) AS a, md5((g * 7)::text) AS b,
    md5((g * 11 + {table})::text) AS c, md5((g * 13)::text) AS d, now() AS at
FROM generate_series(1, {rows}) g;
ALTER TABLE bench_{table} ADD PRIMARY KEY (id);
"""
KEPT = "SELECT datname FROM pg_database WHERE datname ~ '_before_'"
PSQL = "docker exec -i toybox-db-1 psql -XAtq -v ON_ERROR_STOP=1 -U toybox -d toybox"
INSIDE = "/tmp/raw.pgc"  # noqa: S108 - in a container of the benchmark's own
OURS_BACKUP, RAW_BACKUP = "standfast-host backup databases", "pg_dump -Fc -Z0, restic backup --stdin"
OURS_RESTORE, RAW_RESTORE = "standfast-host restore --to", "restic dump, pg_restore -j"
IN_PLACE = "standfast-host restore, a copy of what is there first"
GOALS = {OURS_BACKUP: "at least 0.9 of the bare throughput", OURS_RESTORE: "at most 1.2 times as long"}


@dataclass
class Contest:
    """One server with data, and the times of everything that was done with them."""

    server: Server
    rows: int
    files: int
    """Megabytes."""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    away: list[float] = field(default_factory=list)
    """Seconds for which the writers of the volume stood still."""

    def root(self, script: str) -> str:
        """Output of a script, as root; a command of a pipe that fails is a failure."""
        whole = f"set -euo pipefail\n{script}"
        done = self.server.run("sudo bash -s", input=whole, check=False, timeout=4 * 3600)
        if done.returncode != 0:
            raise BenchError(f"{script[:200]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def time(self, what: str, script: str) -> None:
        """Run a script and keep its time, as the server's own clock tells it."""
        # Whoever comes second must not pay for what the first one has left to be written.
        before = f"{PSQL} -c CHECKPOINT < /dev/null; sync; begin=$(date +%s%N)"
        after = 'echo "$(( $(date +%s%N) - begin ))"'
        out = self.root(f"{before}\n{{ {script}\n}} > /dev/null\n{after}")
        self.seconds.setdefault(what, []).append(int(out.split()[-1]) / 1e9)
        print(
            f"bench: {what}: {self.seconds[what][-1]:.2f} s  (load {os.getloadavg()[0]:.1f})",
            file=sys.stderr,
            flush=True,
        )

    def fill(self) -> None:
        """Rows of about 200 bytes in several tables, and files of a megabyte that do not compress."""
        each = self.rows // TABLES
        statements = "".join(FILL.format(table=number, rows=each) for number in range(TABLES))
        self.root(f"{PSQL} > /dev/null <<'SQL'\n{statements}VACUUM ANALYZE;\nSQL")
        folder = "/var/lib/docker/volumes/toybox_media/_data/bench"
        self.root(
            f"mkdir -p {folder}; for n in $(seq {self.files}); do head -c 1M /dev/urandom > {folder}/$n; done"
        )

    def bytes(self) -> int:
        """Size of the database."""
        return int(self.root(f"{PSQL} -c \"select pg_database_size('toybox')\""))

    def round(self, number: int) -> None:
        """Everything once, the bare tools and ours in turn."""
        raw, own = f"/var/backups/raw-{number}", f"/var/backups/ours-{number}"
        restic = f"RESTIC_PASSWORD_FILE={PASSWORD} restic --quiet -r {raw}"
        self.root(f"{restic} init")
        self.configure(repository=own)
        # Our repository is made in a run of its own, as the bare one is; its volume's first copy too.
        self.root(f"{PROGRAM} backup volumes")
        dump = "docker exec toybox-db-1 pg_dump -U toybox -Fc -Z0 toybox"
        self.both(
            number,
            (RAW_BACKUP, f"{dump} | {restic} backup --stdin --stdin-filename dump.pgc"),
            (OURS_BACKUP, f"{PROGRAM} backup databases"),
        )
        self.change_files()
        self.root(f"{PROGRAM} backup volumes")
        self.away.append(self.copy("toybox_media")["data"]["away_seconds"])

        name = f"back_{number}"
        jobs = max(2, os.cpu_count() or 1)
        bare = (
            f"{restic} dump latest dump.pgc | docker exec -i toybox-db-1 sh -c 'cat > {INSIDE}'\n"
            f"docker exec toybox-db-1 createdb -U toybox raw_{name}\n"
            f"docker exec toybox-db-1 pg_restore -U toybox -j {jobs} -d raw_{name} {INSIDE}\n"
            f"docker exec toybox-db-1 rm {INSIDE}"
        )
        ours = f"{PROGRAM} restore --database toybox --to {name} --yes"
        # What stays would be vacuumed by PostgreSQL on the next one's time.
        gone = "docker exec toybox-db-1 dropdb -U toybox --force --if-exists"
        self.both(
            number,
            (RAW_RESTORE, bare),
            (OURS_RESTORE, ours),
            after=f"{gone} raw_{name} < /dev/null; {gone} {name} < /dev/null",
        )
        self.time(IN_PLACE, f"{PROGRAM} restore --database toybox --yes")
        kept = self.root(f'{PSQL} -c "{KEPT}"').split()
        for each in kept:
            self.root(f"docker exec toybox-db-1 dropdb -U toybox --force {shlex.quote(each)}")
        self.root(f"rm -r {raw} {own}")

    def both(self, number: int, *contestants: tuple[str, str], after: str = "") -> None:
        """
        Time them one after the other, each round in the other order.

        + after: script that takes away what each has made
        """
        for what, script in contestants if number % 2 == 0 else reversed(contestants):
            self.time(what, script)
            self.root(after)

    def change_files(self) -> None:
        """A tenth of the files are new since the last copy."""
        folder = "/var/lib/docker/volumes/toybox_media/_data/bench"
        count = max(1, self.files // 10)
        self.root(f"for n in $(seq {count}); do head -c 1M /dev/urandom > {folder}/$n; done")

    def configure(self, **changes: object) -> None:
        """Another configuration of the backups."""
        now: dict[str, Any] = json.loads(self.root(f"cat {CONFIGURATION}"))
        text = json.dumps({**now, **changes})
        self.root(f"printf %s {shlex.quote(text)} > {CONFIGURATION}")

    def copy(self, name: str) -> dict[str, Any]:
        """The last good copy of a database or volume, from the server's records."""
        status = json.loads(self.root(f"{PROGRAM} backup status --json || true"))
        found: dict[str, Any] = next(each for each in status["copies"] if each["name"] == name)["last_good"]
        return found

    def table(self, size: int) -> Iterator[str]:
        """Medians, throughput, and ours against the bare tools."""
        yield "| what | median | MB/s of database | against the bare tools | goal |"
        yield "|---|---|---|---|---|"
        for raw, every in (
            (RAW_BACKUP, (RAW_BACKUP, OURS_BACKUP)),
            (RAW_RESTORE, (RAW_RESTORE, OURS_RESTORE, IN_PLACE)),
        ):
            bare = median(self.seconds[raw])
            for what in every:
                seconds = median(self.seconds[what])
                ratio = f"{bare / seconds:.2f} of the throughput, {seconds / bare:.2f} times as long"
                yield (
                    f"| `{what}` | {seconds:.2f} s | {size / 1e6 / seconds:.1f} | {ratio} | "
                    f"{GOALS.get(what, '')} |"
                )
        away = f"{median(self.away):.2f} s | | longest {max(self.away):.2f} s | at most 3 s"
        yield f"| writers of a volume stand still | {away} |"


def start(bench: Declared) -> Server:
    """The example's server with backups declared, nothing in them yet."""
    declared = bench.toybox()
    volumes = declared["docker"]["volumes"]
    volumes["toybox_pgdata"], volumes["toybox_media"] = {"backup": "dump"}, {"backup": "daily"}
    declared["databases"] = {"toybox": {"app": "toybox"}}
    declared["backups"] = {
        "repository": "/var/backups/ours",
        "password": {"file": "build/secrets/backup_password"},
        "drill": "never",
    }
    secret = bench.folder / "build/secrets/backup_password"
    secret.write_text("0123456789abcdef")
    secret.chmod(0o600)
    server = nspawn.up("bench-backup")
    with reached([server], bench.folder, 0) as targets:
        bench.inventory("backup", targets, declared)
        command = [sys.executable, "-m", "standfast.cli.main", "apply", "backup", "--yes", "--no-verify"]
        first = timed(command, bench.folder)
    bench.say(f"the server is there, {first.seconds:.1f} s")
    return server


def main() -> None:
    """Measure, print the table, take everything away."""
    parser = argparse.ArgumentParser(description="Backups and restores beside the bare tools.")
    parser.add_argument("--small", action="store_true", help="few rows, one round")
    parser.add_argument("--rows", type=int, default=5_000_000, help="of the database; 200 bytes each")
    parser.add_argument("--files", type=int, default=300, metavar="MB", help="in the volume")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    load = os.getloadavg()
    with throwaway() as folder:
        bench = Declared(folder)
        rows, files = (20_000, 5) if options.small else (options.rows, options.files)
        contest = Contest(start(bench), rows, files)
        contest.root("systemctl stop cron")  # nothing else begins by itself
        bench.say(f"filling {rows:,} rows and {files} MB of files")
        contest.fill()
        size = contest.bytes()
        for turn in range(1 if options.small else options.rounds):
            contest.round(turn)
        print("\n".join(contest.table(size)))
        print(
            f"\n{rows:,} rows, {size / 1e6:,.0f} MB of database, {files} MB of files in the volume; ", end=""
        )
        print(f"{os.cpu_count()} cores; load {load[0]:.1f} at first, {os.getloadavg()[0]:.1f} at last")


if __name__ == "__main__":
    main()
