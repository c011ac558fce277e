"""Configuration files of packages, held against the checksums that their packages left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script

State = Literal["changed", "missing"]


@dataclass(frozen=True, slots=True)
class Departure:
    """A configuration file that is not as its package brought it."""

    path: str
    state: State
    package: str
    """Empty when nobody noted it."""
    modified: datetime | None
    owner: str


class ChangedConffiles(Fact[list[Departure]]):
    """
    Configuration files that differ from what their package brought, or are gone.

    Raises:
        CouldNotLook: dpkg's database could not be read.

    Source: dpkg-query(1) ``Conffiles``, ucf(1) for those that dpkg leaves to it.
    """

    @override
    def command(self) -> StringCommand:
        return script(_LOOK)

    @override
    def parse(self, answer: Answer) -> list[Departure]:
        if answer.status != 0:
            raise CouldNotLook(
                f"drift: configuration files could not be checked: {answer.reason}. Nothing was changed."
            )
        found = []
        for line in answer.lines:
            state, package, modified, owner, path = line.split("\t")
            when = datetime.fromtimestamp(int(modified), UTC) if modified else None
            found.append(
                Departure(path, "missing" if state == "missing" else "changed", package, when, owner)
            )
        return found


# Fields: checksum, path, package. An obsolete or removed file has a third word after its checksum.
_LOOK = r"""
list=$( {
  dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\n${Conffiles}\n' | awk -F '\t' '
    /^[a-z][a-zA-Z-][ a-zA-Z]?\t/ { package = $1 ~ /^.[ic]/ ? $2 : ""; next }
    package && split($0, word, " ") == 2 { print word[2] "\t" word[1] "\t" package }'
  if [ -r /var/lib/ucf/hashfile ]; then awk '{ print $1 "\t" $2 "\t" }' /var/lib/ucf/hashfile; fi
} ) || exit 1
[ -n "$list" ] || { echo 'dpkg knows no configuration file' >&2; exit 1; }
wrong=$(printf '%s\n' "$list" | awk -F '\t' '{ print $1 "  " $2 }' |
  md5sum -c --quiet 2> /dev/null | sed 's/: FAILED.*//')
[ -n "$wrong" ] || exit 0
printf '%s\n' "$wrong" | sort -u | while read -r path; do
  package=$(printf '%s\n' "$list" | awk -F '\t' -v path="$path" '$2 == path { print $3; exit }')
  if [ -e "$path" ]; then printf 'changed\t%s\t%s\t%s\t%s\n' "$package" $(stat -c '%Y %U' -- "$path") "$path"
  else printf 'missing\t%s\t\t\t%s\n' "$package" "$path"; fi
done"""
