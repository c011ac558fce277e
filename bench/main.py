"""The whole contest, or parts of it: servers, links, rounds, and a table at the end."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.contestants import DRIFT, ROOT, SHORT, STANDFAST, Contest, Run, Target, timed, versions
from bench.declared import Declared, throwaway
from bench.items import Item, described, items
from bench.results import CLICK, FAR, FLEET, HELP, LAN, NOTHING, PROVISION, TURNS, VERIFY, Measured, Results
from standfast.lab import nspawn
from standfast.lab.nspawn import Server

KEPT = ROOT / "build/bench/results.jsonl"
DELAYS = {LAN: 0.0, FAR: 0.05}
"""Seconds in each direction."""
LINKS = {"lan": LAN, "100ms": FAR}
PARTS = {
    "help": HELP,
    "nothing-to-do": NOTHING,
    "verify": VERIFY,
    "provision": PROVISION,
    "fleet": FLEET,
}
WITHOUT_DOCKER = {"timezone": "Asia/Tokyo", "packages": ["htop"], "firewall": {"allow": [{"port": 80}]}}
APPLY = ("apply", "--yes", "--no-verify")


class Bench(Declared):
    """Servers of its own, and what is measured on them."""

    def __init__(self, folder: Path, options: argparse.Namespace, results: Results) -> None:
        """
        + options: of the command line
        """
        super().__init__(folder)
        self.rounds, self.results = options.rounds, results
        self.links = [LINKS[each] for each in options.link]
        self.tools = {SHORT[each] for each in options.tools}
        self.small = bool(options.small)
        self.notes: list[str] = []

    def measure(
        self,
        what: str,
        hosts: int,
        link: str,
        tools: Mapping[str, Callable[[], Run]],
        *,
        rounds: int | None = None,
        before: Callable[[], object] = bool,
    ) -> None:
        """
        Run all tools alternately, so that what disturbs one disturbs all.

        + before: called before each run, outside of its time
        """
        for number in range(self.rounds if rounds is None else rounds):
            for tool, run in tools.items():
                before()
                done = run()
                self.results.add(Measured(what, hosts, link, tool, done.seconds, done.megabytes))
                self.say(f"{what}, {link}, round {number + 1}: {tool} {done.seconds:.2f} s")

    def chosen(self, tools: Mapping[str, Callable[[], Run]]) -> dict[str, Callable[[], Run]]:
        """Those that were asked for."""
        return {name: run for name, run in tools.items() if name in self.tools}

    def single(self, declared: dict[str, Any], parts: Collection[str], provision: int) -> None:
        """One server in its full state: nothing to do, verify; then new ones, first provision."""
        server = nspawn.up("bench-1")
        archives = declared.get("apps", {}).get("toybox", {}).get("images", {})
        with ExitStack() as stack:
            targets = {
                link: stack.enter_context(reached([server], self.folder, DELAYS[link]))
                for link in dict.fromkeys([LAN, *self.links])
            }
            for link, each in targets.items():
                self.inventory(_name(link), each, declared)
            plan = self.plan(_name(LAN))
            first = self.standfast(APPLY[0], _name(LAN), *APPLY[1:])
            self.say(f"the state is there, {first.seconds:.1f} s")
            found = items(plan, server, {name: str(self.folder / path) for name, path in archives.items()})
            if self.small:  # one of each kind: that every tool takes it
                found = list({each.kind: each for each in found}.values())
            self.notes.append(f"the server: {described(found)}")
            for link in self.links:
                contest = Contest(self.folder, found, targets[link], _name(link))
                if NOTHING in parts:
                    self.turns(contest, link)
                    self.measure(NOTHING, 1, link, self.chosen(contest.nothing_to_do()))
                if VERIFY in parts:
                    self.measure(VERIFY, 1, link, {STANDFAST: contest.verify})
        if PROVISION in parts:
            self.provision(declared, found, provision)

    def turns(self, contest: Contest, link: str) -> None:
        """Count round trips, once the first plan has left its questions on the server."""
        if {STANDFAST, DRIFT} & self.tools:
            for tool, count in contest.turns().items():
                self.results.add(Measured(TURNS, 1, link, tool, count, 0))
                self.say(f"{TURNS}, {link}: {tool} {count}")

    def provision(self, declared: dict[str, Any], found: Sequence[Item], rounds: int) -> None:
        """A new blank server for every run."""
        for link in self.links:
            with ExitStack() as stack:
                current: list[Contest] = []

                def blank(
                    stack: ExitStack = stack, link: str = link, current: list[Contest] = current
                ) -> None:
                    stack.close()
                    nspawn.destroy("bench-1")
                    server = nspawn.up("bench-1")
                    targets = stack.enter_context(reached([server], self.folder, DELAYS[link]))
                    self.inventory("blank", targets, declared)
                    current[:] = [Contest(self.folder, found, targets, "blank")]

                blank()
                names = self.chosen(current[0].provision())
                tools = {tool: partial(_provision, current, tool) for tool in names}
                self.measure(PROVISION, 1, link, tools, rounds=rounds, before=blank)

    def fleet(self, count: int) -> None:
        """Servers without Docker, nothing to do."""
        servers = [nspawn.up(f"bench-{number + 1}") for number in range(count)]
        with reached(servers, self.folder, 0) as targets:
            self.inventory("fleet", targets, WITHOUT_DOCKER)
            plan = self.plan("fleet")
            self.standfast(APPLY[0], "fleet", *APPLY[1:])
            # Of a server that an earlier part has brought into the state, the plan is empty.
            if plan["hosts"][0]["changes"]:
                self.of_fleet = [each for each in items(plan, servers[0], {}) if each.kind != "hostname"]
        for link in self.links:
            with reached(servers, self.folder, DELAYS[link]) as targets:
                self.inventory("fleet", targets, WITHOUT_DOCKER)
                contest = Contest(self.folder, self.of_fleet, targets, "fleet")
                self.measure(FLEET, count, link, self.chosen(contest.nothing_to_do()))

    def plan(self, inventory: str) -> dict[str, Any]:
        """standfast's plan as data."""
        command = [sys.executable, "-m", "standfast.cli.main", "plan", inventory, "--json"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 2):
            raise SystemExit(done.stdout + done.stderr)
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def standfast(self, *arguments: str) -> Run:
        """One run of ours that is not measured."""
        return timed([sys.executable, "-m", "standfast.cli.main", *arguments], self.folder)

    def start_up(self) -> None:
        """How long it takes until the help is there."""
        program = str(Path(sys.executable).parent / "standfast")
        tools = {
            STANDFAST: lambda: timed([program, "--help"], self.folder),
            CLICK: lambda: timed([sys.executable, "-c", "import click"], self.folder),
        }
        self.measure(HELP, 1, LAN, tools, rounds=5 * self.rounds)


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


