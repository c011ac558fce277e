"""
What machines read: every answer of ``--json`` that is about servers, and saved plans.

One source of the types that our code is checked against, of the JSON Schema and of the page
``docs/reference/plan-format.md``. Within a format fields may be added; none changes its meaning or goes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

Format = Literal[1]
FORMAT: Format = 1
Action = Literal["create", "update", "remove", "start", "stop", "restart", "reload", "recreate", "run"]
Kind = Literal["changed", "missing", "unmanaged", "noted"]

documented = with_config(ConfigDict(use_attribute_docstrings=True))


@documented
class ChangeDocument(TypedDict):
    """One thing that will be different, or is, on a server."""

    action: Action
    """What happens to it."""
    target: str
    """What changes: a path, `caddy.service`, `volume toybox_pgdata`, `toybox/web`."""
    detail: str
    """What it means: for how long something is away, what happens to data. May be empty."""
    diff: str
    """Unified diff without its two header lines; secrets are hidden. May be empty."""


@documented
class SubjectChange(ChangeDocument):
    """A change, and the subject that it belongs to."""

    subject: str
    """The deploy: `base`, `firewall`, `caddy`, …"""


@documented
class PlanHost(TypedDict):
    """What apply would do on one server."""

    name: str
    """The server's name in the inventory."""
    address: str
    """Its address in the inventory."""
    host_key: str
    """Fingerprint of the key that the server showed, as `ssh` prints it; empty without a connection."""
    resources: int
    """Number of things that were compared with the server."""
    seconds: float
    """How long that took."""
    error: str | None
    """Why there is no plan for this server."""
    attention: list[str]
    """What no plan changes and people must know."""
    changes: list[SubjectChange]
    """Everything that apply would change, in this order."""


@documented
class PlanDocument(TypedDict):
    """`standfast plan --json`: what apply would do."""

    format: Format
    """Version of this format."""
    kind: Literal["plan"]
    """Which document this is."""
    environment: str
    """How precious the environment is: `production`, `staging`, `development` or `lab`."""
    hosts: list[PlanHost]
    """The servers, in the order of the inventory."""


@documented
class SavedPlanDocument(TypedDict):
    """`standfast plan -o FILE`: a plan, and what it was made from. It holds no command and no secret."""

    format: Format
    """Version of this format."""
    kind: Literal["saved-plan"]
    """Which document this is."""
    environment: str
    """How precious the environment is: `production`, `staging`, `development` or `lab`."""
    hosts: list[PlanHost]
    """The servers, in the order of the inventory."""
    standfast: str
    """Version that made the plan; only the same one carries it out."""
    created: str
    """When, UTC, ISO 8601."""
    inventory: str
    """Path of the inventory."""
    limit: list[str]
    """Servers that it was limited to; none means all."""
    only: list[str]
    """Subjects that it was limited to; none means all."""
    files: dict[str, str]
    """sha256 of every file that the plan was made from, by name; `missing` when it was not there."""
    salt: Annotated[str, Field(pattern="^([0-9a-f]{2})+$")]
    """Salt of the fingerprints, in hexadecimal."""
    fingerprints: dict[str, str]
    """scrypt of all commands of a server, by name: what apply will do must be exactly this."""


@documented
class CheckDocument(TypedDict):
    """One assertion on one server."""

    server: str
    """The server; empty when the test names none."""
    check: str
    """Name of the test."""
    outcome: Literal["passed", "failed", "skipped"]
    """`skipped`: it does not apply to this server."""
    message: str
    """Why it does not hold, or does not apply."""
    file: str
    """Where the test stands."""


@documented
class VerificationDocument(TypedDict):
    """What the assertions found."""

    seconds: float
    """How long they took."""
    checks: list[CheckDocument]
    """Every assertion."""


@documented
class VerifyDocument(VerificationDocument):
    """`standfast verify --json`: whether the servers behave as declared."""

    format: Format
    """Version of this format."""
    kind: Literal["verify"]
    """Which document this is."""


