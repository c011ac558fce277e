"""
pyinfra's SSH connector, made strict and quick.

What differs: host keys are checked strictly, Nagle's algorithm is off (44 ms a command), the
connection is kept alive, a lost connection is an error of its own and never an empty fact, and an
inventory is named as ``@standfast/inventories/production.yml`` on pyinfra's own command line.
"""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import hashlib
import shlex
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from paramiko import (
    AuthenticationException,
    BadHostKeyException,
    Channel,
    ChannelException,
    SSHException,
    Transport,
)
from paramiko.ssh_exception import NoValidConnectionsError
from pyinfra.api import StringCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import CommandOutput, OutputLine, make_unix_command_for_host
from typing_extensions import override

from standfast.engine import fact_trace, jump_host, match_exec, private_key  # noqa: F401 - the import of match_exec is its use
from standfast.engine.jump_host import JumpHostUnreachable
from standfast.engine.session import ReadyClient
from standfast.errors import CouldNotLook, StandfastError
from standfast.facts.answer import STATUS

KEEPALIVE = 15  # seconds
SILENCE = 60_000  # milliseconds without a sign of the server's kernel, after which the connection is lost
SENDING = ("_get_pty", "_timeout", "_stdin", "_success_exit_codes")
"""pyinfra's arguments for how a command is sent, not for what is around it."""
LOCK_LOST = "standfast-lock-lost"
"""What ``shell/step.sh`` says when somebody else has taken the server over."""
AS_OTHER = ("_sudo_user", "_su_user", "_doas", "_dzdo")
"""pyinfra's arguments that run a command as somebody else."""


def _nothing() -> None:
    """What there is to do, mostly, while a server is busy."""


class Unasked(BaseException):
    """A fact is not known yet and will be asked together with others; no error, and nobody shall catch it."""


class Unreachable(StandfastError):
    """No connection to a server; nothing was changed on it."""


class NoSudo(StandfastError):
    """The account may not become root; nothing was changed."""


class ConnectionLost(StandfastError):
    """The connection broke while a command ran; whether the command ended is not known."""


class LockLost(StandfastError):
    """The server is not held by this run any more; the command at hand was not run."""


