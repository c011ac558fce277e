"""``standfast shell-init`` in real shells: the words reach standfast, everything else pyinfra."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from standfast.cli.main import standfast

ODD = ["two words", "", "*", "$HOME", "`id`", "a'b\"c", "--", "-x", "new\nline", "日本", "\\", ";true"]
RECORDER = '#!/bin/sh\nprintf \'%s\\0\' "${0##*/}" "$@"\nexit 42\n'


@pytest.fixture(params=["bash", "zsh"])
def shell(request: pytest.FixtureRequest) -> str:
    """A shell of this machine."""
    name = str(request.param)
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """An environment in which `pyinfra` and `standfast` say who was called and how."""
    for name in ("pyinfra", "standfast"):
        (tmp_path / name).write_text(RECORDER, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}


def called(
    shell: str, programs: dict[str, str], words: list[str], options: str = ""
) -> tuple[list[str], int]:
    """Who was called with what by `pyinfra WORDS` in a shell that has evaluated our code, and its exit code."""
    code = CliRunner().invoke(standfast, ["shell-init", shell]).stdout
    script = f'{options}\neval "$CODE"\npyinfra "$@"\n'
    no_files = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"]}[shell]
    done = subprocess.run(
        [shell, *no_files, "-c", script, shell, *words],
        env={**programs, "CODE": code},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.stdout.split("\0")[:-1], done.returncode


@pytest.mark.parametrize("word", ["plan", "apply", "drift"])
def test_our_words_reach_standfast_with_every_argument_intact(
    shell: str, programs: dict[str, str], word: str
) -> None:
    assert called(shell, programs, [word, *ODD]) == (["standfast", word, *ODD], 42)


@pytest.mark.parametrize("words", [[], ODD, ["inventory.py", "plan"], ["--dry", "apply"], ["planned"], [""]])
def test_everything_else_reaches_the_real_program(
    shell: str, programs: dict[str, str], words: list[str]
) -> None:
    assert called(shell, programs, words) == (["pyinfra", *words], 42)


def test_it_works_in_a_strict_shell(shell: str, programs: dict[str, str]) -> None:
    assert called(shell, programs, [], "set -u") == (["pyinfra"], 42)
    assert called(shell, programs, ["plan", "a b"], "set -eu") == (["standfast", "plan", "a b"], 42)


def test_in_an_interactive_shell(shell: str, programs: dict[str, str]) -> None:
    code = CliRunner().invoke(standfast, ["shell-init"], env={"SHELL": f"/bin/{shell}"}).stdout
    done = subprocess.run(
        [shell, *({"bash": ["--norc"], "zsh": ["-f"]}[shell]), "-i", "-c", f'{code}\npyinfra plan "x y"'],
        env=programs,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout.split("\0")[:-1] == ["standfast", "plan", "x y"]


def test_a_shell_without_code_is_refused() -> None:
    result = CliRunner().invoke(standfast, ["shell-init", "fish"])
    assert result.exit_code == 3
    result = CliRunner().invoke(standfast, ["shell-init"], env={"SHELL": "/usr/bin/fish"})
    assert result.exit_code == 3
    assert "there is no code for fish" in result.stderr


def test_tab_completes_commands_and_inventories(tmp_path: Path) -> None:
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories/production.yml").touch()
    code = CliRunner().invoke(standfast, ["shell-init", "bash"]).stdout
    script = """eval "$CODE"
COMP_WORDS=(standfast "${@}") COMP_CWORD=$#
_standfast_completion standfast
printf '%s\\n' "${COMPREPLY[@]}"
"""
    for words, offered in (
        (["drif"], "drift"),
        (["plan", "prod"], "production"),
        (["plan", "--js"], "--json"),
    ):
        done = subprocess.run(
            ["bash", "--norc", "--noprofile", "-c", script, "bash", *words],
            env={**os.environ, "CODE": code, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.split() == [offered], done.stderr
