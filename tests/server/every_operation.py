"""
The table of all operations: what each one says that it will do, and what is different on the server afterwards.

A new operation needs rows here (tests/unit/test_every_operation.py asks for them), at least one each for
``create`` and ``change``; tests/server/test_every_operation.py plays them on a real server.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.server.drifts import KEY

Situation = Literal["create", "change", "remove", "no change"]


@dataclass(frozen=True, slots=True)
class Row:
    """One operation in one situation."""

    operation: str
    """For example ``files.file``."""
    situation: Situation
    before: str
    """Shell code, run as root, that brings the situation about from whatever another row has left."""
    call: str
    """Python code of a deploy; empty when the deploy of `subject` is ours."""
    planned: tuple[str, ...]
    """What the plan must say, and apply must report: ``action target``, in this order."""
    also: tuple[str, ...] = ()
    """What is different as well, which the planned targets imply; ``*`` stands for any text."""
    see: str = "true"
    """Shell code that asks the thing itself, as root."""
    says: str = ""
    """What `see` prints afterwards, and not before when there is something planned."""
    subject: str = "trial"
    host: Mapping[str, Any] = field(default_factory=dict)
    """The server's part of the inventory."""
    applied: Mapping[str, Any] | None = None
    """The same, as it is applied before `before`."""


WITHOUT: Mapping[str, str] = {
    "accounts.sudo: change": "the file's content is one line; the row of files.file has changes",
    "compose.admitted: create": "it only looks",
    "compose.admitted: change": "it only looks",
    "compose.images: change": "it is made of images.from_archives and images.from_registries",
    "database_guard.unprotected: create": "it only removes",
    "database_guard.unprotected: change": "it only removes",
    "docker.installed: change": "an engine that is there is kept",
    "docker.sole_daemon: create": "it only looks",
    "docker.sole_daemon: change": "it only looks",
    "docker.volume: change": "a volume is never replaced",
    "files.absent: create": "it only removes",
    "files.absent: change": "it only removes",
    "images.from_registries: change": "an image that is there is not pulled again",
    "other_firewalls.off: create": "it only switches off",
    "other_firewalls.off: change": "it only switches off",
    "system.as_found: change": "it is written once",
    "system.hostname: create": "a server always has a name",
    "system.timezone: create": "a server always has a time zone",
}
"""Situations that an operation does not know, and why. What it has no row to remove, it never removes."""

TRIAL = (
    "userdel -rf trial 2> /dev/null; groupdel trial-extra 2> /dev/null; rm -f /etc/sudoers.d/standfast-trial"
)
UNIT = "/etc/systemd/system/trial.service"
SERVICE = f"""systemctl disable --quiet --now trial.service 2> /dev/null
printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' > {UNIT}
systemctl daemon-reload; systemctl reset-failed"""
CADDY = "install caddy; install curl; systemctl restart caddy"
CADDYFILE = ':8081 {{\n\trespond "{}"\n}}\n'
# Nothing is left of an earlier row.
DOCKER = "engine; docker ps -aq | xargs -r docker rm -f; docker network prune -f"
IMAGE = f"{DOCKER}; base64 -d /var/tmp/app-{{}}.tar.b64 | docker load"
NO_IMAGES = f"{DOCKER}; docker image ls -q | xargs -r docker rmi -f"
SETTINGS = {
    "version": 0.1,
    "http": {"addr": "127.0.0.1:5000"},
    "storage": {"filesystem": {"rootdirectory": "/var/tmp/registry"}},  # noqa: S108 - on the server
}
REGISTRY = f"""{IMAGE.format(1)}; install docker-registry; systemctl disable --now docker-registry
echo {shlex.quote(json.dumps(SETTINGS))} > /var/tmp/registry.yml
systemctl is-active registry || systemd-run --unit registry docker-registry serve /var/tmp/registry.yml
for n in $(seq 100); do curl -sf http://127.0.0.1:5000/v2/ && break; sleep 0.2; done
docker tag demo/app:1 127.0.0.1:5000/demo/app:1; docker push 127.0.0.1:5000/demo/app:1"""
PULLED = "127.0.0.1:5000/demo/app:1"


