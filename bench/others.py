"""The same state for the other tools: a playbook, a deploy of stock pyinfra, shell scripts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.items import Item

KEPT = "/var/tmp/bench"  # noqa: S108 - on a server where nobody else is
COMPOSE = "docker compose -p {name} --project-directory /srv/apps/{name}"


def sources(items: Sequence[Item], folder: Path) -> dict[str, Path]:
    """Write the files' contents into a folder; returns where each went."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for number, item in enumerate(each for each in items if each.kind == "file"):
        found[item.name] = folder / str(number)
        found[item.name].write_bytes(item.content)
    return found


def playbook(items: Sequence[Item], folder: Path) -> None:
    """Modules of ansible-core; it has none for Docker, so commands that change nothing when all is well."""
    kept = sources(items, folder / "files")
    tasks, handlers = [], []
    for item in items:
        tasks += [{"name": f"{item.kind} {item.name}"} | task for task in _TASKS[item.kind](item, kept)]
        if item.then:
            handlers.append({"name": item.then, "command": item.then})
    play = {"hosts": "all", "become": True, "tasks": tasks, "handlers": handlers}
    (folder / "site.yml").write_text(json.dumps([play], indent=1), encoding="utf-8")


def _file_task(item: Item, kept: dict[str, Path]) -> list[dict[str, Any]]:
    path = Path(item.name)
    copy = {"src": str(kept[item.name]), "dest": item.name, "mode": f"0{item.mode}"}
    parent = {"path": str(path.parent), "state": "directory"}
    task: dict[str, Any] = {"copy": copy}
    if item.then:
        task["notify"] = item.then
    made = [] if path.parent.parent == Path("/") else [{"file": parent}]
    return [*made, task, *([{"meta": "flush_handlers"}] if item.then else [])]


def _image_task(item: Item, _: dict[str, Path]) -> list[dict[str, Any]]:
    name, archive = item.names
    there = f"docker image inspect {name}"
    remote = f"{KEPT}-{Path(archive).name}"
    missing = {"when": "image.rc != 0"}
    return [
        {"command": there, "register": "image", "changed_when": False, "failed_when": False},
        {"copy": {"src": archive, "dest": remote}} | missing,
        {"command": f"docker load -i {remote}"} | missing,
    ]


def _docker_task(command: str, created: str) -> dict[str, Any]:
    return {
        "command": command,
        "register": "said",
        "changed_when": f"'{created}' in said.stdout + said.stderr",
    }


_TASKS: dict[str, Callable[[Item, dict[str, Path]], list[dict[str, Any]]]] = {
    "hostname": lambda item, _: [{"hostname": {"name": item.name, "use": "systemd"}}],
    "packages": lambda item, _: [
        {"apt": {"name": list(item.names), "update_cache": True, "cache_valid_time": 86400}}
    ],
    "timezone": lambda item, _: [
        {
            "file": {
                "src": f"/usr/share/zoneinfo/{item.name}",
                "dest": "/etc/localtime",
                "state": "link",
                "force": True,
            }
        },
        {"copy": {"content": f"{item.name}\n", "dest": "/etc/timezone"}},
    ],
    "file": _file_task,
    "directory": lambda item, _: [{"file": {"path": item.name, "state": "directory"}}],
    "service": lambda item, _: [
        {"systemd_service": {"name": item.name, "state": "started", "enabled": True}}
    ],
    "firewall": lambda item, _: [{"command": name, "changed_when": False} for name in item.names],
    "volume": lambda item, _: [_docker_task(f"docker volume create {item.name}", "nothing to see")],
    "image": _image_task,
    "compose": lambda item, _: [_docker_task(f"{COMPOSE.format(name=item.name)} up -d --wait", "Started")],
}


def pyinfra_deploy(items: Sequence[Item], folder: Path) -> None:
    """Stock operations of pyinfra; shell commands only where its own are always 'changed'."""
    kept = sources(items, folder / "files")
    lines = ["from pyinfra import host", "from pyinfra.facts.server import Command", ""]
    lines.insert(0, "from pyinfra.operations import apt, docker, files, server, systemd")
    for item in items:
        lines += _OPERATIONS[item.kind](item, kept)
    (folder / "deploy.py").write_text("\n".join([*lines, ""]), encoding="utf-8")


def _file_operation(item: Item, kept: dict[str, Path]) -> list[str]:
    put = f"files.put(src={str(kept[item.name])!r}, dest={item.name!r}, mode={item.mode!r})"
    if not item.then:
        return [put]
    return [f"changed = {put}", f"server.shell(commands=[{item.then!r}], _if=changed.did_change)"]


