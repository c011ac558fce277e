"""
The plan is the truth: each operation does what it said, no more and no less.

Each row of tests/server/every_operation.py is planned and applied on a real server. What is different
afterwards is found by two inventories of the whole server, not by what the operation or its facts say.
That a second plan is empty, apply sees to itself.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pytest

import deploys
from standfast.lab.nspawn import Server
from tests.server import small_images
from tests.server.conftest import Repository
from tests.server.every_operation import ROWS, Row

DEPLOY = """
from pyinfra.api.deploy import deploy as subject
from standfast.apps import archive
from standfast.apps.application import application
from standfast.declaration import declared
from standfast.operations import accounts, apt, caddy, compose, confirmed, docker, files, images, other_firewalls, ssh, system, systemd
from standfast.operations.change import Change
from standfast.rendering import plain

@subject("trial")
def deploy():
{body}
"""

# What rows begin with.
WORDS = """export DEBIAN_FRONTEND=noninteractive LC_ALL=C DOCKER_CONTEXT=default
install_all() { dpkg -s "$@" > /dev/null 2>&1 || apt-get -qq install -y --no-install-recommends "$@"; }
install() { case $1 in -*) command install "$@" ;; *) install_all "$1" ;; esac; }
restart() { systemctl reset-failed "$1"; systemctl restart "$1"; }
engine() { install_all docker.io docker-cli docker-compose; docker info > /dev/null 2>&1 || restart docker; }
compose() {
  docker compose --project-name demo --project-directory /srv/apps/demo --env-file /dev/null \\
    --file /srv/apps/demo/compose.yml "$@"
}
"""

SAID = "/run/said-before"
END = "-- and that is everything"

# One line for each thing: its name as plans have it, a tab, its state.
EVERYTHING = r"""export LC_ALL=C DOCKER_CONTEXT=default
places="/etc /srv /usr/local /root /home /opt $(ls -d /var/lib/standfast/as-found 2> /dev/null)"
accounts=' -path /etc/passwd* -o -path /etc/group* -o -path /etc/shadow* -o -path /etc/gshadow* -o -path /etc/sub[ug]id* '
find $places -xdev \( $accounts \) -prune -o -type d -printf '%p/\t%m %u:%g\n' -o -type l -printf '%p\t-> %l\n'
find $places -xdev \( $accounts \) -prune -o -type f -printf '%p\t%m %u:%g %i\n'
find $places -xdev \( $accounts \) -prune -o -type f -exec sha256sum {} + | sed 's/^\([0-9a-f]*\)  \(.*\)/\2\t\1/'
getent passwd | while IFS=: read -r name rest; do
  printf 'account %s\t%s %s %s\n' "$name" "$rest" "$(id -Gn "$name")" "$(getent shadow "$name" | cut -d: -f2)"
done
getent group | cut -d: -f1,3 | sed 's/\(.*\):/group \1\t/'
dpkg-query -W -f 'package ${Package}\t${db:Status-Status} ${Version}\n' | grep -v '	not-installed'
systemctl show -p Id,Type,UnitFileState,ActiveState,MainPID '*.service' '*.socket' '*.timer' | awk -F= '
  function done_with() { if (id != "") print id "\t" file " " (type == "oneshot" ? "" : active " " pid) }
  $1 == "" { done_with(); id = type = file = active = pid = "" }
  $1 == "Id" { id = $2 } $1 == "Type" { type = $2 } $1 == "UnitFileState" { file = $2 }
  $1 == "ActiveState" { active = $2 } $1 == "MainPID" { pid = $2 } END { done_with() }' |
  grep -Ev '^(user@|user-runtime-dir@|systemd-|dbus|getty|console-getty)'
printf 'hostname\t%s\ntime zone\t%s\n' "$(hostname)" "$(date +%Z)"
for family in 4 6; do
  tool=iptables; [ $family = 4 ] || tool=ip6tables
  command -v $tool > /dev/null || continue
  $tool-save | grep -v '^#' | sed 's/ \[[0-9:]*\]//' > /run/rules
  printf 'IPv%s firewall\t%s\n' $family "$(grep STANDFAST /run/rules | sha256sum)"
  printf 'IPv%s rules of others\t%s\n' $family "$(grep '^-A' /run/rules | grep -v STANDFAST | sort | sha256sum)"