def compose_file(*services: str, greeting: str = "hello") -> str:
    """A Compose file with small services."""
    quick = {"image": "demo/app:1", "init": True, "stop_signal": "SIGKILL", "restart": "unless-stopped"}
    quick["environment"] = {"GREETING": greeting}
    return json.dumps({"services": dict.fromkeys(services, quick)})


def running(text: str) -> str:
    """Shell code: an application that runs as a Compose file says."""
    return f"{IMAGE.format(1)}; {written(text)}; compose up --detach --quiet-pull"


def written(text: str) -> str:
    """Shell code: only the application's file."""
    return f"mkdir -p -m 750 /srv/apps/demo; printf %s {shlex.quote(text)} > /srv/apps/demo/compose.yml"


def demo(text: str, archives: str = "{}") -> str:
    """Python code for an application."""
    return (
        f"demo = application('demo', compose=plain({text!r}), compose_path='compose.yml', env=None, files={{}}, "
        f"archives={archives}, secrets={{}}, health=None, start_timeout=60)\n"
    )


FILE = 'files.file("/etc/trial/one", "1\\n", mode="640", group="adm")'
SEE_FILE = "cat /etc/trial/one; stat -c '%U:%G %a' /etc/trial/one"
FILE_SAYS = "1\nroot:adm 640\n"

FILES = (
    Row("files.file", "create", "rm -rf /etc/trial; mkdir /etc/trial", FILE, ("create /etc/trial/one",),
        see=SEE_FILE, says=FILE_SAYS),
    Row("files.file", "create", "rm -rf /etc/trial", 'files.file("/etc/trial/deep/one", b"\\0\\1")',
        ("create /etc/trial/deep/one",), also=("/etc/trial/", "/etc/trial/deep/"),
        see="od -An -tx1 /etc/trial/deep/one", says=" 00 01\n"),
    Row("files.file", "change", "mkdir -p /etc/trial; echo 2 > /etc/trial/one", FILE, ("update /etc/trial/one",),
        see=SEE_FILE, says=FILE_SAYS),
    Row("files.file", "change", "mkdir -p /etc/trial; echo 1 > /etc/trial/one; chmod 666 /etc/trial/one", FILE,
        ("update /etc/trial/one",), see=SEE_FILE, says=FILE_SAYS),
    Row("files.file", "change", f"{SERVICE}; systemctl start trial.service; rm -rf /etc/trial",
        'reload = files.Activation(Change("restart", "trial.service"), "systemctl restart trial.service")\n'
        'files.file("/etc/trial/one", "1\\n", activate=reload)',
        ("create /etc/trial/one", "restart trial.service"), also=("/etc/trial/",),
        see="cat /etc/trial/one", says="1\n"),
    Row("files.directory", "create", "rm -rf /etc/trial", 'files.directory("/etc/trial/data", mode="750")',
        ("create /etc/trial/data/",), also=("/etc/trial/",), see="stat -c %a /etc/trial/data", says="750\n"),
    Row("files.directory", "change", "rm -rf /etc/trial; mkdir -p -m 777 /etc/trial/data; touch /etc/trial/data/x",
        'files.directory("/etc/trial/data", mode="750", group="adm")', ("update /etc/trial/data/",),
        see="stat -c '%G %a' /etc/trial/data; ls /etc/trial/data", says="adm 750\nx\n"),
    Row("files.absent", "remove", "mkdir -p /etc/trial; touch /etc/trial/one", 'files.absent("/etc/trial/one")',
        ("remove /etc/trial/one",), see="[ -e /etc/trial/one ] || echo gone", says="gone\n"),
)  # fmt: skip

