"""
Shims: small programs that come first in the PATH of login shells, and ask before what cannot be undone.

Not in /usr/local/sbin, which comes first for sudo and for standfast itself: there a shim would be taken for
the program that it stands in front of, also where that is not installed.
"""

from __future__ import annotations

from standfast.declaration import Declaration, template
from standfast.host.guard.docker_switch import OFF
from standfast.operations import files, host_program

FOLDER = "/usr/local/lib/standfast/shims"
PROFILE = "/etc/profile.d/standfast-guards.sh"
EVERY = "*"
WORDS = (
    *(
        "' rm'",
        "/rm",
        "prune",
        "down",
        "kill",
        "stop",
        "restart",
        "able",
        "mask",
        "isolate",
        "poweroff",
        "halt",
    ),
    *("drop", "DROP", "del", "DEL", "trunc", "TRUNC", "flush", "FLUSH", "reset", "restore", "clean", "purge"),
    *(
        "update",
        "UPDATE",
        "ALTER",
        "execute",
        "roll",
        "undo",
        "redo",
        "revert",
        "zero",
        "fake",
        "load",
        "sync",
    ),
    *("push", "seed", "remove", "install", "erase", "forget", "unlock", "wipe", "mkfs", "discard", "shred"),
    *("destroy", "terminate", "rebuild", "renew", "swarm", "panic", "reject", "luks", "zap", "label"),
    *(
        "mktable",
        "' rb '",
        "' dd '",
        "'sh '",
        "' -F'",
        "' -X'",
        "' -P'",
        "' -D'",
        "' -Z'",
        "' -d '",
        "' -r '",
    ),
    "' -'*V",
)
NAMES = {
    **dict.fromkeys(("iptables", "ip6tables", "nft", "ufw", "restic", "dropdb"), EVERY),
    **dict.fromkeys(("docker", "systemctl", "sudo"), "|".join(f"*{word}*" for word in WORDS)),
    "rm": "*docker*|*/var/lib*",
}
"""What they stand in front of, and what tells a command that may be destructive from one that is not."""


def wanted(declaration: Declaration) -> bool:
    """Whether they shall be there: as declared, else where the environment is precious."""
    said = declaration.host.guards.shims
    return declaration.environment.precious if said is None else said


def present() -> None:
    """Make sure that login shells find the shims first."""
    for name, telling in NAMES.items():
        shim = template(
            "guards/shim.sh.j2", program_name=name, telling=telling, off=OFF, program=host_program.PATH
        )
        files.file(f"{FOLDER}/{name}", shim, mode="755", validate='sh -n "$new"')
    files.file(PROFILE, template("guards/profile.sh.j2", folder=FOLDER), validate='sh -n "$new"')


def absent() -> None:
    """Make sure that there are none."""
    files.absent(PROFILE)
    for name in NAMES:
        files.absent(f"{FOLDER}/{name}")
