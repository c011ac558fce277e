"""The SSH server: one file of ours, read first, taken over without ending a connection."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from fnmatch import fnmatchcase

from pyinfra import host
from pyinfra.api import StringCommand

from standfast.errors import Refused
from standfast.facts.accounts import Account
from standfast.facts.ssh import DROP_IN, CurrentSession, Effect, Session, SshdTrial, Trial, keywords
from standfast.inventory.schema import User
from standfast.operations import files
from standfast.operations.change import Change, Step
from standfast.operations.confirmed import BY_DEFAULT, Confirmation, ConfirmedStep
from standfast.operations.files import Activation
from standfast.operations.named import operation
from standfast.rendering import Rendered


@operation
def server(
    settings: Rendered, *, people: Mapping[str, User], confirmation: Confirmation = BY_DEFAULT
) -> Generator[StringCommand, None, None]:
    """
    Make sure that sshd does what these settings say, whatever the other files say.

    sshd tries the file beside the others before anything is written; the whole configuration is checked
    again on the server, and sshd reloads, which ends no connection. When that fails, or no new connection
    confirms it, the old file is back.

    + settings: text of a file for sshd_config.d
    + people: accounts that the inventory declares; who could still get in by them
    + confirmation: what must be proven, and by when; else the server goes back

    Raises:
        Refused: sshd does not understand the settings, another file defeats them, or standfast itself could
            not come back. Nothing has been changed.
    """
    session = host.get_fact(CurrentSession)
    client = str(session.client or "127.0.0.1")
    trial = host.get_fact(SshdTrial, text=settings.text, account=session.account, client=client)
    if trial.fault:
        raise Refused(
            f"ssh_server: sshd does not accept the configuration: {trial.fault}. Nothing was changed."
        )
    faults = [*_defeated(settings.text, trial), *_locked_out(trial.together, session, people)]
    if faults:
        raise Refused("\n".join(f"ssh_server: {fault}" for fault in faults) + " Nothing was changed.")
    steps = files.file._inner(
        DROP_IN,
        settings,
        mode="644",
        activate=Activation(Change("reload", "ssh.service", "open connections stay"), _RELOAD),
    )
    for step in steps:
        yield ConfirmedStep(step, what="sshd", confirmation=confirmation) if isinstance(step, Step) else step


def _defeated(text: str, trial: Trial) -> Iterator[str]:
    """Declared settings that sshd would not follow, and where what it follows stands."""
    if not any(each.keyword == "include" and "sshd_config.d" in each.value for each in trial.others):
        yield (
            "expected the line `Include /etc/ssh/sshd_config.d/*.conf` at the top of /etc/ssh/sshd_config, "
            "it is missing. Add it by hand."
        )
        return
    for keyword in keywords(text):
        wanted, found = trial.alone.get(keyword, []), trial.together.get(keyword, [])
        rivals = [
            each for each in trial.others if each.keyword == keyword and _spelled(each.value) not in wanted
        ]
        exceptions = [each for each in rivals if each.condition]
        for each in exceptions:
            yield (
                f"expected {keyword} {' '.join(wanted)} for everybody, found {each.place}: "
                f"{each.keyword} {each.value} under `Match {each.condition}`. Remove it there, or declare it."
            )
        if wanted != found and not exceptions:
            shown = ", ".join(f"{each.place}: {each.keyword} {each.value}" for each in rivals)
            yield (
                f"expected {keyword} {' '.join(wanted)}, found that sshd would follow {' '.join(found)} from "
                f"another file ({shown or 'its place is not known'}). Remove it there, or declare it."
            )


def _spelled(value: str) -> str:
    """As ``sshd -T`` spells it."""
    return {"prohibit-password": "without-password"}.get(value.lower(), value.lower())


def _locked_out(effect: Effect, session: Session, people: Mapping[str, User]) -> Iterator[str]:
    """Why standfast could not come in again the way that it has come now."""
    if session.client is None:
        return
    who = session.account
    if session.port is not None and str(session.port) not in effect.get("port", []):
        yield (
            f"expected that sshd goes on listening on port {session.port}, through which standfast has come. "
            "Come in through the new port first (`ssh.port`), with both ports set by hand."
        )
    if who == "root" and effect.get("permitrootlogin") == ["no"] and not _others(people, who):
        yield (
            "root_login is false, and standfast is logged in as root. Declare an account of your own with "
            "`sudo: true` and `keys` (`users`), or set `root_login: true`."
        )
    yield from _way_of_login(effect, session, people)
    yield from _closed_lists(effect, session, people)


def _others(people: Mapping[str, User], who: str) -> bool:
    return any(user.sudo and user.keys for name, user in people.items() if name != who)


def _way_of_login(effect: Effect, session: Session, people: Mapping[str, User]) -> Iterator[str]:
    has_keys = session.account in people and bool(people[session.account].keys)
    by_password = session.method in {"password", "keyboard-interactive/pam"}
    if by_password and effect.get("passwordauthentication") == ["no"] and not has_keys:
        yield (
            f"password_login is false, and standfast is logged in as {session.account} by password. "
            f"Declare a key for it (`users.{session.account}.keys`) first."
        )
    if not by_password and effect.get("pubkeyauthentication") == ["no"]:
        yield "PubkeyAuthentication is no, and standfast logs in by key. Leave it at yes."


def _closed_lists(effect: Effect, session: Session, people: Mapping[str, User]) -> Iterator[str]:
    who, client = session.account, str(session.client)
    account = host.get_fact(Account, account=who)
    groups = {*(account.groups if account else ()), *(people[who].groups if who in people else ())}

    def user_matches(pattern: str) -> bool:
        user, at, address = pattern.partition("@")
        return fnmatchcase(who, user) and (not at or fnmatchcase(client, address) or "/" in address)

    def group_matches(pattern: str) -> bool:
        return any(fnmatchcase(group, pattern) for group in groups)

    for keyword, matches, allows in (
        ("allowusers", user_matches, True),
        ("denyusers", user_matches, False),
        ("allowgroups", group_matches, True),
        ("denygroups", group_matches, False),
    ):
        patterns = effect.get(keyword, [])
        if patterns and any(matches(pattern) for pattern in patterns) != allows:
            yield (
                f"{keyword} {' '.join(patterns)} keeps out {who}, as whom standfast is logged in. "
                f"{'Add' if allows else 'Take away'} it{'' if allows else ' there'}."
            )


# Under ssh.socket a reload ends sshd ("Cannot bind any address": systemd has the port). A restart ends no
# connection: sessions are processes of their own, and meanwhile systemd keeps the port. A reload makes sshd
# start itself anew: for a moment nobody listens, and who connects next is to find somebody.
_RELOAD = """[ -d /run/sshd ] || mkdir -m 755 /run/sshd
sshd -t || exit 1
if systemctl is-active --quiet ssh.socket; then
  systemctl try-restart ssh.service
elif systemctl is-active --quiet ssh.service; then
  systemctl reload ssh.service || exit 1
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    sleep 0.2
    ss -Hltnp | grep -q '"sshd"' && break
  done
  systemctl is-active --quiet ssh.service
else
  echo "sshd is run neither by ssh.service nor by ssh.socket; expected Debian's openssh-server" >&2
  exit 1
fi"""
