"""
Changes that could lock somebody out: on trial until a new connection has proven that it gets in.

The server keeps what is in force and arms its own timer, then the change is made; then this side
connects anew and confirms through that very connection. Without it the server goes back by itself.
``standfast/host/firewall/trial.py`` is the server's part.
"""

from __future__ import annotations

import secrets
import shlex
import socket
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakSet

from paramiko import SSHException
from pyinfra.api import Host, State, StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors.base import BaseConnector
from pyinfra.connectors.util import CommandOutput
from pyinfra.context import ctx_host
from typing_extensions import override

from standfast.declaration import template
from standfast.errors import StandfastError, Undone
from standfast.operations import apt, files, host_program, systemd
from standfast.operations.change import Change, Step
from standfast.operations.files import Activation

UNIT = "standfast-trial.service"
READ_UNITS = Activation(Change("reload", "systemd", "reads the new unit"), "systemctl daemon-reload")
GRACE = 60
"""Seconds after the deadline in which a server must be back: it restores, sshd restarts, packets return."""
AGAIN = 2
"""Seconds between two attempts: a rate limit for SSH shall not take them for an attack."""
PORT_SECONDS = 2
PORTS_AT_MOST = 64

DEFAULT_SECONDS = 30

_prepared: WeakSet[Host] = WeakSet()


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What must be proven, and by when."""

    seconds: int = DEFAULT_SECONDS
    """After so many the server goes back."""
    ports: tuple[int, ...] = ()
    """TCP ports that this machine may reach by the declaration; those that answered must answer again."""


BY_DEFAULT = Confirmation()


def prepared() -> None:
    """
    Make sure that the server can go back by itself, also after a reboot.

    Several subjects need it, and each may be applied alone; a plan has it once.
    """
    host = ctx_host.get()
    if host in _prepared:
        return
    _prepared.add(host)
    apt.packages(["python3"])
    host_program.installed()
    files.file(f"/etc/systemd/system/{UNIT}", template(f"firewall/{UNIT}.j2"), activate=READ_UNITS)
    systemd.service(UNIT)


def start_again(host: Host) -> None:
    """The server's deploys are going to be evaluated anew: what was declared does not count."""
    _prepared.discard(host)
    host_program.start_again(host)


class ConfirmedStep(Step):
    """A step that is undone by the server unless a new connection proves that somebody still gets in."""

    def __init__(self, step: Step, *, what: str, confirmation: Confirmation) -> None:
        """
        + step: makes the change; when it fails, what was in force comes back at once
        + what: what it changes, for people: ``firewall``
        """
        values = f"seconds={confirmation.seconds}; what={shlex.quote(what)}"
        super().__init__(
            f"{values}\n{_ON_TRIAL[0]}\n{step.get_raw_value()}\n{_ON_TRIAL[1]}",
            changes=step.changes,
            **{
                name.lstrip("_"): value
                for name, value in cast(dict[str, Any], step.connector_arguments).items()
            },
        )
        self.what = what
        self.confirmation = confirmation

    @override
    def execute(self, state: State, host: Host, connector_arguments: Any) -> tuple[bool, CommandOutput]:
        """
        Make the change, prove, confirm; as pyinfra's own otherwise.

        Raises:
            Undone: it was not proven in time; the server is as it was before this step, and was reached.
        """
        connector_arguments.update(self.connector_arguments)
        attempt = Attempt(host, self.confirmation, {**connector_arguments})
        succeeded, output = attempt.change(self)
        if succeeded:
            attempt.confirm(self.what)
        return succeeded, output


@dataclass(frozen=True, slots=True)
class Reply:
    """What the host program replied."""

    succeeded: bool
    answer: str
    """Its standard output. Beside it may stand what a login shell, a locale or sudo complains about."""
    words: str
    """Everything, for messages."""


