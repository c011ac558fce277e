"""The commented example: the schema's own descriptions around the story of TOYBOX."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from standfast.inventory import shape
from standfast.inventory.document import Plain
from standfast.inventory.schema import Host, Inventory
from standfast.inventory.yaml_text import inline

WIDTH = 100
BACKUP_PASSWORD = "STANDFAST_BACKUP_PASSWORD"  # noqa: S105 - the name of a variable
SCHEMA_LINE = "# yaml-language-server: $schema="


def toybox(folder: str, secrets: Mapping[str, str], health: str, volumes: list[str]) -> dict[str, Plain]:
    """
    The inventory of the story: a web application with PostgreSQL behind Caddy.

    + folder: where its Compose file and ``env.j2`` are, relative to the repository
    + secrets: names of its secrets, and the environment variables that have them
    """
    app: dict[str, Plain] = {
        "compose": f"{folder}/compose.yml",
        "env": f"{folder}/env.j2",
        "secrets": {name: {"env": variable} for name, variable in secrets.items()},
        "health": health,
    }
    host: dict[str, Plain] = {
        "address": "203.0.113.10",
        "ssh": {"user": "ops"},
        "timezone": "Asia/Tokyo",
        "packages": ["curl"],
        "upgrades": {"reboot_at": "04:30"},
        "firewall": {
            "ssh": {"from": ["any"]},
            "allow": [{"port": 80}, {"port": 443, "protocol": ["tcp", "udp"]}],
        },
        "docker": {
            "volumes": {name: {"backup": "dump" if "pgdata" in name else "weekly"} for name in volumes}
        },
        "apps": {"toybox": app},
        "caddy": {"sites": {"toybox.example.com": {"proxy": "127.0.0.1:8000"}}},
        "databases": {"toybox": {"app": "toybox"}},
        "backups": {
            "repository": "sftp:backup@203.0.113.20:/srv/restic/web-1",
            "password": {"env": BACKUP_PASSWORD},
        },
    }
    return {"environment": "production", "hosts": {"web-1": host}}


def of_this_repository() -> str:
    """``inventories/production.example.yml``: the application in ``examples/toybox``."""
    data = toybox(
        "examples/toybox",
        {"postgres_password": "TOYBOX_POSTGRES_PASSWORD", "django_secret_key": "TOYBOX_DJANGO_SECRET_KEY"},
        "http://127.0.0.1:8000/healthz",
        ["toybox_pgdata", "toybox_media"],
    )
    return commented(
        data,
        schema="../docs/reference/inventory.schema.json",
        introduction="A production server for the application in examples/toybox. The address is from a "
        "range for documentation: put in your own. Written by `python -m standfast.inventory.reference`.",
    )


def commented(data: dict[str, Plain], *, schema: str, introduction: str) -> str:
    """
    ``data`` as an inventory in which every setting is explained, those that it does not use included.

    + schema: path of the JSON Schema, relative to the file
    """
    writer = _Writer()
    writer.part(data, Inventory, "")
    head = [f"{SCHEMA_LINE}{schema}", "#", *_comment(introduction, ""), ""]
    return "\n".join([*head, *writer.lines]) + "\n"


class _Writer:
    """Collects lines; each part's settings are explained the first time that it occurs."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.explained: set[type[BaseModel]] = set()

    def part(self, data: Mapping[str, Plain], part: type[BaseModel], indent: str) -> None:
        new = part not in self.explained
        self.explained.add(part)
        fields = zip(shape.settings(part).items(), part.model_fields.values(), strict=True)
        for i, ((name, annotation), info) in enumerate(fields):
            if part is Host and i:
                self.lines.append("")
            if new:
                self.lines.extend(_comment(_line(info.description), indent))
            if name in data:
                self.setting(name, data[name], annotation, indent)
            elif new:
                self.lines.extend(f"{indent}# {name}: {inline(value)}" for value in _examples(info))

    def setting(self, name: str, value: Plain, annotation: object, indent: str) -> None:
        part = shape.part(annotation)
        deeper = indent + "  "
        if part is None or not value:
            self.lines.append(f"{indent}{name}: {inline(value)}")
            return
        self.lines.append(f"{indent}{name}:")
        if isinstance(value, list):
            self.rows(value, part, deeper)
        elif isinstance(value, dict) and shape.is_part(shape.kind(annotation)):
            self.part(value, part, deeper)
        elif isinstance(value, dict):
            for key, inner in value.items():
                self.entry(key, inner, part, deeper)

    def entry(self, key: str, value: Plain, part: type[BaseModel], indent: str) -> None:
        if isinstance(value, dict) and value and part not in self.explained:
            self.lines.append(f"{indent}{inline(key)}:")
            self.part(value, part, indent + "  ")
        else:
            self.lines.append(f"{indent}{inline(key)}: {inline(value)}")

    def rows(self, values: list[Plain], part: type[BaseModel], indent: str) -> None:
        """A list of short mappings, one a line; what their settings mean stands above."""
        if part not in self.explained:
            self.explained.add(part)
            for name, info in zip(shape.settings(part), part.model_fields.values(), strict=True):
                self.lines.extend(_comment(f"`{name}`: {_line(info.description)}", indent))
        self.lines.extend(f"{indent}- {inline(value)}" for value in values)


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _line(description: str | None) -> str:
    return " ".join((description or "").split())


def _examples(info: FieldInfo) -> list[Plain]:
    return list(info.examples or [])
