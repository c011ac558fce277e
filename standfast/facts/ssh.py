"""The SSH server, and the connection through which standfast looks."""

from __future__ import annotations

import re
import shlex
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script

ACCEPTED = re.compile(r"Accepted (?P<method>\S+) for .* ssh2(?:: \S+ (?P<fingerprint>SHA256:\S+))?")
TUNNEL = "standfast-tunnel "


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A tunnel that ends on the server itself: WireGuard's, or a program's such as OpenVPN."""

    device: str
    port: int | None
    """Where it comes in by UDP; ``None`` when that is not known, or the server keeps it open by itself."""


@dataclass(frozen=True, slots=True)
class Session:
    """The SSH connection of the moment, as the server sees it."""

    account: str
    """Who has logged in."""
    client: IPv4Address | IPv6Address | None
    """Where the connection comes from; ``None`` when there is no SSH connection."""
    server: IPv4Address | IPv6Address | None
    """The server's own address that it came in through."""
    port: int | None
    """The server's port that it came in through."""
    method: str | None = None
    """How the account logged in, for example ``publickey``; ``None`` when the journal does not tell."""
    fingerprint: str | None = None
    """The key it logged in with."""
    tunnel: Tunnel | None = None
    """What the client's address is reached through."""


class CurrentSession(Fact[Session]):
    """
    The SSH connection through which this very command came. sudo hides it, the processes above sudo know it.

    Raises:
        CouldNotLook: the process list could not be read.

    Source: ssh(1), "ENVIRONMENT"; proc_pid_environ(5); sshd's messages in the journal; ip-route(8), wg(8).
    """

    @override
    def command(self) -> StringCommand:
        return script(_LOOK_UPWARDS)

    @override
    def parse(self, answer: Answer) -> Session:
        if answer.status != 0 or len(answer.lines) < 2:
            raise CouldNotLook(f"ssh: the connection was not found: {answer.reason}. Nothing was changed.")
        account, connection, *more = answer.lines
        if not connection:
            return Session(account, None, None, None)
        client, _, server, port = connection.split()
        match = ACCEPTED.search("\n".join(more))
        found = match.groupdict() if match else {}
        return Session(account, _address(client), _address(server), int(port), **found, tunnel=_tunnel(more))


def _tunnel(lines: list[str]) -> Tunnel | None:
    for line in lines:
        if line.startswith(TUNNEL):
            device, _, port = line.removeprefix(TUNNEL).partition(" ")
            return Tunnel(device, int(port) if port.isdecimal() and port != "0" else None)
    return None


def _address(text: str) -> IPv4Address | IPv6Address:
    """Without the interface that a link-local address carries."""
    return ip_address(text.partition("%")[0])


class SshPorts(Fact[tuple[int, ...]]):
    """
    Ports for SSH connections: where sshd listens, where it will after a restart, where this one came in.

    Raises:
        CouldNotLook: no port was found.

    Source: ss(8) for the process of ssh.service, ``sshd -T``, systemctl(1) for ssh.socket.
    """

    @override
    def command(self) -> StringCommand:
        return script(_LOOK_UPWARDS.partition("account=")[0] + _PORTS)

    @override
    def parse(self, answer: Answer) -> tuple[int, ...]:
        ports = sorted({int(line) for line in answer.lines if line.isdigit() and line != "0"})
        if not ports:
            raise CouldNotLook("ssh: no port was found on which sshd listens. Nothing was changed.")
        return tuple(ports)


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
journalctl --quiet --no-pager --output=cat --boot --reverse --lines=1 \
  --since="-2 days" -t sshd -t sshd-session \
  --grep="^Accepted [a-z-]+ for $account from $1 port $2 " 2> /dev/null || :
# A tunnel that the server itself keeps awake comes in as answers, which no rule shuts out: so without a port.
port=
{
  device=$(ip -o route get "${1%%\%*}" | sed -n '1s/.* dev \([^ ]*\).*/\1/p')
  [ -n "$device" ] || exit 0
  case $(ip -d -o link show dev "$device") in *" wireguard "* | *" tun type tun "*) ;; *) exit 0 ;; esac
  wg show "$device" persistent-keepalive | grep -q '[0-9]$' || port=$(wg show "$device" listen-port)
} 2> /dev/null
echo "standfast-tunnel $device $port"
"""


_PORTS = r"""
echo "${connection##* }"
[ -d /run/sshd ] || mkdir -m 755 /run/sshd
sshd -T 2> /dev/null | sed -n 's/^port //p'
main=$(systemctl show --property=MainPID --value ssh.service)
[ "${main:-0}" = 0 ] || ss -Hltnp | grep "pid=$main," | awk '{ sub(/.*:/, "", $4); print $4 }'
if systemctl is-active --quiet ssh.socket; then
  systemctl show --property=Listen ssh.socket | sed 's/ .*//; s/.*[:=]//'
