"""The shims of servers let nothing of the catalogue pass unasked, and ask nobody who is not there."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from standfast.host.guard import asking
from standfast.host.guard.classification import shipped
from standfast.operations import shims

NEEDS_A_SHELL = set("|$;<>&")


def spellings() -> list[list[str]]:
    """Examples of the catalogue as somebody types them on a server: by their own shim, else behind sudo."""
    found = []
    for entry in shipped().entries.values():
        for example in entry.examples:
            words = shlex.split(example) if not set(example) & NEEDS_A_SHELL else ["="]
            if "=" not in words[0]:
                own = words[0] in shims.NAMES or words[0] == "sudo"
                found.append(words if own else ["sudo", *words])
    return found


def test_everything_in_the_catalogue_reaches_the_question() -> None:
    """The shell code in a shim only sorts out what is certainly harmless."""
    missed = []
    for name, *arguments in spellings():
        code = f'case " $PWD $* " in {shims.NAMES[name]}) echo asked ;; esac'
        done = subprocess.run(
            ["sh", "-c", code, "sh", *arguments], capture_output=True, text=True, check=True, cwd="/"
        )
        if done.stdout != "asked\n":
            missed.append([name, *arguments])
    assert missed == []
    assert len(spellings()) > 300


@pytest.fixture
def decisions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would stand in the journal."""
    found: list[str] = []
    monkeypatch.setattr(asking, "_record", lambda decision, _, reason: found.append(f"{decision} ({reason})"))
    return found


def test_without_a_terminal_it_refuses(decisions: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert asking.main(["sudo", "iptables", "-F"]) == 6
    said = capsys.readouterr().err
    assert "Deletes every rule" in said
    assert "Nothing was done" in said
    assert decisions == ["refused (no terminal)"]


def test_harmless_commands_pass_in_silence(decisions: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("docker ps", "sudo systemctl restart cron", "rm x", "iptables -L -n", "sudo apt update"):
        assert asking.main(command.split()) == 0
    assert capsys.readouterr().err == ""
    assert decisions == []
