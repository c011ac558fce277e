"""
What users write in an inventory: the one source of validation, of the JSON Schema for editors, of
the example that ``standfast init`` writes and of the reference page.

Every field has a description and, where a value is not obvious, an example.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator


@dataclass(frozen=True)
class Expected:
    """What a type accepts, in words that stand after "expected"."""

    words: str


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=63)]
HostName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
VolumeName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$")]
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]*$", max_length=32)]
PackageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Source = Literal["any"] | IPv4Network | IPv6Network


class Part(BaseModel):
    """A part of an inventory: unknown settings are faults, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Environment(StrEnum):
    """How precious an environment is."""

    production = "production"
    staging = "staging"
    development = "development"
    lab = "lab"


class Secret(Part):
    """Where a secret comes from; its value never stands in an inventory."""

    env: str | None = None
    """Name of an environment variable on the machine that runs standfast."""
    file: str | None = None
    """Path of a file that holds the secret; one trailing newline is dropped."""
    command: str | None = None
    """Command whose standard output is the secret, for example `pass show toybox/db`."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Secret:
        if sum(value is not None for value in (self.env, self.file, self.command)) != 1:
            raise ValueError("expected exactly one of `env`, `file` and `command`")
        return self


class Ssh(Part):
    """How standfast reaches the server."""

    user: UserName | None = None
    """Account to log in as; it needs `sudo` without a password. Default: as in `config`, else your own name."""
    port: Port | None = None
    """Port of the SSH server. Default: as in `config`, else 22."""
    key: str | None = None
    """Private key file. Default: as in `config`, else your agent and your usual keys."""
    config: str | None = None
    """OpenSSH client configuration in which `address` is looked up. Default: `~/.ssh/config`."""
    known_hosts: str | None = None
    """File with the host keys that are trusted. Default: as in `config`, else `~/.ssh/known_hosts`."""


class SshServer(Part):
    """What the SSH server on the host allows."""

    password_login: bool = False
    """Whether a password is enough to log in."""
    root_login: bool = False
    """Whether root may log in (by key only)."""
    settings: dict[str, str] = {}
    """Further sshd settings, for example `MaxAuthTries: "3"`."""


class User(Part):
    """An account for a person on the server."""

    keys: list[str] = []
    """SSH public keys, or paths of files that hold one key a line."""
    sudo: bool = False
    """Whether the account may become root without a password."""
    groups: list[UserName] = []
    """Further groups. Membership in `docker` equals root."""
    shell: str = "/bin/bash"
    """Login shell."""


class Upgrades(Part):
    """Unattended security upgrades."""

    enabled: bool = True
    """Whether security updates are installed every day."""
    reboot_at: Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] | None = None
    """Time of day, `HH:MM`, at which the server may reboot when an update asks for it. Default: never."""


class SshRule(Part):
    """Who may open an SSH connection; this rule always comes first and cannot be left out."""

    sources: list[Source] = Field(default=["any"], alias="from", min_length=1)
    """Networks that may connect, or `any`."""


class AllowRule(Part):
    """One opening in the firewall, for services on the host and for published container ports alike."""

    port: Port | Annotated[str, StringConstraints(pattern=r"^[0-9]+-[0-9]+$")]
    """Port, or a range such as `8000-8010`."""
    protocol: list[Literal["tcp", "udp"]] = ["tcp"]
    """One or both of `tcp` and `udp`."""
    sources: list[Source] = Field(default=["any"], alias="from", min_length=1)
    """Networks that may connect, or `any`."""


class Firewall(Part):
    """What may reach this server; everything else is dropped."""

    ssh: SshRule = SshRule()
    """Always the first rule."""
    allow: list[AllowRule] = []
    """Openings, in order."""


class Volume(Part):
    """A named Docker volume; standfast creates it and never removes it."""

    labels: dict[str, str] = {}
    """Labels, given when the volume is created."""


class Docker(Part):
    """The Docker engine (Debian's `docker.io`) and its volumes."""

    volumes: dict[VolumeName, Volume] = {}
    """Named volumes. Compose files use them with `external: true`."""
    log_max_size: Annotated[str, StringConstraints(pattern=r"^[0-9]+[kmg]$")] = "10m"
    """Size at which a container's log file is rotated."""
    log_max_files: Annotated[int, Field(ge=1)] = 5
    """Number of log files that are kept for a container."""


class App(Part):
    """An application: a Compose file of yours and what belongs to it."""

    compose: str
    """Your Compose file; a Jinja2 template when its name ends in `.j2`."""
    env: str | None = None
    """Template of the environment file that is put beside the Compose file as `.env`, readable by root only."""
    files: dict[str, str] = {}
    """Further files beside the Compose file: name there, your file (a template when it ends in `.j2`)."""
    images: dict[str, str] = {}
    """Images that come from a `docker save` archive instead of a registry: image name, archive file."""
    secrets: dict[Name, Secret] = {}
    """Secrets for the templates of this application: `{{ secrets.NAME }}`."""
    health: str | None = None
    """URL that answers with status 200 on the server when the application works, for example `http://127.0.0.1:8000/healthz`."""
    start_timeout: Annotated[int, Field(ge=1, le=3600)] = 120
    """Seconds that the services may take to become healthy."""


class Site(Part):
    """A web site that Caddy serves."""

    proxy: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9.:\[\]-]+:[0-9]+$")] | None = None
    """Address of the application, for example `127.0.0.1:8000`."""
    root: str | None = None
    """Folder on the server with static files."""
    tls: Literal["automatic", "internal", "off"] = "automatic"
    """`automatic`: a public certificate; `internal`: Caddy's own authority; `off`: plain HTTP."""
    directives: str = ""
    """Further Caddyfile lines for this site."""

    @model_validator(mode="after")
    def _proxy_or_root(self) -> Site:
        if (self.proxy is None) == (self.root is None):
            raise ValueError("expected exactly one of `proxy` and `root`")
        return self


