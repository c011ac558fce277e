"""Accounts of people on a server."""

from __future__ import annotations

import shlex
from base64 import b64decode
from dataclasses import dataclass
from typing import Literal

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script

NO_SUCH_KEY = 2  # getent's exit status


@dataclass(frozen=True, slots=True)
class Person:
    """One account."""

    name: str
    home: str
    shell: str
    groups: tuple[str, ...]
    """All its groups, its own first."""
    home_exists: bool


class Account(Fact["Person | None"]):
    """
    An account; ``None`` when there is none of this name.

    Raises:
        CouldNotLook: the account database could not be read.

    Source: getent(1), id(1).
    """

    @override
    def command(self, account: str) -> StringCommand:
        quoted = shlex.quote(account)
        return script(
            f"getent passwd -- {quoted} || exit $?; id -Gn -- {quoted} || exit 1; "
            f'if [ -d "$(getent passwd -- {quoted} | cut -d: -f6)" ]; then echo yes; else echo no; fi'
        )

    @override
    def parse(self, answer: Answer) -> Person | None:
        if answer.status == NO_SUCH_KEY:
            return None
        if answer.status != 0:
            raise CouldNotLook(f"accounts: could not be read: {answer.reason}. Nothing was changed.")
        entry, groups, home_exists = answer.lines
        name, _, _, _, _, home, shell = entry.split(":")
        return Person(name, home, shell, tuple(groups.split()), home_exists == "yes")


class Groups(Fact[frozenset[str]]):
    """
    Which of these groups exist.

    Raises:
        CouldNotLook: the group database could not be read.

    Source: getent(1).
    """

    @override
    def command(self, names: tuple[str, ...]) -> StringCommand:
        quoted = " ".join(shlex.quote(each) for each in names)
        return script(f"getent group -- {quoted} || [ $? -eq {NO_SUCH_KEY} ]")

    @override
    def parse(self, answer: Answer) -> frozenset[str]:
        if answer.status != 0:
            raise CouldNotLook(f"accounts: groups could not be read: {answer.reason}. Nothing was changed.")
        return frozenset(line.partition(":")[0] for line in answer.lines)


@dataclass(frozen=True, slots=True)
class KeysFile:
    """An account's authorized_keys."""

    folder: Literal["missing", "right", "wrong", "link"]
    """The folder ``.ssh``: ``wrong`` is another owner, or others may write to it."""
    right: bool
    """Whether the file belongs to the account and nobody else may read or write it."""
    text: str | None
    """Its content; ``None`` when there is no such file."""


class AuthorizedKeys(Fact[KeysFile]):
    """
    The keys that may log in to an account.

    Links are not followed: the account's owner could aim them anywhere.

    Raises:
        CouldNotLook: the file could not be read.

    Source: sshd(8), "AUTHORIZED_KEYS FILE FORMAT".
    """

    @override
    def command(self, account: str) -> StringCommand:
        return script(f"account={shlex.quote(account)}; {_LOOK_AT_KEYS}")

    @override
    def parse(self, answer: Answer) -> KeysFile:
        if answer.status != 0:
            raise CouldNotLook(f"accounts: keys could not be read: {answer.reason}. Nothing was changed.")
        folder, right, *content = answer.lines
        text = b64decode(content[0]).decode(errors="replace") if content else None
        return KeysFile(folder, right == "right", text)  # type: ignore[arg-type]  # the script says no other word


_LOOK_AT_KEYS = r"""
home=$(getent passwd -- "$account" | cut -d: -f6)
folder=$home/.ssh; file=$folder/authorized_keys
say() { if "$@"; then echo right; else echo wrong; fi; }
owner_and_mode() { [ "$(stat -c '%U %a' -- "$1" 2> /dev/null)" = "$account $2" ]; }
if [ -z "$home" ]; then echo missing; echo wrong; exit 0; fi
if [ -L "$folder" ]; then echo link; echo wrong; exit 0; fi
if ! [ -d "$folder" ]; then echo missing; echo wrong; exit 0; fi
say owner_and_mode "$folder" 700
if ! [ -f "$file" ] || [ -L "$file" ]; then echo wrong; exit 0; fi
say owner_and_mode "$file" 600
base64 -w0 -- "$file"; echo"""
