"""The whole contest: servers, links, rounds, and a table at the end."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from typing import Any

import yaml

from bench.contestants import ROOT, STANDFAST, Contest, Run, Target, timed, versions
from bench.items import Item, described, items
from standfast.lab import nspawn
from standfast.lab.nspawn import Server

DELAY = 0.05  # seconds in each direction: a round trip of 100 ms
FLEET = {"timezone": "Asia/Tokyo", "packages": ["htop"], "firewall": {"allow": [{"port": 80}]}}


class Bench:
    """Servers of its own, and what was measured on them."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.folder, self.rounds = folder, rounds
        self.images = folder / "images"
        self.rows: list[tuple[str, dict[str, list[Run]]]] = []
        """Title, and the runs of each tool."""
        self.notes: list[str] = []

    def inventory(self, name: str, targets: Sequence[Target], declared: dict[str, Any]) -> None:
        """Write an inventory of standfast."""
        hosts = {
            each.name: {
                **declared,
                "address": each.address,
                "ssh": {
                    "user": "ops",
                    "port": each.port,
                    "key": str(each.key),
                    "known_hosts": str(each.known_hosts),
                },
            }
            for each in targets
        }
        path = self.folder / "inventories" / f"{name}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({"environment": "lab", "hosts": hosts}), encoding="utf-8")

    def toybox(self) -> dict[str, Any]:
        """What the example declares for its server."""
        self.images.mkdir(exist_ok=True)
        build = [sys.executable, str(ROOT / "examples/toybox/build-images"), str(self.images)]
        subprocess.run(build, check=True, capture_output=True)
        shutil.copytree(ROOT / "examples/toybox", self.folder / "examples/toybox", dirs_exist_ok=True)
        (self.folder / "build").mkdir(exist_ok=True)
        (self.folder / "build/images").unlink(missing_ok=True)
        (self.folder / "build/images").symlink_to(self.images)
        secrets = self.folder / "build/secrets"
        secrets.mkdir(mode=0o700, exist_ok=True)
        for name in ("postgres_password", "django_secret_key"):
            (secrets / name).write_text("0123456789abcdef" * 2)
            (secrets / name).chmod(0o600)
        example = yaml.safe_load((ROOT / "inventories/lab.yml").read_text())
        declared: dict[str, Any] = example["hosts"]["web-1"]
        return declared

    def say(self, text: str) -> None:
        """Progress."""
        print(f"bench: {text}  (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)

    def measure(
        self,
        title: str,
        tools: Mapping[str, Callable[[], Run]],
        rounds: int,
        before: Callable[[], object] = bool,
    ) -> None:
        """
        Run all tools alternately, so that what disturbs one disturbs all.

        + before: called before each run, outside of its time
        """
        runs: dict[str, list[Run]] = {tool: [] for tool in tools}
        for number in range(rounds):
            for tool, run in tools.items():
                before()
                runs[tool].append(run())
                self.say(f"{title}, round {number + 1}: {tool} {runs[tool][-1].seconds:.2f} s")
        self.rows.append((title, runs))

    def single(self, declared: dict[str, Any], *, provision: int, small: bool) -> None:
        """One server: first provision, nothing to do, near and far."""
        server = nspawn.up("bench-1")
        archives = declared.get("apps", {}).get("toybox", {}).get("images", {})
        with reached([server], self.folder, 0) as near, reached([server], self.folder, DELAY) as far:
            for name, targets in (("near", near), ("far", far)):
                self.inventory(name, targets, declared)
            plan = self.plan("near")
            command = [sys.executable, "-m", "standfast.cli.main", "apply", "near", "--yes", "--no-verify"]
            first = timed(command, self.folder)
            self.say(f"the state is there, {first.seconds:.1f} s")
            found = items(plan, server, {name: str(self.folder / path) for name, path in archives.items()})
            self.notes.append(f"the server: {described(found)}")
            contests = {
                name: Contest(self.folder, found, targets, inventory)
                for name, targets, inventory in (("LAN", near, "near"), ("100 ms", far, "far"))
            }
            for name, contest in contests.items():
                contest._write_inventories()
                self.measure(f"nothing to do, {name}", contest.nothing_to_do(), self.rounds)
                if small:
                    return
                self.measure(f"verify, {name}", {STANDFAST: contest.verify}, self.rounds)
        if provision:
            self.provision(declared, found, provision)

    def provision(self, declared: dict[str, Any], found: Sequence[Item], rounds: int) -> None:
        """A new blank server for every run."""
        for name, delay in (("LAN", 0.0), ("100 ms", DELAY)):
            with ExitStack() as stack:
                current: list[Contest] = []

                def blank(
                    stack: ExitStack = stack, delay: float = delay, current: list[Contest] = current
                ) -> None:
                    stack.close()
                    nspawn.destroy("bench-1")
                    server = nspawn.up("bench-1")
                    targets = stack.enter_context(reached([server], self.folder, delay))
                    self.inventory("blank", targets, declared)
                    current[:] = [Contest(self.folder, found, targets, "blank")]

                blank()
                tools = {tool: partial(_provision, current, tool) for tool in current[0].provision()}
                self.measure(f"first provision, {name}", tools, rounds, blank)

    def fleet(self, count: int) -> None:
        """Many servers without Docker, nothing to do."""
        servers = [nspawn.up(f"bench-{number + 1}") for number in range(count)]
        for name, delay in (("LAN", 0.0), ("100 ms", DELAY)):
            with reached(servers, self.folder, delay) as targets:
                self.inventory("fleet", targets, FLEET)
                if not delay:
                    plan = self.plan("fleet")
                    timed(
                        [
                            sys.executable,
                            "-m",
                            "standfast.cli.main",
                            "apply",
                            "fleet",
                            "--yes",
                            "--no-verify",
                        ],
                        self.folder,
                    )
                    found = items(plan, servers[0], {})
                    found = [each for each in found if each.kind != "hostname"]
                tools = Contest(self.folder, found, targets, "fleet").nothing_to_do()
                self.measure(f"{count} hosts, nothing to do, {name}", tools, self.rounds)

    def plan(self, inventory: str) -> dict[str, Any]:
        """standfast's plan as data."""
        command = [sys.executable, "-m", "standfast.cli.main", "plan", inventory, "--json"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 2):
            raise SystemExit(done.stdout + done.stderr)
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def start_up(self) -> None:
        """How long it takes until the help is there."""
        program = str(Path(sys.executable).parent / "standfast")
        tools = {
            STANDFAST: lambda: timed([program, "--help"], self.folder),
            "python -c 'import click'": lambda: timed([sys.executable, "-c", "import click"], self.folder),
        }
        self.measure("standfast --help", tools, 5 * self.rounds)

    def table(self) -> Iterator[str]:
        """Medians, and how many times as long as standfast each tool took."""
        yield "| what | tool | median | against standfast | memory |"
        yield "|---|---|---|---|---|"
        for title, runs in self.rows:
            ours = median(run.seconds for run in runs[STANDFAST])
            for tool, each in runs.items():
                seconds = median(run.seconds for run in each)
                memory = max(run.megabytes for run in each)
                yield f"| {title} | {tool} | {seconds:.2f} s | {seconds / ours:.2f} × | {memory:.0f} MB |"


@contextmanager
def reached(servers: Sequence[Server], folder: Path, delay: float) -> Iterator[list[Target]]:
    """The servers as tools reach them: directly, or by a link with a delay in each direction."""
    with ExitStack() as stack:
        targets = []
        for server in servers:
            address, port = server.address, 22
            if delay:
                command = [sys.executable, "-m", "bench.link", "--to", f"{address}:22", "--delay", str(delay)]
                process = stack.enter_context(
                    subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
                )
                stack.callback(process.kill)
                assert process.stdout is not None  # noqa: S101 - a pipe was asked for
                address, port = "127.0.0.1", int(process.stdout.readline())
            known = folder / f"known_hosts-{server.name}-{port}"
            place = address if port == 22 else f"[{address}]:{port}"
            known.write_text("".join(f"{place} {key}\n" for key in server.host_keys), encoding="utf-8")
            key = server.ssh_config.parent / "id_ed25519"
            targets.append(Target(server.name, address, port, key, known))
        yield targets


def _provision(current: list[Contest], tool: str) -> Run:
    """Provision the server that is there now."""
    return current[0].provision()[tool]()


def main() -> None:
    """Measure, print the table, take everything away."""
    parser = argparse.ArgumentParser(description="standfast beside other tools; prints a table of medians.")
    parser.add_argument("--small", action="store_true", help="one small server, every tool once")
    parser.add_argument("--rounds", type=int, default=5, help="of nothing to do")
    parser.add_argument(
        "--provision", type=int, default=1, help="rounds of the first provision; 0 leaves it out"
    )
    parser.add_argument("--hosts", default="5,20", help="sizes of fleets; 0 leaves them out")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # servers and files are taken away in any case
        signal.signal(number, lambda *_: sys.exit(130))
    folder = Path(mkdtemp(prefix="standfast-bench-"))
    os.environ["STANDFAST_LAB_DIR"] = f"/var/lib/standfast/bench-{os.getpid()}"
    bench = Bench(folder, 1 if options.small else options.rounds)
    load = os.getloadavg()
    try:
        bench.start_up()
        declared = FLEET if options.small else bench.toybox()
        bench.single(declared, provision=0 if options.small else options.provision, small=options.small)
        for count in () if options.small else [int(each) for each in options.hosts.split(",") if int(each)]:
            bench.fleet(count)
    finally:
        for name in nspawn.names():
            nspawn.destroy(name)
        shutil.rmtree(os.environ["STANDFAST_LAB_DIR"], ignore_errors=True)
        if bench.rows:
            print("\n".join([*bench.table(), "", *bench.notes, ", ".join(versions())]))
            print(f"{os.cpu_count()} cores; load {load[0]:.1f} at first, {os.getloadavg()[0]:.1f} at last")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