PEOPLE = (
    Row("accounts.account", "create", TRIAL, 'accounts.account("trial", groups=["adm", "trial-extra"])',
        ("create group trial-extra", "create account trial"), also=("group trial", "/home/trial/*"),
        see="id -Gn trial; getent passwd trial | cut -d: -f6,7", says="trial adm trial-extra\n/home/trial:/bin/bash\n"),
    Row("accounts.account", "change", f"{TRIAL}; useradd --shell /bin/sh --no-create-home trial",
        'accounts.account("trial", groups=["adm"])',
        ("update account trial", "update account trial", "create /home/trial/"), also=("/home/trial/.*",),
        see="id -Gn trial; getent passwd trial | cut -d: -f7; stat -c %U /home/trial", says="trial adm\n/bin/bash\ntrial\n"),
    Row("accounts.authorized_keys", "create", f"{TRIAL}; useradd -m trial",
        f'accounts.authorized_keys("trial", ["{KEY} me"])', ("create trial's authorized_keys",),
        also=("/home/trial/.ssh/", "/home/trial/.ssh/authorized_keys"),
        see="cat /home/trial/.ssh/authorized_keys; stat -c '%U %a' /home/trial/.ssh/authorized_keys",
        says=f"{KEY} me\ntrial 600\n"),
    Row("accounts.authorized_keys", "change",
        f"{TRIAL}; useradd -m trial; install -d -o trial -m 700 ~trial/.ssh; echo '{KEY} old' > ~trial/.ssh/authorized_keys",
        f'accounts.authorized_keys("trial", ["{KEY} me"])', ("update trial's authorized_keys",),
        also=("/home/trial/.ssh/authorized_keys",), see="cat /home/trial/.ssh/authorized_keys", says=f"{KEY} me\n"),
    Row("accounts.sudo", "create", f"{TRIAL}; useradd -m trial", 'accounts.sudo("trial", allowed=True)',
        ("create /etc/sudoers.d/standfast-trial",), see="runuser -u trial -- sudo -n id -un 2>&1", says="root\n"),
    Row("accounts.sudo", "remove",
        f"{TRIAL}; useradd -m trial; echo 'trial ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/standfast-trial",
        'accounts.sudo("trial", allowed=False)', ("remove /etc/sudoers.d/standfast-trial",),
        see="runuser -u trial -- sudo -n id -un 2> /dev/null || echo no", says="no\n"),
)  # fmt: skip

SYSTEM = (
    Row("apt.packages", "create", "install curl; apt-get -qq purge -y tree", 'apt.packages(["curl", "tree"])',
        ("create package tree",), see="command -v tree", says="/usr/bin/tree\n"),
    Row("apt.packages", "change",
        "apt-get -qq purge -y tree; cd /var/tmp; rm -f tree_*; apt-get -qq download tree; dpkg --unpack tree_*.deb",
        'apt.packages(["tree"])', ("update package tree",), see="dpkg --audit | wc -l", says="0\n"),
    Row("system.hostname", "change", "hostname kyoto; echo kyoto > /etc/hostname; sed -i /127.0.1.1/d /etc/hosts",
        'system.hostname("osaka")', ("update hostname", "update /etc/hosts"), also=("/etc/hostname",),
        see="hostname; getent hosts osaka", says="osaka\n127.0.1.1       osaka\n"),
    Row("system.timezone", "change", "ln -sf ../usr/share/zoneinfo/Etc/UTC /etc/localtime; echo Etc/UTC > /etc/timezone",
        'system.timezone("Asia/Tokyo")', ("update time zone",), also=("/etc/localtime", "/etc/timezone", "cron.service"),
        see="date +%Z", says="JST\n"),
    Row("system.as_found", "create", "rm -f /var/lib/standfast/as-found", "system.as_found()",
        ("create /var/lib/standfast/as-found",), see="grep -c set-uid /var/lib/standfast/as-found > /dev/null; echo $?",
        says="0\n"),
    Row("systemd.service", "create", SERVICE, 'systemd.service("trial")',
        ("update trial.service", "start trial.service"), also=("/etc/systemd/system/multi-user.target.wants/trial.service",),
        see="systemctl is-active trial; systemctl is-enabled trial", says="active\nenabled\n"),
    Row("systemd.service", "change", f"{SERVICE}; sed -i s/sleep/missing/ {UNIT}; systemctl daemon-reload; "
        f"systemctl enable --quiet trial; systemctl start trial; until systemctl is-failed -q trial; do sleep 0.1; done; "
        f"sed -i s/missing/sleep/ {UNIT}", 'systemd.service("trial")', ("restart trial.service",),
        see="systemctl is-active trial", says="active\n"),
    Row("systemd.service", "remove", f"{SERVICE}; systemctl enable --quiet --now trial",
        'systemd.service("trial", running=False, enabled=False)', ("update trial.service", "stop trial.service"),
        also=("/etc/systemd/system/multi-user.target.wants/trial.service",),
        see="systemctl is-active trial; systemctl is-enabled trial", says="inactive\ndisabled\n"),
)  # fmt: skip

