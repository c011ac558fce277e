"""The example's image archives, as `docker load` will read them; and its Compose file and template."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from standfast.errors import InventoryError
from standfast.inventory.schema import Host
from standfast.inventory.secrets import SecretValue
from standfast.rendering import render

TOYBOX = Path(__file__).resolve().parents[2] / "examples/toybox"


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that writes archives."""
    monkeypatch.syspath_prepend(TOYBOX)
    return importlib.import_module("images.archive")


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that says what images are made of."""
    monkeypatch.syspath_prepend(TOYBOX)
    return importlib.import_module("images.recipes")


def entries(archive: ModuleType) -> list[Any]:
    return [
        archive.Entry("srv/b", b"two", 0o600, 5),
        archive.Entry("srv", None, 0o755),
        archive.Entry("srv/a", b"one", 0o755),
    ]


def write(archive: ModuleType, folder: Path, version: str) -> tuple[str, Path]:
    layer = archive.pack(entries(archive), folder / "layer.tar.gz", 1_700_000_000)
    path = folder / f"{version}.tar"
    config = {"Env": [f"VERSION={version}"]}
    identity = archive.write(
        path, f"toy:{version}", [layer], config, architecture="amd64", when="2025-01-01T00:00:00Z"
    )
    return identity, path


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]  # files only


def test_layer_keeps_order_owners_and_modes(archive: ModuleType, tmp_path: Path) -> None:
    layer = archive.pack(entries(archive), tmp_path / "layer.tar.gz", 1_700_000_000)
    with tarfile.open(layer.path) as tar:
        told = [(m.name, m.isdir(), m.mode, m.uid, m.gid, m.mtime) for m in tar]
    assert told == [
        ("srv", True, 0o755, 0, 0, 1_700_000_000),
        ("srv/a", False, 0o755, 0, 0, 1_700_000_000),
        ("srv/b", False, 0o600, 5, 5, 1_700_000_000),
    ]
    assert layer.digest == hashlib.sha256(gzip.decompress(layer.path.read_bytes())).hexdigest()


def test_archive_says_what_docker_checks(archive: ModuleType, tmp_path: Path) -> None:
    identity, path = write(archive, tmp_path, "1")
    found = members(path)
    [manifest] = json.loads(found["manifest.json"])
    assert manifest["RepoTags"] == ["toy:1"]
    config = found[manifest["Config"]]
    assert identity == f"sha256:{hashlib.sha256(config).hexdigest()}"
    digests = [f"sha256:{hashlib.sha256(gzip.decompress(found[n])).hexdigest()}" for n in manifest["Layers"]]
    assert json.loads(config)["rootfs"]["diff_ids"] == digests


def test_same_input_same_bytes_and_versions_share_layers(archive: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    first, again = write(archive, tmp_path, "1"), write(archive, tmp_path / "again", "1")
    assert first[0] == again[0]
    assert first[1].read_bytes() == again[1].read_bytes()
    second = write(archive, tmp_path, "2")
    assert second[0] != first[0]
    layers = [json.loads(members(path)["manifest.json"])[0]["Layers"] for _, path in (first, second)]
    assert layers[0] == layers[1]


def test_a_failed_write_leaves_the_old_archive(archive: ModuleType, tmp_path: Path) -> None:
    _, path = write(archive, tmp_path, "1")
    before = path.read_bytes()
    gone = archive.Layer(tmp_path / "gone.tar.gz", "0" * 64)
    with pytest.raises(FileNotFoundError):
        archive.write(path, "toy:1", [gone], {}, architecture="amd64", when="2025-01-01T00:00:00Z")
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.tar", "layer.tar.gz"]


def test_only_the_application_is_in_its_layer(recipes: ModuleType, tmp_path: Path) -> None:
    found = {entry.path for entry in recipes.web_entries()}
    assert {"srv/app/manage.py", "srv/app/board/migrations/0001_initial.py", "srv/media"} <= found
    assert not [path for path in found if re.search(r"/\.|__pycache__|ruff", path)]


def test_every_wheel_is_pinned_by_version_and_hash(recipes: ModuleType) -> None:
    text = recipes.REQUIREMENTS.read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w-]+==[\d.]+( +--hash=sha256:[0-9a-f]{64})+ *", line) for line in lines)
    compiled = [line for line in lines if line.startswith(("psycopg-binary", "Pillow"))]
    assert [line.count("--hash") for line in compiled] == [2, 2], "amd64 and arm64"


def test_a_missing_program_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("dpkg", "apt-get"):
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    done = subprocess.run(
        [sys.executable, str(TOYBOX / "build-images"), str(tmp_path / "out"), "--only", "postgres"],
        env={"PATH": str(tmp_path / "bin"), "STANDFAST_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "mmdebstrap is not installed: apt-get install mmdebstrap" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_compose_file_has_no_data_outside_named_external_volumes() -> None:
    compose = yaml.safe_load((TOYBOX / "compose.yml").read_text())
    mounts = [mount for service in compose["services"].values() for mount in service["volumes"]]
    assert {mount.split(":")[0] for mount in mounts} == set(compose["volumes"])
    assert all(volume == {"external": True} for volume in compose["volumes"].values())
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:8000:8000"]


def test_environment_needs_its_secrets() -> None:
    host = Host.model_validate(
        {"address": "web-1", "caddy": {"sites": {"toybox.example.com": {"proxy": "127.0.0.1:8000"}}}}
    )
    secrets = {name: SecretValue(f"value of {name}") for name in ("postgres_password", "django_secret_key")}
    source = (TOYBOX / "env.j2").read_text()
    rendered = render(source, "env.j2", {"host": host}, secrets)
    assert "SITE_URL='https://toybox.example.com'\n" in rendered.text
    assert "POSTGRES_PASSWORD='value of postgres_password'\n" in rendered.text
    assert "value of" not in rendered.shown
    for missing in secrets:
        others = {name: value for name, value in secrets.items() if name != missing}
        with pytest.raises(InventoryError, match=missing):
            render(source, "env.j2", {"host": host}, others)
