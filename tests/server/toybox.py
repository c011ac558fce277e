"""The full example as a user's repository, for tests that need the whole server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from standfast.lab.drivers import Server
from tests.server.conftest import Repository

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/toybox"
SITE = "toybox.lab"


def build_images(folder: Path) -> None:
    """Build the example's images, or take them from the cache."""
    subprocess.run(
        [sys.executable, str(EXAMPLE / "build-images"), str(folder)], check=True, capture_output=True
    )


def full_toybox(repository: Repository, server: Server, images: Path) -> None:
    """A repository that declares the whole example for one server: the demo's inventory."""
    for name in ("compose.yml", "env.j2"):
        (repository.root / "examples/toybox").mkdir(parents=True, exist_ok=True)
        shutil.copy2(EXAMPLE / name, repository.root / "examples/toybox" / name)
    shutil.copytree(
        EXAMPLE / "assertions", repository.root / "examples/toybox/assertions", dirs_exist_ok=True
    )
    inventory = (ROOT / "inventories/lab.yml").read_text()
    repository.write(
        "inventories/lab.yml",
        inventory.replace("web-1:", f"{server.name}:")
        .replace("address: web-1", f"address: {server.name}")
        .replace("/var/lib/standfast/lab/ssh_config", str(server.ssh_config))
        .replace("build/images", str(images)),
    )
    for name in ("postgres_password", "django_secret_key"):
        secret = repository.write(f"build/secrets/{name}", f"s3cr3t-{name}\n")
        secret.chmod(0o600)


def manage(server: Server, command: str) -> str:
    """Run a command of the Django application."""
    return server.run(f"sudo docker compose -p toybox exec -T web python3 manage.py {command}").stdout


def counts(server: Server) -> dict[str, Any]:
    """Rows and content hash of every table, number and bytes of the pictures."""
    taken: dict[str, Any] = json.loads(manage(server, "counts --json --hash"))
    return taken


def ask(server: Server, path: str = "/healthz") -> subprocess.CompletedProcess[str]:
    """Ask the site from outside, by HTTPS with Caddy's own authority."""
    return subprocess.run(
        [
            "curl",
            "-skS",
            "-m",
            "10",
            "--fail",
            "--connect-to",
            f"{SITE}:443:{server.address}:{server.ports.get(443, 443)}",
            f"https://{SITE}{path}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
