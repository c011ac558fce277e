"""Accounts, passwords, groups that equal root, and keys."""

from __future__ import annotations

from collections.abc import Iterator

from standfast.drift.finding import Finding, quoted
from standfast.drift.known import Known
from standfast.facts.people import Inhabitant, Key, People

FIRST_PERSON = 1000
NOBODY = 65534

# Whoever is in one of these can become root.
POWERFUL = ("root", "sudo", "wheel", "admin", "docker", "lxd", "incus-admin", "libvirt", "disk", "shadow")

# Accounts of packages that have a shell of people, with the package's name where it differs.
WITH_SHELL = {"sync": "/bin/sync", "postgres": "/bin/bash", "gitlab-runner": "/bin/bash", "git": "/bin/bash"}


def findings(known: Known, people: People) -> Iterator[Finding]:
    """Who is here, or can come in, and is not declared."""
    for account in people.accounts:
        if _expected(known, account):
            yield from _password(known, account)
            yield from _keys(known, account)
        else:
            yield _stranger(account, people)
    yield from _members(known, people)


def _expected(known: Known, account: Inhabitant) -> bool:
    if account.name == "root":
        return True
    if account.uid == 0:
        return False
    if account.name in known.host.users or account.name == known.login:
        return True
    if account.uid >= FIRST_PERSON and account.uid != NOBODY:
        return False
    return not account.may_log_in or WITH_SHELL.get(account.name) == account.shell


def _stranger(account: Inhabitant, people: People) -> Finding:
    said = ["not declared", account.shell]
    if account.uid == 0:
        said.append("its user id is 0: it is root under another name")
    if account.has_password or account.open:
        said.append("has a password" if account.has_password else "needs no password")
    if account.keys:
        said.append(f"{len(account.keys)} SSH key{'' if len(account.keys) == 1 else 's'}")
    powers = [group for group in POWERFUL if account.name in people.groups.get(group, ())]
    if powers and account.uid != 0:
        said.append(f"in {', '.join(powers)}, so it can become root")
    since = max((key.modified for key in account.keys), default=None)
    return Finding(
        f"account:{account.name}", "base", "unmanaged", f"account {account.name}", "; ".join(said), since
    )


def _password(known: Known, account: Inhabitant) -> Iterator[Finding]:
    if not account.has_password and not account.open:
        return
    when = f" (set {account.password_set:%-d %b %Y})" if account.password_set else ""
    said = f"has a password{when}; declared accounts have none, only keys"
    if account.open:
        said = "anybody can be this account: it has no password, and asks for none"
    elif account.name == "root":
        said = f"has a password{when}: whoever knows it is root, at the console or by su"
    yield Finding(f"password:{account.name}", "base", "unmanaged", f"password of {account.name}", said)


def _keys(known: Known, account: Inhabitant) -> Iterator[Finding]:
    """The plan compares authorized_keys of declared accounts; everything else is looked at here."""
    declared = account.name in known.host.users
    for key in account.keys:
        if declared and key.path.endswith("/authorized_keys"):
            continue
        if account.name == known.login and _may_be_ours(known, account, key):
            continue
        whose = quoted(key.comment) or "without a comment"
        print_ = key.fingerprint or "unreadable"
        yield Finding(
            f"key:{account.name}/{print_}",
            "base",
            "unmanaged",
            f"SSH key of {account.name}",
            f"not declared; {whose} can log in ({key.path})",
            key.modified,
        )


def _may_be_ours(known: Known, account: Inhabitant, key: Key) -> bool:
    """The key that standfast came with; when the server does not tell which, a single one must be it."""
    if known.fingerprint is None:
        return len(account.keys) == 1
    return key.fingerprint == known.fingerprint


def _members(known: Known, people: People) -> Iterator[Finding]:
    accounts = {account.name: account for account in people.accounts}
    for group in POWERFUL:
        for member in people.groups.get(group, ()):
            account = accounts.get(member)
            if account is None or account.uid == 0 or member == known.login or not _expected(known, account):
                continue
            declared = known.host.users.get(member)
            if declared is not None and (group in declared.groups or (group == "sudo" and declared.sudo)):
                continue
            yield Finding(
                f"group:{group}/{member}",
                "base",
                "unmanaged",
                f"{member} in group {group}",
                "not declared; whoever is in this group can become root",
            )
