"""Settings of the running kernel, held against the files that set them at boot."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting that a file sets at boot."""

    name: str
    """For example ``net.ipv4.ip_forward``."""
    wanted: str
    live: str
    path: str
    """The file that sets it, the last one when there are several."""


@dataclass(frozen=True, slots=True)
class KernelSettings:
    """Settings of the running kernel."""

    settings: tuple[Setting, ...]
    """Those that files set, that can be changed here, and that are not left to chance by a pattern."""
    forwarding: bool | None
    """Whether packets are passed on between networks (IPv4); ``None`` when the kernel does not tell."""


class LiveSettings(Fact[KernelSettings]):
    """
    Kernel settings that files set at boot, as they are now.

    Raises:
        CouldNotLook: the files could not be read.

    Source: sysctl.d(5), systemd-sysctl(8).
    """

    @override
    def command(self) -> StringCommand:
        return script(_LOOK)

    @override
    def parse(self, answer: Answer) -> KernelSettings:
        if answer.status != 0:
            raise CouldNotLook(f"kernel settings: could not be read: {answer.reason}. Nothing was changed.")
        forwarding: bool | None = None
        settings: dict[str, Setting] = {}
        for line in answer.lines:
            kind, *fields = line.split("\t")
            if kind == "forwarding":
                forwarding = {"1": True, "0": False}.get(fields[0])
            elif kind == "setting":
                name, wanted, path, live = fields
                settings[name] = Setting(name, " ".join(wanted.split()), " ".join(live.split()), path)
        return KernelSettings(tuple(settings.values()), forwarding)


# What begins with "-" may fail, and what has a "*" in it holds for devices that come and go.
_LOOK = r"""
printf 'forwarding\t%s\n' "$(cat /proc/sys/net/ipv4/ip_forward 2> /dev/null)"
list=$(/usr/lib/systemd/systemd-sysctl --cat-config) || exit 1
path=
printf '%s\n' "$list" | while read -r line; do
  case $line in
    '# /'*) path=${line#'# '} ;;
    '#'* | ';'* | '-'* | *'*'*=* | '') ;;
    *=*)
      name=$(echo "${line%%=*}" | tr -d ' \t'); wanted=${line#*=}
      case $name in */*) file=$name ;; *) file=$(echo "$name" | tr . /) ;; esac
      [ -w "/proc/sys/$file" ] || continue
      live=$(cat "/proc/sys/$file" 2> /dev/null | tr '\n\t' '  ') || continue
      printf 'setting\t%s\t%s\t%s\t%s\n' "$(echo "$file" | tr / .)" "$wanted" "$path" "$live" ;;
  esac
done"""