@documented
class ApplyHost(TypedDict):
    """What was done on one server."""

    name: str
    """The server's name in the inventory."""
    outcome: str
    """`done`, `no changes`, `not begun`, `failed`, `not verified`, `refused`, `locked`, `interrupted`,
    `unreachable`, …: as in the audit record."""
    done: list[SubjectChange]
    """What was changed, in this order."""
    open: list[SubjectChange]
    """What was planned and not done."""
    safety_copy: str | None
    """What was copied before the first change, in words."""
    seconds: float
    """How long the changes took."""
    error: str | None
    """What went wrong."""


@documented
class ApplyDocument(TypedDict):
    """`standfast apply --json`: what was done."""

    format: Format
    """Version of this format."""
    kind: Literal["apply"]
    """Which document this is."""
    environment: str
    """How precious the environment is: `production`, `staging`, `development` or `lab`."""
    interrupted: bool
    """Whether Ctrl-C ended it."""
    stopped: str | None
    """Why some servers were not begun; `null` when all were."""
    hosts: list[ApplyHost]
    """The servers, in the order of the inventory."""
    verification: VerificationDocument | None
    """What the assertions found on the servers that were changed; `null` when none were made."""


@documented
class AcceptedDocument(TypedDict):
    """The entry of `accept` in the inventory that accepts a difference."""

    reason: str
    """Why it may stay."""
    until: str | None
    """The last day on which it may, ISO 8601."""


@documented
class FindingDocument(TypedDict):
    """One thing on a server that is not as declared, or that nobody declared."""

    id: str
    """Stable name, for example `container:clever_wozniak`; what `accept` in the inventory names."""
    subject: str
    """The deploy that it belongs to."""
    kind: Kind
    """`noted`: worth knowing, no difference."""
    what: str
    """The same, for people."""
    why: str
    """What it is, and what follows from it."""
    since: str | None
    """When it came about, where the server tells, ISO 8601."""
    by: str
    """The account that did it, where the server tells."""
    repaired_by_apply: bool
    """Whether apply repairs it; else somebody has to decide."""
    diff: str
    """Unified diff for what apply would change; secrets are hidden. May be empty."""


@documented
class VerdictDocument(FindingDocument):
    """A finding, and whether the inventory accepts it."""

    accepted: AcceptedDocument | None
    """`null`: it is not accepted."""


@documented
class DriftHost(TypedDict):
    """What differs on one server."""

    name: str
    """The server's name in the inventory."""
    address: str
    """Its address in the inventory."""
    seconds: float
    """How long looking took."""
    error: str | None
    """Why it could not be compared, or not fully."""
    differences: int
    """Number of findings that count: neither accepted nor only noted."""
    findings: list[VerdictDocument]
    """Everything that was found."""
    remarks: list[str]
    """What is to be said about entries of `accept`: they match nothing any more, they have expired."""


@documented
class DriftDocument(TypedDict):
    """`standfast drift --json`: what differs from the declaration, and what nobody declared."""

    format: Format
    """Version of this format."""
    kind: Literal["drift"]
    """Which document this is."""
    environment: str
    """How precious the environment is: `production`, `staging`, `development` or `lab`."""
    differences: int
    """Number of findings that count, on all servers."""
    hosts: list[DriftHost]
    """The servers, in the order of the inventory."""


@documented
class AuditDocument(TypedDict):
    """`standfast audit --json`: who did what to which server."""

    format: Format
    """Version of this format."""
    kind: Literal["audit"]
    """Which document this is."""
    records: list[dict[str, Any]]
    """The records, oldest first; their fields are in [the audit log](../audit.md)."""


@documented
class LogDocument(TypedDict):
    """Whether one audit log is whole."""

    name: str
    """The server, or `this machine`."""
    records: int
    """Number of records."""
    known: int
    """How many of them were held against a copy on this machine."""
    faults: list[str]
    """What was altered, removed or inserted, and where."""
    notes: list[str]
    """What people should know."""


@documented
class AuditProofDocument(TypedDict):
    """`standfast audit --verify --json`: whether every log is whole."""

    format: Format
    """Version of this format."""
    kind: Literal["audit-proof"]
    """Which document this is."""
    logs: list[LogDocument]
    """The servers' logs, and this machine's."""


