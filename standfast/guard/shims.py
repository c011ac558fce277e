"""Small programs that stand first in PATH and bear the names of guarded ones."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import standfast
from standfast.errors import Refused
from standfast.guard import layout
from standfast.host.guard.catalogue import Catalogue, Pattern, Program

# Programs that run others; what they run is judged.
# node, ruby and php too: `./node_modules/.bin/prisma` begins with `#!/usr/bin/env node`.
RUNNERS = (
    *("npx", "npm", "pnpm", "yarn", "bun", "bunx", "pnpx", "corepack", "node", "tsx", "ts-node"),
    *("python", "python3", "uv", "poetry", "pipenv", "ruby", "bundle", "php"),
)
# On a laptop, only what developers call; servers have shims of their own.
SERVERS_ONLY = ("rm", "dd", "mkfs", "shred")
SIGN = "# standfast guard"
SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "busybox")
COMPOSE = ("docker-compose", "podman-compose")
_LETTERS = "a-zA-Z0-9_-"
_READS_FILES = ("npm", "pnpm", "yarn", "bun")
"""What these run stands in package.json, so their arguments alone say nothing."""

_TEMPLATE = """\
#!/bin/sh
{sign}: {name}. Made by `standfast guard install`; `standfast guard install --uninstall` removes it.
real= IFS=:
for each in $PATH; do
  [ -e "$each/{mark}" ] && continue
  [ -x "$each/{name}" ] && [ ! -d "$each/{name}" ] && real=$each/{name} && break
done
unset IFS
[ -n "$real" ] || {{ echo "{name}: command not found" >&2; exit 127; }}
# Without one of these words it cannot be anything that the catalogue knows. Your own guard.yml may know more.
look=
case " $* " in {patterns}) look=yes ;; esac
[ -n "$look" ] || [ ! -e "${{XDG_CONFIG_HOME:-$HOME/.config}}/standfast/guard.yml" ] || look=yes
folder=$PWD
while [ -z "$look" ] && [ -n "$folder" ]; do
  [ ! -e "$folder/guard.yml" ] || look=yes
  folder=${{folder%/*}}
done
[ -n "$look" ] || exec "$real" "$@"
[ -x {python} ] || {{
  echo "standfast guard: {name} was not run, since standfast is gone from where it was." >&2
  echo "Install it again, or remove the guards: rm -r" {guards} >&2
  exit 6
}}
exec {python} -I -S -c 'import sys; sys.path.insert(0, sys.argv.pop(1))
from standfast.guard.fast import main
main(sys.argv[1:])' {root} "$real" {name} "$@"
"""


def names(catalogue: Catalogue) -> list[str]:
    """The programs that get a shim."""
    guarded = {
        file
        for program in catalogue.programs.values()
        if program.name not in SERVERS_ONLY
        for file in program.names or (program.name,)
        if not file.endswith(".py") or file == "django-admin.py"
    }
    return sorted(guarded.union(RUNNERS, COMPOSE))


def install(folder: Path, catalogue: Catalogue) -> list[Path]:
    """
    Write the shims; those of an earlier version are replaced.

    Raises:
        Refused: there is a file of that name that is no shim; nothing was written.
    """
    wanted = {folder / name: text(name, catalogue, folder) for name in names(catalogue)}
    strangers = [path for path in wanted if path.exists() and not is_shim(path)]
    if strangers:
        raise Refused(f"{strangers[0]} is there and is no shim of ours; give another folder with --dir")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / layout.MARK).touch()
    for path, content in wanted.items():
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(content, encoding="utf-8")
        beside.chmod(0o755)
        beside.replace(path)
    for path in set(_shims(folder)) - wanted.keys():
        path.unlink()
    return sorted(wanted)


def uninstall(folder: Path) -> int:
    """Remove the shims; how many there were. Other files stay."""
    found = list(_shims(folder))
    for path in found:
        path.unlink()
    (folder / layout.MARK).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    return len(found)


def is_shim(path: Path) -> bool:
    """Whether a file is one of ours."""
    try:
        with path.open("rb") as file:
            return SIGN.encode() in file.read(200)
    except OSError:
        return False


def _shims(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.glob("*")) if path.is_file() and is_shim(path))


def text(name: str, catalogue: Catalogue, folder: Path) -> str:
    """The shim of one program."""
    root = Path(standfast.__file__).parent.parent
    return _TEMPLATE.format(
        sign=SIGN,
        name=name,
        mark=layout.MARK,
        patterns="|".join(patterns(name, catalogue)),
        python=shlex.quote(sys.executable),
        guards=shlex.quote(str(folder)),
        root=shlex.quote(str(root)),
    )


def patterns(name: str, catalogue: Catalogue) -> list[str]:
    """Shell patterns; a command line that fits none of them is harmless, whatever else is in it."""
    program = catalogue.program("docker" if name in COMPOSE else name)
    if name in _READS_FILES:
        return ["*"]
    if name in RUNNERS or program is None:
        return sorted(_by_names(catalogue.programs.values(), catalogue))
    found = _of_program(program, catalogue)
    if program.name in ("docker", "kubectl"):
        found |= _by_names(catalogue.programs.values(), catalogue)  # what `exec` and `run` start
    return ["*"] if "*" in found else sorted(found)


def _by_names(programs: Iterable[Program], catalogue: Catalogue) -> set[str]:
    """A program that runs others is looked at when one of their names stands there, or a wrapper's."""
    files = {*COMPOSE, *(file for each in programs for file in each.names or (each.name,))}
    others = {
        *SHELLS,
        "env",
        "eval",
        "su",
        "ssh",
        "find",
        "xargs",
        "flask",
        "nix-shell",
        *catalogue.wrappers,
    } - {"exec"}
    # Words of their own: `az` must not be found in `lazy.py`, but `prisma` in `prisma@6` and `.bin/prisma`.
    words = {f"*[!{_LETTERS}]{shlex.quote(each)}[!{_LETTERS}]*" for each in files}
    return words | {f"*[!{_LETTERS}]{shlex.quote(each)}[\\ \\']*" for each in others}


def _of_program(program: Program, catalogue: Catalogue) -> set[str]:
    if program.sql is not None:
        return {"*"}  # what it does may stand in a file or come through a pipe
    entries = catalogue.by_program.get(program.name, ())
    return {each for entry in entries for pattern in entry.when for each in _needed(pattern)}


def _needed(pattern: Pattern) -> list[str]:
    """What must stand somewhere on the command line for a pattern to fit."""
    for words in (pattern.words[::-1], pattern.any and ("|".join(pattern.any),)):
        for word in words:
            parts = [max(each.split("*"), key=len) for each in word.split("|")]
            if all(len(each) > 1 for each in parts):
                return [_quoted(each) for each in parts]
    return ["*-*"] if pattern.flags or pattern.values else ["*"]


def _quoted(part: str) -> str:
    return f"*{shlex.quote(part)}*"


def shell_line(folder: Path) -> str:
    """
    What puts the shims first, in bash and zsh.

    A virtual environment and nvm put themselves in front when they are activated; before each prompt, the
    shims go first again.
    """
    guards = shlex.quote(str(folder))
    return (
        f"_standfast_guards() {{ case $PATH in {guards}:*) ;; *) PATH={guards}:$PATH ;; esac; }}; "
        "_standfast_guards; "
        'if [ -n "${ZSH_VERSION-}" ]; then precmd_functions+=(_standfast_guards); '
        'else PROMPT_COMMAND="_standfast_guards${PROMPT_COMMAND:+; $PROMPT_COMMAND}"; fi'
    )
