"""``standfast init``: what it writes is right as it stands, and it overwrites nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from standfast.cli.main import standfast
from standfast.inventory import document
from standfast.inventory.example import BACKUP_PASSWORD
from standfast.inventory.loader import find, load
from standfast.inventory.new_repository import SECRETS, files
from standfast.inventory.secrets import resolve_all
from standfast.rendering import render_file


def run(*arguments: str) -> Result:
    """The command, as from a shell."""
    return CliRunner().invoke(standfast, arguments)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new repository, and we are in it."""
    result = run("init", str(tmp_path / "infra"))
    assert result.exit_code == 0, result.output
    monkeypatch.chdir(tmp_path / "infra")
    return tmp_path / "infra"


def test_it_writes_everything_and_says_what_is_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("init", "our servers")
    assert result.exit_code == 0
    written = {str(p.relative_to("our servers")) for p in Path("our servers").rglob("*") if p.is_file()}
    assert written == set(files())
    assert result.stdout.startswith(f"Wrote {len(written)} files into our servers:\n")
    assert "  cd 'our servers'\n" in result.stdout
    assert "standfast plan production" in result.stdout


@pytest.mark.parametrize("name", ["production", "lab"])
def test_its_inventories_load_with_their_secrets(repository: Path, name: str) -> None:
    loaded = load(find(name, cwd=repository))
    assert loaded.root == repository
    environment = dict.fromkeys([*SECRETS.values(), BACKUP_PASSWORD], "a value")
    secrets = resolve_all(loaded, environment=environment)["web-1"]["toybox"]
    assert set(secrets) == set(SECRETS)
    host = loaded.inventory.hosts["web-1"]
    app = host.apps["toybox"]
    assert app.env is not None
    rendered = render_file(loaded.file(app.env), {"host": host}, secrets)
    assert "POSTGRES_PASSWORD='a value'" in rendered.text
    assert "a value" not in rendered.shown


def test_its_compose_file_uses_the_volume_and_the_port_of_the_inventory(repository: Path) -> None:
    compose = yaml.safe_load((repository / "files/toybox/compose.yml").read_text(encoding="utf-8"))
    host = load(find("production", cwd=repository)).inventory.hosts["web-1"]
    assert host.docker is not None
    assert host.caddy is not None
    assert set(compose["volumes"]) == set(host.docker.volumes)
    assert all(volume == {"external": True} for volume in compose["volumes"].values())
    assert compose["services"]["web"]["ports"] == ["127.0.0.1:8000:80"]
    assert [site.proxy for site in host.caddy.sites.values()] == ["127.0.0.1:8000"]


def test_its_inventories_name_the_schema_beside_them(repository: Path) -> None:
    schema = json.loads((repository / "inventories/.inventory.schema.json").read_text(encoding="utf-8"))
    for path in (repository / "inventories").glob("*.yml"):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first == "# yaml-language-server: $schema=.inventory.schema.json"
        Draft202012Validator(schema).validate(document.read(path, file=path.name).data)


def test_its_python_and_yaml_files_are_valid(repository: Path) -> None:
    test = (repository / "tests/test_site.py").read_text(encoding="utf-8")
    compile(test, "test_site.py", "exec")
    assert "def test_" in test
    assert "(host)" in test
    workflow = (repository / ".github/workflows/infrastructure.yml").read_text(encoding="utf-8")
    assert "standfast plan production" in yaml.safe_load(workflow)["jobs"]["plan"]["steps"][-1]["run"]
    assert "@VERSION@" not in workflow


def test_nothing_is_overwritten_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("mine", encoding="utf-8")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_site.py").symlink_to("/nowhere")
    result = run("init")
    assert result.exit_code == 3
    assert "README.md, tests/test_site.py, which init does not overwrite" in result.stderr
    assert "Nothing was written" in result.stderr
    assert result.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "tests"]
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "mine"


def test_a_folder_with_other_files_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "LICENSE").write_text("mine", encoding="utf-8")
    result = run("init", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"folder": str(tmp_path), "files": list(files())}


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "infra").write_text("", encoding="utf-8")
    for folder in (tmp_path / "infra", tmp_path / "infra/production"):
        result = run("init", str(folder))
        assert result.exit_code == 3
        assert "infra: expected a folder, not a file; nothing was written" in result.stderr


def test_a_file_in_place_of_one_of_its_folders(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("in the way", encoding="utf-8")
    result = run("init", str(tmp_path))
    assert result.exit_code == 3
    assert "expected a folder without files, which" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_writing_that_fails_says_what_has_been_written() -> None:
    result = run("init", "/proc/no-place-for-files")
    assert result.exit_code == 1
    assert "/proc/no-place-for-files" in result.stderr
    assert "cannot be written: No such file or directory. Written: nothing" in result.stderr


@pytest.mark.parametrize("command", ["init", "schema-json", "shell-init"])
def test_help_ends_with_examples_and_exit_codes(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Examples:\n" in result.stdout
    assert "Exit codes: 0" in result.stdout


def test_schema_json_is_the_committed_one() -> None:
    committed = Path(__file__).parents[2] / "docs/reference/inventory.schema.json"
    assert run("schema-json").stdout == committed.read_text(encoding="utf-8")
