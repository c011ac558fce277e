"""What users write in ``guard.yml``: their own entries, and what databases are. The catalogue is one, too."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Hit = Literal["database", "docker volumes", "firewall", "disk", "backups", "services", "cloud"]
Kind = Literal[
    "drop data",
    "drop definition",
    "truncate",
    "delete all",
    "update all",
    "drop column",
    "weaken protection",
]
Environment = Literal["production", "staging", "development", "lab", "disposable"]


def _listed(value: object) -> object:
    """One thing may stand without brackets."""
    return value if isinstance(value, list) or value is None else [value]


Words = Annotated[list[str], BeforeValidator(_listed)]


class Part(BaseModel):
    """A mapping in which every setting is known."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Pattern(Part):
    """One way to recognise a command; everything that is given must hold."""

    words: Words = []
    any: Words = []
    flags: Words = []
    values: dict[str, str] = {}
    without: Words = []
    paths: Words = []
    sql: list[Kind] = []


class Entry(Part):
    """One destructive command."""

    does: str = Field(min_length=10)
    program: Annotated[list[str], BeforeValidator(_listed)] = Field(min_length=1)
    when: Annotated[list[Pattern], BeforeValidator(_listed)] = Field(min_length=1)
    hits: Annotated[list[Hit], BeforeValidator(_listed)] = Field(min_length=1)
    examples: Words = []


class Sql(Part):
    """Where a program takes SQL from."""

    text: Words = []
    files: Words = []
    arguments: int = -1
    stdin: str = "never"
    words: Words = []


class Program(Part):
    """How the command line of a program is read."""

    names: Words = []
    options_with_value: Words = []
    plain_options: Words = []
    doubtful_options: Words = []
    glued_options: Words = []
    help: Words = ["--help", "--version"]
    abbreviations: bool = False
    sql: Sql | None = None


class Wrapper(Part):
    """A program that runs the command in its arguments."""

    options_with_value: Words = []
    skip: int = 0
    after: Words = []
    assignments: bool = False
    env_files: Words = []
    overrides: bool = False
    last_counts: bool = False


class GuardFile(Part):
    """A whole file."""

    entries: dict[str, Entry] = {}
    programs: dict[str, Program] = {}
    wrappers: dict[str, Wrapper] = {}
    databases: dict[str, Environment] = {}
    passes: Annotated[list[str], BeforeValidator(_listed)] = Field(default=[], alias="pass")
