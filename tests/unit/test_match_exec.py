"""`Match exec` in the user's SSH configuration."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import standfast.engine.connector  # noqa: F401 - as every command that works on servers

# isort: split
from pyinfra.connectors.sshuserclient.client import get_ssh_config


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash", None])
@pytest.mark.parametrize(
    ("command", "user"),
    [
        ("true", "hana"),
        ("exit 3", "ops"),
        ("test %n = web-1 && echo yes", "hana"),
        ("/missing 2> /dev/null", "ops"),
    ],
)
def test_the_shell_decides(
    command: str,
    user: str,
    shell: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if shell is None:
        monkeypatch.delenv("SHELL", raising=False)
    else:
        monkeypatch.setenv("SHELL", shell)
    file = tmp_path / "config"
    file.write_text(f'Match exec "{command}"\n  User hana\nHost *\n  User ops\n')
    assert get_ssh_config(str(file)).lookup("web-1")["user"] == user
    assert capfd.readouterr() == ("", "")


def test_the_package_for_it_is_not_imported() -> None:
    code = "import sys, standfast.engine.connector; sys.exit('invoke' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
