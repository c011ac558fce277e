"""
``standfast-host docker-guard``: Docker's authorization plugin, started by systemd for its socket.

Docker asks it before every call of its API. It never asks Docker back, never looks at a body, answers what it
does not know with yes, and what it cannot judge among removals with no.
Source: docs.docker.com/engine/extend/plugins_authorization.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any

from standfast.host.guard import docker_disk, protection, window
from standfast.host.guard.docker_decision import refusal
from standfast.host.guard.docker_requests import wish

FIRST_SOCKET = 3
"""Number of the first file that systemd hands over. Source: sd_listen_fds(3)."""
LOOK = 2.0
"""Seconds between two looks whether this program has been replaced by another version."""
BODY_AT_MOST = 16 << 20


class Plugin(BaseHTTPRequestHandler):
    """One connection of Docker's."""

    protocol_version = "HTTP/1.1"
    server_version = "standfast"

    def do_POST(self) -> None:
        """Answer one question."""
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(size, BODY_AT_MOST))
        if self.path == "/Plugin.Activate":
            self._answer({"Implements": ["authz"]})
        elif self.path == "/AuthZPlugin.AuthZReq":
            self._answer(decided(body))
        else:
            self._answer({"Allow": True})

    def _answer(self, answer: Mapping[str, object]) -> None:
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.plugins.v1.1+json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def address_string(self) -> str:
        """A UNIX socket has no address."""
        return "docker"

    def log_message(self, format: str, *arguments: object) -> None:
        """Only decisions are written down."""


class Server(ThreadingMixIn, HTTPServer):
    """Serves the socket that systemd has opened, until the program itself is replaced."""

    daemon_threads = True

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(("", 0), Plugin, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self._program = _identity(Path(sys.argv[0]))
        self._looked = time.monotonic()

    def service_actions(self) -> None:
        """Between two connections: tell systemd that it is alive, make place for a new version."""
        _tell("WATCHDOG=1")
        if time.monotonic() - self._looked >= LOOK:
            self._looked = time.monotonic()
            if _identity(Path(sys.argv[0])) not in (self._program, None):  # deleted: this one goes on
                raise Replaced

    def get_request(self) -> tuple[socket.socket, Any]:
        """A connection; http.server wants an address beside it."""
        connection, _ = self.socket.accept()
        return connection, ("docker", 0)


class Replaced(Exception):
    """Another version of this program is there; systemd starts it at the next question."""


def decided(question: bytes) -> dict[str, object]:
    """The answer to a question of Docker's."""
    try:
        asked = json.loads(question)
        method, address = str(asked["RequestMethod"]), str(asked["RequestUri"])
    except (ValueError, KeyError, TypeError):
        return _no("refused by standfast: expected a question with a method and an address, found none.")
    wanted = wish(method, address)
    if wanted is None:
        return {"Allow": True}
    reason = refusal(wanted, protection.load(), docker_disk.root())
    if reason is None:
        return {"Allow": True}
    details = {"guard": "docker", "request": f"{method} {address}", "user": str(asked.get("User") or "")}
    opened = window.current()
    if opened is None:
        _record("refused", details)
        return _no(reason)
    _record("let through", {**details, "reason": opened.reason, "by": opened.by})
    return {"Allow": True}


def main(arguments: list[str]) -> int:
    """
    Serve until the program is replaced.

    Returns 0 then; 3 when it was not started for a socket, and nothing was done.
    """
    if arguments or os.environ.get("LISTEN_FDS") != "1":
        sys.stderr.write(
            f"usage: standfast-host docker-guard\n\n{__doc__}\n"
            "It is not for people: `systemctl start standfast-docker-guard.socket`.\n"
        )
        return 0 if arguments in (["-h"], ["--help"]) else 3
    with Server(socket.socket(fileno=FIRST_SOCKET)) as server:
        _tell("READY=1")
        try:
            server.serve_forever(poll_interval=0.5)
        except Replaced:
            return 0
    return 0


def _no(reason: str) -> dict[str, object]:
    return {"Allow": False, "Msg": reason}


def _record(decision: str, details: Mapping[str, str]) -> None:
    """A disk that is full or read-only does not change a decision."""
    sys.stderr.write(f"{decision}: {details['request']}\n")
    sys.stderr.flush()
    try:
        window.record(decision, details)
    except OSError as error:
        sys.stderr.write(f"could not be recorded: {error}\n")


def _tell(state: str) -> None:
    """A word to systemd. Source: sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        name = f"\0{address[1:]}" if address.startswith("@") else address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as talk:
            talk.sendto(state.encode(), name)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
