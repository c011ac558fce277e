"""
What users write in an inventory: the one source of validation, of the JSON Schema for editors, of
the example that ``standfast init`` writes and of the reference page.

Every field has a description and an example; every type says in words what it accepts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    model_validator,
)

from standfast.inventory.paths import expanded


@dataclass(frozen=True)
class Expected:
    """What a type accepts, in words that stand after "expected"."""

    words: str


def _on_this_machine(path: str, info: ValidationInfo) -> str:
    """A file of the user's machine: ``~`` is the home folder, the rest is relative to the repository."""
    root = (info.context or {}).get("root")
    return str(Path(root or "", expanded(path)))


def _without_interface(network: IPv6Network) -> IPv6Network:
    """The packet filter knows no ``fe80::%eth0``."""
    if network.network_address.scope_id is not None:
        raise ValueError("an interface in a network")
    return network


Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=63),
    Expected("a name of lower-case letters, digits, `-` and `_`, at most 63"),
]
HostName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63),
    Expected("a host name of lower-case letters, digits and `-`, at most 63"),
]
VolumeName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$"),
    Expected("a volume name of letters, digits, `_`, `.` and `-`, at least 2"),
]
UserName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z_][a-z0-9_-]*$", max_length=32),
    Expected("an account name of lower-case letters, digits, `_` and `-`, at most 32"),
]
GroupName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z_][a-z0-9_-]*$", max_length=32),
    Expected("a group name of lower-case letters, digits, `_` and `-`, at most 32"),
]
PackageName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$"),
    Expected("the name of a Debian package"),
]
SecretName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=63),
    Expected("a name for templates: lower-case letters, digits and `_`, a letter first"),
]
EnvironmentVariable = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
    Expected("the name of an environment variable"),
]
Address = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_.:%][A-Za-z0-9_.:%-]*$"),
    Expected("a host name or an address (the account belongs into `ssh.user`, the port into `ssh.port`)"),
]
Port = Annotated[int, Field(ge=1, le=65535), Expected("a port, 1 to 65535")]
PortRange = Annotated[
    str, StringConstraints(pattern=r"^[0-9]+-[0-9]+$"), Expected("a range such as `8000-8010`")
]
Source = Annotated[
    Literal["any"] | IPv4Network | Annotated[IPv6Network, AfterValidator(_without_interface)],
    Expected("`any`, or an IPv4 or IPv6 address or network such as `203.0.113.0/24`"),
]
PerMinute = Annotated[int, Field(ge=1, le=1000), Expected("a number per minute, 1 to 1000")]
ConnectionsPerMinute = Annotated[
    int,
    Field(ge=20, le=1000),
    Expected("a number per minute, 20 to 1000 (standfast opens up to ten connections in a run)"),
]
TimeOfDay = Annotated[
    str,
    StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$"),
    Expected("a time of day, `00:00` to `23:59`"),
]
TimeZone = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$"),
    Expected("a time zone such as `Asia/Tokyo` or `Etc/UTC`"),
]
PublicKey = Annotated[
    str,
    StringConstraints(min_length=1),
    Expected("an SSH public key, or the path of a file with such keys"),
]
OwnFile = Annotated[str, StringConstraints(min_length=1), Expected("the path of a file in your repository")]
LocalFile = Annotated[
    str,
    StringConstraints(min_length=1),
    AfterValidator(_on_this_machine),
    Expected("the path of a file on your machine"),
]
ServerPath = Annotated[
    str,
    StringConstraints(pattern=r"^/[^\x00-\x20]*$"),
    Expected("an absolute path on the server, without spaces"),
]
LocalFolder = Annotated[
    str,
    StringConstraints(min_length=1),
    AfterValidator(_on_this_machine),
    Expected("the path of a folder on your machine"),
]
FileName = Annotated[
    str,
    StringConstraints(pattern=r"^\.?[A-Za-z0-9_][A-Za-z0-9_.-]*(/\.?[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"),
    Expected("a relative file name without `..` and spaces"),
]
ImageName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-zA-Z0-9_./:@-]*$"),
    Expected("an image name such as `toybox/web:1`"),
]
Url = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[^\s]+$"),
    Expected("a URL that begins with `http://` or `https://`"),
]
Upstream = Annotated[
    str,
    StringConstraints(pattern=r"^[a-zA-Z0-9.:\[\]-]+:[0-9]+$"),
    Expected("an address with its port, such as `127.0.0.1:8000`"),
]
SiteName = Annotated[
    str,
    StringConstraints(pattern=r"^[^\s{},\"`#]+$"),
    Expected("a host name or an address, such as `toybox.example.com` or `:80`"),
]
LogSize = Annotated[
    str,
    StringConstraints(pattern=r"^[1-9][0-9]*[kmg]$"),
    Expected("a size such as `500k`, `10m` or `1g`"),
]
WeekDay = Literal["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
TimeOrNever = Annotated[
    str,
    StringConstraints(pattern=r"^(never|([01][0-9]|2[0-3]):[0-5][0-9])$"),
    Expected("a time of day such as `05:00`, or `never`"),
]
BackupPlace = Annotated[
    str,
    StringConstraints(pattern=r"^(/|sftp:|rest:https?://|s3:|b2:|azure:|gs:|swift:|rclone:)[^\s]+$"),
    Expected(
        "a repository as restic names it: an absolute path, `sftp:user@host:/path`, `rest:https://…`, `s3:…`"
    ),
]
DatabaseName = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f]+$", max_length=63),
    Expected("a name of PostgreSQL's, at most 63 characters"),
]
ServiceName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$"),
    Expected("the name of a service in a Compose file"),
]
KnownHost = Annotated[
    str,
    StringConstraints(pattern=r"^[^\s#]+ [a-z0-9@.-]+ [A-Za-z0-9+/=]+$"),
    Expected("a line of ssh-keyscan(1): host, kind and key"),
]
SnapshotCount = Annotated[int, Field(ge=1, le=100), Expected("a number of snapshots, 1 to 100")]
Copies = Annotated[int, Field(ge=0, le=1000), Expected("a number of copies, 0 to 1000")]
ConfirmSeconds = Annotated[int, Field(ge=5, le=600), Expected("a number of seconds, 5 to 600")]
Seconds = Annotated[int, Field(ge=1, le=3600), Expected("a number of seconds, 1 to 3600")]
LogFiles = Annotated[int, Field(ge=1, le=1000), Expected("a number of files, 1 to 1000")]
SshdSetting = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]*$"),
    Expected("the name of a setting of sshd_config(5), such as `MaxAuthTries`"),
]
OneLine = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f]+$"), Expected("text on one line")]
FindingName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z]+:[^\x00-\x1f]+$"),
    Expected("the name of a finding of `standfast drift`, such as `container:mailhog` or `port:tcp/*`"),
]
Day = Annotated[date, Expected("a day such as `2027-01-31`")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$"), Expected("an e-mail address")]


def _one_of(*settings: str) -> ConfigDict:
    """Tells editors that exactly one of these settings has to stand there; pydantic needs a validator."""
    return ConfigDict(json_schema_extra={"oneOf": [{"required": [setting]} for setting in settings]})


class Part(BaseModel):
    """A part of an inventory: unknown settings are faults, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Environment(StrEnum):
    """How precious an environment is."""

    production = "production"
    staging = "staging"
    development = "development"
    lab = "lab"

    @property
    def precious(self) -> bool:
        """Whether guards are in force without being asked for."""
        return self in (Environment.production, Environment.staging)


class Secret(Part):
    """Where a secret comes from; its value never stands in an inventory. Exactly one of the three."""

    model_config = _one_of("env", "file", "command")

    env: EnvironmentVariable | None = Field(default=None, examples=["TOYBOX_POSTGRES_PASSWORD"])
    """Name of an environment variable on the machine that runs standfast."""
    file: LocalFile | None = Field(default=None, examples=["~/.config/toybox/postgres-password"])
    """Path of a file that holds the secret and that only you can read; one trailing newline is dropped."""
    command: OneLine | None = Field(default=None, examples=["pass show toybox/postgres"])
    """Command whose standard output is the secret; it runs once, in your repository, for at most 60 s."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Secret:
        given = [name for name in ("env", "file", "command") if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"{' and '.join(f'`{name}`' for name in given)} are" if given else "none is"
            raise ValueError(f"expected exactly one of `env`, `file` and `command`, but {found} there")
        return self


class Ssh(Part):
    """How standfast reaches the server."""

    user: UserName | None = Field(default=None, examples=["ops"])
    """
    Account to log in as; it needs `sudo` without a password, or is `root`.
    Default: as in `config`, else your own name.
    """
    port: Port | None = Field(default=None, examples=[2222])
    """Port of the SSH server. Default: as in `config`, else 22."""
    key: LocalFile | None = Field(default=None, examples=["~/.ssh/id_ed25519"])
    """
    Private key file; your agent must hold it when it has a passphrase.
    Default: as in `config`, else your agent and your usual keys.
    """
    config: LocalFile | None = Field(default=None, examples=["~/.ssh/config"])
    """OpenSSH client configuration in which `address` is looked up. Default: `~/.ssh/config`."""
    known_hosts: LocalFile | None = Field(default=None, examples=["files/known_hosts"])
    """File with the host keys that are trusted. Default: as in `config`, else `~/.ssh/known_hosts`."""


class SshServer(Part):
    """What the SSH server on the host allows."""

    password_login: bool = Field(default=False, examples=[False])
    """Whether a password is enough to log in."""
    root_login: bool = Field(default=False, examples=[False])
    """Whether root may log in (by key only)."""
    settings: dict[SshdSetting, OneLine] = Field(default={}, examples=[{"MaxAuthTries": "3"}])
    """Further settings of sshd_config(5), each value in quotes."""


class User(Part):
    """An account for a person on the server."""

    keys: list[PublicKey] = Field(default=[], examples=[["files/keys/hanako.pub"]])
    """SSH public keys, or paths of files in your repository that hold one key a line."""
    sudo: bool = Field(default=False, examples=[True])
    """Whether the account may become root without a password."""
    groups: list[GroupName] = Field(default=[], examples=[["adm"]])
    """Further groups; a missing one is created. Nobody is taken out of a group. `docker` equals root."""
    shell: ServerPath = Field(default="/bin/bash", examples=["/bin/bash"])
    """Login shell."""


class Upgrades(Part):
    """Unattended security upgrades."""

    enabled: bool = Field(default=True, examples=[True])
    """Whether security updates are installed every day."""
    reboot_at: TimeOfDay | None = Field(default=None, examples=["04:30"])
    """Time of day at which the server may reboot when an update asks for it. Default: never."""


class SshRule(Part):
    """Who may open an SSH connection; this rule always comes first and cannot be left out."""

    sources: list[Source] = Field(
        default=["any"], alias="from", min_length=1, examples=[["203.0.113.0/24", "2001:db8::/32"]]
    )
    """Addresses and networks that may connect, or `any`."""
    per_minute: ConnectionsPerMinute | None = Field(default=None, examples=[60])
    """
    New connections that one address (of IPv6: one /64 network) may open in a minute; more are dropped.
    Default: no limit. Keys are no easier to guess at any speed; people behind one address share a limit.
    """


class AllowRule(Part):
    """One opening in the firewall, for services on the host and for published container ports alike."""

    port: Port | PortRange = Field(examples=[443])
    """Port, or a range such as `8000-8010`."""
    protocol: list[Literal["tcp", "udp"]] = Field(default=["tcp"], min_length=1, examples=[["tcp", "udp"]])
    """One or both of `tcp` and `udp`."""
    sources: list[Source] = Field(default=["any"], alias="from", min_length=1, examples=[["any"]])
    """Addresses and networks that may connect, or `any`."""


class Firewall(Part):
    """What may reach this server; everything else is dropped."""

    ssh: SshRule = Field(default=SshRule(), examples=[{"from": ["any"]}])
    """Who may open an SSH connection; always the first rule."""
    allow: list[AllowRule] = Field(
        default=[], examples=[[{"port": 80}, {"port": 443, "protocol": ["tcp", "udp"]}]]
    )
    """Openings. The order does not matter: whatever one of them lets in comes in."""
    replace: list[Literal["ufw", "firewalld", "nftables", "iptables-legacy", "iptables-nft"]] = Field(
        default=[], examples=[["ufw"]]
    )
    """
    Other firewalls that standfast may switch off, once its own rules are in force, and their rules with
    them. Without this word it refuses to work beside one. Packages and configuration files stay.
    """
    log_drops: PerMinute | None = Field(default=None, examples=[6])
    """
    Dropped packets that the kernel's log gets, at most so many in a minute for each of SSH, other ports
    and published ports: `journalctl -k -g "standfast drop"`. Default: none; probes come all day.
    """
    confirm_seconds: ConfirmSeconds = Field(default=30, examples=[30])
    """Seconds after which a server takes back a change of its rules or of sshd, unless a new connection from
    your machine has confirmed it."""


class Volume(Part):
    """A named Docker volume; standfast creates it and never removes it."""

    labels: dict[OneLine, str] = Field(default={}, examples=[{"team": "toybox"}])
    """Labels, given when the volume is created."""
    backup: Literal["daily", "weekly", "dump", "none"] | None = Field(default=None, examples=["weekly"])
    """
    How its data get into a backup. `daily` or `weekly`: a copy of its files; `dump`: it holds nothing but
    databases that are declared and dumped; `none`: nobody needs its data, see `reason`.
    """
    reason: OneLine | None = Field(default=None, examples=["a cache; it fills again by itself"])
    """Why nobody needs its data, when `backup` is `none`."""
    protect: bool = Field(default=True, examples=[False])
    """Whether the guard of Docker refuses to remove it; see `guards.docker`."""
    writers: Literal["pause", "stop"] = Field(default="pause", examples=["pause"])
    """
    What happens to containers that can write to it, for the second or two in which the last changes are
    copied. `pause`: they stand still and go on; `stop`: for programs that write all down only at their end.
    """

    @model_validator(mode="after")
    def _excluded_with_a_reason(self) -> Volume:
        if (self.backup == "none") != (self.reason is not None):
            found = "it is missing" if self.backup == "none" else "`backup` is not `none`"
            raise ValueError(f"expected `reason` where `backup` is `none`, and only there, but {found}")
        return self


class Docker(Part):
    """The Docker engine (Debian's `docker.io`) and its volumes."""

    volumes: dict[VolumeName, Volume] = Field(
        default={}, examples=[{"toybox_pgdata": {}, "toybox_media": {}}]
    )
    """Named volumes, created and never removed. Compose files use them with `external: true`."""
    log_max_size: LogSize = Field(default="10m", examples=["10m"])
    """Size at which a container's log file is rotated."""
    log_max_files: LogFiles = Field(default=5, examples=[5])
    """Number of log files that are kept for a container."""


class App(Part):
    """An application: a Compose file of yours and what belongs to it."""

    compose: OwnFile = Field(examples=["files/toybox/compose.yml"])
    """Your Compose file; a Jinja2 template when its name ends in `.j2`."""
    env: OwnFile | None = Field(default=None, examples=["files/toybox/env.j2"])
    """Template of the environment file put beside the Compose file as `.env`, readable by root only."""
    files: dict[FileName, OwnFile] = Field(
        default={}, examples=[{"postgresql.conf": "files/toybox/postgresql.conf"}]
    )
    """Further files beside the Compose file: name there, your file (a template when it ends in `.j2`)."""
    images: dict[ImageName, OwnFile] = Field(default={}, examples=[{"toybox/web:1": "images/toybox-web.tar"}])
    """Images that come from a `docker save` archive instead of a registry: image name, archive file."""
    secrets: dict[SecretName, Secret] = Field(
        default={}, examples=[{"postgres_password": {"env": "TOYBOX_POSTGRES_PASSWORD"}}]
    )
    """Secrets for the templates of this application: `{{ secrets.NAME }}`."""
    health: Url | None = Field(default=None, examples=["http://127.0.0.1:8000/healthz"])
    """URL that answers with status 200 on the server when the application works."""
    start_timeout: Seconds = Field(default=120, examples=[120])
    """Seconds that the services may take to become healthy."""


class Site(Part):
    """A web site that Caddy serves."""

    model_config = _one_of("proxy", "root")

    proxy: Upstream | None = Field(default=None, examples=["127.0.0.1:8000"])
    """Address of the application that answers. Either this or `root`."""
    root: ServerPath | None = Field(default=None, examples=["/srv/www"])
    """Folder on the server with static files. Either this or `proxy`."""
    tls: Literal["automatic", "internal", "off"] = Field(default="automatic", examples=["automatic"])
    """`automatic`: a public certificate; `internal`: Caddy's own authority; `off`: plain HTTP."""
    directives: str = Field(default="", examples=["encode zstd gzip"])
    """Further Caddyfile lines for this site."""

    @model_validator(mode="after")
    def _proxy_or_root(self) -> Site:
        if (self.proxy is None) == (self.root is None):
            found = "neither is" if self.proxy is None else "both are"
            raise ValueError(f"expected exactly one of `proxy` and `root`, but {found} there")
        return self


class Caddy(Part):
    """The Caddy web server (Debian's package)."""

    model_config = _one_of("sites", "caddyfile")

    sites: dict[SiteName, Site] = Field(
        default={}, examples=[{"toybox.example.com": {"proxy": "127.0.0.1:8000"}}]
    )
    """Web sites: host name (or address), and what is served there. Either this or `caddyfile`."""
    caddyfile: OwnFile | None = Field(default=None, examples=["files/Caddyfile.j2"])
    """Your own Caddyfile (a template when it ends in `.j2`). Either this or `sites`."""
    email: Email | None = Field(default=None, examples=["ops@example.com"])
    """Address for the certificate authority's notices."""

    @model_validator(mode="after")
    def _sites_or_file(self) -> Caddy:
        if bool(self.sites) == (self.caddyfile is not None):
            found = "both are" if self.sites else "neither is"
            raise ValueError(f"expected exactly one of `sites` and `caddyfile`, but {found} there")
        return self


class Migrations(Part):
    """Migrations of one project. Exactly one of `folder` and `service`."""

    model_config = _one_of("folder", "service")

    folder: LocalFolder | None = Field(default=None, examples=["../shop/prisma/migrations"])
    """Folder on your machine with migrations in SQL: Prisma's, or `*.sql` files."""
    service: ServiceName | None = Field(default=None, examples=["web"])
    """Service of the database's application whose image has Django and its `manage.py`."""
    search_path: DatabaseName | None = Field(default=None, examples=["shop"])
    """Schema in which names without one are made. Default: `public`."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Migrations:
        if (self.folder is None) == (self.service is None):
            found = "neither is" if self.folder is None else "both are"
            raise ValueError(f"expected exactly one of `folder` and `service`, but {found} there")
        return self


class NotCompared(Part):
    """Objects that `standfast schema` does not compare."""

    what: OneLine = Field(examples=["table public.spatial_*"])
    """The object as `standfast schema` names it; `*` stands for any text. What a table has goes with it."""
    reason: OneLine = Field(examples=["of PostGIS"])
    """Why."""


class ProtectedTable(Part):
    """Row level security of one table."""

    state: Literal["off", "on", "forced"] = Field(default="on", examples=["forced"])
    """`forced`: for the owner of the table too."""
    policies: list[DatabaseName] | None = Field(default=None, examples=[["own_rows"]])
    """Names of all its policies. Default: any."""


class RowSecurity(Part):
    """Row level security as it must be; a table that has it and is not here is a difference too."""

    tables: dict[OneLine, ProtectedTable] = Field(
        default={}, examples=[{"users": {"state": "forced", "policies": ["own_rows"]}}]
    )
    """Tables, by name or `schema.name`."""
    bypass: list[DatabaseName] | None = Field(default=None, examples=[["auditor"]])
    """Roles that may see every row, besides the one that the server was made with. Default: any."""


class Comparison(Part):
    """What a database is held against by `standfast schema`."""

    migrations: list[Migrations] = Field(default=[], examples=[[{"folder": "../shop/prisma/migrations"}]])
    """Its migrations, in the order in which they run."""
    role: DatabaseName | None = Field(default=None, examples=["shop"])
    """Role that runs the migrations. Default: the owner of most tables."""
    extensions: list[DatabaseName] = Field(default=[], examples=[["citext"]])
    """Extensions that a superuser has made before the first migration."""
    ignore: list[NotCompared] = Field(
        default=[], examples=[[{"what": "table public.spatial_*", "reason": "of PostGIS"}]]
    )
    """Objects that are not compared, and why; they are shown."""
    row_security: RowSecurity | None = Field(default=None, examples=[{"tables": {"users": {"state": "on"}}}])
    """Row level security as it must be. Left out: only compared with the migrations."""


class DatabaseRole(Part):
    """A role that logs in to a database."""

    name: DatabaseName = Field(examples=["toybox_app"])
    """Its name in PostgreSQL."""
    password: SecretName = Field(examples=["app_password"])
    """Name of its password among the application's `secrets`; a role that is there keeps its own."""


class DatabaseRoles(Part):
    """Two roles instead of one that may do everything. They are made when they are not there."""

    app: DatabaseRole = Field(examples=[{"name": "toybox_app", "password": "app_password"}])
    """The application's: it reads and writes rows and owns nothing."""
    migrate: DatabaseRole = Field(examples=[{"name": "toybox_migrate", "password": "migrate_password"}])
    """The migrations': it owns the tables; those that `user` owns become its own."""


class Database(Part):
    """A database of PostgreSQL, in a service of an application or on the server itself."""

    app: Name | None = Field(default=None, examples=["toybox"])
    """The application whose Compose file runs it. Either this or `socket`."""
    service: ServiceName = Field(default="db", examples=["db"])
    """The service in that Compose file."""
    socket: ServerPath | None = Field(default=None, examples=["/var/run/postgresql"])
    """Folder of the socket, for PostgreSQL on the server itself. Either this or `app`."""
    name: DatabaseName | None = Field(default=None, examples=["toybox"])
    """Its name in PostgreSQL. Default: the name of this entry."""
    user: DatabaseName | None = Field(default=None, examples=["toybox"])
    """
    Role that reads it; it must be allowed to read every row, and a superuser's copy has the roles' passwords
    too. Default: the name of this entry.
    """
    comparison: Comparison | None = Field(
        default=None, alias="schema", examples=[{"migrations": [{"folder": "../shop/prisma/migrations"}]}]
    )
    """What `standfast schema` holds it against. Left out: it is not compared."""
    may_shrink: list[OneLine] = Field(default=[], examples=[["public.django_session"]])
    """
    Tables that may lose half their rows or more from one copy to the next without an alarm, such as sessions
    and queues: `schema.table`; `*` stands for any text. The guard lets them be truncated as well.
    """
    protect: bool | None = Field(default=None, examples=[True])
    """
    Whether the database refuses DROP of tables, columns and schemas, and TRUNCATE, whoever asks, outside of a
    window (`sudo standfast-host guard allow`); `user` must be a superuser then. `false` takes the guard out
    again. Default: the database is left as it is. Migrations that drop something need a window.
    """
    roles: DatabaseRoles | None = Field(
        default=None,
        examples=[
            {
                "app": {"name": "toybox_app", "password": "app_password"},
                "migrate": {"name": "toybox_migrate", "password": "migrate_password"},
            }
        ],
    )
    """Roles for the application and for migrations. Left out: roles and owners are left as they are."""

    @model_validator(mode="after")
    def _app_or_socket(self) -> Database:
        if (self.app is None) == (self.socket is None):
            found = "neither is" if self.app is None else "both are"
            raise ValueError(f"expected exactly one of `app` and `socket`, but {found} there")
        return self


class Keep(Part):
    """How many copies stay, of each database and each volume; further ones are removed."""

    daily: Copies = Field(default=14, examples=[14])
    """The newest one of so many days."""
    weekly: Copies = Field(default=8, examples=[8])
    """The newest one of so many weeks."""
    monthly: Copies = Field(default=12, examples=[12])
    """The newest one of so many months."""


class Backups(Part):
    """Copies of all declared databases and volumes, made by the server itself with restic."""

    repository: BackupPlace = Field(examples=["sftp:backup@203.0.113.20:/srv/restic/web-1"])
    """
    Where the copies go: a path on the server, `sftp:…`, `rest:…`, `s3:…`, as restic names it. A path on the
    server does not survive the server.
    """
    password: Secret = Field(examples=[{"env": "STANDFAST_BACKUP_PASSWORD"}])
    """Password that the copies are encrypted with. Without it they are lost: keep it in a third place too."""
    credentials: dict[EnvironmentVariable, Secret] = Field(
        default={}, examples=[{"AWS_ACCESS_KEY_ID": {"env": "BACKUP_KEY_ID"}}]
    )
    """Access to the repository's storage: variables of restic's environment, and where they come from."""
    ssh_key: Secret | None = Field(default=None, examples=[{"file": "~/.config/toybox/backup-key"}])
    """Private key for `sftp:`. Default: root's own on the server."""
    known_hosts: list[KnownHost] = Field(
        default=[],
        examples=[["203.0.113.20 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH/CDmcGBmK1jHC3KWwd+k9zjm0F"]],
    )
    """Host keys for `sftp:`. Default: root's own on the server."""
    append_only: bool = Field(default=False, examples=[True])
    """Whether nothing is ever removed from here: the storage forbids it, and retention runs elsewhere."""
    databases: list[TimeOfDay] = Field(default=["03:00"], min_length=1, examples=[["03:00"]])
    """Times of day at which databases are dumped, in the server's time zone."""
    volumes: TimeOfDay = Field(default="03:30", examples=["03:30"])
    """Time of day at which volumes are copied, each one daily or weekly as it says itself."""
    weekday: WeekDay = Field(default="sunday", examples=["sunday"])
    """Day of weekly volumes, and of retention."""
    check: TimeOfDay = Field(default="04:30", examples=["04:30"])
    """Time of day at which the repository is checked; each time another fourteenth of it is read."""
    drill: TimeOrNever = Field(default="05:00", examples=["05:00"])
    """Time of day of the restore drill on the first of each month, or `never`."""
    keep: Keep = Field(default=Keep(), examples=[{"daily": 14, "weekly": 8, "monthly": 12}])
    """How many copies stay."""
    ping: dict[Literal["databases", "volumes", "check", "prune", "drill"], Url] = Field(
        default={}, examples=[{"databases": "https://hc-ping.com/00000000-0000-0000-0000-000000000000"}]
    )
    """Dead-man's switches: addresses that are told of every run, and raise the alarm when they hear none."""


class Snapshots(Part):
    """Snapshots of all declared volumes on the server's own disk: quick to go back to, and no backup."""

    driver: Literal["btrfs"] = Field(examples=["btrfs"])
    """What takes them. `btrfs`: the file system that Docker's volumes are on."""
    before_apply: bool = Field(default=True, examples=[True])
    """Whether one is taken right before each apply that changes anything on the server."""
    keep: SnapshotCount = Field(default=5, examples=[5])
    """How many stay; older ones are removed. Those with a name of yours stay, and are not counted."""


class Guards(Part):
    """Guards on the server, in front of what cannot be undone."""

    docker: bool | None = Field(default=None, examples=[True])
    """
    Whether Docker refuses to remove the declared volumes, to prune volumes, and to remove containers together
    with such volumes, whoever asks. Default: `true` in `production` and `staging`, else `false`.
    """
    shims: bool | None = Field(default=None, examples=[True])
    """
    Whether login shells ask before destructive commands such as `iptables -F`, with what it would cost.
    Default: `true` in `production` and `staging`, else `false`.
    """


class Accepted(Part):
    """A difference that `standfast drift` shall show and not count."""

    what: FindingName = Field(examples=["container:mailhog"])
    """Name of the finding, as `standfast drift` shows it; `*` stands for any text, `?` for any character."""
    reason: OneLine = Field(examples=["mail catcher of the design team"])
    """Why it may stay."""
    until: Day | None = Field(default=None, examples=["2027-01-31"])
    """Last day on which it is accepted; from the next one on it counts again. Default: without an end."""


class Host(Part):
    """One server: its full declared state."""

    address: Address = Field(examples=["203.0.113.10"])
    """Host name, address, or an alias of your SSH configuration."""
    ssh: Ssh = Field(default=Ssh(), examples=[{"user": "ops"}])
    """How standfast reaches the server."""
    hostname: HostName | None = Field(default=None, examples=["web-1"])
    """The server's own name. Default: the name of this entry."""
    timezone: TimeZone = Field(default="Etc/UTC", examples=["Asia/Tokyo"])
    """Time zone of the server; times in this inventory are in it."""
    packages: list[PackageName] = Field(default=[], examples=[["curl", "htop"]])
    """Further Debian packages."""
    users: dict[UserName, User] = Field(
        default={}, examples=[{"hanako": {"keys": ["files/keys/hanako.pub"], "sudo": True}}]
    )
    """Accounts for people."""
    upgrades: Upgrades = Field(default=Upgrades(), examples=[{"reboot_at": "04:30"}])
    """Unattended security upgrades."""
    ssh_server: SshServer = Field(default=SshServer(), examples=[{"password_login": False}])
    """What the SSH server on the host allows."""
    firewall: Firewall = Field(default=Firewall(), examples=[{"allow": [{"port": 80}, {"port": 443}]}])
    """What may reach this server; everything else is dropped."""
    docker: Docker | None = Field(default=None, examples=[{"volumes": {"toybox_pgdata": {}}}])
    """The Docker engine and its volumes. Left out: standfast does not install Docker."""
    apps: dict[Name, App] = Field(default={}, examples=[{"toybox": {"compose": "files/toybox/compose.yml"}}])
    """Applications, each one Compose project."""
    caddy: Caddy | None = Field(
        default=None, examples=[{"sites": {"toybox.example.com": {"proxy": "127.0.0.1:8000"}}}]
    )
    """The web server. Left out: standfast does not install Caddy."""
    databases: dict[Name, Database] = Field(default={}, examples=[{"toybox": {"app": "toybox"}}])
    """Databases that are dumped into the backups."""
    backups: Backups | None = Field(
        default=None,
        examples=[
            {
                "repository": "sftp:backup@203.0.113.20:/srv/restic/web-1",
                "password": {"env": "STANDFAST_BACKUP_PASSWORD"},
            }
        ],
    )
    """Where copies go, when, and how many are kept. Left out: nothing is backed up."""
    snapshots: Snapshots | None = Field(default=None, examples=[{"driver": "btrfs", "keep": 5}])
    """Snapshots of the volumes before changes. Left out: none are taken."""
    guards: Guards = Field(default=Guards(), examples=[{"docker": True}])
    """Guards on the server, in front of what cannot be undone."""
    accept: list[Accepted] = Field(
        default=[], examples=[[{"what": "container:mailhog", "reason": "mail catcher of the design team"}]]
    )
    """Differences that may stay; `standfast drift` shows them and does not count them."""


class Inventory(Part):
    """The servers of one environment."""

    environment: Environment = Field(examples=["production"])
    """How precious this environment is: `production`, `staging`, `development` or `lab`."""
    tests: OwnFile = Field(default="tests", examples=["tests"])
    """Folder with your own assertions; `standfast verify` makes them together with ours."""
    hosts: dict[HostName, Host] = Field(min_length=1, examples=[{"web-1": {"address": "203.0.113.10"}}])
    """The servers, by name."""
