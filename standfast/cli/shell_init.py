"""``standfast shell-init``: `pyinfra plan`, `pyinfra apply` and `pyinfra drift` as words in a shell."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh")
# Works in both shells. `command` skips this function, so that the real program is found.
CODE = """\
# `pyinfra plan`, `apply` and `drift` call standfast; every other `pyinfra …` is the real program's.
pyinfra() {
  case "${1-}" in
    plan | apply | drift) command standfast "$@" ;;
    *) command pyinfra "$@" ;;
  esac
}
"""


@click.command("shell-init")
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def shell_init(shell: str | None) -> None:
    """Print shell code for `pyinfra plan`, `pyinfra apply` and `pyinfra drift` in an interactive shell.

    It also completes the commands and options of `standfast`, and the names of inventories, with Tab.
    Every other `pyinfra …` goes through to the real program. SHELL is bash or zsh; left out, it is the
    shell of your account.

    \b
    Examples:
      eval "$(standfast shell-init)"          # in ~/.bashrc or ~/.zshrc
      pyinfra plan production                 # then: standfast plan production

    \b
    Exit codes: 0 printed; 3 there is no code for this shell.
    """
    own = Path(os.environ.get("SHELL", "bash")).name
    if shell is None and own not in SHELLS:
        raise click.UsageError(f"there is no code for {own}; say `standfast shell-init bash` or `zsh`")
    click.echo(CODE + _completion(shell or own), nl=False)


def _completion(shell: str) -> str:
    """Code for Tab; in a zsh without completion there is none to join."""
    kind = get_completion_class(shell)
    if kind is None:
        return ""
    code = kind(click.Command("standfast"), {}, "standfast", "_STANDFAST_COMPLETE").source()
    return f"if (( $+functions[compdef] )); then\n{code}\nfi\n" if shell == "zsh" else code
