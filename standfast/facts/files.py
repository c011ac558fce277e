"""Files and folders on a server."""

from __future__ import annotations

import hashlib
import shlex
from base64 import b64decode
from dataclasses import dataclass
from typing import Literal

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script

CONTENT_LIMIT = 262_144  # bytes; larger files are compared by checksum, without a diff

Kind = Literal["file", "directory", "link", "other"]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """Something at a path."""

    kind: Kind
    mode: str
    """Permissions as octal digits, for example ``644``."""
    owner: str
    group: str
    size: int
    """Bytes."""
    sha256: str = ""
    """Checksum of a file's content, in hexadecimal; empty for everything else."""
    content: bytes | None = None
    """Content of a file of at most `CONTENT_LIMIT` bytes."""


class File(Fact["RemoteFile | None"]):
    """
    What is at a path; ``None`` when nothing is there. Links are not followed.

    Raises:
        CouldNotLook: the path could not be read, for example because of an I/O error.

    Source: stat(1), base64(1), sha256sum(1).
    """

    @override
    def command(self, path: str) -> StringCommand:
        quoted = shlex.quote(path)
        return script(
            f"found=$(stat -c '%F|%a|%U|%G|%s' -- {quoted}) || exit 3; echo \"$found\"; "
            'case "$found" in regular*) '
            f'if [ "${{found##*|}}" -le {CONTENT_LIMIT} ]; '
            f"then base64 -w0 -- {quoted}; echo; else sha256sum < {quoted}; fi ;; esac"
        )

    @override
    def parse(self, answer: Answer) -> RemoteFile | None:
        if answer.status == 3 and answer.reason.endswith(("No such file or directory", "Not a directory")):
            return None
        if answer.status != 0:
            raise CouldNotLook(f"a file could not be read: {answer.reason}. Nothing was changed.")
        description, mode, owner, group, size = answer.lines[0].split("|")
        if not description.startswith("regular"):
            kinds: dict[str, Kind] = {"directory": "directory", "symbolic link": "link"}
            return RemoteFile(kinds.get(description, "other"), mode, owner, group, int(size))
        body = answer.lines[1] if len(answer.lines) > 1 else ""
        if int(size) > CONTENT_LIMIT:
            return RemoteFile("file", mode, owner, group, int(size), body.split()[0])
        content = b64decode(body)
        return RemoteFile(
            "file", mode, owner, group, len(content), hashlib.sha256(content).hexdigest(), content
        )
