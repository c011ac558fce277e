"""``standfast``: finds a command, runs it, and turns what goes wrong into a message and an exit code."""

from __future__ import annotations

import errno
import gc
import os
import sys
from importlib import import_module

import click

from standfast import __version__
from standfast.errors import Interrupted, StandfastError, UsageError

# name: (module, one line of help). Kept here so that `standfast --help` imports no command.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("standfast.cli.init", "Write a new infrastructure repository."),
    "lab": ("standfast.cli.lab", "Throwaway real servers on this machine."),
    "plan": ("standfast.cli.plan", "Show what apply would do; writes nothing."),
    "apply": ("standfast.cli.apply", "Make the servers what the inventory declares."),
    "drift": ("standfast.cli.drift", "Show what differs from the inventory, and what nobody declared."),
    "backup": ("standfast.cli.backup", "Back up databases and volumes now."),
    "backups": ("standfast.cli.backups", "List the backups, and whether they were ever restored."),
    "drill": ("standfast.cli.drill", "Bring the newest backups back into throwaway containers."),
    "restore": ("standfast.cli.restore", "Bring databases and volumes back from their backups."),
    "snapshot": ("standfast.cli.snapshot", "Volumes of a moment: take, list, bring back."),
    "schema": ("standfast.cli.schema", "Hold a live database against what its migrations build."),
    "audit": ("standfast.cli.audit", "Who did what to which server; prove that the log is whole."),
    "unlock": ("standfast.cli.unlock", "End a run that holds servers and does not end by itself."),
    "firewall": (
        "standfast.cli.firewall",
        "Show or try the firewall's rules, or put the last confirmed ones back.",
    ),
    "guard": ("standfast.cli.guard", "Ask, with a copy taken, before a command destroys data."),
    "verify": ("standfast.cli.verify", "Check the live servers against the inventory."),
    "schema-json": ("standfast.cli.schema_json", "Print the inventory's JSON Schema."),
    "shell-init": ("standfast.cli.shell_init", "Print shell code for `pyinfra plan` and `pyinfra apply`."),
}


class Commands(click.Group):
    """Loads a command when it is asked for, and maps errors to exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(COMMANDS[cmd_name][0])
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:  # click's own exit code for it is our "differences"
            error.show()
            raise click.exceptions.Exit(UsageError.exit_code) from None

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except StandfastError as error:
            click.echo(f"{click.style('error:', fg='red', bold=True)} {error}", err=True)
            raise click.exceptions.Exit(error.exit_code) from None
        except click.UsageError as error:
            error.show()
            raise click.exceptions.Exit(UsageError.exit_code) from None
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise click.exceptions.Exit(Interrupted.exit_code) from None


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 nothing to do, or done and verified; 1 failed; 2 there are differences; "
    "3 inventory or command line wrong; 4 undone; 5 locked by somebody else; 6 refused; 130 interrupted.",
)
@click.version_option(__version__, prog_name="standfast")
def standfast() -> None:
    """Declare your servers in one YAML inventory; plan, apply and verify them without losing a row.

    \b
    Examples:
      standfast init infra            a new repository
      standfast plan production       what would change
      standfast apply production      change it
    """


def main() -> None:
    """Entry point of the installed command."""
    # With the default of 700 new objects the garbage collector takes a sixth of the time that a command needs
    # to start: what is imported stays.
    gc.set_threshold(10_000)
    try:
        sys.exit(standfast(prog_name="standfast"))
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python would try once more to write what is left
        sys.exit(
            f"error: {error.strerror}, for the answer or for a temporary file. Make room on this machine; "
            "`standfast audit` shows what was done."
        )


if __name__ == "__main__":
    main()
