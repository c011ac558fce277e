"""What is asked of a server, by name: one command each; all of them run in one go (`seen`)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from standfast.host.backup import settled
from standfast.inventory.schema import App, Host, Site
from standfast.verification.expected import packages, private_files, root_only_files, units
from standfast.verification.sites import local_authority, reachable_at

APPS = "/srv/apps"
CURL = "curl --silent --max-time 10 --output /dev/null"
ROOT_CERTIFICATE = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"
CHAINS = 4
"""Looks that run at the same time."""


def looks(name: str, host: Host) -> dict[str, str]:
    """
    Shell code by name, for root; it reads, but for one probe file that says whether a disk can be written.

    + name: the server's name in the inventory
    """
    return {
        **_base(host.hostname or name, host),
        **_ssh_and_firewall(),
        **(_docker(host) if host.docker else {}),
        **{f"app {app}": _app(app, each) for app, each in host.apps.items()},
        **{f"health {app}": _health(each.health) for app, each in host.apps.items() if each.health},
        **(_caddy(host.caddy.sites) if host.caddy else {}),
        **(_backups() if host.backups else {}),
        **({"snapshots": "standfast-host snapshots list --json"} if host.snapshots else {}),
        "guards": "standfast-host guard status",
    }


def _base(name: str, host: Host) -> dict[str, str]:
    users = shlex.join(host.users)
    files = shlex.join([*private_files(host), *root_only_files(host)])
    return {
        "name": "hostname",
        "own address": f"getent ahosts {shlex.quote(name)}",
        "time zone": "readlink /etc/localtime",
        "clock": "date +%s",
        "packages": f"dpkg-query -W -f {_PACKAGE} {shlex.join(packages(host))}; true",
        "accounts": f"for user in {users}; do getent passwd -- $user; done; true",
        "groups": f'for user in {users}; do echo "$user $(id -nG -- $user)"; done',
        "passwords": f"for user in {users}; do passwd -S -- $user; done; true",
        "sudo": f'for user in {users}; do sudo -l -U "$user" | sed "s/^/$user /"; done; true',
        "keys": _KEYS.format(users),
        "upgrades": "apt-config dump",
        "failed units": "systemctl --failed --no-legend --plain",
        "units": f"systemctl show -p Id,LoadState,ActiveState,UnitFileState {shlex.join(units(host))}",
        # After an ext4 error the mount options may still say rw: only writing tells.
        "writing": "f=$(mktemp /var/lib/.probe.XXXXXX) && echo probe > $f && sync $f && rm $f",
        "journal": "journalctl -q -n 1 -o short-unix",
        "files": f"stat -c '%U %G %a %n' -- {files}; true",
        "program": "standfast-host firewall status --json",
    }


_PACKAGE = "'${Package} ${db:Status-Abbrev}\\n'"
_KEYS = """for user in {}; do
  file=$(getent passwd -- "$user" | cut -d: -f6)/.ssh/authorized_keys
  [ -e "$file" ] || continue
  echo "file $user $(stat -L -c '%U %a' -- "$file")"
  sed "s/^/key $user /" -- "$file"
done"""


def _ssh_and_firewall() -> dict[str, str]:
    return {
        "sshd": "sshd -T",
        "sshd at boot": "systemctl is-enabled ssh.service ssh.socket; true",
        "ipv4": "iptables -w 10 -S",
        "ipv6": "if [ -d /proc/sys/net/ipv6 ]; then ip6tables -w 10 -S; else echo none; fi",
        "rules at boot": "/usr/local/lib/standfast/firewall-load test /etc/standfast/firewall",
        "listening": "ss -Hltnu",
    }


def _docker(host: Host) -> dict[str, str]:
    assert host.docker is not None
    volumes = shlex.join(host.docker.volumes)
    return {
        "docker": f"docker info --format {shlex.quote(_DAEMON)}",
        "daemon.json": "cat /etc/docker/daemon.json",
        "daemons": _DAEMONS,
        "daemon sockets": "ss -Hltnp | grep '\"dockerd\"'; true",
        "containers": (
            f"{settled.LATELY}; docker ps -aq | xargs -r docker container inspect --format '{_CONTAINER}'"
        ),
        "images": "docker image ls --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}'",
        "volumes": f"docker volume inspect --format '{{{{json .}}}}' {volumes}; true" if volumes else ":",
    }


# Daemons inside containers have a PID namespace of their own and are not ours to count, and a child of a
# daemon has its name until it becomes the program that it was forked for.
_DAEMONS = """readlink /proc/1/ns/pid
for pid in $(pgrep -x dockerd); do
  parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status" 2> /dev/null)
  [ "$(cat "/proc/$parent/comm" 2> /dev/null)" = dockerd ] || readlink "/proc/$pid/ns/pid"
