"""SSH public keys: whether a line is one, and the lines that an inventory means."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from pathlib import Path

TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
PRIVATE = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY|^PuTTY-User-Key-File", re.MULTILINE)


def is_private(text: str) -> bool:
    """Whether a text contains a private key, which never leaves its owner's machine."""
    return PRIVATE.search(text) is not None


def looks_like_key(text: str) -> bool:
    """Whether a text is meant as a public key, not as the path of a file."""
    return text.split(" ", 1)[0] in (*TYPES, "ssh-dss") or " ssh-" in text or text.startswith("AAAA")


def key_lines(declared: Sequence[str], root: Path) -> list[str]:
    """
    The public keys that an inventory names, each once; a path stands for the keys in its file.

    + root: folder of the user's repository
    """
    lines: list[str] = []
    for entry in declared:
        if looks_like_key(entry):
            lines.append(entry.strip())
        else:
            found = (root / Path(entry).expanduser()).read_text(encoding="utf-8").splitlines()
            lines += [line.strip() for line in found if line.strip() and not line.lstrip().startswith("#")]
    return list(dict.fromkeys(lines))


def problem(line: str) -> str | None:
    """What is wrong with a public key, to stand after "expected an SSH public key"; None when nothing is."""
    kind, _, rest = line.strip().partition(" ")
    if "\n" in line.strip():
        return "not several lines; each key is one entry of the list, on one line"
    if kind == "ssh-dss":
        return "not a DSA key, which OpenSSH no longer accepts; make one with `ssh-keygen -t ed25519`"
    if kind not in TYPES:
        return f"not {_shown(line)}; a key begins with its type, for example `ssh-ed25519 AAAA…`"
    try:
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
    except (binascii.Error, ValueError):
        return f"not {_shown(line)}, which is damaged; copy the whole line of the `.pub` file"
    name = kind.encode()
    if not blob.startswith(len(name).to_bytes(4) + name) or len(blob) < len(name) + 36:
        return f"not {_shown(line)}, which is incomplete; copy the whole line of the `.pub` file"
    return None


def _shown(line: str) -> str:
    return f"`{line[:30]}…`" if len(line) > 30 else f"`{line}`"
