"""The commands that a command runs: behind ``env``, ``sh -c``, ``npx``, ``docker exec``, in package.json."""

from __future__ import annotations

import os

from standfast.host.guard.arguments import Arguments, read
from standfast.host.guard.catalogue import NOTHING, Catalogue, Program
from standfast.host.guard.words import Word, assignment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import NamedTuple

    from standfast.host.guard.catalogue import Wrapper

    _Inner = Callable[["Simple", Catalogue], Iterator["Simple"]]
else:
    from standfast.host.guard.named_tuple import NamedTuple

DEEPEST = 12
LARGEST = 4_000_000
_INTERPRETERS = ("node", "nodejs", "bun", "deno", "tsx", "ts-node", "ts-node-esm")
_INTERPRETERS_WITH_VERSION = ("python", "pypy", "ruby", "php")
_RUNNERS = ("npm", "pnpm", "yarn", "bun", "npx", "bunx", "pnpx", "yarnpkg", "corepack")
_NPX_VALUES = (
    "-p",
    "--package",
    "-c",
    "--call",
    "-w",
    "--workspace",
    "--registry",
    "--cache",
    "--prefix",
    "-C",
    "--dir",
    "--env-file",
)
_NPM_VALUES = (
    *("-w", "--workspace", "--prefix", "-C", "--dir", "--cwd", "-F", "--filter"),
    *("--loglevel", "--registry", "--env-file"),
)
_OVERRIDES = ("-o", "--override", "--overload")
_READ_ENV = ("dotenv", "dotenv-cli", "dotenvx", "env-cmd")
"""They read ``.env`` when nobody names a file."""
_FILTERS = ("-w", "--workspace", "-F", "--filter")
_EVERYWHERE = ("-ws", "--workspaces", "-r", "--recursive")
_PATTERN = "*{}[]!^"
_SEARCHED = 5000
"""Folders in which a workspace is looked for."""
_LIFE = ("test", "start", "stop", "restart")
_DOCKER_GLOBAL = ("-c", "-f")
_DOCKER_RUN = ("-v", "-c")
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "ash", "fish")


class EnvFile(NamedTuple):
    """A file of variables that a wrapper reads for its command: ``dotenv -e .env.production``."""

    path: str
    overrides: bool = False
    """Whether its variables count more than those that are set already."""


class Simple(NamedTuple):
    """A command that runs nothing else that we know of."""

    words: tuple[Word, ...]
    cwd: str
    environment: Mapping[str, str] = NOTHING
    """Variables that were set for it on the command line."""
    cleared: bool = False
    """``env -i``: nothing is inherited."""
    stdin: str = "inherited"
    inside: str = ""
    """Where it runs when it is not here: ``container db``, ``host web-1``."""
    through: tuple[str, ...] = ()
    """The words before ``exec`` or ``run`` that say which container that is: ``docker compose -p shop``."""
    via: tuple[str, ...] = ()
    """What it was wrapped in, outermost first."""
    env_files: tuple[EnvFile, ...] = ()
    """Files of variables that its wrappers read; of two that set the same, the first counts."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Its words."""
        return tuple(each.text for each in self.words)


class Unreadable(Exception):
    """A wrapper of which it cannot be known what it runs."""


