"""Help and completion answer at once: they import nothing heavy. Modules are counted, not seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from standfast.cli.main import COMMANDS

HEAVY = {"pyinfra", "gevent", "paramiko", "pydantic", "yaml", "jinja2", "pytest", "testinfra", "cryptography"}
# Of the interpreter, click and ours; click alone is 97 of them.
MODULES = 180
SCRIPT = """
import json, sys
from standfast.cli.main import main
sys.argv = ["standfast", *sys.argv[1:]]
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def imported(*arguments: str, **environment: str) -> tuple[str, set[str]]:
    """What a command prints, and the modules that it has imported by then."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout, set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    output, modules = imported(*arguments)
    assert output
    assert not HEAVY & modules
    assert len(modules) < MODULES


@pytest.mark.parametrize(
    ("words", "offered"),
    [("standfast pl", "plan"), *((f"standfast {name} --", "--help") for name in COMMANDS)],
)
def test_completion_imports_nothing_heavy(words: str, offered: str) -> None:
    output, modules = imported(
        _STANDFAST_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1)
    )
    assert f"plain,{offered}" in output.splitlines()
    assert not HEAVY & modules
    assert len(modules) < MODULES


def test_verify_does_without_the_engine(tmp_path: Path) -> None:
    """It asks through ssh(1); what plans and changes servers would cost it a third of a second."""
    inventory = tmp_path / "nowhere.yml"
    inventory.write_text(
        "environment: lab\nhosts: {nowhere: {address: 127.0.0.1, ssh: {port: 9, user: ops}}}\n"
    )
    output, modules = imported("verify", str(inventory))
    assert "no assertion could be made" in output
    assert not {"pyinfra", "gevent", "paramiko"} & modules
