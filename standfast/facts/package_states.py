"""Packages that somebody installed, held back or left half-way, by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script


@dataclass(frozen=True, slots=True)
class Installed:
    """A package that was installed on purpose, not for the sake of another one."""

    name: str
    when: datetime
    """When it came onto this server, as dpkg's log has it."""


@dataclass(frozen=True, slots=True)
class PackageStates:
    """What is out of the ordinary with a server's packages."""

    held: tuple[str, ...]
    """Never upgraded, because somebody said so."""
    broken: tuple[tuple[str, str], ...]
    """Package and dpkg's word for what was begun and not finished."""
    by_hand: tuple[Installed, ...]
    """Installed on purpose since dpkg's log began; the server's image is older."""
    alternatives: tuple[tuple[str, str], ...]
    """Commands that somebody pointed elsewhere by hand (update-alternatives), and where."""


class Packages(Fact[PackageStates]):
    """
    Packages that are held, broken or installed by hand, and alternatives that were chosen by hand.

    Raises:
        CouldNotLook: dpkg's database could not be read.

    Source: dpkg-query(1), dpkg.log, apt's extended_states, update-alternatives(1).
    """

    @override
    def command(self) -> StringCommand:
        return script(_LOOK)

    @override
    def parse(self, answer: Answer) -> PackageStates:
        if answer.status != 0:
            raise CouldNotLook(f"packages: could not be read: {answer.reason}. Nothing was changed.")
        words: dict[str, list[list[str]]] = {}
        for line in answer.lines:
            kind, *fields = line.split("\t")
            words.setdefault(kind, []).append(fields)
        return PackageStates(
            held=tuple(name for (name,) in words.get("held", ())),
            broken=tuple((name, state) for name, state in words.get("broken", ())),
            by_hand=tuple(
                Installed(name, datetime.strptime(when, "%Y-%m-%d %H:%M:%S %z").astimezone(UTC))
                for name, when in words.get("installed", ())
            ),
            alternatives=tuple((name, target) for name, target in words.get("alternative", ())),
        )


_LOOK = r"""
states=$(dpkg-query -W -f '${Package}\t${db:Status-Want}\t${db:Status-Status}\n') || exit 1
printf '%s\n' "$states" | awk -F '\t' '
  $2 == "hold" { print "held\t" $1 }
  $3 != "installed" && $3 != "config-files" && $3 != "not-installed" && $3 != "triggers-pending" {
    print "broken\t" $1 "\t" $3 }'
{
  printf '%s\n' "$states" | awk -F '\t' '$3 == "installed" { print "here\t" $1 }'
  awk '/^Package:/ { name = $2 } /^Auto-Installed: 1/ { print "auto\t" name }' \
    /var/lib/apt/extended_states 2> /dev/null
  for log in $(ls -tr /var/log/dpkg.log* 2> /dev/null); do zcat -f -- "$log"; done |
    awk '$3 == "install" && $5 == "<none>" { sub(/:.*/, "", $4); print "log\t" $4 "\t" $1 " " $2 }'
} | awk -F '\t' -v zone="$(date +%z)" '
  $1 == "here" { here[$2] = 1 }
  $1 == "auto" { auto[$2] = 1 }
  $1 == "log" { when[$2] = $3 }
  END { for (name in when) if (here[name] && !auto[name]) print "installed\t" name "\t" when[name] " " zone }'
grep -lx manual /var/lib/dpkg/alternatives/* 2> /dev/null | while read -r file; do
  name=${file##*/}; printf 'alternative\t%s\t%s\n' "$name" "$(readlink "/etc/alternatives/$name")"
done
:"""