DROP_IN = "/etc/ssh/sshd_config.d/00-standfast.conf"
RULES = "/etc/standfast/firewall"
LOADER = "/usr/local/lib/standfast/firewall-load"
FIREWALL_UNIT = "/etc/systemd/system/standfast-firewall.service"
WATCHDOG_UNIT = "/etc/systemd/system/standfast-watchdog.service"
NO_FIREWALL = f"""install iptables
systemctl disable --quiet --now standfast-watchdog standfast-firewall 2> /dev/null
for tool in iptables ip6tables; do
  $tool-save | sed -n '/^[*]/p; /^COMMIT/p; /STANDFAST/!d; s/^-[AI]/-D/p' | $tool-restore --noflush
  for chain in $($tool-save | sed -n 's/^:\\(STANDFAST[^ ]*\\).*/\\1/p'); do $tool -F $chain; $tool -X $chain; done
done
rm -rf {RULES} {LOADER} {FIREWALL_UNIT} {WATCHDOG_UNIT}; systemctl daemon-reload"""
FIREWALLD = """unit=/etc/systemd/system/firewalld.service
printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' > $unit
systemctl daemon-reload; systemctl enable --quiet --now firewalld"""
OPEN = {"firewall": {"allow": [{"port": 8081}]}}

DOORS = (
    Row("ssh.server", "create", f"rm -f {DROP_IN}; systemctl reload ssh",
        'ssh.server(plain("MaxAuthTries 3\\n"), people={})', (f"create {DROP_IN}", "reload ssh.service"),
        see="sshd -T | grep maxauthtries", says="maxauthtries 3\n"),
    Row("ssh.server", "change", f"echo 'MaxAuthTries 5' > {DROP_IN}; systemctl reload ssh",
        'ssh.server(plain("MaxAuthTries 3\\n"), people={})', (f"update {DROP_IN}", "reload ssh.service"),
        see="sshd -T | grep maxauthtries", says="maxauthtries 3\n"),
    Row("firewall.ruleset", "create", NO_FIREWALL, "",
        (f"create {LOADER}", f"create {FIREWALL_UNIT}", "reload systemd", "create IPv4 firewall", "create IPv6 firewall",
         f"create {RULES}/ipv4.rules", f"create {RULES}/ipv6.rules", "start standfast-firewall.service",
         f"create {WATCHDOG_UNIT}", "reload systemd", "start standfast-watchdog.service"),
        also=("/etc/standfast/*", "/usr/local/lib/standfast/", "/etc/systemd/system/*.wants/*"),
        see="iptables -S STANDFAST-INPUT | grep -c 8081", says="1\n", subject="firewall", host=OPEN),
    Row("firewall.ruleset", "change", "iptables -I STANDFAST-INPUT -p tcp --dport 8082 -j ACCEPT", "",
        ("update IPv4 firewall",), see="iptables -S STANDFAST-INPUT | grep -c 'dport 808'", says="1\n", subject="firewall", host=OPEN, applied=OPEN),
    Row("firewall.ruleset", "remove", "true", "",
        ("update IPv4 firewall", "update IPv6 firewall", f"update {RULES}/ipv4.rules", f"update {RULES}/ipv6.rules"),
        see="iptables -S STANDFAST-INPUT | grep -c 8081", says="0\n", subject="firewall", applied=OPEN),
    Row("other_firewalls.off", "remove", FIREWALLD, 'other_firewalls.off(["firewalld"], load="true")',
        ("stop firewalld",), also=("firewalld.service", "/etc/systemd/system/*.wants/firewalld.service"),
        see="systemctl is-active firewalld", says="inactive\n"),
    Row("caddy.caddyfile", "create", f"{CADDY}; rm -f /etc/caddy/Caddyfile",
        f"caddy.caddyfile(plain({CADDYFILE.format(1)!r}), ports={{8081}})",
        ("create /etc/caddy/Caddyfile", "reload caddy.service"), see="curl -s http://127.0.0.1:8081", says="1"),
    Row("caddy.caddyfile", "change", f"printf '%s' '{CADDYFILE.format(2)}' > /etc/caddy/Caddyfile; {CADDY}",
        f"caddy.caddyfile(plain({CADDYFILE.format(1)!r}), ports={{8081}})",
        ("update /etc/caddy/Caddyfile", "reload caddy.service"), see="curl -s http://127.0.0.1:8081", says="1"),
    Row("caddy.caddyfile", "change", f"printf '%s' '{CADDYFILE.format(1)}' > /etc/caddy/Caddyfile; {CADDY}; "
        "curl -sf -X POST -H 'Content-Type: application/json' -d '{}' http://127.0.0.1:2019/load",
        f"caddy.caddyfile(plain({CADDYFILE.format(1)!r}), ports={{8081}})", ("reload caddy.service",),
        see="curl -s http://127.0.0.1:8081", says="1"),
)  # fmt: skip

