"""A repository of standfast's for a benchmark: the example in it, and servers declared as reached."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import yaml

from bench.contestants import ROOT, Target
from standfast.lab import nspawn


class Declared:
    """A folder with inventories."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images = folder / "images"

    def inventory(self, name: str, targets: Sequence[Target], declared: dict[str, Any]) -> None:
        """Write an inventory of standfast."""
        hosts = {
            each.name: {
                **declared,
                "address": each.address,
                "ssh": {
                    "user": "ops",
                    "port": each.port,
                    "key": str(each.key),
                    "known_hosts": str(each.known_hosts),
                },
            }
            for each in targets
        }
        path = self.folder / "inventories" / f"{name}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {"environment": "lab", "tests": "examples/toybox/assertions", "hosts": hosts}
        path.write_text(yaml.safe_dump(document), encoding="utf-8")

    def toybox(self) -> dict[str, Any]:
        """What the example declares for its server."""
        self.images.mkdir(exist_ok=True)
        build = [sys.executable, str(ROOT / "examples/toybox/build-images"), str(self.images)]
        subprocess.run(build, check=True, capture_output=True)
        shutil.copytree(ROOT / "examples/toybox", self.folder / "examples/toybox", dirs_exist_ok=True)
        (self.folder / "build").mkdir(exist_ok=True)
        (self.folder / "build/images").unlink(missing_ok=True)
        (self.folder / "build/images").symlink_to(self.images)
        secrets = self.folder / "build/secrets"
        secrets.mkdir(mode=0o700, exist_ok=True)
        for name in ("postgres_password", "django_secret_key"):
            (secrets / name).write_text("0123456789abcdef" * 2)
            (secrets / name).chmod(0o600)
        example = yaml.safe_load((ROOT / "inventories/lab.yml").read_text())
        declared: dict[str, Any] = example["hosts"]["web-1"]
        return declared

    def say(self, text: str) -> None:
        """Progress."""
        print(f"bench: {text}  (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)


@contextmanager
def throwaway() -> Iterator[Path]:
    """A folder, and a lab for servers; both are gone at the end, also when the benchmark is interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(130))
    folder = Path(mkdtemp(prefix="standfast-bench-"))
    os.environ["STANDFAST_LAB_DIR"] = f"/var/lib/standfast/bench-{os.getpid()}"
    try:
        yield folder
    finally:
        for name in nspawn.names():
            nspawn.destroy(name)
        shutil.rmtree(os.environ["STANDFAST_LAB_DIR"], ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
