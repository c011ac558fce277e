"""Files and folders: written whole or not at all, with the right rights before the first byte."""

from __future__ import annotations

import gzip
import hashlib
import posixpath
import shlex
from base64 import b64encode
from collections.abc import Generator
from dataclasses import dataclass

from pyinfra import host
from pyinfra.api import StringCommand
from pyinfra.api.exceptions import OperationValueError

from standfast.errors import Refused
from standfast.facts.files import File, RemoteFile
from standfast.operations.change import Change, Step
from standfast.operations.diff import unified
from standfast.operations.named import operation
from standfast.rendering import Rendered, plain


@dataclass(frozen=True, slots=True)
class Activation:
    """How a service takes over a new file."""

    change: Change
    """What people see, for example ``reload caddy.service, no downtime``."""
    command: str
    """Shell code; when it fails, the old file is put back."""
    back: str = ""
    """Shell code that makes the service use the old file again; when empty, `command` once more."""


@operation
def file(
    path: str,
    content: Rendered | str | bytes,
    *,
    mode: str = "644",
    owner: str = "root",
    group: str = "root",
    validate: str | None = None,
    activate: Activation | None = None,
    confidential: bool = False,
) -> Generator[StringCommand, None, None]:
    """
    Make sure that a file has this content, owner and mode.

    The content goes to a new file in the same folder, which gets its rights before its first byte,
    is checked, flushed to disk and renamed: at every moment there is the old file or the new one.

    + path: absolute path; missing folders above it are made, mode 755, owned by root
    + content: text, or bytes that the plan does not show; a `Rendered` one hides its secrets there
    + mode: octal digits, for example ``640``
    + validate: shell code that succeeds when the new content, at ``$new``, is good; checked before the rename
    + activate: what makes a service use the new content
    + confidential: whether the plan keeps old values to itself even when `content` has no secrets

    Raises:
        OperationValueError: the path is not absolute; nothing has been changed.
        Refused: something that is not a file is at the path; nothing has been changed.
    """
    if not path.startswith("/"):
        raise OperationValueError(f"expected an absolute path, not {path!r}")
    wanted = plain(content) if isinstance(content, str) else content
    present = host.get_fact(File, path=path)
    if present is not None and present.kind != "file":
        raise Refused(f"{path}: expected a file or nothing, found a {present.kind}. Move it away by hand.")
    body = wanted if isinstance(wanted, bytes) else wanted.text.encode()
    rights = (mode, owner, group)
    change = _file_change(path, wanted, body, present, rights, confidential=confidential)
    if change is None:
        host.noop(f"{path} is as declared")
        return
    changes = [change, *([activate.change] if activate else [])]
    yield Step(
        _write_script(path, body, mode, f"{owner}:{group}", validate, activate),
        changes=changes,
        stdin=encoded(body),
    )


@operation
def directory(
    path: str, *, mode: str = "755", owner: str = "root", group: str = "root"
) -> Generator[StringCommand, None, None]:
    """
    Make sure that a folder exists with this owner and mode; its content is left alone.

    Raises:
        Refused: something that is not a folder is at the path; nothing has been changed.
    """
    present = host.get_fact(File, path=path)
    if present is not None and present.kind != "directory":
        raise Refused(f"{path}: expected a folder or nothing, found a {present.kind}. Move it away by hand.")
    if present is not None and _rights(present) == (mode, owner, group):
        host.noop(f"{path} is as declared")
        return
    quoted = shlex.quote(path)
    detail = "" if present is None else _rights_detail(present, mode, owner, group)
    ownership = shlex.quote(f"{owner}:{group}")
    yield Step(
        f"mkdir -p -- {quoted} && chown {ownership} -- {quoted} && chmod {mode} -- {quoted}",
        changes=[Change("create" if present is None else "update", f"{path}/", detail)],
    )


