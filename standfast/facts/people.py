"""Everybody who could come in: accounts, passwords, groups that equal root, keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script


@dataclass(frozen=True, slots=True)
class Key:
    """One key that can log in to an account."""

    fingerprint: str
    """For example ``SHA256:JG9nV…``; empty when ssh-keygen does not understand the line."""
    comment: str
    """What usually says whose key it is."""
    path: str
    """The file that it stands in."""
    modified: datetime


@dataclass(frozen=True, slots=True)
class Inhabitant:
    """One account."""

    name: str
    uid: int
    home: str
    shell: str
    has_password: bool
    open: bool
    """Whether it needs no password at all: none is set, and it is not locked."""
    password_set: date | None
    keys: tuple[Key, ...] = ()

    @property
    def may_log_in(self) -> bool:
        """Whether its shell is one for people."""
        return not self.shell.endswith(("/nologin", "/false"))


@dataclass(frozen=True, slots=True)
class People:
    """All accounts of a server."""

    accounts: tuple[Inhabitant, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Members of each group, those included whose own group it is."""


class AllPeople(Fact[People]):
    """
    All accounts, with the keys that can log in to them.

    Raises:
        CouldNotLook: the account files could not be read.

    Source: passwd(5), shadow(5), group(5), sshd(8), ssh-keygen(1).
    """

    @override
    def command(self) -> StringCommand:
        return script(_LOOK)

    @override
    def parse(self, answer: Answer) -> People:
        if answer.status != 0:
            raise CouldNotLook(f"accounts: could not be read: {answer.reason}. Nothing was changed.")
        words: dict[str, list[str]] = {}
        for line in answer.lines:
            kind, _, rest = line.partition(" ")
            words.setdefault(kind, []).append(rest)
        keys: dict[str, list[Key]] = {}
        for line in words.get("key", ()):
            user, key = _key(line)
            keys.setdefault(user, []).append(key)
        shadow = {line.split(":")[0]: line.split(":")[1:] for line in words["shadow"]}
        entries = [line.split(":") for line in words["passwd"] if line.count(":") == 6]
        accounts = [_inhabitant(entry, shadow, tuple(keys.get(entry[0], ()))) for entry in entries]
        return People(tuple(accounts), _groups(words["group"], entries))


def _inhabitant(entry: list[str], shadow: Mapping[str, list[str]], keys: tuple[Key, ...]) -> Inhabitant:
    name, _, uid, _, _, home, shell = entry
    state, days = shadow.get(name, ["locked", ""])
    changed = date(1970, 1, 1) + timedelta(days=int(days)) if days.isdecimal() else None
    return Inhabitant(name, int(uid), home, shell, state == "set", state == "none", changed, keys)


def _groups(lines: list[str], entries: list[list[str]]) -> dict[str, tuple[str, ...]]:
    groups = {}
    for line in lines:
        name, _, number, members = line.split(":", 3)
        own = [entry[0] for entry in entries if entry[3] == number]
        groups[name] = tuple(dict.fromkeys([*own, *(each for each in members.split(",") if each)]))
    return groups


def _key(line: str) -> tuple[str, Key]:
    user, modified, path, *rest = line.split(" ")
    said = " ".join(rest)
    _, _, described = said.partition("SHA256:")
    fingerprint, _, comment = described.partition(" ")
    when = datetime.fromtimestamp(int(modified), UTC)
    shown = comment.rpartition(" (")[0] if described else said
    return user, Key(f"SHA256:{fingerprint}" if described else "", shown, path, when)


_LOOK = r"""
sed 's/^/passwd /' /etc/passwd || exit 1
sed 's/^/group /' /etc/group || exit 1
awk -F: '
  { kind = $2 == "" ? "none" : $2 ~ /^[!*]/ ? "locked" : "set"
    print "shadow " $1 ":" kind ":" $3 }' /etc/shadow || exit 1
while IFS=: read -r user _ _ _ _ home _; do
  for file in "$home/.ssh/authorized_keys" "$home/.ssh/authorized_keys2"; do
    [ -s "$file" ] || continue
    modified=$(stat -L -c %Y -- "$file")
    grep -v '^[[:space:]]*\(#\|$\)' -- "$file" | while read -r key; do
      said=$(printf '%s\n' "$key" | ssh-keygen -lf - 2> /dev/null) || said='a line that is no key'
      echo "key $user $modified $file $said"
    done
  done
done < /etc/passwd"""