done
if docker info > /dev/null 2>&1; then
  docker ps -aq --no-trunc | xargs -r docker inspect -f '{{with index .Config.Labels "com.docker.compose.service"}}demo/{{.}}{{else}}container {{.Name}}{{end}}	{{.ID}} {{.State.Status}} {{.State.StartedAt}}'
  docker image ls --no-trunc --format 'image {{.Repository}}:{{.Tag}}	{{.ID}}' | grep -v '<none>'
  docker volume ls --format 'volume {{.Name}}	there'
  docker network ls --no-trunc --format 'network {{.Name}}	{{.Driver}}'
fi
"""


@dataclass
class Trial:
    """The server of this table, and a repository that declares one row of it."""

    server: Server
    repository: Repository

    def root(self, script: str) -> str:
        """Run a script as root, however long sshd is away after a reload; only its output counts."""
        for _ in range(20):
            done = self.server.run("sudo bash -s", input=script, timeout=300, check=False)
            if done.returncode != 255:
                break
        assert done.returncode != 255, done.stderr
        return done.stdout

    def look(self, row: Row, first: str = "") -> tuple[dict[str, str], str]:
        """
        State of everything on the server, by name, and what the row's own question says.

        + first: what is done before
        """
        done = f"{WORDS}\n{{ {first}\n:; }} > {SAID} 2>&1 < /dev/null" if first else ""
        things, _, said = self.root(f"{done}\n{EVERYTHING}\necho {END}\n{row.see}").partition(f"{END}\n")
        found: dict[str, str] = {}
        for line in things.splitlines():
            name, _, state = line.partition("\t")
            found[name] = f"{found.get(name, '')} {state}"
        return found, said

    def declare(self, row: Row, host: Mapping[str, Any]) -> None:
        """Nothing but this row."""
        own = {"address": self.server.name, "ssh": {"config": str(self.server.ssh_config)}, **host}
        inventory = {"environment": "lab", "hosts": {self.server.name: own}}
        self.repository.write("inventories/lab.yml", json.dumps(inventory))
        for name in deploys.ORDER:
            if name != row.subject:
                self.repository.write(f"deploys/{name}.py", "def deploy():\n    pass\n")
        if row.call:
            body = "\n".join(f"    {line}" for line in row.call.splitlines())
            self.repository.write("deploys/trial.py", DEPLOY.format(body=body))


def texts(changes: list[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(f"{each['action']} {each['target']}" for each in changes)


@pytest.fixture(scope="module")
def table_server(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    server = lab_server("test-every")
    program = small_images.busybox(server)
    for number in ("1", "2"):
        path = tmp_path_factory.getbasetemp() / f"app-{number}.tar"
        small_images.write(path, "demo/app:1", program, marker=number)
        text = b64encode(path.read_bytes()).decode()
        server.run(f"cat > /var/tmp/app-{number}.tar.b64", input=text)
    server.run("sudo apt-get -qq install -y --no-install-recommends jq curl tree > /dev/null 2>&1")
    # Without the way back that these rows stand on, neither sshd nor the firewall may be changed.
    trial = Trial(server, Repository(tmp_path_factory.mktemp("prepared")))
    trial.declare(Row("prepared", "create", "", "confirmed.prepared()", ()), {})
    trial.repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    return server


@pytest.fixture
def trial(table_server: Server, repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    for number in ("1", "2"):
        (repository.root / f"app-{number}.tar").hardlink_to(
            tmp_path_factory.getbasetemp() / f"app-{number}.tar"
        )
    return Trial(table_server, repository)


@pytest.mark.parametrize(
    "row", ROWS, ids=[f"{n}-{each.operation}-{each.situation}" for n, each in enumerate(ROWS)]
)
def test_plan_and_performance_are_equal(trial: Trial, row: Row) -> None:
    if row.applied is not None:
        trial.declare(row, row.applied)
        trial.repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    trial.declare(row, row.host)
    before, saw = trial.look(row, first=row.before)

    planned = trial.repository.plan("lab")["hosts"][0]["changes"]
    assert texts(planned) == row.planned, trial.root(f"cat {SAID}")
    done = trial.repository.standfast("apply", "lab", "--yes", "--no-verify", "--json", expect=0)
    assert json.loads(done.stdout)["hosts"][0]["done"] == planned

    after, sees = trial.look(row)
    different = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    said = {change["target"] for change in planned if change["action"] != "reload"}
    named = {name for name in different if name in said or any(fnmatchcase(name, each) for each in row.also)}
    assert different == named, "more than it said"
    assert said & {*before, *after} <= different, "less than it said"
    if row.planned:
        assert (saw == row.says, sees) == (False, row.says)