PACKAGES = "docker.io docker-cli docker-compose"
LIVE = '{"live-restore": true}'
GUARDED = {"docker": {}, "guards": {"docker": True}}
GUARD = "standfast-docker-guard.socket"
GUARD_FILES = ("/etc/standfast/guards.json", "/usr/local/lib/standfast/docker-guard-settle")
GUARD_UNITS = ("/etc/systemd/system/standfast-docker-guard-failed.service",
               "/etc/systemd/system/standfast-docker-guard.service", f"/etc/systemd/system/{GUARD}",
               "/etc/systemd/system/docker.service.d/standfast-guard.conf")  # fmt: skip
PRUNED = "docker volume prune -f 2>&1 | grep -c 'refused by standfast'"
ONE, TWO = compose_file("web"), compose_file("web", "job")
WEB_SAYS = "docker exec demo-web-1 env | grep GREETING"

CONTAINERS = (
    Row("docker.installed", "create", f"apt-get -qq purge -y --autoremove {PACKAGES} containerd runc; rm -rf /etc/docker",
        "docker.installed()", tuple(f"create package {name}" for name in PACKAGES.split()),
        also=("package *", "group docker", "/etc/*", "docker.service", "docker.socket", "containerd.service",
              "IPv4 rules of others", "IPv6 rules of others", "network *"),
        see="docker info --format '{{.Driver}}' 2> /dev/null; docker compose version > /dev/null && echo compose",
        says="overlay2\ncompose\n"),
    Row("docker.sole_daemon", "no change", DOCKER, "docker.sole_daemon()", ()),
    Row("docker.configuration", "create", f"{DOCKER}; rm -f /etc/docker/daemon.json; restart docker",
        f"docker.configuration(plain({LIVE!r}))", ("create /etc/docker/daemon.json", "reload docker.service"),
        see="docker info --format '{{.LiveRestoreEnabled}}'", says="true\n"),
    Row("docker.configuration", "change",
        f"{DOCKER}; echo '{LIVE[:-1]}, \"debug\": true}}' > /etc/docker/daemon.json; restart docker",
        f"docker.configuration(plain({LIVE!r}))", ("update /etc/docker/daemon.json", "restart docker.service"),
        see="docker info --format '{{.Debug}}'", says="false\n"),
    Row("docker.configuration", "change",
        f"{DOCKER}; echo '{LIVE[:-1]}, \"debug\": true}}' > /etc/docker/daemon.json; restart docker",
        f"docker.configuration(plain('{LIVE[:-1]}, \"debug\": false}}'))",
        ("update /etc/docker/daemon.json", "reload docker.service"),
        see="docker info --format '{{.Debug}}'", says="false\n"),
    Row("docker.configuration", "create", f"{DOCKER}; rm -f /etc/docker/daemon.json; restart docker", "",
        (*(f"create {path}" for path in GUARD_FILES),
         *(text for path in GUARD_UNITS for text in (f"create {path}", "reload systemd")), f"start {GUARD}",
         "create /etc/docker/daemon.json", "restart docker.service"),
        also=("/etc/systemd/system/*", "standfast-docker-guard.service", "/usr/local/lib/standfast/"),
        see=PRUNED, says="1\n", subject="docker", host=GUARDED),
    Row("docker.configuration", "remove", "true", "",
        ("update /etc/docker/daemon.json", "reload docker.service", f"update {GUARD}", f"stop {GUARD}",
         *(text for path in reversed(GUARD_UNITS) for text in (f"remove {path}", "reload systemd")),
         *(f"remove {path}" for path in reversed(GUARD_FILES))),
        also=("/etc/systemd/system/*.wants/*", "standfast-docker-guard.service"),
        see=PRUNED, says="0\n", subject="docker", host={"docker": {}}, applied=GUARDED),
    Row("docker.volume", "create", f"{DOCKER}; docker volume rm -f trial",
        'docker.volume("trial", labels={"team": "it\'s $us"})', ("create volume trial",),
        see="docker volume inspect -f '{{.Labels.team}}' trial 2> /dev/null", says="it's $us\n"),
    Row("images.from_archives", "create", NO_IMAGES,
        'images.from_archives({"demo/app:1": archive.read(declared().root / "app-1.tar")})',
        ("create image demo/app:1",), see="docker run --rm demo/app:1 cat /etc/marker 2> /dev/null", says="1"),
    Row("images.from_archives", "change", IMAGE.format(2),
        'images.from_archives({"demo/app:1": archive.read(declared().root / "app-1.tar")})',
        ("update image demo/app:1",), see="docker run --rm demo/app:1 cat /etc/marker", says="1"),
    Row("images.from_registries", "create", f"{REGISTRY}; docker rmi -f {PULLED}",
        f'images.from_registries({{"{PULLED}": [images.Use("demo/web", (), "")]}})',
        (f"create image {PULLED}",),
        see=f"docker image inspect -f '{{{{.Os}}}}' {PULLED} 2> /dev/null", says="linux\n"),
    Row("compose.images", "create", NO_IMAGES,
        demo(ONE, '{"demo/app:1": declared().root / "app-1.tar"}') + "compose.images(demo)",
        ("create image demo/app:1",), see="docker run --rm demo/app:1 cat /etc/marker 2> /dev/null", says="1"),
    Row("compose.admitted", "no change", IMAGE.format(1),
        demo(ONE) + 'compose.admitted("trial", [demo], volumes=[], allow=[])', ()),
    Row("compose.up", "create", f"{IMAGE.format(1)}; {written(ONE)}", demo(ONE) + "compose.up(demo)",
        ("create demo/web",), also=("network demo_default", "IPv4 rules of others"), see=WEB_SAYS, says="GREETING=hello\n"),
    Row("compose.up", "change", f"{running(compose_file('web', greeting='hi'))}; {written(ONE)}",
        demo(ONE) + "compose.up(demo)", ("recreate demo/web",), see=WEB_SAYS, says="GREETING=hello\n"),
    Row("compose.up", "change", f"{running(TWO)}; docker stop demo-web-1", demo(TWO) + "compose.up(demo)",
        ("start demo/web",), see=f"{WEB_SAYS} 2> /dev/null", says="GREETING=hello\n"),
    Row("compose.up", "remove", f"{running(TWO)}; {written(ONE)}", demo(ONE) + "compose.up(demo)",
        ("remove demo/job",), see="docker ps -a --format '{{.Names}}'", says="demo-web-1\n"),
)  # fmt: skip

