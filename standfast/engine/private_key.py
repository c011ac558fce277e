"""The private key of `ssh.key` where pyinfra cannot read it: through ssh-agent, or why not."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import shlex
from base64 import b64decode
from pathlib import Path

from paramiko import Agent, AgentKey, Message, PasswordRequiredException, SSHException

OPENSSH_BEGIN = "-----BEGIN OPENSSH PRIVATE KEY-----"
MAGIC = b"openssh-key-v1\0"


def in_agent(path: Path) -> AgentKey | None:
    """
    The key of a file, when ssh-agent holds it; the file's public half, which needs no passphrase, tells.

    Each key that is returned has a connection to the agent of its own.
    """
    public = _public_half(path)
    try:
        return next((key for key in Agent().get_keys() if key.blob == public), None)
    except (SSHException, OSError):  # what answers there is no agent
        return None


def _public_half(path: Path) -> bytes | None:
    """As it stands inside of OpenSSH's own kind of file, else beside it."""
    try:
        content = path.read_text(encoding="ascii")
        if OPENSSH_BEGIN in content:
            return _first_public(content)
        return b64decode(path.with_name(f"{path.name}.pub").read_text(encoding="utf-8").split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _first_public(content: str) -> bytes:
    """Source: openssh, PROTOCOL.key."""
    body = "".join(line for line in content.splitlines() if not line.startswith("-----"))
    message = Message(b64decode(body).removeprefix(MAGIC))
    for _ in ("cipher", "kind of key derivation", "its options"):
        message.get_binary()
    message.get_int()
    return message.get_binary()


def reason(path: Path, error: Exception) -> str:
    """
    Why the key of a file cannot be used, and what to do.

    + error: what pyinfra raised about it
    """
    if isinstance(error.__context__, PasswordRequiredException):
        return (
            f"`ssh.key` has a passphrase, and ssh-agent does not hold that key. "
            f"Run `ssh-add {shlex.quote(str(path))}`, and try again."
        )
    if isinstance(error, OSError):
        found = error.strerror or type(error).__name__
    else:
        found = "something else" if path.exists() else "nothing there"
    return f"`ssh.key`: expected a private key at {path}, found: {found}. Check the path and the file."
