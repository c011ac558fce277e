"""Who listens on which port."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script

PROCESS = re.compile(r'\("(?P<name>[^"]*)",pid=(?P<pid>[0-9]+)')
COMMAND_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Listener:
    """A port of the server that a process has taken."""

    protocol: str
    """``tcp`` or ``udp``."""
    address: str
    """For example ``0.0.0.0``, ``127.0.0.1``, ``::``; ``*`` for every address of both families."""
    port: int
    pid: int
    """0 when the kernel itself listens."""
    process: str
    """The process's short name."""
    command: str
    """Its command line."""
    unit: str = ""
    """The systemd unit that it belongs to; empty when the server does not tell."""


# Somebody's question, to a DNS server for example, looks like a listener whose process has gone. What
# the kernel itself listens on (WireGuard, VXLAN) is still there a moment later.
_WITHOUT_PASSING = """if printf '%s\\n' "$found" | grep '^udp' | grep -qv pid=; then
  sleep 0.5
  found=$({ ss -Hltnu; echo; printf '%s\\n' "$found"; } | awk '
    !NF { second = 1; next }
    !second { stays[$1 " " $5] = 1; next }
    /pid=/ || $1 != "udp" || stays[$1 " " $5]')
fi"""


class Listeners(Fact[list[Listener]]):
    """
    Every TCP and UDP port that something listens on.

    Raises:
        CouldNotLook: the server's sockets cannot be listed.

    Source: ss(8), proc(5).
    """

    @override
    def command(self) -> StringCommand:
        return script(
            f"found=$(ss -Hltnup) || exit\n{_WITHOUT_PASSING}\n"
            "printf '%s\\n' \"$found\" | sed 's/^/socket /'\n"
            "for pid in $(printf '%s' \"$found\" | grep -o 'pid=[0-9]*' | cut -d = -f 2 | sort -u); do\n"
            '  if [ -r "/proc/$pid/cmdline" ]; then\n'
            f'    echo "command $pid $(tr "\\0\\n" "  " < /proc/$pid/cmdline | cut -c 1-{COMMAND_LENGTH})"\n'
            '    echo "unit $pid $(sed -n "s/^0:.*\\///p" /proc/$pid/cgroup)"\n'
            "  fi\n"
            "done"
        )

    @override
    def parse(self, answer: Answer) -> list[Listener]:
        if answer.status != 0:
            raise CouldNotLook(
                f"ports: the server's sockets could not be listed: {answer.reason}. Nothing was changed."
            )
        told: dict[str, dict[int, str]] = {"command": {}, "unit": {}}
        for line in answer.lines:
            kind, _, rest = line.partition(" ")
            if kind in told:
                pid, _, value = rest.partition(" ")
                told[kind][int(pid)] = value.strip()
        return [
            listener
            for line in answer.lines
            if line.startswith("socket ") and (listener := _listener(line, told)) is not None
        ]


def _listener(line: str, told: dict[str, dict[int, str]]) -> Listener | None:
    fields = line.split()
    if len(fields) < 6:
        return None
    protocol, local = fields[1], fields[5]
    address, _, port = local.rpartition(":")
    if not port.isdecimal():
        return None
    match = PROCESS.search(line)
    pid = int(match["pid"]) if match else 0
    return Listener(
        protocol=protocol,
        address=address.strip("[]").partition("%")[0],
        port=int(port),
        pid=pid,
        process=match["name"] if match else "",
        command=told["command"].get(pid, ""),
        unit=told["unit"].get(pid, ""),
    )