class Caddy(Part):
    """The Caddy web server (Debian's package)."""

    sites: dict[str, Site] = {}
    """Host name (or address), and what is served there."""
    caddyfile: str | None = None
    """Your own Caddyfile (a template when it ends in `.j2`), instead of `sites`."""
    email: str | None = None
    """Address for the certificate authority's notices."""

    @model_validator(mode="after")
    def _sites_or_file(self) -> Caddy:
        if bool(self.sites) == (self.caddyfile is not None):
            raise ValueError("expected exactly one of `sites` and `caddyfile`")
        return self


class Host(Part):
    """One server: its full declared state."""

    address: Annotated[str, StringConstraints(min_length=1)]
    """Host name, address, or an alias of your SSH configuration."""
    ssh: Ssh = Ssh()
    """How standfast reaches the server."""
    hostname: HostName | None = None
    """The server's own name. Default: the name of this entry."""
    timezone: str = "Etc/UTC"
    """Time zone; the schedules below are in it. For example `Asia/Tokyo`."""
    packages: list[PackageName] = []
    """Further Debian packages."""
    users: dict[UserName, User] = {}
    """Accounts for people."""
    upgrades: Upgrades = Upgrades()
    """Unattended security upgrades."""
    ssh_server: SshServer = SshServer()
    """What the SSH server on the host allows."""
    firewall: Firewall = Firewall()
    """What may reach this server."""
    docker: Docker | None = None
    """The Docker engine and its volumes. Left out: standfast does not install Docker."""
    apps: dict[Name, App] = {}
    """Applications, each one Compose project."""
    caddy: Caddy | None = None
    """The web server. Left out: standfast does not install Caddy."""

    @model_validator(mode="after")
    def _apps_need_docker(self) -> Host:
        if self.apps and self.docker is None:
            raise ValueError("`apps` need `docker`: add `docker: {}` and the volumes of your Compose files")
        return self


class Inventory(Part):
    """The servers of one environment."""

    environment: Environment
    """How precious this environment is: `production`, `staging`, `development` or `lab`."""
    hosts: dict[HostName, Host] = Field(min_length=1)
    """The servers, by name."""