done
true"""
_DAEMON = "{{json .LiveRestoreEnabled}} {{json .LoggingDriver}} {{json .DockerRootDir}}"
# A container that was just started, or whose Docker was, is neither well nor ill until it was asked, and
# until then what it serves is neither; so is one that a backup holds. An hour of `start_period` is not
# waited for.
_OF_CONTAINERS = ("containers", "app ", "health ", "upstreams", "site ", "backups")
_STARTED = f"""n=0
while {settled.LATELY}; told=$(docker ps -q | xargs -r docker container inspect \
  --format '{settled.STATE} {settled.HEALTH}' | grep starting); do
  # One that crashes again and again does not settle.
  case $told in *'"starting"'*) ;; *) n=$((n + 1)); [ $n -lt 30 ] || break ;; esac
  sleep 0.5
done"""
# Never a container's environment: that is where its secrets are. For single quotes, as `settled.STATE` is.
_CONTAINER = (
    '{"image": {{json .Image}}, "named": {{json .Config.Image}}, '
    '"labels": {{json .Config.Labels}}, "code": {{json .State.ExitCode}}, '
    f'"state": {settled.STATE}, "health": {settled.HEALTH}, '
    '"restart": {{json .HostConfig.RestartPolicy.Name}}, "ports": {{json .HostConfig.PortBindings}}, '
    '"live": {{json .NetworkSettings.Ports}}, "mounts": {{json .Mounts}}}'
)


def _app(name: str, app: App) -> str:
    """What Compose reads in the application's files, without environments; which published ports answer."""
    folder = f"{APPS}/{name}"
    env = f"{folder}/.env" if app.env else "/dev/null"
    compose = shlex.join(
        [
            *("docker", "compose", "--project-name", name, "--project-directory", folder),
            *("--env-file", env, "--file", f"{folder}/compose.yml", "config", "--format", "json"),
        ]
    )
    return f'env -i PATH="$PATH" HOME=/root {compose} | python3 -Ic {shlex.quote(_SERVICES)}'


_SERVICES = """
import json, socket, sys
document = json.load(sys.stdin)
names = {key: value.get("name", key) for key, value in (document.get("volumes") or {}).items()}
once = {name for told in document["services"].values()
        for name, how in (told.get("depends_on") or {}).items()
        if how.get("condition") == "service_completed_successfully"}
found = {}
for service, told in document["services"].items():
    ports = [[p.get("host_ip", ""), p.get("published", ""), p["target"], p.get("protocol", "tcp")]
             for p in told.get("ports") or []]
    silent = []
    for address, published, _, protocol in ports:
        if protocol == "tcp" and str(published).isdigit():
            try:
                socket.create_connection((address or "127.0.0.1", int(published)), 5).close()
            except OSError as error:
                silent.append(f"{published}: {error}")
    found[service] = {
        "once": service in once,
        "wanted": told.get("scale", (told.get("deploy") or {}).get("replicas", 1)),
        "image": told.get("image", ""),
        "restart": told.get("restart", "no"),
        "mounts": [[names.get(v["source"], v["source"]), v["target"]] for v in told.get("volumes") or []
                   if v["type"] == "volume" and v.get("source")],
        "ports": ports,
        "silent": silent,
        "checked": bool(told.get("healthcheck")) and not told["healthcheck"].get("disable"),
    }
print(json.dumps(found))
"""


def _health(url: str) -> str:
    return f"{CURL} --write-out '%{{http_code}}' -- {shlex.quote(url)}"


