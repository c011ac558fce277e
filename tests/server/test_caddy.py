"""Caddy on a real server: its sites answer, whatever happens to its Caddyfile."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from standfast.lab import nspawn
from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.subject import Subject

CADDYFILE = "/etc/caddy/Caddyfile"
HEADER = "header X-Version {}"


@dataclass
class Answers:
    """What came back."""

    good: int = 0
    bad: int = 0


@pytest.fixture(scope="module")
def shared(lab_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Subject:
    subject = Subject(Repository(tmp_path_factory.mktemp("caddy")), lab_server("test-caddy"), "caddy")
    subject.root("mkdir -p /srv/www; echo hello > /srv/www/index.html")
    declare(subject)
    assert subject.targets() == [CADDYFILE, "package caddy", "caddy.service"]
    subject.apply()
    assert subject.targets() == []
    authority = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"
    subject.repository.write("authority.crt", subject.root(f"cat {authority}"))
    return subject


@pytest.fixture
def caddy(shared: Subject) -> Iterator[Subject]:
    yield shared
    declare(shared)
    shared.apply()


def declare(
    subject: Subject, directives: str = HEADER.format(1), more: dict[str, object] | None = None
) -> None:
    """One site by address, with a certificate of Caddy's own authority."""
    site = {"root": "/srv/www", "tls": "internal", "directives": directives}
    subject.declare(
        caddy={"email": "ops@example.com", "sites": {subject.server.address: site, **(more or {})}}
    )


def declare_file(subject: Subject, text: str) -> None:
    """A Caddyfile of the user's own."""
    subject.repository.write("files/Caddyfile", text)
    subject.declare(caddy={"caddyfile": "files/Caddyfile"})


def get(subject: Subject) -> tuple[int, str | None]:
    """Status and version that a new connection gets; the certificate is checked."""
    trust = ssl.create_default_context(cafile=str(subject.repository.root / "authority.crt"))
    connection = http.client.HTTPSConnection(subject.server.address, timeout=5, context=trust)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status, answer.getheader("X-Version")
    finally:
        connection.close()


@contextmanager
def requests(subject: Subject) -> Iterator[Answers]:
    """Ask without a pause, from two threads, each time by a new connection."""
    answers, stop = Answers(), threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                good = get(subject)[0] == 200
            except OSError:
                good = False
            answers.good += good
            answers.bad += not good

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_first_start_is_already_with_our_file(caddy: Subject) -> None:
    assert get(caddy) == (200, "1")
    assert caddy.root("systemctl show -p NRestarts --value caddy").strip() == "0"
    started = caddy.root("journalctl -u caddy -o cat | grep -c 'serving initial configuration'")
    assert started.strip() == "1"


def test_nothing_of_root_is_left_with_caddy(caddy: Subject) -> None:
    caddy.targets()
    assert caddy.root("find /var/lib/caddy /var/log/caddy ! -user caddy").strip() == ""
    assert caddy.root("ls -A /etc/caddy").split() == ["Caddyfile", "Caddyfile.dpkg-dist"]


def test_reload_loses_no_request(caddy: Subject) -> None:
    """Of Caddy 2.6 one is let through: it listens before it has read its certificates again (2 in 60 reloads)."""
    with requests(caddy) as answers:
        declare(caddy, HEADER.format(2))
        assert [change["action"] for change in caddy.changes()] == ["update", "reload"]
        caddy.apply()
    assert (answers.good > 50, answers.bad <= 1) == (True, True)
    assert get(caddy) == (200, "2")


def test_address_of_another_server_is_refused_in_the_plan(caddy: Subject) -> None:
    """Caddy validates it and cannot listen there."""
    text = caddy.root(f"cat {CADDYFILE}")
    with requests(caddy) as answers:
        declare_file(caddy, f"{text}\nhttp://:8077 {{\n\tbind 192.0.2.7\n\trespond x\n}}\n")
        said = caddy.refusal()
    assert "listen on 192.0.2.7: expected an address of this server" in said
    assert (answers.good > 50, answers.bad) == (True, 0)


