"""
Plans in files: ``plan -o FILE`` writes one, ``apply FILE`` does exactly that, or refuses.

The file is what ``plan --json`` prints, and a fingerprint of everything that the plan was made from.
It holds no command and no secret: apply makes the plan anew and compares. Format:
``docs/reference/plan-format.md``.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pyinfra.api.command import PyinfraCommand, StringCommand

from standfast import __version__
from standfast.documents import FORMAT, SavedPlanDocument, SubjectChange
from standfast.engine.plan import HostPlan, Plan
from standfast.errors import Refused, UsageError
from standfast.inventory.loader import Loaded

KIND: Final = "saved-plan"
OWN_FOLDERS = ("templates", "deploys")  # of the user, beside `inventories/`
SCRYPT_COST = 2**12  # a fingerprint covers secrets; guessing one from it must be slow


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan that was read from a file."""

    path: Path
    document: SavedPlanDocument

    @property
    def inventory(self) -> Path:
        """The inventory that it was made from."""
        return Path(self.document["inventory"])

    @property
    def limit(self) -> tuple[str, ...]:
        """The hosts that it was limited to."""
        return tuple(self.document["limit"])

    @property
    def only(self) -> tuple[str, ...]:
        """The subjects that it was limited to."""
        return tuple(self.document["only"])


def document(plan: Plan, loaded: Loaded, limit: Collection[str], only: Collection[str]) -> SavedPlanDocument:
    """What `plan -o` writes."""
    salt = secrets.token_hex(16)
    return {
        **plan.as_json(),
        "kind": KIND,
        "standfast": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "inventory": str(loaded.path),
        "limit": sorted(limit),
        "only": sorted(only),
        "files": {name: _checksum(path) for name, path in _sources(loaded)},
        "salt": salt,
        "fingerprints": {host.name: _fingerprint(host, salt) for host in plan.hosts if host.error is None},
    }


def read(path: Path) -> SavedPlan:
    """
    Read a plan file.

    Raises:
        UsageError: it is not a plan, cut short, or of another version; no host was contacted.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: expected a plan file that can be read: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{path}: expected a plan from `plan -o`; it is cut short or damaged") from None
    if not isinstance(content, dict) or not {"format", "standfast", "fingerprints"} <= content.keys():
        raise UsageError(f"{path}: expected a plan from `plan -o`, found another JSON file")
    if content["format"] != FORMAT or content["standfast"] != __version__:
        raise UsageError(
            f"{path}: made by standfast {content['standfast']}, format {content['format']}; this is "
            f"{__version__}, format {FORMAT}. Make the plan again."
        )
    try:
        return SavedPlan(path, TypeAdapter(SavedPlanDocument).validate_python(content, strict=True))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path}: damaged at {place}: {first['msg']}. Make the plan again.") from None


def check_place(path: Path) -> None:
    """
    Whether a plan may be put here: where nothing is, or an earlier plan.

    Raises:
        UsageError: another file would be lost; no host was contacted.
    """
    if not path.is_file() or not path.stat().st_size:
        return
    try:
        content: Any = json.loads(path.read_bytes())
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise UsageError(
            f"{path}: expected a new file, or an earlier plan to replace, and found another file; it is as "
            "it was. Choose another place."
        )


def check_sources(saved: SavedPlan, loaded: Loaded) -> None:
    """
    Refuse when the inventory or a file that it stands on has changed.

    Raises:
        Refused: the files that have changed; no host was contacted.
    """
    then = saved.document["files"]
    now = {name: _checksum(path) for name, path in _sources(loaded)}
    changed = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    if changed:
        raise Refused(
            f"{saved.path}: made {saved.document['created']}; since then these files have changed: "
            f"{', '.join(changed)}. Nothing was changed. Look at a new plan."
        )


def check_servers(saved: SavedPlan, plan: Plan) -> dict[str, Refused]:
    """Servers on which the plan is not the saved one any more, each with what is different."""
    then = {host["name"]: host for host in saved.document["hosts"]}
    refused = {}
    for host in plan.hosts:
        if host.error is not None:
            continue
        old_key = then[host.name]["host_key"] if host.name in then else host.host_key
        if old_key != host.host_key:
            refused[host.name] = Refused(
                f"{host.name}: another machine answers than the one that {saved.path} was made for: its host "
                f"key is {host.host_key}, it was {old_key or 'unknown'}. "
                "Nothing was changed there. Look at a new plan."
            )
            continue
        wanted = saved.document["fingerprints"].get(host.name)
        if wanted is None or wanted != _fingerprint(host, saved.document["salt"]):
            old = {_shown(change) for change in (then[host.name]["changes"] if host.name in then else ())}
            new = {_shown(change.of(subject)) for subject, change in host.changes}
            what = [*(f"no longer: {line}" for line in old - new), *(f"new: {line}" for line in new - old)]
            refused[host.name] = Refused(
                f"{host.name}: the server has changed since {saved.path} was made "
                f"({'; '.join(sorted(what)) or 'the same changes, from another state'}). "
                "Nothing was changed there. Look at a new plan."
            )
    return refused


def _shown(change: SubjectChange) -> str:
    return f"{change['subject']}: {change['action']} {change['target']}"


def _fingerprint(host: HostPlan, salt: str) -> str:
    commands = [_command(command) for operation in host.operations for command in operation.commands]
    digest = hashlib.sha256(json.dumps(commands).encode()).digest()
    return hashlib.scrypt(digest, salt=bytes.fromhex(salt), n=SCRYPT_COST, r=8, p=1, dklen=32).hex()


def _command(command: PyinfraCommand) -> list[str]:
    text = command.get_raw_value() if isinstance(command, StringCommand) else repr(command)
    return [text, str(command.connector_arguments.get("_stdin", ""))]


def _sources(loaded: Loaded) -> Iterator[tuple[str, Path]]:
    """Name and path of every file that a plan is made from."""
    yield loaded.path.name, loaded.path
    named: set[str] = set()
    for host in loaded.inventory.hosts.values():
        for app in host.apps.values():
            named.update({app.compose, *filter(None, [app.env]), *app.files.values(), *app.images.values()})
        if host.caddy and host.caddy.caddyfile:
            named.add(host.caddy.caddyfile)
    for name in sorted(named):
        yield name, loaded.file(name)
    for folder in OWN_FOLDERS:
        for path in sorted((loaded.root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(loaded.root)), path


def _checksum(path: Path) -> str:
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        return "missing"