@documented
class SchemaDifference(TypedDict):
    """One object that is not the same on both sides."""

    object: str
    """Which one, in words: `column public.users.email`, `policy own on public.users`."""
    kind: str
    """`table`, `column`, `constraint`, `index`, `policy`, `function`, `role`, …"""
    schema: str
    """The schema that it is in; empty for roles, extensions and the like."""
    table: str
    """The table that it belongs to; may be empty."""
    name: str
    """Its name, without quotes."""
    what: str
    """`only live`, `only other`, or the property that differs, for example `row level security`."""
    live: str
    """What the live database has."""
    other: str
    """What the other side has."""


@documented
class SchemaSide(TypedDict):
    """What the live database was held against."""

    against: str
    """`the migrations`, `the declaration`, …"""
    differences: list[SchemaDifference]
    """What differs; what belongs to a table that one side lacks is told with the table."""
    unexplained: list[str]
    """Lines in which the dumps of `pg_dump` differ and that no difference explains."""
    noted: list[SchemaDifference]
    """Differences that do not count: what migrations have changed since the backup."""


@documented
class SchemaLeftOut(TypedDict):
    """An object that was not compared."""

    object: str
    """Which one, in words."""
    reason: str
    """Why."""


@documented
class SchemaDraft(TypedDict):
    """A migration for what no migration makes."""

    sql: str
    """Its statements."""
    notes: list[str]
    """What is not in it, and somebody has to decide."""
    leaves: list[str]
    """What still differed when it was tried on a throwaway database."""


@documented
class SchemaDatabase(TypedDict):
    """One live database."""

    server: str
    """The server's name in the inventory; empty for a database of this machine."""
    database: str
    """Which one, without a password."""
    version: str
    """Of PostgreSQL."""
    objects: int
    """Number of objects that were read."""
    equal: bool
    """Whether nothing differs."""
    sides: list[SchemaSide]
    """What it was held against."""
    left_out: list[SchemaLeftOut]
    """What was not compared."""
    protected: int
    """Number of tables with row level security."""
    bypassing: list[str]
    """Roles that see every row all the same."""
    dump: bool
    """Whether `pg_dump` looked too."""
    draft: SchemaDraft | None
    """With `--adopt`, when something differs."""
    seconds: float
    """How long it took."""


@documented
class SchemaDocument(TypedDict):
    """`standfast schema --json`: whether databases are what their migrations build."""

    format: Format
    """Version of this format."""
    kind: Literal["schema"]
    """Which document this is."""
    equal: bool
    """Whether nothing differs, and everything could be compared."""
    databases: list[SchemaDatabase]
    """The databases that were compared."""
    errors: dict[str, str]
    """What could not be compared, and why, by server."""


@documented
class GuardFinding(TypedDict):
    """One destructive command in the command that was judged."""

    level: Literal["destructive", "unknown"]
    """`unknown`: it is a guarded program, and what it would do cannot be known before it runs."""
    entry: str | None
    """Its name in the catalogue; `null` when no entry was recognised."""
    reason: str
    """What it does to data, or why nobody can know, in plain words."""
    hits: list[str]
    """`database`, `docker volumes`, `firewall`, `disk`, `backups`, `services`, `cloud`."""
    command: str
    """The command without what it was wrapped in; passwords and texts are hidden."""
    inside: str | None
    """Where it would run when not on this machine: `container db`, `service db`, `host web-1`."""


@documented
class GuardCheckDocument(TypedDict):
    """`standfast guard check --json`: whether a command would be refused, and why."""

    format: Format
    """Version of this format."""
    kind: Literal["guard-check"]
    """Which document this is."""
    outcome: Literal["harmless", "refused"]
    """`refused` means: without somebody at a terminal who types the database's name."""
    findings: list[GuardFinding]
    """Everything that is destructive in it, in the order in which it would run."""
    faults: list[str]
    """What is wrong in `guard.yml`, with file and line."""


DOCUMENTS = (
    PlanDocument,
    SavedPlanDocument,
    ApplyDocument,
    DriftDocument,
    VerifyDocument,
    AuditDocument,
    AuditProofDocument,
    SchemaDocument,
    GuardCheckDocument,
)
"""Every document; ``kind`` says which one is at hand."""