fi"""


DROP_IN = "/etc/ssh/sshd_config.d/00-standfast.conf"
NO_SSHD, BAD_ALONE, BAD_TOGETHER = 9, 11, 12
IGNORED = re.compile(r": terminating, \d+ bad configuration options$")

Effect = dict[str, list[str]]
"""Values by keyword in lower case, as ``sshd -T`` prints them; some keywords have several."""

WAYS_IN = (
    "port",
    "permitrootlogin",
    "passwordauthentication",
    "pubkeyauthentication",
    "allowusers",
    "denyusers",
    "allowgroups",
    "denygroups",
)


def keywords(text: str) -> list[str]:
    """What a file of sshd's sets for everybody, in lower case."""
    found: list[str] = []
    for line in text.splitlines():
        words = line.split("#", 1)[0].replace("=", " ", 1).split()
        if words and words[0].lower() == "match":
            break
        found += [words[0].lower()] if words and words[0].isalnum() else []
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of sshd's configuration."""

    file: str
    line: int
    keyword: str
    """In lower case."""
    value: str
    condition: str
    """The ``Match`` that it stands under; empty when it is for everybody."""

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Trial:
    """What sshd would make of a configuration of ours, without having it."""

    fault: str
    """What sshd says against it; empty when nothing."""
    alone: Effect
    """What it means by itself; only the keywords that it sets, and those that decide who gets in."""
    together: Effect
    """What sshd would do with it beside the other files, for the account and address of this connection."""
    others: tuple[Setting, ...]
    """The settings in the other files, in the order of reading."""


class SshdTrial(Fact[Trial]):
    """
    What sshd would make of `text` at `DROP_IN`; tried on copies in memory, which are gone afterwards.

    + text: the whole file
    + account, client: whose connection it is about

    Raises:
        CouldNotLook: there is no sshd, or its configuration cannot be read.

    Source: sshd(8), "-T" and "-C".
    """

    @override
    def command(self, text: str, account: str, client: str) -> StringCommand:
        content = b64encode(text.encode()).decode()
        caller = shlex.quote(f"user={account},host={client},addr={client}")
        asked = "|".join(sorted({*keywords(text), *WAYS_IN}))
        return script(f"content={content}; caller={caller}; asked='^({asked}) '; drop_in={DROP_IN}\n{_TRIAL}")

    @override
    def parse(self, answer: Answer) -> Trial:
        if answer.status == NO_SSHD:
            raise CouldNotLook(
                "ssh: expected the OpenSSH server (sshd), it is not installed. Nothing was changed."
            )
        if answer.status in {BAD_ALONE, BAD_TOGETHER}:
            said = [line.rstrip("\r") for line in answer.errors]  # sshd ends its messages as for a terminal
            said = [line for line in said if not IGNORED.search(line)]
            return Trial("; ".join(said) or answer.reason, {}, {}, ())
        if answer.status != 0:
            raise CouldNotLook(
                f"ssh: sshd's configuration could not be read: {answer.reason}. Nothing was changed."
            )
        alone, together, others = _sections(answer.lines)
        return Trial("", _effect(alone), _effect(together), tuple(_settings(others)))


def _sections(lines: list[str]) -> list[list[str]]:
    sections: list[list[str]] = []
    for line in lines:
        if line.startswith("== "):
            sections.append([])
        else:
            sections[-1].append(line)
    return sections


def _effect(lines: list[str]) -> Effect:
    effect: Effect = {}
    for line in lines:
        keyword, _, value = line.partition(" ")
        effect.setdefault(keyword, []).append(value)
    return effect


def _settings(lines: list[str]) -> Iterator[Setting]:
    """From lines such as ``/etc/ssh/sshd_config:12:Include …``; a ``Match`` ends with its file."""
    condition = ("", "")
    for each in lines:
        file, number, text = each.split(":", 2)
        words = text.split("#", 1)[0].replace("=", " ", 1).split(None, 1)
        if not words:
            continue
        keyword, value = words[0].lower(), words[1].strip() if len(words) > 1 else ""
        if keyword == "match":
            condition = (file, "" if value.lower() == "all" else value)
        else:
            under = condition[1] if condition[0] == file else ""
            yield Setting(file, int(number), keyword, value, under)


_TRIAL = r"""
command -v sshd > /dev/null || exit 9
umask 077; work=$(mktemp -d /run/standfast-sshd.XXXXXX) || exit 1; trap 'rm -rf -- "$work"' EXIT
[ -d /run/sshd ] || mkdir -m 755 /run/sshd
mkdir "$work/sshd_config.d"
for file in /etc/ssh/sshd_config.d/*; do [ -f "$file" ] && cp -- "$file" "$work/sshd_config.d/"; done
printf %s "$content" | base64 -d > "$work/sshd_config.d/${drop_in##*/}" || exit 1
cp -- "$work/sshd_config.d/${drop_in##*/}" "$work/alone"
sed "s#/etc/ssh/sshd_config\.d/#$work/sshd_config.d/#g" /etc/ssh/sshd_config > "$work/together" || exit 1
plain() {
  sed "s#$work/alone#the declared settings#; s#$work/together#/etc/ssh/sshd_config#; s#$work/#/etc/ssh/#"
}
echo '== alone'; sshd -T -C "$caller" -f "$work/alone" > "$work/is" 2> "$work/said" ||
  { plain < "$work/said" >&2; exit 11; }
grep -E "$asked" "$work/is"
echo '== together'; sshd -T -C "$caller" -f "$work/together" > "$work/is" 2> "$work/said" ||
  { plain < "$work/said" >&2; exit 12; }
grep -E "$asked" "$work/is"
echo '== others'
for file in /etc/ssh/sshd_config.d/*.conf /etc/ssh/sshd_config; do
  [ -f "$file" ] && [ "$file" != "$drop_in" ] && grep -nHE '^[[:space:]]*[A-Za-z]' "$file"
done
:"""
