"""
Secrets by reference: resolved once, shown never.

A secret's value leaves this module only inside a `SecretValue`.
"""

from __future__ import annotations

import difflib
import hmac
import os
import shlex
import stat
import subprocess
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Never, SupportsIndex

from standfast.errors import InventoryError
from standfast.inventory.faults import InventoryFaults, Where, dotted, printable
from standfast.inventory.loader import Loaded
from standfast.inventory.paths import expanded
from standfast.inventory.schema import Host, Secret

COMMAND_SECONDS = 60
SHELL_CHARACTERS = frozenset("|&;<>()$`\\\"'*?[]{}~#!\n=")
HIDDEN = "(hidden)"


class SecretValue:
    """A secret that shows itself as ``(hidden)`` everywhere; `reveal` gives the value."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The value itself; for the one place that sends it where it belongs."""
        return self.__value

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash(self.__value)

    def __copy__(self) -> SecretValue:
        return self

    def __deepcopy__(self, memo: object) -> SecretValue:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> Never:
        raise TypeError("a secret (hidden) cannot be pickled")


# No application can be called so.
BACKUPS = "@backups"

# Secrets by host, app (or BACKUPS) and name.
Resolved = dict[str, dict[str, dict[str, SecretValue]]]


class Resolver:
    """Resolves secrets, each source once: the same command is never run twice, not even in vain."""

    def __init__(self, *, root: Path, environment: Mapping[str, str] | None = None) -> None:
        self._root = root
        self._environment = os.environ if environment is None else environment
        self._known: dict[Secret, SecretValue | _Unavailable] = {}

    def resolve(self, secret: Secret, *, where: str) -> SecretValue:
        """
        The value behind a reference; files are relative to ``root``.

        Raises:
            InventoryError: it cannot be had, or is empty. The message names ``where`` and the source.
        """
        known = self._known.get(secret)
        if known is None:
            known = self._known[secret] = self._fetched(secret)
        if isinstance(known, _Unavailable):
            raise InventoryError(f"{where}: {known}")
        return known

    def _fetched(self, secret: Secret) -> SecretValue | _Unavailable:
        try:
            if secret.env is not None:
                return _from_environment(secret.env, self._environment)
            if secret.file is not None:
                return _from_file(self._root / expanded(secret.file), secret.file)
            return _from_command(secret.command or "", self._root)
        except _Unavailable as problem:
            return _Unavailable(str(problem))  # a new one: the old one's frames hold the value


def resolve(secret: Secret, *, root: Path, where: str) -> SecretValue:
    """
    The value behind one reference. For all the secrets of some hosts `resolve_all` is better: it names
    everything that is missing, each with its line, and asks each source once.

    Raises:
        InventoryError: it cannot be had, or is empty. The message names ``where`` and the source.
    """
    return Resolver(root=root).resolve(secret, where=where)


class _Unavailable(Exception):
    """Why a secret cannot be had: expected, found, remedy; never a value."""


def resolve_all(
    loaded: Loaded,
    *,
    hosts: Collection[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Resolved:
    """
    All the secrets of the given hosts (default: all hosts), each source asked once.

    Raises:
        InventoryFaults: every secret that cannot be had; no host has been contacted.
    """
    resolver = Resolver(root=loaded.root, environment=environment)
    resolved: Resolved = {}
    faults = []
    for host_name, host in loaded.inventory.hosts.items():
        if hosts is not None and host_name not in hosts:
            continue
        resolved[host_name] = {app_name: {} for app_name in host.apps}
        for group, name, inside, secret in _references(host):
            where: Where = ("hosts", host_name, *inside)
            try:
                value = resolver.resolve(secret, where=dotted(where))
            except InventoryError as error:
                message = str(error).removeprefix(f"{dotted(where)}: ")
                faults.append(loaded.fault(where, message))
            else:
                resolved[host_name].setdefault(group, {})[name] = value
    if faults:
        raise InventoryFaults(faults)
    return resolved


def _references(host: Host) -> Iterator[tuple[str, str, Where, Secret]]:
    """All secrets of a host: group, name in it, place, reference."""
    for app_name, app in host.apps.items():
        for name, secret in app.secrets.items():
            yield app_name, name, ("apps", app_name, "secrets", name), secret
    if host.backups is not None:
        yield BACKUPS, "password", ("backups", "password"), host.backups.password
        if host.backups.ssh_key is not None:
            yield BACKUPS, "ssh_key", ("backups", "ssh_key"), host.backups.ssh_key
        for name, secret in host.backups.credentials.items():
            yield BACKUPS, name, ("backups", "credentials", name), secret


def _from_environment(name: str, environment: Mapping[str, str]) -> SecretValue:
    if name not in environment:
        close = difflib.get_close_matches(name, list(environment), n=1, cutoff=0.8)
        hint = f"did you mean {close[0]}, which is set?" if close else f"set it: `export {name}=…`"
        raise _Unavailable(f"expected the environment variable {name}, but it is not set; {hint}")
    source = f"the environment variable {name}"
    return _not_empty(SecretValue(environment[name]), source)


def _from_file(path: Path, shown: str) -> SecretValue:
    shown = printable(shown)
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode) and mode & stat.S_IRWXO:
            raise _Unavailable(
                f"expected a file that only you can read, but everybody on this machine may read "
                f"{shown} (mode {stat.S_IMODE(mode):04o}); `chmod 600 {shlex.quote(str(path))}`"
            )
        content = path.read_bytes()
    except OSError as error:
        raise _Unavailable(f"expected a secret in the file {shown}: {error.strerror}") from None
    return _decoded(content, f"the file {shown}")


def _from_command(command: str, root: Path) -> SecretValue:
    shown = f"`{printable(command)}`"
    needs_shell = bool(SHELL_CHARACTERS & set(command))
    arguments = ["/bin/sh", "-c", command] if needs_shell else shlex.split(command)
    try:
        done = subprocess.run(
            arguments,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"expected a secret from {shown}, but it had not ended after {COMMAND_SECONDS} s"
        raise _Unavailable(message) from None
    except OSError as error:
        message = f"expected a secret from {shown}, but it cannot be run: {error.strerror}"
        raise _Unavailable(message) from None
    if done.returncode != 0:
        how = f"exit status {done.returncode}"
        if done.returncode < 0:
            how = f"signal {-done.returncode}"
        raise _Unavailable(f"expected a secret from {shown}, but it ended with {how}")
    return _decoded(done.stdout, f"the output of {shown}")


def _decoded(content: bytes, source: str) -> SecretValue:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise _Unavailable(f"expected text in UTF-8 from {source}, not other bytes") from None
    return _not_empty(SecretValue(text.removesuffix("\n").removesuffix("\r")), source)


def _not_empty(value: SecretValue, source: str) -> SecretValue:
    if not value.reveal().strip():
        raise _Unavailable(f"expected a secret from {source}, but it is empty")
    if "\0" in value.reveal():
        raise _Unavailable(f"expected text from {source}, not a NUL byte")
    return value