def simple_commands(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    """
    Everything that a command runs, itself too.

    Raises:
        Unreadable: it is nested too deeply.
    """
    if not command.words or not command.words[0].text:
        return
    if len(command.via) > DEEPEST:
        raise Unreadable(f"it is wrapped in more than {DEEPEST} others")
    yield command
    name = basename(command.words[0].text).removesuffix(".exe").removesuffix(".cmd")
    inner = _inner(name, catalogue)
    if inner is None:
        return
    for each in inner(command, catalogue):
        yield from simple_commands(each._replace(via=(*command.via, name)), catalogue)


def basename(path: str) -> str:
    """The last part of a path; importing pathlib would cost a shim milliseconds."""
    return path.rpartition("/")[2]


def _inner(name: str, catalogue: Catalogue) -> _Inner | None:
    found: _Inner | None = _SPECIAL.get(name)
    if found is None and name in _SHELLS:
        found = _shell
    if found is None and name in _RUNNERS:
        found = _package_runner
    if found is None and name in catalogue.wrappers:
        found = _wrapped
    if found is None and (name in _INTERPRETERS or name.rstrip("0123456789.") in _INTERPRETERS_WITH_VERSION):
        found = _interpreter
    return found


def _wrapped(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    """A wrapper that the catalogue describes: ``timeout 5 CMD``, ``uv run CMD``."""
    name = basename(command.words[0].text)
    wrapper = catalogue.wrappers[name]
    rest = list(command.words[1:])
    if wrapper.after:
        place = _subcommand(rest, wrapper)
        if place is None:
            return
        rest = rest[place + 1 :]
    behind, values = _options(rest, wrapper.options_with_value)
    if wrapper.env_files:
        own = [each.text for each in command.words[1 : len(command.words) - len(behind)]]
        command = _with_env_files(command, wrapper, own, values)
    rest = behind
    environment = dict(command.environment)
    skip = wrapper.skip
    while rest:
        if wrapper.assignments and (assigned := assignment(rest[0].text)):
            environment[assigned[0]] = assigned[1]
        elif skip:
            skip -= 1
        else:
            break
        rest = rest[1:]
    if rest and rest[0].text == "--":
        rest = rest[1:]
    yield command._replace(words=tuple(rest), environment=environment)


def _with_env_files(
    command: Simple, wrapper: Wrapper, own: Sequence[str], values: Sequence[tuple[str, Word]]
) -> Simple:
    """
    A command that sees the variables of the files that its wrapper names.

    + own: the words of the wrapper itself
    + values: its options that have one
    """
    named = [value.text for option, value in values if option in wrapper.env_files]
    overrides = any(each in _OVERRIDES for each in own) or (wrapper.overrides and "--no-override" not in own)
    if wrapper.last_counts or overrides:
        named.reverse()
    if wrapper.name not in _READ_ENV:
        return _reading(command, named, overrides=overrides)
    given = (assignment(value.text) for option, value in values if option not in wrapper.env_files)
    command = command._replace(environment={**command.environment, **dict(each for each in given if each)})
    return _reading(command, named or _present(command, (".env",)), overrides=overrides)


def _dotenv(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    """``dotenv -c production -- CMD``: each file with its kin of that environment and of this machine."""
    own = [each.text for each in command.words]
    own = own[: own.index("--")] if "--" in own else own
    if "-c" not in own:
        yield from _wrapped(command, catalogue)
        return
    place = own.index("-c")
    mode = next((f".{each}" for each in own[place + 1 : place + 2] if not each.startswith("-")), "")
    files = [own[index + 1] for index, each in enumerate(own[:-1]) if each == "-e"] or [".env"]
    kin = [f"{each}{end}" for each in files for end in dict.fromkeys((f"{mode}.local", ".local", mode, ""))]
    options = [word for each in _present(command, kin) for word in (Word("-e"), Word(each))]
    rest = [*command.words[1:place], *command.words[place + (2 if mode else 1) :]]
    for index in reversed(
        [index for index, each in enumerate(rest) if each.text == "-e" and index < len(own)]
    ):
        del rest[index : index + 2]
    yield from _wrapped(command._replace(words=(command.words[0], *options, *rest)), catalogue)


def _reading(command: Simple, paths: Sequence[str], *, overrides: bool = False) -> Simple:
    """A command whose wrapper reads these files, the one that counts most first."""
    files = tuple(EnvFile(os.path.join(command.cwd, each), overrides) for each in paths)
    there = (*files, *command.env_files) if overrides else (*command.env_files, *files)
    return command._replace(env_files=there)


def _present(command: Simple, names: Sequence[str]) -> list[str]:
    """Those of the files that are there: what reads them of its own accord does not miss one."""
    return (
        [] if command.inside else [each for each in names if os.path.isfile(os.path.join(command.cwd, each))]
    )


def _subcommand(words: Sequence[Word], wrapper: Wrapper) -> int | None:
    """Index of the word behind which the wrapped command begins."""
    for index, word in enumerate(words):
        if word.text in wrapper.after:
            return index
        if not word.text.startswith("-") and (
            not index or words[index - 1].text not in wrapper.options_with_value
        ):
            return None
    return None


def _options(words: Sequence[Word], with_value: Sequence[str]) -> tuple[list[Word], list[tuple[str, Word]]]:
    """What comes behind a wrapper's own options, and the values of those."""
    rest, values = list(words), []
    while rest and rest[0].text.startswith("-") and rest[0].text not in ("-", "--"):
        word, rest = rest[0], rest[1:]
        name, equals, value = word.text.partition("=")
        option, remainder = _letter(name, with_value)
        if equals and name.startswith("--"):
            values.append((name, Word(value, word.known)))
        elif option and remainder:
            values.append((option, Word(remainder + equals + value, word.known)))
        elif (option or name in with_value) and rest:
            values.append((option or name, rest[0]))
            rest = rest[1:]
    return rest, values


def _letter(name: str, with_value: Sequence[str]) -> tuple[str, str]:
    """The first option with a value in a cluster such as ``-itu``, and what of it is that value already."""
    if name.startswith("--") or name in with_value:
        return "", ""
    for index, letter in enumerate(name[1:], start=1):
        if f"-{letter}" in with_value:
            return f"-{letter}", name[index + 1 :]
    return "", ""


def _env(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    words = list(command.words[1:])
    environment, cleared, cwd = dict(command.environment), command.cleared, command.cwd
    while words:
        text = words[0].text
        name = text.partition("=")[0]
        if assigned := assignment(text):
            environment[assigned[0]] = assigned[1]
        elif text in ("-i", "-", "--ignore-environment"):
            cleared, environment = True, {}
            command = command._replace(env_files=())
        elif name in ("-u", "--unset", "-C", "--chdir", "-S", "--split-string") or text[:2] in (
            "-u",
            "-C",
            "-S",
        ):
            short = len(text) > 2 and text[1] != "-"
            value = text[2:] if short else text.partition("=")[2]
            if not value and len(words) > 1:
                words = words[1:]
                value = words[0].text
            if name == "--unset" or text[:2] == "-u":
                environment[value] = ""
            elif name == "--chdir" or text[:2] == "-C":
                cwd = os.path.join(cwd, value)
            else:
                from standfast.host.guard import shell

                inner = shell.commands(value, environment)
                more = [word for each in inner for word in each.words]
                words = [words[0], *more, *words[1:]]
                environment.update({key: val for each in inner for key, val in each.environment.items()})
        elif not text.startswith("-"):
            break
        words = words[1:]
        if text == "--":
            break
    yield command._replace(words=tuple(words), environment=environment, cleared=cleared, cwd=cwd)


def _shell(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    """``sh -c TEXT ARGUMENTS``, ``bash -lc TEXT``, ``bash script``."""
    words = list(command.words[1:])
    reads = False
    while words and words[0].text[:1] in ("-", "+") and len(words[0].text) > 1:
        text = words[0].text
        words = words[1:]
        if text in ("-o", "+o", "-O", "+O", "--rcfile", "--init-file"):
            words = words[1:]
        elif text == "--command" or ("c" in text and not text.startswith("--")):
            reads = True
        elif text == "--":
            break
    if reads and words:
        yield from text_commands(words[0], command, words[1:])
    elif words and words[0].known:
        written = None if command.inside else content(os.path.join(command.cwd, words[0].text))
        if written is not None:
            yield from text_commands(Word(written), command, words[1:])
    elif command.stdin.startswith(("text:", "file:")):
        read = stdin_text(command)
        if read is not None:
            yield from text_commands(Word(read), command._replace(stdin="inherited"), ())


def text_commands(text: Word, command: Simple, arguments: Sequence[Word] = ()) -> Iterator[Simple]:
    """The commands of a shell's text, run where and as `command` is."""
    from standfast.host.guard import shell  # its patterns take milliseconds to compile

    variables = dict(command.environment)
    if not command.cleared:
        variables = {**os.environ, **variables} if not command.inside else variables
    written = text.text
    for index, each in enumerate(arguments):
        if each.known and index:
            written = written.replace(f"${index}", each.text)
    cwd = command.cwd
    for found in shell.commands(written, variables):
        if found.words[0].text == "cd" and len(found.words) > 1 and found.words[1].known:
            cwd = os.path.join(cwd, os.path.expanduser(found.words[1].text))
        stdin = command.stdin if found.stdin == "inherited" else found.stdin
        environment = {**command.environment, **found.environment}
        yield command._replace(words=found.words, environment=environment, stdin=stdin, cwd=cwd)


def _eval(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    text = " ".join(each.text for each in command.words[1:])
    yield from text_commands(Word(text), command)


def _alias(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    """``alias r='prisma migrate reset'``: what it would run is judged where it is written."""
    for word in command.words[1:]:
        if "=" in word.text:
            yield from text_commands(Word(word.text.partition("=")[2]), command)


def _su(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    _, values = _options(command.words[1:], ("-c", "--command", "-s", "-g"))
    words = command.words[1:]
    for index, word in enumerate(words):
        if word.text in ("-c", "--command", "-lc") and index + 1 < len(words):
            yield from text_commands(words[index + 1], command)
            return
    for name, value in values:
        if name == "--command":
            yield from text_commands(value, command)


def _ssh(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    values = tuple(f"-{letter}" for letter in "BbcDEeFIiJLlmOopQRSWw")
    rest, _ = _options(command.words[1:], values)
    if len(rest) < 2:
        return
    behind, _ = _options(rest[1:], values)
    text = " ".join(each.text for each in behind)
    host = f"host {rest[0].text}"
    there = command._replace(inside=host, environment={}, env_files=(), cwd="/", stdin="pipe")
    yield from text_commands(Word(text), there)


def _find(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    """``find PATHS … -delete`` is an rm -r of its paths; ``-exec`` runs a command."""
    words = command.words[1:]
    paths = []
    for word in words:
        if word.text.startswith(("-", "(", "!")):
            break
        paths.append(word)
    for index, word in enumerate(words):
        if word.text == "-delete":
            yield command._replace(words=(Word("rm"), Word("-r"), *paths))
        elif word.text in ("-exec", "-execdir", "-ok"):
            inner = []
            for each in words[index + 1 :]:
                if each.text in (";", "+"):
                    break
                inner += [Word(path.text, path.known) for path in paths] if each.text == "{}" else [each]
            yield command._replace(words=tuple(inner))


def _interpreter(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    """``python -m alembic …``, ``node node_modules/.bin/prisma …``, ``php artisan …``."""
    words = list(command.words[1:])
    files = list[str]()
    while words and words[0].text.startswith("-"):
        text = words[0].text
        if text in ("-m", "-S") or (
            text.startswith("-") and text.endswith("m") and not text.startswith("--")
        ):
            if len(words) > 1:
                name = words[1].text.partition(".")[0]
                yield command._replace(words=(Word(name, words[1].known), *words[2:]))
            return
        if text in ("-c", "-e", "--eval", "-r", "-p", "--print") and text != "-r":
            return
        name, equals, value = text.partition("=")
        if name in ("--env-file", "--env-file-if-exists"):
            if not equals and len(words) > 1:
                words = words[1:]
                value = words[0].text
            optional = name == "--env-file-if-exists"
            files += _present(command, (value,)) if optional else [value]
        words = (
            words[2:] if text in ("-W", "-X", "--require", "-r", "--import", "--loader", "-d") else words[1:]
        )
    if words and basename(command.words[0].text) in ("bun", "deno") and words[0].text in ("run", "x", "task"):
        words = words[1:]
    if words:
        script = Word(_script(words[0].text, command.cwd), words[0].known)
        yield _reading(command, files[::-1])._replace(words=(script, *words[1:]))


def _script(path: str, cwd: str) -> str:
    """Name of the program that a script is: ``node_modules/.bin/../prisma/build/index.js`` is prisma."""
    parts = tuple(each for each in os.path.normpath(os.path.join(cwd, path)).split("/") if each)
    if "node_modules" in parts and parts[-1] not in (".bin",):
        package = parts[len(parts) - 1 - parts[::-1].index("node_modules") + 1 :]
        if package and package[0] == ".bin":
            return package[-1]
        if package and package[0].startswith("@") and len(package) > 1:
            return package[1]
        if package:
            return package[0]
    return path


def _package_runner(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    name = basename(command.words[0].text)
    words = list(command.words[1:])
    if name in ("bun", "bunx"):
        mode = os.environ.get("NODE_ENV") or "development"
        own = (f".env.{mode}.local", ".env.local", f".env.{mode}", ".env")
        command = _reading(command, _present(command, own))
    if name == "corepack":
        yield command._replace(words=tuple(Word(_package(each.text), each.known) for each in words))
    elif name in ("npx", "bunx", "pnpx"):
        yield from _npx(command, words)
    else:
        places, rest = _in_folders(command, name, words)
        if rest:
            for there in places:
                yield from _verb(there, name, rest)


def _in_folders(command: Simple, name: str, words: Sequence[Word]) -> tuple[list[Simple], list[Word]]:
    """Behind the options of npm and its kin, in each folder that they name."""
    everywhere, root = "-ws" in [each.text for each in words], False
    words = [each for each in words if each.text != "-ws"]  # else it is -w with a value
    with_value = [each for each in _NPM_VALUES if each != "-w" or name != "pnpm"]
    rest, values = _options(words, with_value)
    for word in words[: len(words) - len(rest)]:
        everywhere = everywhere or word.text in _EVERYWHERE
        root = root or (name == "pnpm" and word.text in ("-w", "--workspace-root"))
    if name == "npm":
        everywhere = everywhere or "--workspaces" in [each.text for each in rest]
        values += _further(rest, (*_FILTERS, "--prefix"))
    for option, value in values:
        if option in ("--prefix", "-C", "--dir", "--cwd"):
            command = command._replace(cwd=os.path.join(command.cwd, value.text))
        elif option == "--env-file":
            command = _reading(command._replace(env_files=()), (value.text,))
    if root and not command.inside:
        command = command._replace(cwd=_root(command.cwd))
    wanted = [value.text for option, value in values if option in _FILTERS]
    places = [place for each in wanted for place in _workspaces(command, each)]
    return places or (_workspaces(command, "*") if everywhere else [command]), rest


def _further(words: Sequence[Word], names: Sequence[str]) -> list[tuple[str, Word]]:
    """Options of npm that stand behind the script's name: ``npm run db:reset -w api``."""
    found = []
    for index, word in enumerate(words):
        name, equals, value = word.text.partition("=")
        if word.text == "--":
            break
        if name in names and equals:
            found.append((name, Word(value, word.known)))
        elif name in names and index + 1 < len(words):
            found.append((name, words[index + 1]))
    return found


def _workspaces(command: Simple, wanted: str) -> list[Simple]:
    """A command in each package that a name, a folder or a pattern may mean; here when there is none."""
    if command.inside:
        return [command]
    path = os.path.normpath(os.path.join(command.cwd, wanted))
    if content(os.path.join(path, "package.json")) is not None:
        return [command._replace(cwd=path)]
    pattern = "..." in wanted or any(each in wanted for each in _PATTERN)
    found = []
    for folder in _packages(_root(command.cwd)):
        name = str(_package_json(folder).get("name", ""))
        if pattern or wanted in (name, basename(name), basename(folder)) or folder.endswith(f"/{wanted}"):
            found.append(command._replace(cwd=folder))
    return found or [command]


def _root(folder: str) -> str:
    """The uppermost folder with a package.json in a repository."""
    found = each = folder
    while True:
        if os.path.isfile(os.path.join(each, "package.json")):
            found = each
        if os.path.exists(os.path.join(each, ".git")) or each in ("/", ""):
            return found
        each = os.path.dirname(each)


def _packages(root: str) -> Iterator[str]:
    """
    Folders below one with a package.json, the nearest first.

    Raises:
        Unreadable: there are too many to look through while somebody waits.
    """
    waiting = [root]
    for seen, folder in enumerate(waiting):
        if seen > _SEARCHED:
            raise Unreadable(f"{root} has more than {_SEARCHED} folders in which its workspace may be")
        try:
            below = sorted(os.scandir(folder), key=lambda each: each.name)
        except OSError:
            continue
        if folder != root and any(each.name == "package.json" for each in below):
            yield folder
        waiting += [
            each.path
            for each in below
            if each.name != "node_modules" and each.name[0] != "." and each.is_dir(follow_symlinks=False)
        ]


def _verb(command: Simple, name: str, words: Sequence[Word]) -> Iterator[Simple]:
    verb = words[0].text
    if verb in ("exec", "x", "dlx"):
        yield from _npx(command, words[1:])
    elif verb == "workspace" and len(words) > 2:
        for there in _workspaces(command, words[1].text):
            yield there._replace(words=(Word(name), *words[2:]))
    elif verb == "workspaces" and name in ("yarn", "yarnpkg"):
        values = ("--include", "--exclude", "--from", "-j", "--jobs")
        rest, _ = _options(words[2:] if words[1:2] == [Word("foreach")] else words[1:], values)
        for there in _workspaces(command, "*") if rest else ():
            yield there._replace(words=(Word(name), *rest))
    elif verb in ("run", "run-script", "rum", "urn"):
        # npm takes its options everywhere, so those behind `run` have been followed already.
        behind = ([command], _options(words[1:], _NPM_VALUES)[0])
        places, rest = behind if name == "npm" else _in_folders(command, name, words[1:])
        for there in places:
            yield from _script_or_binary(there, name, rest)
    elif name != "npm":
        yield from _script_or_binary(command, name, words)
    elif verb in (*_LIFE, "t", "tst"):
        word = Word("test") if verb in ("t", "tst") else words[0]
        yield from _package_script(command, [word, *words[1:]], npm=True)


def _script_or_binary(command: Simple, name: str, words: Sequence[Word]) -> Iterator[Simple]:
    """A script of package.json; for all but npm, the program of that name when there is no such script."""
    found = list(_package_script(command, words, npm=name == "npm"))
    if not found and words and name != "npm":
        program = Word(_script(_package(words[0].text), command.cwd), words[0].known)
        found = [command._replace(words=(program, *words[1:]))]
    yield from found


def _npx(command: Simple, words: Sequence[Word]) -> Iterator[Simple]:
    rest, values = _options(words, _NPX_VALUES)
    for option, value in values:
        if option in ("-c", "--call"):
            yield from text_commands(value, command)
    if rest and rest[0].text == "--":
        rest = rest[1:]
    if rest:
        yield command._replace(words=(Word(_package(rest[0].text), rest[0].known), *rest[1:]))


def _package(text: str) -> str:
    """``prisma@6.19`` is prisma."""
    start = max(text.rfind("/") + 1, 1)  # the first character may be the @ of a scope
    version = text.find("@", start)
    return text if version < 0 else text[:version]


def _package_script(command: Simple, words: Sequence[Word], *, npm: bool) -> Iterator[Simple]:
    """What package.json says that a script runs, with those before and after it."""
    if not words:
        return
    scripts = _scripts(command)
    name = words[0].text
    arguments = list(words[1:])
    if arguments and arguments[0].text == "--":
        arguments = arguments[1:]
    elif npm and "--" in [each.text for each in arguments]:
        arguments = arguments[[each.text for each in arguments].index("--") + 1 :]
    for each in (f"pre{name}", name, f"post{name}"):
        text = scripts.get(each)
        if not isinstance(text, str):
            continue
        found = list(text_commands(Word(text), command))
        if each == name and found:
            found[-1] = found[-1]._replace(words=(*found[-1].words, *arguments))
        yield from found


def _scripts(command: Simple) -> dict[str, object]:
    """The scripts of the nearest package.json."""
    if command.inside:
        return {}
    folder = command.cwd
    while not os.path.isfile(os.path.join(folder, "package.json")) and folder not in ("/", ""):
        folder = os.path.dirname(folder)
    scripts = _package_json(folder).get("scripts")
    return scripts if isinstance(scripts, dict) else {}


def _package_json(folder: str) -> dict[str, object]:
    """What it says; nothing when it cannot be read."""
    import json  # only what reads a package.json waits for it

    try:
        read = json.loads(content(os.path.join(folder, "package.json")) or "{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _docker(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    """``docker exec C CMD``, ``docker compose exec S CMD``, ``docker run IMAGE CMD``; also docker-compose."""
    words = list(command.words)
    if basename(words[0].text) in ("docker-compose", "podman-compose"):
        yield command._replace(words=(Word("docker"), Word("compose"), *words[1:]))
        return
    program = catalogue.programs.get("docker") or Program("docker")
    before = (*program.options_with_value, *_DOCKER_GLOBAL)
    rest, plain = words[1:], list[str]()
    through: tuple[str, ...] = ()
    while not plain or plain[-1] not in ("exec", "run"):
        rest, _ = _options(rest, before)
        if not rest or len(plain) > 1 or (plain and plain[0] not in ("compose", "container")):
            return
        plain.append(rest[0].text)
        through = tuple(each.text for each in words[: len(words) - len(rest)])
        rest = rest[1:]
    rest, values = _options(rest, (*program.options_with_value, *_DOCKER_RUN))
    pairs = [value.text.partition("=") for option, value in values if option in ("-e", "--env")]
    if len(rest) > 1:
        where = f"{'service' if plain[0] == 'compose' else 'container'} {rest[0].text}"
        where = (
            f"a new container of {rest[0].text}" if plain[0] != "compose" and plain[-1] == "run" else where
        )
        environment = {name: value for name, _, value in pairs}
        there = command._replace(inside=where, environment=environment, env_files=(), through=through)
        entry = next((value for option, value in values if option == "--entrypoint"), None)
        yield there._replace(words=(entry, *rest[1:]) if entry else tuple(rest[1:]))


def _kubectl(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    texts = [each.text for each in command.words]
    if "exec" in texts and "--" in texts:
        words = command.words[texts.index("--") + 1 :]
        yield command._replace(words=words, inside="a pod", environment={}, env_files=())


def _exec_prefix(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    """``bundle exec rails …``, ``bin/rails`` needs nothing."""
    words = list(command.words[1:])
    if words and words[0].text == "exec":
        yield command._replace(words=tuple(words[1:]))


def _flask(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    """``flask db downgrade`` is Alembic."""
    rest, values = _options(command.words[1:], ("-A", "--app", "-e", "--env-file"))
    if rest and rest[0].text == "db":
        files = [value.text for option, value in values if option in ("-e", "--env-file")]
        command = _reading(command, files)
        yield command._replace(words=(Word("alembic"), *rest[1:]))


def _texts(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    """``concurrently 'npm run a' 'npm run b'``, ``nix-shell --run TEXT``: texts for a shell."""
    for word in command.words[1:]:
        if " " in word.text or not word.known:
            yield from text_commands(word, command)


def _xargs(command: Simple, catalogue: Catalogue) -> Iterator[Simple]:
    """``xargs docker volume rm``: what it reads becomes arguments that nobody knows before."""
    rest, _ = _options(command.words[1:], ("-I", "-n", "-P", "-L", "-d", "-a", "-E", "-s", "-i"))
    if rest:
        yield command._replace(words=(*rest, Word("(what xargs reads)", known=False)), stdin="inherited")


_SPECIAL: dict[str, _Inner] = {
    "env": _env,
    "eval": _eval,
    "alias": _alias,
    "su": _su,
    "runuser": _su,
    "ssh": _ssh,
    "find": _find,
    "docker": _docker,
    "podman": _docker,
    "docker-compose": _docker,
    "kubectl": _kubectl,
    "bundle": _exec_prefix,
    "concurrently": _texts,
    "dotenv": _dotenv,
    "dotenv-cli": _dotenv,
    "flask": _flask,
    "nix-shell": _texts,
    "podman-compose": _docker,
    "xargs": _xargs,
}


def content(path: str) -> str | None:
    """A file's text; ``None`` when it cannot be read, or is too large to be read while somebody waits."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > LARGEST:
            return None
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (OSError, ValueError):
        return None


def stdin_text(command: Simple) -> str | None:
    """What a command will read; ``None`` when that cannot be known before it runs."""
    if command.stdin.startswith("text:"):
        return command.stdin[5:]
    if command.stdin == "file:/dev/null":
        return ""
    if command.stdin.startswith("file:") and not command.inside.startswith("host"):
        return content(os.path.join(command.cwd, command.stdin[5:]))
    return None


def arguments(program: Program, command: Simple, plain_options: Sequence[str]) -> Arguments:
    """A command's own arguments, taken apart."""
    return read(program, command.words[1:], plain_options)
