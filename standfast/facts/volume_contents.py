"""What is inside Docker volumes, so that nobody takes a database for rubbish; and Docker's contexts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.facts.answer import Answer, Fact, script
from standfast.facts.docker import QUESTION, answered

SECONDS = 2  # for measuring one volume


@dataclass(frozen=True, slots=True)
class Contents:
    """What a look into one volume showed."""

    volume: str
    kind: str
    """For example ``PostgreSQL 17 data``; empty when nothing told."""
    size: int | None
    """Bytes; ``None`` when it was not measured, or would have taken too long."""
    newest: datetime | None
    """When its newest file was written."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where an account's ``docker`` command leads, when not to this server's own daemon."""

    account: str
    name: str
    endpoint: str
    current: bool


@dataclass(frozen=True, slots=True)
class InsideDocker:
    """What Docker's own lists do not tell."""

    volumes: tuple[Contents, ...] = ()
    contexts: tuple[Context, ...] = ()


class Insides(Fact[InsideDocker]):
    """
    What is inside the volumes; size and age of those only that nobody named.

    Raises:
        CouldNotLook: Docker is installed and does not answer.

    Source: docker-volume-inspect(1), docker-context(1), the databases' own marks.
    """

    @override
    def command(self) -> StringCommand:
        return script(QUESTION + _LOOK)

    @override
    def parse(self, answer: Answer) -> InsideDocker:
        if not answered(answer):
            return InsideDocker()
        volumes, contexts, current = [], [], set()
        for line in answer.lines:
            word, *fields = line.split("\t")
            if word == "volume":
                volumes.append(_contents(fields))
            elif word == "context":
                account, text = fields
                meta = json.loads(text)
                endpoint = meta.get("Endpoints", {}).get("docker", {}).get("Host", "")
                contexts.append((account, meta.get("Name", ""), endpoint))
            elif word == "current":
                current.add((fields[0], fields[1]))
        found = [Context(account, name, end, (account, name) in current) for account, name, end in contexts]
        return InsideDocker(tuple(volumes), tuple(found))


def _contents(fields: list[str]) -> Contents:
    name, kind, size, newest = fields
    return Contents(
        name,
        kind,
        int(size) * 1024 if size else None,
        datetime.fromtimestamp(int(float(newest)), UTC) if newest else None,
    )


_LOOK = rf"""
kind() {{
  mark=$(find "$1" -xdev -maxdepth 3 -name PG_VERSION 2> /dev/null |
    awk '{{ print length($0), $0 }}' | sort -n | head -n 1)
  if [ -n "$mark" ]; then echo "PostgreSQL $(head -c 4 "${{mark#* }}" | tr -d '\n') data"
  elif [ -e "$1/ibdata1" ]; then echo 'MySQL or MariaDB data'
  elif [ -e "$1/dump.rdb" ] || [ -e "$1/appendonlydir" ]; then echo 'Redis data'
  elif [ -e "$1/WiredTiger" ]; then echo 'MongoDB data'
  elif [ -n "$(find "$1" -xdev -maxdepth 2 -name '*.sqlite3' 2> /dev/null | head -n 1)" ]; then
    echo 'an SQLite database'
  elif [ -z "$(ls -A "$1")" ]; then echo empty
  fi
}}
names=$(listed volume ls --format 'table {{{{.Name}}}}') || exit
[ -z "$names" ] || docker volume inspect --format '{{{{.Name}}}} {{{{.Mountpoint}}}}' $names |
while read -r name place; do
  [ -d "$place" ] || continue
  size= newest=
  if printf '%s\n' "$name" | grep -qxE '[0-9a-f]{{64}}'; then
    size=$(timeout {SECONDS} du -skx -- "$place" | cut -f 1)
    newest=$(timeout {SECONDS} find "$place" -xdev -type f -printf '%T@\n' | sort -n | tail -n 1)
  fi
  printf 'volume\t%s\t%s\t%s\t%s\n' "$name" "$(kind "$place")" "$size" "$newest"
done
while IFS=: read -r user _ _ _ _ home _; do
  [ -d "$home/.docker" ] || continue
  for meta in "$home"/.docker/contexts/meta/*/meta.json; do
    [ -r "$meta" ] && printf 'context\t%s\t%s\n' "$user" "$(tr '\n\t' '  ' < "$meta")"
  done
  current=$(sed -n 's/.*"currentContext": *"\([^"]*\)".*/\1/p' "$home/.docker/config.json" 2> /dev/null)
  [ -z "$current" ] || printf 'current\t%s\t%s\n' "$user" "$current"
done < /etc/passwd
:"""
