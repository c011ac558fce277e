"""What Docker Compose makes of an application's files, before or after they are on the server."""

from __future__ import annotations

import io
import re
import shlex
import tarfile
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.facts.answer import Answer, Fact, script
from standfast.facts.docker import HERE, QUESTION, answered

EVENT = re.compile(r"DRY-RUN MODE -\s+Container (?P<name>\S+)\s+(?P<word>[A-Z][a-z]+)")
WARNING = re.compile(r'level=warning msg="(?P<text>(?:[^"\\]|\\.)*)"')
NO_COMPOSE = 6
NOT_VALID = 5


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What Compose would do with an application's files."""

    events: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Compose's own words for what happens to each container, by container name: ``Recreate``, …"""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Compose's checksum of each service, if a container is to be made anew."""
    images: frozenset[str] = frozenset()
    """Names of the images that the services need, if asked about candidates."""
    fault: str = ""
    """Why Compose would refuse; empty when it would not."""
    warnings: tuple[str, ...] = ()
    """What Compose says about files that it accepts, each once."""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the files that are on the server, by name."""
    modified: Mapping[str, float] = field(default_factory=dict)
    """When those files were written, in seconds since 1970."""


class Project(Fact["Rehearsal | None"]):
    """
    What Compose would do with an application; ``None`` where there is no Docker or no Compose yet.

    Compose rehearses it (``--dry-run``), because its rules differ from version to version. Nothing is
    started and nothing is written to the server's disk. Candidates on standard input (see `bundle`)
    are laid over the application's folder in memory, in a view of the file system that only this one
    command has, so that Compose sees them at their final place.

    + folder: the application's folder
    + files: names of its files in the folder
    + env: whether ``.env`` belongs to them
    + candidates: whether there is a bundle on standard input
    + on_top: a Compose file for what will be true by then and is not yet: new images, new volumes

    Raises:
        CouldNotLook: Docker is installed and does not answer.

    Source: docker-compose-up(1), unshare(1).
    """

    @override
    def command(
        self, folder: str, files: Sequence[str], env: bool, candidates: bool = False, on_top: str = ""
    ) -> StringCommand:
        body = "\n".join(
            [
                f"folder={shlex.quote(folder)}",
                QUESTION,
                _STATE,
                *(["mount -t tmpfs -o mode=700 standfast /tmp || exit"] if candidates or on_top else []),
                *([_LAY_OVER] if candidates else []),
                'cd -- "$folder" 2> /dev/null || exit 0',
                *(f"state {shlex.quote(name)}" for name in files),
                "[ -e compose.yml ] || exit 0",
                compose_function(folder, env=env),
                "set --",
                *([_ON_TOP.format(shlex.quote(on_top))] if on_top else []),
                _REHEARSE,
                *(["compose config --images 2> /dev/null | sed 's/^/image /'"] if candidates else []),
            ]
        )
        return script(f"unshare --mount sh -c {shlex.quote(body)}" if candidates or on_top else body)

    @override
    def parse(self, answer: Answer) -> Rehearsal | None:
        if answer.status == NO_COMPOSE:
            return None
        if answer.status != NOT_VALID and not answered(answer):
            return None
        words = [line.split(" ", 1) for line in answer.lines if " " in line]
        states = [rest.split(" ", 2) for kind, rest in words if kind == "state"]
        events: dict[str, set[str]] = {}
        said = []
        for kind, rest in words:
            if kind == "said" and (match := EVENT.search(rest)):
                events.setdefault(match["name"], set()).add(match["word"])
            elif kind == "said" and rest.strip() and "DRY-RUN MODE" not in rest:
                said.append(rest.strip())
        fault = "\n".join(line for line in said if "level=warning" not in line)
        warnings = dict.fromkeys(match["text"] for match in map(WARNING.search, said) if match)
        return Rehearsal(
            events={name: frozenset(found) for name, found in events.items()},
            hashes=dict(rest.split() for kind, rest in words if kind == "hash"),
            images=frozenset(rest for kind, rest in words if kind == "image"),
            fault=(fault or "it does not say why") if answer.status == NOT_VALID else "",
            warnings=tuple(text.replace('\\"', '"') for text in warnings),
            checksums={name: checksum for checksum, _, name in states},
            modified={name: float(modified) for _, modified, name in states},
        )


def compose_function(folder: str, *, env: bool) -> str:
    """
    Shell code that defines the command ``compose`` for an application; questions and changes share it.

    It sees no environment of ours and no file that is not declared; it ends after ``$limit`` seconds.
    """
    name = shlex.quote(folder.rpartition("/")[2])
    quoted = shlex.quote(folder)
    env_file = f"{quoted}/.env" if env else "/dev/null"
    return f"""project() {{
  timeout "${{limit:-60}}" env -i PATH="$PATH" HOME=/root LC_ALL=C {HERE} docker compose --ansi never \\
    --project-name {name} --project-directory {quoted} "$@"
}}
compose() {{ project --env-file {env_file} --file {quoted}/compose.yml "$@"; }}"""


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
mkdir /tmp/new /tmp/work &&
  mount -t overlay -o "lowerdir=$below,upperdir=/tmp/new,workdir=/tmp/work" standfast "$below" &&
  mkdir -p -- "$folder" && base64 -d | tar -xz -C "$folder" || exit"""

_ON_TOP = "printf '%s' {} > /tmp/on-top.yml; set -- --file /tmp/on-top.yml"

# `up` computes a service's checksum when its `env_file` has become its environment, `config --hash`
# before; of the resolved file both say the same.
_REHEARSE = f"""said=$(compose "$@" --dry-run up --no-start --no-build --pull never --remove-orphans 2>&1)
code=$?
[ "$code" = 0 ] || docker compose version > /dev/null 2>&1 || exit {NO_COMPOSE}
printf '%s\\n' "$said" | sed 's/^/said /'
[ "$code" = 0 ] || exit {NOT_VALID}
case $said in *Recreate*)
  compose config | project --env-file /dev/null --file - config --hash '*' | sed 's/^/hash /' ;;
esac"""