def _name(link: str) -> str:
    """Of the inventory that goes by a link."""
    return "near" if link == LAN else "far"


def arguments() -> argparse.Namespace:
    """What shall be measured."""
    parser = argparse.ArgumentParser(
        "bench/run",
        description="standfast beside other tools; prints a table of medians and ratios.",
        epilog="What earlier runs measured with the same versions is in the table too, so that it can be "
        f"measured in parts: {KEPT.relative_to(ROOT)} has every run.",
    )
    parser.add_argument("--small", action="store_true", help="every tool once, for one thing of each kind")
    parser.add_argument("--only", type=_some(PARTS), default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--link", type=_some(LINKS), default=list(LINKS), help=", ".join(LINKS))
    parser.add_argument("--tools", type=_some(SHORT), default=list(SHORT), help=", ".join(SHORT))
    parser.add_argument("--hosts", type=_sizes, default=[1, 5, 20], help="sizes of fleets; default: 1,5,20")
    parser.add_argument("--rounds", type=int, default=3, help="of each part; default: 3")
    parser.add_argument("--provision", type=int, default=1, help="rounds of the first provision; default: 1")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs measured")
    parser.add_argument("--table", action="store_true", help="measure nothing; the table of earlier runs")
    return parser.parse_args()


def _some(known: Mapping[str, str]) -> Callable[[str], list[str]]:
    def chosen(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"expected some of {', '.join(known)}, not {name!r}")
        return names

    return chosen


def _sizes(text: str) -> list[int]:
    try:
        return sorted(int(each) for each in text.split(",") if int(each))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as 1,5,20, not {text!r}") from None


def run(bench: Bench, options: argparse.Namespace) -> None:
    """Measure what was asked for."""
    parts = {PARTS[each] for each in options.only}
    if HELP in parts:
        bench.start_up()
    if options.small:
        bench.single(WITHOUT_DOCKER, {NOTHING}, 0)
        return
    if FLEET in parts:
        for count in options.hosts:
            bench.fleet(count)
        for name in nspawn.names():
            nspawn.destroy(name)
    if parts & {NOTHING, VERIFY, PROVISION}:
        bench.single(bench.toybox(), parts, options.provision)


def _print(bench: Bench, options: argparse.Namespace, load: tuple[float, float, float]) -> None:
    """The tables, and what must be known of them; `load` is that of the beginning."""
    results = bench.results
    if options.small:
        bench.notes.append("small: the others have one thing of each kind to do; no ratio means anything")
    print("\n".join([*results.table(), "", *results.goals(), "", *bench.notes, results.versions]))
    print(f"{os.cpu_count()} cores; load {load[0]:.1f} at first, {os.getloadavg()[0]:.1f} at last")


def main() -> None:
    """Measure, print the tables, take everything away."""
    options = arguments()
    if options.small:
        options.rounds, options.link = 1, ["lan"]
    results = Results(None if options.small else KEPT)
    results.versions = ", ".join(versions())
    if options.fresh:
        KEPT.unlink(missing_ok=True)
        results.all.clear()
    load = os.getloadavg()
    with throwaway() as folder:
        bench = Bench(folder, options, results)
        try:
            if not options.table:
                run(bench, options)
        finally:
            if results.all:
                _print(bench, options, load)


if __name__ == "__main__":
    main()
