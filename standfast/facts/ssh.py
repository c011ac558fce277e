"""The SSH server, and the connection through which standfast looks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script

ACCEPTED = re.compile(r"Accepted (?P<method>\S+) for .* ssh2(?:: \S+ (?P<fingerprint>SHA256:\S+))?")


@dataclass(frozen=True, slots=True)
class Session:
    """The SSH connection of the moment, as the server sees it."""

    account: str
    """Who has logged in."""
    client: IPv4Address | IPv6Address | None
    """Where the connection comes from; ``None`` when there is no SSH connection."""
    port: int | None
    """Port of the server that it came in through."""
    method: str | None = None
    """How the account logged in, for example ``publickey``; ``None`` when the journal does not tell."""
    fingerprint: str | None = None
    """The key it logged in with."""


class CurrentSession(Fact[Session]):
    """
    The SSH connection through which this very command came. sudo hides it, the processes above sudo know it.

    Raises:
        CouldNotLook: the process list could not be read.

    Source: ssh(1), "ENVIRONMENT"; proc_pid_environ(5); sshd's messages in the journal.
    """

    @override
    def command(self) -> StringCommand:
        return script(_LOOK_UPWARDS)

    @override
    def parse(self, answer: Answer) -> Session:
        if answer.status != 0 or len(answer.lines) < 2:
            raise CouldNotLook(f"ssh: the connection was not found: {answer.reason}. Nothing was changed.")
        account, connection, *accepted = answer.lines
        if not connection:
            return Session(account, None, None)
        client, _, _, port = connection.split()
        match = ACCEPTED.search(accepted[0]) if accepted else None
        found = match.groupdict() if match else {}
        return Session(account, ip_address(client.partition("%")[0]), int(port), **found)


_LOOK_UPWARDS = r"""
pid=$$; connection=
while [ "$pid" -gt 1 ] && [ -z "$connection" ]; do
  connection=$(tr '\0' '\n' < "/proc/$pid/environ" | sed -n 's/^SSH_CONNECTION=//p') || exit 1
  pid=$(sed 's/.*) . //; s/ .*//' "/proc/$pid/stat") || exit 1
done
account=${SUDO_USER:-$(id -un)}
echo "$account"; echo "$connection"
[ -n "$connection" ] || exit 0
set -- $connection
journalctl --quiet --no-pager --output=cat --boot --reverse --lines=1 -t sshd -t sshd-session \
  --grep="^Accepted [a-z-]+ for $account from $1 port $2 " 2> /dev/null || :"""
