"""
All facts of a plan in one round trip.

Apply leaves on the server the list of the fact commands that its last comparison asked, and a
shell script made from it that runs them all, some at a time. The next plan executes that script
first and serves the answers from memory; what the list lacks is fetched as usual. The list holds
commands, never answers, and only root may read or write it. When it is damaged or missing, a plan
takes longer and nothing else.
"""

from __future__ import annotations

import io
import json
import shlex
import tarfile
import zlib
from collections.abc import Iterable, Sequence
from gzip import decompress

from standfast.facts.answer import STATUS

FOLDER = "/var/lib/standfast/facts"
CHAINS = 4  # commands that run at the same time
SECONDS = 20  # what a script may take; unanswered facts are fetched as usual

# Prints an archive with the answers, the list and the script; nothing when there is no list.
READ = f"""[ -r {FOLDER}/run.sh ] || exit 0
work=$(mktemp -d /run/standfast-facts.XXXXXXXX) || exit 0
trap 'rm -rf "$work"' EXIT
cd "$work" && cp {FOLDER}/commands.json {FOLDER}/run.sh . || exit 0
timeout {SECONDS} sh ./run.sh </dev/null 2>/dev/null
tar -cf - . | gzip -1"""

# Takes the list and the script as an archive on standard input.
WRITE = f"""set -e; umask 077; mkdir -p -m 700 {FOLDER}; new=$(mktemp -d {FOLDER}.XXXXXXXX)
trap 'rm -rf "$new"' EXIT
base64 -d | tar -xzf - -C "$new" --no-same-owner
mv -f "$new/commands.json" "$new/run.sh" {FOLDER}/"""


def run_script(commands: Sequence[str]) -> str:
    """The shell script that runs all commands; answer ``N`` goes to the file ``N``."""
    chains = [
        "{ "
        + " ".join(f"sh -c {shlex.quote(commands[n])} >{n};" for n in range(start, len(commands), CHAINS))
        + " } &"
        for start in range(min(CHAINS, len(commands)))
    ]
    return "\n".join([*chains, "wait", ""])


def packed(commands: Sequence[str]) -> bytes:
    """The list and its script as an archive for `WRITE`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in (("commands.json", json.dumps(list(commands))), ("run.sh", run_script(commands))):
            content = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def unpacked(output: bytes) -> dict[str, list[str]]:
    """
    Answers by command, from what `READ` printed.

    An answer that was cut off, and everything when list and script do not fit together, is left out.
    """
    try:
        files = _files(decompress(output)) if output else {}
        commands = json.loads(files["commands.json"])
        if not isinstance(commands, list) or files["run.sh"].decode() != run_script(commands):
            return {}
        answers = {
            command: files[str(number)].decode().splitlines()
            for number, command in enumerate(commands)
            if str(number) in files
        }
    except (KeyError, ValueError, TypeError, OSError, EOFError, zlib.error, tarfile.TarError):
        return {}
    return {command: lines for command, lines in answers.items() if _complete(lines)}


def _complete(lines: Iterable[str]) -> bool:
    return any(line.startswith(STATUS) for line in lines)


def _files(archive: bytes) -> dict[str, bytes]:
    files = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        for entry in opened:
            content = opened.extractfile(entry)
            if content is not None:
                files[entry.name.removeprefix("./")] = content.read()
    return files
