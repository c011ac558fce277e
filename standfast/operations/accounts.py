"""Accounts of people: made, given groups and keys. None is ever removed."""

from __future__ import annotations

import shlex
from base64 import b64decode, b64encode
from collections.abc import Generator, Sequence
from hashlib import sha256

from pyinfra import host
from pyinfra.api import StringCommand

from standfast.errors import Refused
from standfast.facts.accounts import Account, AuthorizedKeys, Groups, KeysFile, Person
from standfast.facts.files import File
from standfast.facts.ssh import CurrentSession, Session
from standfast.operations import files
from standfast.operations.change import Change, Step
from standfast.operations.diff import unified
from standfast.operations.named import operation
from standfast.rendering import plain


@operation
def account(
    user: str, *, shell: str = "/bin/bash", groups: Sequence[str] = ()
) -> Generator[StringCommand, None, None]:
    """
    Make sure that an account exists, without a password, in these groups.

    Groups that do not exist are made: a package that brings them later takes them as they are.

    + shell: login shell; it must exist on the server by then
    + groups: groups that it must be in; further ones are left alone
    """
    present = host.get_fact(Account, account=user)
    lacking = [group for group in groups if present is None or group not in present.groups]
    known = host.get_fact(Groups, names=tuple(lacking)) if lacking else frozenset()
    changes = [Change("create", f"group {group}") for group in lacking if group not in known]
    changes += _account_changes(present, user, shell, lacking)
    if not changes:
        host.noop(f"account {user} is as declared")
        return
    values = f"user={shlex.quote(user)}; shell={shlex.quote(shell)}; groups={shlex.quote(' '.join(lacking))}"
    yield Step(f"{values}\n{_ACCOUNT}", changes=changes)


@operation
def authorized_keys(user: str, keys: Sequence[str]) -> Generator[StringCommand, None, None]:
    """
    Make sure that exactly these keys can log in to an account.

    The file is written as that user: links in the user's folder lead nowhere the user could not write.

    + keys: public keys, one line each

    Raises:
        Refused: standfast itself is logged in with a key that would go; ``.ssh`` is a link. Nothing has been
            changed.
    """
    present = host.get_fact(AuthorizedKeys, account=user)
    text = "".join(f"{key}\n" for key in keys)
    if present.text == text and present.right and present.folder == "right":
        host.noop(f"{user} has the declared keys")
        return
    if not keys and present.text is None:
        host.noop(f"{user} has no keys")
        return
    _refuse(user, keys, present)
    old = None if present.text is None else present.text.encode()
    change = Change(
        "create" if old is None else "update",
        f"{user}'s authorized_keys",
        "" if present.right or old is None else f"{user}:{user} 600",
        unified(old, plain(text)) if present.text != text else "",
    )
    encoded = b64encode(text.encode()).decode() or " "  # an empty text would leave the input open
    yield Step(f"user={shlex.quote(user)}\n{_KEYS}", changes=[change], stdin=encoded)


@operation
def sudo(user: str, *, allowed: bool) -> Generator[StringCommand, None, None]:
    """
    Make sure that an account may, or may not by our doing, become root without a password.

    Only our own file in ``/etc/sudoers.d`` is written or removed.

    Raises:
        Refused: standfast itself would lose its way to root; nothing has been changed.
    """
    path = f"/etc/sudoers.d/standfast-{user}"
    if allowed:
        line = f"{user} ALL=(ALL:ALL) NOPASSWD: ALL\n"
        yield from files.file._inner(path, line, mode="440", validate='visudo -cqf "$new"')
        return
    if host.get_fact(File, path=path) is not None and host.get_fact(CurrentSession).account == user:
        raise Refused(
            f"users.{user}.sudo: expected true, for standfast itself is logged in as {user} and has to "
            "become root. Nothing was changed."
        )
    yield from files.absent._inner(path)


