"""Finding inventories, their root, the places of faults, and files that are no inventories at all."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from standfast.errors import InventoryError
from standfast.inventory.faults import InventoryFaults, dotted
from standfast.inventory.loader import find, load

MINIMAL = "environment: lab\nhosts:\n  web-1:\n    address: 192.0.2.1\n"
SAMPLES = Path(__file__).parents[2] / "inventories"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two inventories, and we are in it."""
    folder = tmp_path / "inventories"
    folder.mkdir()
    for name in ("production.yml", "lab.yaml"):
        (folder / name).write_text(MINIMAL, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_environment_is_found_by_its_name(repository: Path) -> None:
    assert find("production", cwd=repository) == repository / "inventories/production.yml"
    assert find("lab", cwd=repository) == repository / "inventories/lab.yaml"


def test_a_path_is_taken_as_it_is(repository: Path) -> None:
    assert find("inventories/lab.yaml", cwd=repository) == repository / "inventories/lab.yaml"
    assert find(str(repository / "inventories/lab.yaml"), cwd=Path("/")).is_file()


@pytest.mark.parametrize(
    ("asked", "place", "hint"),
    [
        ("prodction", "inventories/prodction.yml", "did you mean `production`? "),
        ("prod", "inventories/prod.yml", "did you mean `production`? "),
        ("inventories/staging.yml", "inventories/staging.yml", ""),
        ("../nowhere.yml", "../nowhere.yml", ""),
    ],
)
def test_what_is_not_found_is_told_with_what_exists(
    repository: Path, asked: str, place: str, hint: str
) -> None:
    with pytest.raises(InventoryError) as caught:
        find(asked, cwd=repository)
    assert str(caught.value) == (
        f"{place}: expected an inventory, but there is no such file; {hint}there are: lab, production"
    )
    assert caught.value.exit_code == 3


def test_what_is_no_inventory_by_its_kind(repository: Path) -> None:
    with pytest.raises(InventoryError, match=r"^inventories: expected an inventory file, not a folder"):
        find("./inventories", cwd=repository)
    with pytest.raises(InventoryError, match="not an empty text; there are: lab, production"):
        find("", cwd=repository)


def test_no_inventories_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InventoryError) as caught:
        find("production", cwd=tmp_path)
    assert str(caught.value) == (
        "inventories/production.yml: expected an inventory, but there is no such file; "
        "this folder has no inventories (inventories/*.yml); `standfast init` writes one"
    )


def test_two_files_for_one_environment(repository: Path) -> None:
    (repository / "inventories/lab.yml").write_text(MINIMAL, encoding="utf-8")
    with pytest.raises(InventoryError, match=r"not two: inventories/lab\.yml and inventories/lab\.yaml"):
        find("lab", cwd=repository)


def test_the_root_is_the_repository(repository: Path) -> None:
    loaded = load(Path("inventories/production.yml"))
    assert loaded.root == repository
    assert loaded.path == repository / "inventories/production.yml"
    assert loaded.file("files/compose.yml") == repository / "files/compose.yml"


def test_the_root_of_a_file_elsewhere_is_its_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(MINIMAL, encoding="utf-8")
    assert load(tmp_path / "mine.yml").root == tmp_path


def test_files_of_the_users_machine_are_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/hanako")
    ssh = "    ssh: {key: ~/.ssh/id_ed25519, config: ssh_config, known_hosts: /etc/known_hosts}\n"
    (tmp_path / "mine.yml").write_text(MINIMAL + ssh, encoding="utf-8")
    loaded = load(tmp_path / "mine.yml").inventory.hosts["web-1"].ssh
    assert loaded.key == "/home/hanako/.ssh/id_ed25519"
    assert loaded.config == str(tmp_path / "ssh_config")
    assert loaded.known_hosts == "/etc/known_hosts"


def test_a_folder_is_not_an_inventory(repository: Path) -> None:
    with pytest.raises(InventoryFaults) as caught:
        load(Path("inventories"))
    assert str(caught.value) == "inventories:1:1: expected a file, not a folder"


def test_a_fault_found_later_has_its_place(repository: Path) -> None:
    loaded = load(Path("inventories/production.yml"))
    fault = loaded.fault(("hosts", "web-1", "address"), "unreachable")
    assert str(fault) == "inventories/production.yml:4:14: hosts.web-1.address: unreachable"
    fault = loaded.fault(("hosts", "web-1", "docker", "volumes"), "not declared")
    assert (fault.line, fault.column) == (3, 3)


def test_faults_are_sorted_by_position(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLES / "invalid")
    with pytest.raises(InventoryFaults) as caught:
        load(Path("faults-everywhere.yml"))
    places = [(fault.line, fault.column) for fault in caught.value.faults]
    assert places == sorted(places)
    assert len(places) >= 12


def test_paths_are_written_as_people_write_them() -> None:
    assert dotted(("hosts", "web-1", "firewall", "allow", 0, "port")) == "hosts.web-1.firewall.allow[0].port"
    assert dotted(("sites", "a.example.com", "tls")) == 'sites["a.example.com"].tls'
    assert dotted(()) == ""


def test_an_alias_bomb_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLES / "invalid")
    started = time.monotonic()
    with pytest.raises(InventoryFaults):
        load(Path("alias-bomb.yml"))
    assert time.monotonic() - started < 60


def test_deep_nesting_is_refused_without_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "deep.yml"
    path.write_text("hosts: " + "[" * 20_000, encoding="utf-8")
    with pytest.raises(InventoryFaults, match="expected at most 50 levels"):
        load(path)


def test_a_very_large_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.yml"
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(InventoryFaults, match="expected at most 1,000,000 bytes, not 1,000,001"):
        load(path)


def test_damaged_files_are_faults_and_never_crashes(tmp_path: Path) -> None:
    """Cuts, swaps and strange characters in a full sample: it loads, or says why not."""
    source = (SAMPLES / "valid/everything.yml").read_text(encoding="utf-8")
    chosen = random.Random(2026)  # noqa: S311 - the same damage in every run
    path = tmp_path / "damaged.yml"
    outcomes = set()
    for _ in range(150):
        text = list(source)
        for _ in range(chosen.randint(1, 4)):
            at = chosen.randrange(len(text))
            text[at : at + chosen.randint(0, 3)] = chosen.choice(DAMAGE)
        path.write_text("".join(text), encoding="utf-8")
        outcomes |= outcome(path)
    assert "fault" in outcomes
    assert "nothing said" not in outcomes


DAMAGE = ["", ":", "- ", "{", "\t", "&a ", "*a", "\n", "~", "'", "\\0", "!x "]


def outcome(path: Path) -> set[str]:
    """What happens when a file is loaded; a crash is none of the possibilities."""
    try:
        load(path)
    except InventoryFaults as error:
        return {"fault" if all(fault.line and fault.message for fault in error.faults) else "nothing said"}
    return {"loaded"}


def test_the_inventory_needs_neither_pyinfra_nor_gevent() -> None:
    code = (
        "import sys, standfast.inventory.loader, standfast.inventory.secrets, standfast.inventory.reference\n"
        "found = {'pyinfra', 'gevent', 'click', 'paramiko'} & set(sys.modules)\n"
        "sys.exit(f'imported: {found}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