def _unless(check: str, *commands: str) -> list[str]:
    return [
        f"if host.get_fact(Command, {check + ' > /dev/null 2>&1 && echo yes || echo no'!r}) != 'yes':",
        f"    server.shell(commands={list(commands)!r})",
    ]


def _image_operation(item: Item, _: dict[str, Path]) -> list[str]:
    name, archive = item.names
    remote = f"{KEPT}-{Path(archive).name}"
    check, load = _unless(f"docker image inspect {name}", f"docker load -i {remote}")
    return [check, f"    files.put(src={archive!r}, dest={remote!r})", load]


def _compose_operation(item: Item, _: dict[str, Path]) -> list[str]:
    compose = COMPOSE.format(name=item.name)
    return _unless(f"{compose} ps --status running -q | grep -q .", f"{compose} up -d --wait")


_OPERATIONS: dict[str, Callable[[Item, dict[str, Path]], list[str]]] = {
    "hostname": lambda item, _: [f"server.hostname({item.name!r})"],
    "packages": lambda item, _: [f"apt.packages({list(item.names)!r}, update=True, cache_time=86400)"],
    "timezone": lambda item, _: [
        f"zone = '/usr/share/zoneinfo/{item.name}'",
        "files.link(path='/etc/localtime', target=zone, force=True, force_backup=False)",
        f"files.put(src=__import__('io').StringIO('{item.name}\\n'), dest='/etc/timezone')",
    ],
    "file": _file_operation,
    "directory": lambda item, _: [f"files.directory({item.name!r})"],
    "service": lambda item, _: [f"systemd.service({item.name!r}, running=True, enabled=True)"],
    "firewall": lambda item, _: [f"host.get_fact(Command, {name!r})" for name in item.names],
    "volume": lambda item, _: _unless(
        f"docker volume inspect {item.name}", f"docker volume create {item.name}"
    ),
    "image": _image_operation,
    "compose": _compose_operation,
}


def reading_script(items: Sequence[Item]) -> str:
    """What one plain ssh command would ask to know that nothing is to be done."""
    named: dict[str, list[str]] = {}
    for item in items:
        named.setdefault(item.kind, []).extend(item.names[:1] if item.kind == "image" else item.names)
    files = shlex.join(named.get("file", []))
    lines = [
        "hostname; readlink /etc/localtime; cat /etc/timezone",
        f"dpkg-query -W -f '${{Package}} ${{Status}}\\n' {shlex.join(named.get('packages', []))}",
        f"stat -c '%n %a %U %G %F' {files} {shlex.join(named.get('directory', []))}; sha256sum {files}",
        f"systemctl show -p Id,ActiveState,UnitFileState {shlex.join(named.get('service', []))}",
        *named.get("firewall", []),
        "sshd -T",
    ]
    if "volume" in named:
        lines.append(f"docker volume inspect {shlex.join(named['volume'])}")
        lines.append(f"docker image inspect {shlex.join(named['image'])}")
    lines += [
        f"{COMPOSE.format(name=name)} {verb}"
        for name in named.get("compose", [])
        for verb in ("config --hash '*'", "ps -a --format json")
    ]
    return "\n".join(lines)


def provisioning_script(items: Sequence[Item]) -> str:
    """The same apt, Docker and file work without a question; files and images wait in `KEPT`."""
    lines = ["set -e", "export DEBIAN_FRONTEND=noninteractive", "apt-get update -qq"]
    for item in items:
        lines += _COMMANDS[item.kind](item)
    return "\n".join(lines)


def _file_commands(item: Item) -> list[str]:
    path = shlex.quote(item.name)
    return [f"install -D -m {item.mode} {KEPT}/files{path} {path}", *([item.then] if item.then else [])]


_COMMANDS: dict[str, Callable[[Item], list[str]]] = {
    "hostname": lambda item: [f"hostnamectl set-hostname {item.name}"],
    "packages": lambda item: [
        "apt-get install -y -qq -o Dpkg::Options::=--force-confold " + shlex.join(item.names)
    ],
    "timezone": lambda item: [f"timedatectl set-timezone {item.name}"],
    "file": _file_commands,
    "directory": lambda item: [f"mkdir -p {shlex.quote(item.name)}"],
    "service": lambda item: [f"systemctl enable -q --now {item.name}"],
    "firewall": lambda item: [f"{name} > /dev/null" for name in item.names],
    "volume": lambda item: [f"docker volume create {item.name}"],
    "image": lambda item: [f"docker load -q -i {KEPT}/{Path(item.names[1]).name}"],
    "compose": lambda item: [f"{COMPOSE.format(name=item.name)} up -d --wait"],
}
