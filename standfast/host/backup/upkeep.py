"""The repository's upkeep: is everything still there and readable, and what may go."""

from __future__ import annotations

import json

from standfast.host.backup import layout, manifests, state
from standfast.host.backup.configuration import Configuration
from standfast.host.backup.faults import Fault
from standfast.host.backup.records import Item
from standfast.host.backup.restic import Repository

KIND = "repository"
PARTS = 14
"""Each daily check reads one of so many parts of all data: every byte is read every two weeks."""
PART = layout.STATE / "check.json"


def check(repository: Repository, *, whole: bool, part: tuple[int, int] | None = None) -> Item:
    """
    Look whether the repository is whole, and read a part of its data: every run another one.

    + whole: read all data
    + part: number and count of parts, instead of the next one

    Raises:
        Fault: it is damaged, with restic's words.
    """
    number, parts = part or (_next(), PARTS)
    subset = ["--read-data"] if whole else [f"--read-data-subset={number}/{parts}"]
    done = repository.run("check", *subset)
    if done.code != 0:
        raise Fault(
            f"the repository {repository.place} is damaged: {done.reason}. Older copies may be whole: look "
            "with `restic check --read-data`, and make a new backup now, elsewhere. See docs/backups.md."
        )
    if part is None and not whole:
        state.write(PART, json.dumps({"last": number}))
    words = "all data were read" if whole else f"part {number} of {parts} was read"
    return Item(KIND, repository.place, True, f"whole; {words}", data={"part": number, "parts": parts})


def prune(configuration: Configuration, repository: Repository) -> Item:
    """
    Remove copies that retention does not keep, and rejected ones. Suspect copies are counted by themselves:
    they never push a good one out.

    Raises:
        Fault: restic could not; what it had removed before stays removed, and nothing else.
    """
    if repository.append_only:
        return Item(KIND, repository.place, True, "append-only: retention runs where its owner lets it run")
    keep = configuration.keep
    leftovers = [each.id for each in repository.snapshots(layout.WARM)]
    leftovers += [each.id for each in repository.snapshots(layout.TAG) if each.rejected]
    repository.forget(*leftovers)
    done = repository.run(
        *("forget", "--prune", "--host", configuration.server, "--tag", layout.TAG),
        *("--group-by", "host,tags"),
        *("--keep-last", "2"),
        *(f"--keep-{name}={count}" for name, count in _counts(keep.daily, keep.weekly, keep.monthly)),
    )
    if done.code != 0:
        raise Fault(f"retention could not run on {repository.place}: {done.reason}")
    left = [each.id for each in repository.snapshots(layout.TAG)]
    manifests.forget_all_but(left)
    return Item(KIND, repository.place, True, f"{len(left)} copies are kept", data={"copies": len(left)})


def _counts(daily: int, weekly: int, monthly: int) -> list[tuple[str, int]]:
    wanted = [("daily", daily), ("weekly", weekly), ("monthly", monthly)]
    return [(name, count) for name, count in wanted if count]


def _next() -> int:
    try:
        return int(json.loads(PART.read_text(encoding="utf-8"))["last"]) % PARTS + 1
    except (FileNotFoundError, ValueError, KeyError):
        return 1