def _caddy(sites: Mapping[str, Site]) -> dict[str, str]:
    upstreams = [site.proxy for site in sites.values() if site.proxy]
    return {
        "caddyfile": "runuser -u caddy -- caddy adapt --config /etc/caddy/Caddyfile",
        "caddy in force": _IN_FORCE,
        "upstreams": f"python3 -Ic {shlex.quote(_UPSTREAMS)} {shlex.join(upstreams)}",
        **{f"site {name}": _site(name, site) for name, site in sites.items()},
    }


# Only whether they are equal: a Caddyfile may hold password hashes.
_IN_FORCE = """runuser -u caddy -- caddy adapt --config /etc/caddy/Caddyfile 2> /dev/null | python3 -Ic '
import json, sys, urllib.request
running = json.load(urllib.request.urlopen("http://127.0.0.1:2019/config/", timeout=5))
print("same" if json.load(sys.stdin) == running else "another one")'"""

_UPSTREAMS = """
import socket, sys
for each in sys.argv[1:]:
    host, _, port = each.rpartition(":")
    try:
        socket.create_connection((host.strip("[]") or "127.0.0.1", int(port)), 5).close()
        print(each, "answers")
    except OSError as error:
        print(each, error)
"""


def _site(written: str, site: Site) -> str:
    """The status without and with a look at the certificate; curl's exit status and reason of the latter."""
    scheme, name, port = reachable_at(written, plain=site.tls == "off")
    where = (
        f"--resolve {shlex.quote(f'{name}:{port}:127.0.0.1')} -- {shlex.quote(f'{scheme}://{name}:{port}/')}"
    )
    trusted = ROOT_CERTIFICATE if local_authority(name, site) else "/etc/ssl/certs/ca-certificates.crt"
    lines = [f"echo $({CURL} --insecure --write-out '%{{http_code}}' {where})"]
    if scheme == "https":
        lines.append(
            f"{CURL} --show-error --cacert {trusted} --write-out '' {where} 2>&1; "
            'code=$?; echo; echo "$code"; exit 0'
        )
    return "\n".join(lines)


def _backups() -> dict[str, str]:
    return {
        "cron": "cat /etc/cron.d/standfast",
        "backups": "standfast-host backup status --json; code=$?; [ $code -le 1 ] || exit $code",
        "restic": "restic version",
    }


def script(asked: Mapping[str, str]) -> str:
    """
    Shell code for root that runs all looks, some at a time, and prints an archive with what they said.

    A look that does not end is given up, so that the others are told. What containers serve is looked at
    when none of them is starting any more, or after a minute; and again, if a backup has held one meanwhile.
    """
    numbers = dict(zip(asked, range(len(asked)), strict=True))
    served = [name for name in asked if name.startswith(_OF_CONTAINERS)]
    lines = [
        "work=$(mktemp -d /run/standfast-verify.XXXXXXXX) || exit",
        "trap 'rm -rf \"$work\"' EXIT",
        _RUN,
        *_begun([name for name in asked if name not in served], asked, numbers),
        f"for try in $(seq {settled.TRIES}); do",
        settled.QUIET,
        f"timeout 60 sh -c {shlex.quote(_STARTED)} > /dev/null 2>&1 < /dev/null",
        "wait",
        *_begun(served, asked, numbers),
        "wait",
        f"{settled.DISTURBED} || break",
        "done",
    ]
    return "\n".join([*lines, 'tar -C "$work" -cf - . | gzip -1', ""])


_RUN = """export LC_ALL=C
run() {
  timeout 60 sh -c "$2" > "$work/$1.out" 2> "$work/$1.err" < /dev/null
  echo $? > "$work/$1.status"
}"""


def _begun(names: Sequence[str], asked: Mapping[str, str], numbers: Mapping[str, int]) -> Iterator[str]:
    """Chains of looks that run beside each other in the background."""
    for start in range(min(CHAINS, len(names))):
        yield "{"
        for name in names[start::CHAINS]:
            yield f"run {numbers[name]} {shlex.quote(asked[name])}"
        yield "} &"