DATABASE = {"socket": "/var/run/postgresql", "user": "postgres"}
PSQL = "runuser -u postgres -- psql -XAtq -d trial"
NEW_DATABASE = f"""install postgresql; rm -f /etc/standfast/guarded-databases.json
runuser -u postgres -- dropdb --if-exists --force trial; runuser -u postgres -- createdb trial
{PSQL} -c 'CREATE TABLE one (a int)'"""
UNGUARDED, GUARDED_DATABASE = (
    {"databases": {"trial": {**DATABASE, "protect": protect}}} for protect in (False, True)
)
EMPTIED = f"{PSQL} -c 'TRUNCATE one' 2>&1 | grep -c 'refused by standfast'"
OWNERS = f"{PSQL} -c 'SELECT tableowner FROM pg_tables WHERE schemaname = $$public$$'"  # noqa: S608 - a constant
NO_ROLES = "runuser -u postgres -- psql -c 'DROP ROLE IF EXISTS mover' -c 'DROP ROLE IF EXISTS reader'"
ROLES = f"""from standfast.inventory.schema import Database
from standfast.inventory.secrets import SecretValue
from standfast.operations import database_roles
roles = {{"migrate": {{"name": "mover", "password": "one"}}, "app": {{"name": "reader", "password": "two"}}}}
database = Database.model_validate({{**{DATABASE}, "roles": roles}})
database_roles.separated("trial", database, secrets={{"one": SecretValue("1"), "two": SecretValue("2")}})"""

