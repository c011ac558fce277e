"""What Docker Compose makes of an application's files, before or after they are on the server."""

from __future__ import annotations

import io
import shlex
import tarfile
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.facts.answer import Answer, Fact, script
from standfast.facts.docker import QUESTION, answered

NO_COMPOSE = 6
NOT_VALID = 5


@dataclass(frozen=True, slots=True)
class Resolved:
    """An application's Compose file as Compose reads it."""

    hashes: Mapping[str, str] = field(default_factory=dict)
    """Compose's checksum of each service; a container's label has the one that it was made by."""
    images: frozenset[str] = frozenset()
    """Names of the images that those services need."""
    fault: str = ""
    """Why Compose does not accept the file; empty when it does."""
    warnings: tuple[str, ...] = ()
    checksums: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the files that are on the server, by name."""
    modified: Mapping[str, float] = field(default_factory=dict)
    """When those files were written, in seconds since 1970."""


class Project(Fact["Resolved | None"]):
    """
    What Compose makes of an application's files; ``None`` where there is no Docker or no Compose yet.

    Nothing is started and nothing is written to the server's disk. Given candidates on standard
    input (see `bundle`), it shows what Compose would make of them at their final place: they are laid
    over the folder in memory, in a view of the file system that only this one command has.

    + folder: the application's folder
    + files: names of its files in the folder
    + env: whether ``.env`` belongs to them
    + candidates: whether there is a bundle on standard input
    + overrides: a Compose file that is put on top, for references between containers

    Raises:
        CouldNotLook: Docker is installed and does not answer.

    Source: docker-compose-config(1), unshare(1).
    """

    @override
    def command(
        self,
        folder: str,
        files: Sequence[str],
        env: bool,
        candidates: bool = False,
        overrides: str = "",
    ) -> StringCommand:
        inner = "\n".join(
            [
                f"folder={shlex.quote(folder)}",
                QUESTION,
                f"docker compose version > /dev/null 2>&1 || exit {NO_COMPOSE}",
                *([_LAY_OVER] if candidates else []),
                'cd -- "$folder" 2> /dev/null || exit 0',
                *(f"state {shlex.quote(name)}" for name in files),
                "[ -e compose.yml ] || exit 0",
                compose_function(folder, env=env, overrides=bool(overrides)),
                *([_OVERRIDES.format(shlex.quote(overrides))] if overrides else []),
                f"resolved=$(compose config) || exit {NOT_VALID}",
                # `up` hashes a service after its `env_file` has become its environment, `config --hash`
                # before: only of the resolved file both say the same.
                (
                    f"printf '%s\\n' \"$resolved\" | {_docker_compose(folder)} --env-file /dev/null "
                    "--file - config --hash '*' | sed 's/^/hash /'"
                ),
                "compose config --images | sed 's/^/image /'",
            ]
        )
        body = f"{_STATE}\n{inner}"
        return script(f"unshare --mount sh -c {shlex.quote(body)}" if candidates or overrides else body)

    @override
    def parse(self, answer: Answer) -> Resolved | None:
        if answer.status == NO_COMPOSE:
            return None
        if answer.status not in {0, NOT_VALID} and not answered(answer):
            return None
        words = [line.split(" ", 1) for line in answer.lines if " " in line]
        states = [rest.split(" ", 2) for kind, rest in words if kind == "state"]
        said = [line for line in answer.errors if line.strip()]
        return Resolved(
            hashes=dict(rest.split() for kind, rest in words if kind == "hash"),
            images=frozenset(rest for kind, rest in words if kind == "image"),
            fault="\n".join(line for line in said if "level=warning" not in line)
            if answer.status == NOT_VALID
            else "",
            warnings=tuple(line for line in said if "level=warning" in line),
            checksums={name: checksum for checksum, _, name in states},
            modified={name: float(modified) for _, modified, name in states},
        )


def compose_function(folder: str, *, env: bool, overrides: bool = False) -> str:
    """
    Shell code that defines the command ``compose`` for an application; questions and changes share it.

    It sees no environment of ours and no file that is not declared.
    """
    env_file = shlex.quote(f"{folder}/.env") if env else "/dev/null"
    more = " --file /tmp/overrides.yml" if overrides else ""
    return (
        f"compose() {{ {_docker_compose(folder)} --env-file {env_file} "
        f'--file {shlex.quote(f"{folder}/compose.yml")}{more} "$@"; }}'
    )


def _docker_compose(folder: str) -> str:
    """The command for the project of a folder, without any environment of ours."""
    name, quoted = shlex.quote(folder.rpartition("/")[2]), shlex.quote(folder)
    return (
        'env -i PATH="$PATH" HOME=/root LC_ALL=C docker compose '
        f"--project-name {name} --project-directory {quoted}"
    )


def bundle(files: Mapping[str, bytes]) -> str:
    """Candidate files, by name, as one line of text for the standard input of `Project`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o600
            tar.addfile(member, io.BytesIO(content))
    return b64encode(buffer.getvalue()).decode()


_STATE = """state() {
  [ -f "$1" ] || return 0
  echo "state $(sha256sum < "$1" | cut -d ' ' -f 1) $(stat -c %.6Y -- "$1") $1"
}"""

_LAY_OVER = """below=$folder
while ! [ -d "$below" ]; do below=$(dirname -- "$below"); done
mount -t tmpfs -o mode=700 standfast /tmp && mkdir /tmp/new /tmp/work &&
  mount -t overlay -o "lowerdir=$below,upperdir=/tmp/new,workdir=/tmp/work" standfast "$below" &&
  mkdir -p -- "$folder" && base64 -d | tar -xz -C "$folder" || exit"""

_OVERRIDES = """[ -d /tmp/new ] || mount -t tmpfs -o mode=700 standfast /tmp || exit
printf '%s' {} > /tmp/overrides.yml"""