def test_after_a_reload_that_failed_every_request_is_answered(caddy: Subject) -> None:
    """It validates and fails when it listens, at the second of two places: the first is already open."""
    before = caddy.root(f"cat {CADDYFILE}")
    site = f"\n{caddy.server.address} {{"
    assert site in before
    declare_file(caddy, before.replace(site, f"{site}\n\tbind 0.0.0.0 unix//nowhere/x"))
    said = caddy.apply(expect=1)
    assert "/nowhere/x" in said
    assert "the file is as it was before" in said
    assert caddy.root(f"cat {CADDYFILE}") == before
    with requests(caddy) as answers:
        time.sleep(2)
    assert (answers.good > 50, answers.bad) == (True, 0)
    assert caddy.root("systemctl is-active caddy").strip() == "active"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("example.com {\n\trespnd x\n}\n", "/etc/caddy/Caddyfile:2: unrecognized directive: respnd"),
        ("example.com {\n\ttls /no.pem /no.key\n}\n", "open /no.pem: no such file"),
        ("{\n\tadmin off\n}\nexample.com {\n}\n", "admin off"),
    ],
)
def test_bad_caddyfile_is_refused_in_the_plan(caddy: Subject, text: str, said: str) -> None:
    before = caddy.root("find /var/lib/caddy /var/log/caddy /etc/caddy | sort")
    declare_file(caddy, text)
    assert said in caddy.refusal()
    assert caddy.root("find /var/lib/caddy /var/log/caddy /etc/caddy | sort") == before
    assert get(caddy)[0] == 200


def test_edit_by_hand_is_found_and_repaired(caddy: Subject) -> None:
    caddy.root(f"sed -i s/X-Version/X-Other/ {CADDYFILE}; systemctl reload caddy")
    assert get(caddy) == (200, None)
    (change, _) = caddy.changes()
    assert f"-\t{HEADER.format(1).replace('Version', 'Other')}\n+\t{HEADER.format(1)}" in change["diff"]
    caddy.apply()
    assert get(caddy) == (200, "1")


def test_change_through_the_api_is_found_and_repaired(caddy: Subject) -> None:
    caddy.root("curl -sf -X DELETE http://127.0.0.1:2019/config/apps/http/servers/srv0/routes/0/handle/0")
    (change,) = caddy.changes()
    assert (change["action"], "somebody used its API" in change["detail"]) == ("reload", True)
    caddy.apply()
    assert get(caddy) == (200, "1")


def test_port_taken_is_named_and_what_ran_still_runs(caddy: Subject) -> None:
    caddy.root("systemd-run -q -u thief systemd-socket-activate -l 8080 -a --inetd cat")
    declare(caddy, more={":8080": {"root": "/srv/www", "tls": "off"}})
    said = caddy.refusal()
    pid = caddy.root("systemctl show -p MainPID --value thief").strip()
    assert f"port 8080: expected it to be free for Caddy, found it taken by process {pid}" in said
    assert "systemd-socket-activate -l 8080" in said
    assert get(caddy) == (200, "1")
    caddy.root("systemctl stop thief")
    caddy.apply()
    assert caddy.root("curl -s http://127.0.0.1:8080/") == "hello\n"


def test_stopped_caddy_is_started(caddy: Subject) -> None:
    caddy.root("systemctl disable -q --now caddy")
    assert [change["action"] for change in caddy.changes()] == ["update", "start"]
    caddy.apply()
    assert get(caddy)[0] == 200


def test_caddy_that_failed_on_a_bad_file_is_started_on_a_good_one(caddy: Subject) -> None:
    caddy.root(f"echo nonsense {{ > {CADDYFILE}; systemctl restart caddy || :")
    assert [(change["action"], change["target"]) for change in caddy.changes()] == [
        ("update", CADDYFILE),
        ("restart", "caddy.service"),
    ]
    caddy.apply()
    assert get(caddy) == (200, "1")


def test_reboot(caddy: Subject) -> None:
    nspawn.reboot(caddy.server.name)
    caddy.root("systemctl is-system-running --wait", check=False)  # SSH answers before all is started
    assert caddy.targets() == []
    assert get(caddy) == (200, "1")