@operation
def absent(path: str, *, activate: Activation | None = None) -> Generator[StringCommand, None, None]:
    """
    Make sure that a file does not exist. Folders are never removed.

    Raises:
        Refused: a folder is at the path; nothing has been changed.
    """
    present = host.get_fact(File, path=path)
    if present is None:
        host.noop(f"{path} does not exist")
        return
    if present.kind == "directory":
        raise Refused(f"{path}: expected a file or nothing, found a folder. Folders are never removed.")
    command = f"rm -f -- {shlex.quote(path)}" + (f" && {{ {activate.command}; }}" if activate else "")
    yield Step(command, changes=[Change("remove", path), *([activate.change] if activate else [])])


def encoded(content: bytes) -> str:
    """
    Bytes as one line of text: what pyinfra's connectors can send to standard input.

    ``base64 -d | gzip -d`` on the server makes them what they were.
    """
    return b64encode(gzip.compress(content, mtime=0)).decode()


def _rights(present: RemoteFile) -> tuple[str, str, str]:
    return present.mode, present.owner, present.group


def _rights_detail(present: RemoteFile, mode: str, owner: str, group: str) -> str:
    return f"{present.owner}:{present.group} {present.mode} → {owner}:{group} {mode}"


def _file_change(
    path: str,
    wanted: Rendered | bytes,
    body: bytes,
    present: RemoteFile | None,
    rights: tuple[str, str, str],
    *,
    confidential: bool,
) -> Change | None:
    """
    What is different, if anything.

    + body: the bytes of what is wanted
    + rights: wanted mode, owner and group
    """
    mode, owner, group = rights
    if present is None:
        return Change("create", path, f"{owner}:{group} {mode}", _diff(None, wanted))
    detail = "" if _rights(present) == rights else _rights_detail(present, mode, owner, group)
    if present.sha256 == hashlib.sha256(body).hexdigest():
        return Change("update", path, detail) if detail else None
    old = present.content or b""
    return Change("update", path, detail, _diff(old, wanted, confidential=confidential))


def _diff(old: bytes | None, wanted: Rendered | bytes, *, confidential: bool = False) -> str:
    if isinstance(wanted, bytes):
        return f"(binary content, {len(wanted)} bytes)"
    return unified(old, wanted, confidential=confidential)


def _write_script(
    path: str,
    content: bytes,
    mode: str,
    ownership: str,
    validate: str | None,
    activate: Activation | None,
) -> str:
    """Shell code that takes the encoded content on standard input. It survives a closed connection."""
    folder, name = posixpath.split(path)
    lines = [
        "set -e; trap '' HUP PIPE; umask 077",
        f"path={shlex.quote(path)}; folder={shlex.quote(folder)}",
        '( umask 022; mkdir -p -- "$folder" )',
        f'new=$(mktemp -- "$folder"/{shlex.quote(f".{name}.XXXXXXXX")})',
        'trap \'rm -f -- "$new" "$new.old"\' EXIT',
        f'chown {shlex.quote(ownership)} -- "$new"; chmod {mode} -- "$new"',
        'base64 -d | gzip -d > "$new"',
        f'echo "{hashlib.sha256(content).hexdigest()}  $new" | sha256sum -c --status',
        'sync -- "$new"',
    ]
    if validate:
        lines.append(f"( {validate}\n)")
    if activate is None:
        lines.append('mv -f -T -- "$new" "$path"; sync -- "$folder"')
    else:
        lines.append(_activation_script(activate.command, activate.back or activate.command))
    return "\n".join(lines)


def _activation_script(command: str, back: str) -> str:
    """Swap, activate; on failure swap back and activate what was there before."""
    return f"""if [ -e "$path" ]; then cp -p -- "$path" "$new.old"; fi
mv -f -T -- "$new" "$path"; sync -- "$folder"
if ! ( {command}
); then
  echo "it did not take effect; the file is as it was before" >&2
  if [ -e "$new.old" ]; then mv -f -T -- "$new.old" "$path"; else rm -f -- "$path"; fi
  ( {back}
  ) || echo "and the old file does not work either" >&2
  exit 1
fi"""