class StandfastConnector(SSHConnector):
    """Connects to a server as OpenSSH would, and says plainly why it could not."""

    @override
    @staticmethod
    def make_names_data(name: str) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        # Only stock pyinfra comes here; our own engine has loaded the inventory already.
        import deploys
        from standfast.engine.declarations import declarations
        from standfast.engine.host_data import host_data
        from standfast.inventory.loader import find, load

        loaded = load(find(name, cwd=Path.cwd()))
        deploys.use_repository(loaded.root)
        for declaration in declarations(loaded):
            yield declaration.name, host_data(declaration), [declaration.environment.value]

    @property
    def place(self) -> str:
        """Name and address, for messages."""
        address = self.data["ssh_hostname"]
        return self.host.name if address == self.host.name else f"{self.host.name} ({address})"

    @override
    def connect(self) -> None:
        configuration = self.data["ssh_config_file"]
        if configuration and not Path(configuration).is_file():  # pyinfra would go on without it
            raise self._unreachable(
                f"`ssh.config`: expected an SSH client configuration at {configuration}, found nothing "
                "there. Check the path; of a lab, `standfast lab up NAME` writes it."
            )
        arguments = self.make_paramiko_kwargs()
        hostname = arguments.pop("hostname")
        self.client = ReadyClient()
        try:
            jump_host.known_hosts.set(self.data["ssh_known_hosts_file"])
            self.client.connect(hostname, **arguments)  # type: ignore[no-untyped-call] # so it is in pyinfra
        except JumpHostUnreachable as error:
            raise self._unreachable(_jump_host_reason(error)) from error
        except (SSHException, OSError, EOFError) as error:
            raise self._unreachable(_reason(error)) from error
        self._tune()

    @override
    def make_paramiko_kwargs(self) -> dict[str, Any]:
        """
        As pyinfra's; a key with a passphrase is used through ssh-agent.

        Raises:
            Unreachable: `ssh.key` cannot be used; nothing was changed.
        """
        name = self.data["ssh_key"]
        try:
            return super().make_paramiko_kwargs()
        except (PyinfraError, SSHException, OSError, ValueError) as error:
            held = private_key.in_agent(Path(name))
            if held is None:
                raise self._unreachable(private_key.reason(Path(name), error)) from error
        self.state.private_keys[name] = held  # where pyinfra looks first
        try:
            return super().make_paramiko_kwargs()
        finally:
            del self.state.private_keys[name]  # for no other server: an agent's connection is one's own

    def _unreachable(self, reason: str) -> Unreachable:
        return Unreachable(f"{self.place}: {reason} Nothing was changed there.")

    def reconnect(self) -> None:
        """
        Connect anew, with nothing in memory of what was read before.

        Raises:
            Unreachable: that is not possible; nothing was changed.
        """
        if self.client is not None:
            self.client.close()
        self.forget()
        self.connect()

    @property
    def transport(self) -> Transport:
        """The SSH connection; only after `connect`."""
        transport = self.client.get_transport() if self.client else None
        if transport is None:
            raise ConnectionLost(f"{self.place}: there is no connection.")
        return transport

    @property
    def ready_client(self) -> ReadyClient:
        """The client of this connection; only after `connect`."""
        if not isinstance(self.client, ReadyClient):
            raise ConnectionLost(f"{self.place}: there is no connection.")
        return self.client

    def session(self) -> Channel:
        """A session for one command, as `ReadyClient.session`."""
        return self.ready_client.session()

    def _tune(self) -> None:
        transport = self.transport
        transport.set_keepalive(KEEPALIVE)
        if isinstance(transport.sock, socket.socket):  # a ProxyCommand has none
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux only
                transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE)

    @property
    def host_key(self) -> str:
        """Fingerprint of the server's key, as ``ssh`` prints it."""
        digest = hashlib.sha256(self.transport.get_remote_server_key().asbytes()).digest()
        return f"SHA256:{b64encode(digest).decode().rstrip('=')}"

    @property
    def user(self) -> str:
        """The account that is logged in."""
        return self.transport.get_username() or ""

    @cached_property
    def memory(self) -> dict[str, list[str]]:
        """Answers of this comparison, by `fact_trace.name` of their command: a question is asked once."""
        return {}

    @cached_property
    def heard(self) -> dict[str, CommandOutput]:
        """Answers that cannot be asked together with others, by command and arguments; while recording."""
        return {}

    @cached_property
    def asked(self) -> dict[str, None]:
        """Commands of all facts that were asked, in order: what the next plan fetches together."""
        return {}

    around: Callable[[str], str] | None = None
    """Makes a command line for root that runs a command inside the journal, while something is changed."""

    @cached_property
    def alone(self) -> set[str]:
        """Questions that cannot be asked together with others, because one did not come to its end."""
        return set()

    listed: frozenset[str] = frozenset()
    """Names of the commands whose answers came together."""
    trace = ""
    """Checksum of the list of facts on the server."""
    remembers = False
    missing: list[str] | None = None
    """Questions to be asked together; ``None`` while each is asked when it comes up."""

    def forget(self) -> None:
        """From here on every question goes to the server: something may have changed there."""
        self.memory.clear()
        self.heard.clear()
        self.remembers = False

    def fetch_together(self, further: Sequence[str] = (), meanwhile: Callable[[], object] = _nothing) -> None:
        """
        Have the server answer in one round trip what its last comparison asked.

        + further: commands of more facts to answer
        + meanwhile: work on this machine while the server is busy

        Raises:
            NoSudo: the account may not become root; nothing has been changed.
        """
        self.asked.clear()
        status, output, errors = self._ask(further, trace=True, meanwhile=meanwhile)
        if status != 0:  # an account that may not read the list asks one fact after the other
            status, _, errors = self.exchange(self.as_root(":"))
            self.refuse_without_sudo(status, errors)
        answers, self.trace = fact_trace.unpacked(output)
        self.memory.update(answers)
        self.listed = frozenset(answers)
        self.remembers = True

    def ask_together(self, commands: Sequence[str]) -> None:
        """Have the server answer facts in one round trip; one that it does not is asked on its own later."""
        _, output, _ = self._ask(commands, trace=False)
        self.memory.update(fact_trace.unpacked(output)[0])
        self.alone.update(command for command in commands if fact_trace.name(command) not in self.memory)

    def _ask(
        self, commands: Sequence[str], *, trace: bool, meanwhile: Callable[[], object] = _nothing
    ) -> tuple[int, bytes, str]:
        asking = self.as_root(fact_trace.asking(trace=trace, further=bool(commands)))
        return self.exchange(asking, fact_trace.packed(commands) if commands else b"", meanwhile)

    def refuse_without_sudo(self, status: int, errors: str) -> None:
        """
        Raise an error when a command as root failed because of sudo.

        Raises:
            NoSudo: the account may not become root.
        """
        if status != 0 and self.user != "root" and errors.startswith("sudo:"):
            raise NoSudo(
                f"{self.host.name}: the account {self.user!r} may not use sudo without a password "
                f"({errors.splitlines()[-1]}). Allow it on the server: "
                f"`echo '{self.user} ALL=(ALL) NOPASSWD: ALL' | "
                "sudo EDITOR='tee' visudo -f /etc/sudoers.d/standfast`. Nothing was changed."
            )

    def remember_questions(self) -> None:
        """Leave the list of asked facts on the server, when it is not the one that is there."""
        commands = list(self.asked)
        if self.trace != fact_trace.checksum_of(commands):
            self.exchange(self.as_root(fact_trace.WRITE), fact_trace.packed_trace(commands))

    def as_root(self, shell: str) -> str:
        """A command line that runs shell code as root."""
        sudo = "" if self.user == "root" else "sudo -H -n "
        return f"{sudo}sh -c {shlex.quote(shell)}"

    def exchange(
        self, command: str, stdin: bytes = b"", meanwhile: Callable[[], object] = _nothing
    ) -> tuple[int, bytes, str]:
        """
        Run one command outside of pyinfra: exit status, output, error output.

        + meanwhile: work on this machine while the command runs

        Raises:
            ConnectionLost: the connection broke.
        """
        try:
            with self.session() as channel:
                channel.exec_command(command)
                channel.sendall(stdin)
                channel.shutdown_write()
                meanwhile()
                output = channel.makefile("rb").read()
                errors = channel.makefile_stderr("rb").read().decode(errors="replace")
                return channel.recv_exit_status(), output, errors
        except (SSHException, OSError, EOFError) as error:
            raise self._lost(error) from error

    @override
    def run_shell_command(
        self,
        command: StringCommand,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> tuple[bool, CommandOutput]:
        """As pyinfra's; a broken connection raises `ConnectionLost`, an unread fact `CouldNotLook`."""
        question = command.get_raw_value()
        repeatable = STATUS in question and not any(arguments.get(key) for key in ("_stdin", *AS_OTHER))
        if repeatable:
            self.asked[question] = None
            if (known := self.memory.get(fact_trace.name(question))) is not None:
                return True, CommandOutput([OutputLine("stdout", line) for line in known])
            if self.missing is not None and question not in self.alone:
                self.missing.append(question)
                raise Unasked
        exactly = f"{question}\0{sorted(arguments.items())}"
        if self.missing is not None and exactly in self.heard:
            return True, self.heard[exactly]
        self.ready_client.ahead = self.around is not None
        if self.around is not None:
            command, arguments = self._journaled(self.around, command, arguments)
        try:
            status, output = super().run_shell_command(command, print_output, print_input, **arguments)
        except TimeoutError:
            raise
        except (SSHException, OSError, EOFError) as error:
            raise self._lost(error) from error
        if not status and not self.transport.is_active():
            raise ConnectionLost(f"{self.place}: the connection was lost.")
        if not status and LOCK_LOST in output.stderr_lines:
            raise LockLost(f"{self.place}: the lock is lost.")
        if not status and STATUS in question:
            reason = output.stderr_lines[-1] if output.stderr_lines else "no answer"
            raise CouldNotLook(f"{self.place}: the server could not be read: {reason}. Nothing was changed.")
        if repeatable and self.remembers:
            self.memory[fact_trace.name(question)] = output.stdout_lines
        elif self.missing is not None and status:
            self.heard[exactly] = output
        return status, output

    def _lost(self, error: Exception) -> ConnectionLost:
        if isinstance(error, ChannelException):
            return ConnectionLost(
                f"{self.place}: the server allows too few sessions in one connection. "
                "Set `MaxSessions` in its sshd_config to 10, the default; standfast needs 2."
            )
        return ConnectionLost(f"{self.place}: the connection was lost ({error or 'end of file'}).")

    def _journaled(
        self, around: Callable[[str], str], command: StringCommand, arguments: dict[str, Any]
    ) -> tuple[StringCommand, dict[str, Any]]:
        """
        A command inside the journal, and how to run it.

        Root writes the journal, so what pyinfra puts around a command (another user, a folder) goes inside.
        """
        sending = {key: arguments.pop(key) for key in SENDING if key in arguments}
        if not any(arguments.get(key) for key in AS_OTHER):
            arguments["_sudo"] = False
            if arguments.get("_shell_executable", "sh") == "sh":
                arguments["_shell_executable"] = None
        inner = make_unix_command_for_host(self.state, self.host, command, **arguments)
        sudo = "" if self.user == "root" else "sudo -H -n "
        return StringCommand(sudo + around(inner.get_raw_value())), sending | {"_shell_executable": None}

    @override
    def disconnect(self) -> None:
        super().disconnect()
        if self.client is not None:
            self.client.close()


def _reason(error: Exception) -> str:
    """What happened and what to do, in one or two sentences."""
    if isinstance(error, BadHostKeyException):
        return (
            "its host key is not the one in known_hosts. Either the server was installed anew, "
            "or somebody stands in between. Compare the key with your provider's console; if it is right, "
            f"run `ssh-keygen -R {error.hostname}` and connect once with ssh."
        )
    if isinstance(error, AuthenticationException):
        return "the server did not accept your key. Check `ssh.user` and `ssh.key`, or try the same with ssh."
    if "No host key" in str(error):
        return (
            "its host key is not known yet. Connect once with ssh, compare the fingerprint with your "
            "provider's console, and try again."
        )
    if isinstance(error, socket.gaierror):
        return "its address cannot be resolved. Check `address`, or your DNS."
    if isinstance(error, NoValidConnectionsError):  # paramiko's own words hide why
        error = next(iter(error.errors.values()), error)
    why = getattr(error, "strerror", None) or error or type(error).__name__
    return f"no SSH connection: {why}. Is it running, and is the address right?"


def _jump_host_reason(error: JumpHostUnreachable) -> str:
    """The same for a jump host, of which the inventory says nothing."""
    if isinstance(error.cause, AuthenticationException):
        return (
            f"its jump host {error.host} did not accept your key. Check its `User` and `IdentityFile` in "
            "your SSH configuration, or try the same with ssh."
        )
    return f"its jump host {error.host}: {_reason(error.cause)}"