DATABASES = (
    Row("database_guard.protected", "create", NEW_DATABASE, "",
        ("create guard of database trial", "create /etc/standfast/guarded-databases.json"),
        see=EMPTIED, says="1\n", subject="databases", host=GUARDED_DATABASE),
    Row("database_guard.protected", "change", f"{PSQL} -c 'ALTER EVENT TRIGGER standfast_guard_end DISABLE' "
        "-c 'ALTER TABLE one DISABLE TRIGGER ALL' -c 'ALTER EVENT TRIGGER standfast_guard_end ENABLE ALWAYS'",
        "", ("update guard of database trial",), see=EMPTIED, says="1\n", subject="databases",
        host=GUARDED_DATABASE, applied=GUARDED_DATABASE),
    Row("database_roles.separated", "create", f"{NEW_DATABASE}; {NO_ROLES}", ROLES,
        ("create role mover of database trial", "create role reader of database trial",
         "update owner of 1 tables of database trial"), see=OWNERS, says="mover\n"),
    Row("database_roles.separated", "change", f"{PSQL} -c 'ALTER TABLE one OWNER TO postgres'", ROLES,
        ("update owner of 1 tables of database trial",), see=OWNERS, says="mover\n", applied={}),
    Row("database_guard.unprotected", "remove", "true", "",
        ("remove guard of database trial", "remove /etc/standfast/guarded-databases.json"),
        see=EMPTIED, says="0\n", subject="databases", host=UNGUARDED, applied=GUARDED_DATABASE),
)  # fmt: skip

ROWS = (*FILES, *PEOPLE, *SYSTEM, *DOORS, *CONTAINERS, *DATABASES)
