"""The command line itself: help, exit codes, and that the documentation names what exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from standfast.cli.main import COMMANDS, standfast

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.ja.md", *sorted((ROOT / "docs").rglob("*.md"))]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "standfast.cli.main", *arguments], capture_output=True, text=True, check=False
    )


def leaves(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    """A command, or the commands of a group."""
    if isinstance(command, click.Group):
        return [leaf for each in command.commands.values() for leaf in leaves(each, f"{name} {each.name}")]
    return [(name, command)]


def all_commands() -> list[tuple[str, click.Command]]:
    context = click.Context(standfast)
    found = []
    for name in COMMANDS:
        command = standfast.get_command(context, name)
        assert command is not None, name
        found.extend(leaves(command, name))
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_and_exit_codes(name: str) -> None:
    done = CliRunner().invoke(standfast, [name, "--help"])
    assert done.exit_code == 0, done.output
    assert "Example" in done.output
    assert "Exit codes:" in done.output
    assert f"standfast {name}" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command"),
        (["plan"], "Missing argument"),
        (["plan", "nowhere"], "nowhere"),
        (["plan", "lab", "--only", "cady"], "did you mean `caddy`?"),
        (["plan", "lab", "--nonsense"], "No such option"),
        (["apply", "lab"], "--yes"),
        (["verify", "nowhere"], "nowhere"),
        (["restore", "lab", "--all", "--yes", "--at", "yesterday"], "a moment such as 2026-11-22T03:00"),
    ],
)
def test_a_wrong_command_line_exits_3_with_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories/lab.yml").write_text("environment: lab\nhosts: {a: {address: 127.0.0.1}}\n")
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "standfast.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 3, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [(), ("--wrong",), ("nosuch",)])
def test_the_programs_own_command_line(arguments: tuple[str, ...]) -> None:
    """click's own code for it means to us that there are differences."""
    done = run(*arguments)
    assert done.returncode == 3
    assert done.stderr.startswith("Usage: ")


@pytest.mark.parametrize("arguments", [["schema-json"], ["--help"]])
def test_a_full_disk_under_the_answer_is_one_message(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "standfast.cli.main", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: No space left on device, for the answer or for a temporary file. ")
    assert done.stderr.count("\n") == 1


def test_a_wrong_limit_names_the_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lab.yml").write_text("environment: lab\nhosts: {web-1: {address: 127.0.0.1}}\n")
    monkeypatch.chdir(tmp_path)
    done = run("plan", "./lab.yml", "--limit", "web-2")
    assert done.returncode == 3
    assert "did you mean `web-1`?" in done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documentation_names_commands_that_exist(page: Path) -> None:
    known = {name for name, _ in all_commands()} | set(COMMANDS)
    text = page.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL))
    named = re.findall(r"^(?:\$ )?(?:\.venv/bin/)?standfast ([a-z][a-z-]*)", blocks, re.MULTILINE)
    named += re.findall(r"`standfast ([a-z][a-z-]*)", text)
    assert {name for name in named if name not in known} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_the_documentation_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
