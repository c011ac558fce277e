"""The shims: what their shell decides must be what the classification says; what is installed can be removed."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from standfast.guard import shims
from standfast.host.guard.classification import classify, shipped
from tests.unit.guard.conftest import Laptop, Server
from tests.unit.guard.test_catalogue import EVERYDAY, EXAMPLES, NEEDS_A_SHELL, NOWHERE

NAMES = set(shims.names(shipped()))


def looked_at(lines: list[list[str]]) -> list[list[str]]:
    """Those command lines that a real shell does not let pass at once."""
    script = ""
    for words in lines:
        patterns = "|".join(shims.patterns(words[0], shipped()))
        script += f'set -- {shlex.join(words[1:])}\ncase " $* " in {patterns}) echo y ;; *) echo n ;; esac\n'
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=True)
    return [words for words, said in zip(lines, done.stdout.splitlines(), strict=True) if said == "y"]


def test_the_shell_lets_nothing_pass_that_is_destructive() -> None:
    found = []
    for _, example in EXAMPLES:
        words = shlex.split(example)
        words[0] = Path(words[0]).name
        inner = [["npx", *words], ["python", "-m", *words], ["docker", "exec", "db", *words]]
        inner += [["docker", "run", "image", "sh", "-c", example], ["npx", "-c", example]]
        found += [each for each in [words, *inner] if each[0] in NAMES and not set(example) & NEEDS_A_SHELL]
    found = [each for each in found if not classify(each, cwd=NOWHERE).harmless]
    assert len(found) > 700
    seen = looked_at(found)
    assert [each for each in found if each not in seen] == []


def test_most_everyday_commands_are_decided_by_the_shell() -> None:
    guarded = [words for line in EVERYDAY if (words := shlex.split(line))[0] in NAMES]
    share = 1 - len(looked_at(guarded)) / len(guarded)
    print(f"{share:.0%} of {len(guarded)} everyday commands of guarded programs start no Python")
    assert share > 0.3


def test_installed_twice_and_removed(laptop: Laptop) -> None:
    folder = laptop.home / ".local/share/standfast/guards"
    first = laptop.guard("install")
    assert first.returncode == 0
    assert laptop.guard("install").stdout == first.stdout
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == NAMES
    (folder / "mine").write_text("#!/bin/sh\n")
    done = laptop.guard("install", "--uninstall")
    assert "removed" in done.stdout
    assert [path.name for path in folder.iterdir()] == ["mine"]  # not ours


def test_a_file_that_is_no_shim_stays(laptop: Laptop) -> None:
    (laptop.home / "bin").mkdir()
    (laptop.home / "bin/psql").write_text("#!/bin/sh\n# mine\n")
    done = laptop.guard("install", "--dir", laptop.home / "bin")
    assert done.returncode == 6
    assert "is no shim of ours" in done.stderr
    assert [path.name for path in (laptop.home / "bin").iterdir()] == ["psql"]


def test_two_folders_of_shims_do_not_call_each_other(laptop: Laptop) -> None:
    lines = "\n".join(laptop.guard("install", "--dir", laptop.home / name).stdout for name in ("a", "b"))
    done = laptop.run("timeout", "20", "bash", "--norc", "-c", f"{lines}\npsql --version; git --version")
    assert done.returncode == 0
    assert "psql (PostgreSQL)" in done.stdout


def test_shims_in_another_folder_are_not_met_by_the_guard_itself(postgresql: Server, laptop: Laptop) -> None:
    url = postgresql.url(
        postgresql.database("elsewhere", "CREATE TABLE t AS SELECT generate_series(1, 3) AS a")
    )
    line = laptop.guard("install", "--dir", laptop.home / "elsewhere").stdout
    done = laptop.run("bash", "--norc", "-c", f"{line}\npsql '{url}' -c 'TRUNCATE t'")
    assert done.returncode == 6
    assert "3 rows in 1 table" in done.stderr


@pytest.mark.parametrize("shell", [["bash", "--norc", "-i"], ["zsh", "-f", "-i"]], ids=["bash", "zsh"])
def test_the_shims_stay_first_when_something_else_goes_first(laptop: Laptop, shell: list[str]) -> None:
    line = laptop.guard("install").stdout
    script = f'{line}\nexport PATH=/opt/venv/bin:$PATH\necho "now:${{PATH%%:*}}"\nexit\n'
    done = subprocess.run(
        shell,
        input=script,
        cwd=laptop.project,
        env=laptop.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"now:{laptop.home}/.local/share/standfast/guards" in done.stdout + done.stderr


def test_a_program_that_is_not_there(laptop: Laptop) -> None:
    line = laptop.guard("install").stdout
    done = laptop.run("bash", "--norc", "-c", f"{line}\nsequelize db:drop")
    assert done.returncode == 127
    assert "sequelize: command not found" in done.stderr


def test_arguments_input_and_exit_code_go_through(laptop: Laptop) -> None:
    line = laptop.guard("install").stdout
    script = "import sys; print(sys.argv[1:], sys.stdin.read()); sys.exit(7)"
    laptop.write("show.py", script)
    done = laptop.run("bash", "--norc", "-c", f"{line}\necho in | python3 show.py 'a b' '' '*' psql")
    assert done.returncode == 7
    assert done.stdout == "['a b', '', '*', 'psql'] in\n\n"