def _account_changes(present: Person | None, user: str, shell: str, lacking: Sequence[str]) -> list[Change]:
    target = f"account {user}"
    if present is None:
        return [Change("create", target, ", ".join([shell, *(f"group {group}" for group in lacking)]))]
    changes = [Change("update", target, f"joins group {group}") for group in lacking]
    if present.shell != shell:
        changes.append(Change("update", target, f"shell {present.shell or '(none)'} → {shell}"))
    if not present.home_exists:
        changes.append(Change("create", f"{present.home}/", f"home of {user}"))
    return changes


def _refuse(user: str, keys: Sequence[str], present: KeysFile) -> None:
    if present.folder == "link":
        raise Refused(
            f"users.{user}: expected a folder ~/.ssh, found a link. Make it a folder. Nothing was changed."
        )
    session = host.get_fact(CurrentSession)
    if session.account == user and not _stays(session, keys, present):
        raise Refused(
            f"users.{user}.keys: expected the key with which standfast itself is logged in as {user}"
            f"{f' ({session.fingerprint})' if session.fingerprint else ''}, it is not declared. "
            "Without it nobody could come back in. Add its public key to the inventory. Nothing was changed."
        )


def _stays(session: Session, keys: Sequence[str], present: KeysFile) -> bool:
    """Whether the way in stays open; when the journal does not tell the key, one old key must stay."""
    if session.fingerprint:
        return session.fingerprint in {_fingerprint(key) for key in keys} or session.fingerprint not in {
            _fingerprint(line) for line in (present.text or "").splitlines()
        }
    if session.method is not None and session.method != "publickey":
        return True
    old = {_fingerprint(line) for line in (present.text or "").splitlines()}
    return not old or not old.isdisjoint(_fingerprint(key) for key in keys)


def _fingerprint(line: str) -> str:
    """As sshd writes it; the line may begin with options."""
    for word in line.split():
        if word.startswith("AAAA"):
            try:
                return "SHA256:" + b64encode(sha256(b64decode(word)).digest()).decode().rstrip("=")
            except ValueError:
                return line
    return line


_ACCOUNT = """set -e; trap '' HUP PIPE
[ -x "$shell" ] || { echo "the server has no shell $shell; name another one, or its package" >&2; exit 1; }
for group in $groups; do
  getent group -- "$group" > /dev/null || groupadd --system -- "$group"
done
if ! getent passwd -- "$user" > /dev/null; then
  if getent group -- "$user" > /dev/null; then own="--gid $user"; else own=--user-group; fi
  useradd --create-home $own --shell "$shell" -- "$user"
fi
[ "$(getent passwd -- "$user" | cut -d: -f7)" = "$shell" ] || usermod --shell "$shell" -- "$user"
for group in $groups; do usermod --append --groups "$group" -- "$user"; done
home=$(getent passwd -- "$user" | cut -d: -f6)
if ! [ -d "$home" ]; then
  new=$(mktemp -d -- "$(dirname -- "$home")/.new.XXXXXX")
  cp -aT /etc/skel "$new"; chown -R -- "$user:$(id -gn -- "$user")" "$new"; chmod 700 -- "$new"
  mv -T -- "$new" "$home"
fi"""

# As root, only the folder's owner and mode are set, and a link in its place is not followed.
_KEYS = """set -e; trap '' HUP PIPE
folder=$(getent passwd -- "$user" | cut -d: -f6)/.ssh
if [ -d "$folder" ] && ! [ -L "$folder" ]; then chown -h -- "$user:$(id -gn -- "$user")" "$folder"; fi
exec runuser -u "$user" -- sh -c 'set -e; umask 077; cd ~ 2> /dev/null || cd "$(dirname -- "$1")"
mkdir -p -- "$1"; chmod 700 -- "$1"; cd -- "$1"
new=$(mktemp .authorized_keys.XXXXXX); trap "rm -f -- $new" EXIT
base64 -di > "$new"; chmod 600 -- "$new"; sync -- "$new"; mv -f -T -- "$new" authorized_keys' sh "$folder\""""