class Attempt:
    """One change on trial, seen from here."""

    def __init__(self, host: Host, confirmation: Confirmation, arguments: dict[str, Any]) -> None:
        self.host = host
        self.confirmation = confirmation
        self.sending = arguments
        self.asking = {key: value for key, value in arguments.items() if key not in ("_stdin", "_timeout")}
        self.token = secrets.token_hex(8)
        self.reason = ""
        """Why it could not be proven so far."""
        self._deadline = 0.0
        self._answered: Collection[int] = ()

    def change(self, step: ConfirmedStep) -> tuple[bool, CommandOutput]:
        """
        Arm, and make the change.

        Raises:
            Undone: the connection broke, and the server went back.
        """
        self._answered = self._answering(self.confirmation.ports)
        self._deadline = time.monotonic() + self.confirmation.seconds
        command = StringCommand(f"export STANDFAST_TRIAL={self.token}\n{step.get_raw_value()}")
        try:
            return self.host.run_shell_command(command, **self.sending)
        except Exception as error:  # whatever a connector raises
            self.reason = str(error)
            if self._outcome_at_last() == "undone":
                raise self._undone(step.what) from error
            raise

    def confirm(self, what: str) -> None:
        """
        Get in by a new connection, reach the ports that were reached before, and keep the change.

        Raises:
            Undone: not in time; the server went back.
        """
        self._get_in("confirm", what)

    def prove(self, what: str) -> None:
        """
        The same, and do not confirm: the server goes back in any case.

        Raises:
            Undone: as above.
        """
        self._get_in("outcome", what)

    def undo(self) -> None:
        """Put back at once what was in force before; what cannot be told to the server, its timer does."""
        self._ask(f"revert --token {self.token} --why 'only a trial'")
        self._ask(f"outcome --token {self.token}")

    def wait(self) -> None:
        """Wait until the server has gone back by itself."""
        self._outcome_at_last()

    def shown_ports(self) -> str:
        """The ports that answered before and after, as the end of a sentence."""
        ports = ", ".join(map(str, self._answered))
        return f", and so does port {ports}" if ports else ""

    def _get_in(self, command: str, what: str) -> None:
        while True:
            closed = sorted(set(self._answered) - set(self._answering(self._answered)))
            if closed and self._ask(f"outcome --token {self.token}") is not None:
                self.reason = f"port {', '.join(map(str, closed))} answered before and does not any more"
            elif not closed:
                said = self._ask(f"{command} --token {self.token}")
                if said is not None and said.succeeded and said.answer in ("", "armed"):
                    return
                if said is not None:
                    # The server has gone back just now: what kept us out until then is what matters.
                    self.reason = self.reason or f"it was too late: {said.words}"
                    break
            if time.monotonic() >= self._deadline:
                break
            time.sleep(AGAIN)
        outcome = self._outcome_at_last()
        if outcome == "confirmed":  # only the answer was lost
            return
        raise self._undone(what) if outcome == "undone" else self._not_reached(what, outcome)

    def _not_reached(self, what: str, outcome: str) -> StandfastError:
        return StandfastError(
            f"{self.host.name}: after the change of {what}: {self.reason}. The server goes back by itself "
            f"after {self.confirmation.seconds} s, but it could not be asked since whether it has "
            f"({outcome}). Try ssh; if that fails, use your provider's console: "
            "`sudo standfast-host firewall status`, then `sudo standfast-host firewall revert`."
        )

    def _undone(self, what: str) -> Undone:
        return Undone(
            f"{self.host.name}: the change of {what} could not be confirmed: {self.reason}. The server went "
            "back by itself: rules and sshd are as they were before this change, and it lets us in again."
        )

    def _outcome_at_last(self) -> str:
        """How the trial ended, asked again and again until the server must have gone back."""
        while True:
            said = self._ask(f"outcome --token {self.token}", note=False)
            if said is not None and said.succeeded and not said.answer.startswith("armed"):
                return said.answer
            if time.monotonic() >= self._deadline + GRACE:
                return "no answer" if said is None else "still on trial"
            time.sleep(AGAIN)

    def _ask(self, command: str, *, note: bool = True) -> Reply | None:
        """Call the host program through a new connection; ``None`` when there was none."""
        connector: BaseConnector = type(self.host.connector)(self.host.state, self.host)
        try:
            connector.connect()
            succeeded, output = connector.run_shell_command(
                StringCommand(f"{host_program.PATH} firewall {command}"), **self.asking
            )
        except (StandfastError, ConnectError, SSHException, OSError, EOFError) as error:
            if note:
                why = str(error).removesuffix(" Nothing was changed there.").rstrip(".")
                self.reason = f"a new SSH connection was not possible: {why}"
            return None
        finally:
            with suppress(Exception):  # it is not needed any more, however it ends
                connector.disconnect()
        return Reply(succeeded, " ".join(output.stdout_lines).strip(), " ".join(output.output_lines).strip())

    def _answering(self, ports: Collection[int]) -> list[int]:
        """Those TCP ports of the server that take a connection from here."""
        address = self._address()
        if not ports or address is None:
            return []
        some = list(ports)[:PORTS_AT_MOST]
        with ThreadPoolExecutor(len(some)) as pool:
            return [
                port
                for port, open_ in zip(some, pool.map(lambda port: _takes(address, port), some), strict=True)
                if open_
            ]

    def _address(self) -> str | None:
        """Where our connection ends; ``None`` when it goes through another machine."""
        client = getattr(self.host.connector, "client", None)
        transport = client.get_transport() if client is not None else None
        if transport is None or not isinstance(transport.sock, socket.socket):
            return None
        return str(transport.sock.getpeername()[0])


def _takes(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=PORT_SECONDS):
            return True
    except OSError:
        return False


_ON_TRIAL = (
    f"""trap '' HUP PIPE; standfast={host_program.PATH}
[ -x "$standfast" ] || {{ echo "$standfast is not there, so there is no way back; not changed" >&2; exit 1; }}
"$standfast" firewall arm --token "$STANDFAST_TRIAL" --seconds "$seconds" --what "$what" < /dev/null || exit
(""",
    """)
status=$?
[ "$status" -eq 0 ] ||
"$standfast" firewall revert --token "$STANDFAST_TRIAL" --why "it failed" < /dev/null >&2
exit "$status\"""",
)
