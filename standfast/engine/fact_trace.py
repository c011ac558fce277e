"""
All facts of a plan in one round trip.

Apply leaves on the server a shell script with the fact commands that its last comparison asked. The
next plan has it run first, some commands at a time, and serves the answers from memory; what the
script lacks is fetched as usual. It holds commands, never answers, and only root may read or write
it. When it is damaged or missing, a plan takes longer and nothing else.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import shlex
import tarfile
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from standfast.facts.answer import STATUS

FOLDER = "/var/lib/standfast/facts"
CHAINS = 4  # commands that run at the same time
SECONDS = 60  # what a script may take, and the 8th part of a second for each command
"""Facts that are not answered by then are fetched as usual."""

_SUM = "trace"  # the file beside the answers with the checksum of the trace that was asked
_SOUND = f"( cd {FOLDER} && sha256sum -c --status sum )"
# Of a command that is ended, the shell may live a moment longer than what it waits for, and take that for an
# answer: "stat failed". So all that was written in the last second before the end is thrown away.
_LIMITED = """limited() {
  read -r _ seconds _ < "$1" && end=$(mktemp ../end.XXXXXXXX) || return
  touch -d "@$(($(date +%s) + seconds))" "$end" || return
  timeout $((seconds + 1)) sh "$1" || find . -type f -newer "$end" -delete
}"""
# Takes the script and its checksum as an archive on standard input.
WRITE = f"""set -e; umask 077; mkdir -p -m 700 {FOLDER}; new=$(mktemp -d {FOLDER}.XXXXXXXX)
trap 'rm -rf "$new"' EXIT
tar -xzf - -C "$new" --no-same-owner
mv -f "$new/run.sh" "$new/sum" {FOLDER}/"""


def asking(*, trace: bool, further: bool) -> str:
    """
    Shell code that prints an archive with the answers, each in a file of its own.

    Two scripts may hold the same command: its file is there once, and who makes it runs the command.

    + trace: answer what the trace asks, unless its checksum is wrong: it was damaged, and its answers may be
      to other questions
    + further: answer what a script on standard input asks, which is `packed`
    """
    lines = [
        "work=$(mktemp -d /run/standfast-facts.XXXXXXXX) || exit 0",
        'mkdir "$work/answers" && cd "$work/answers" || exit 0',
        "trap 'rm -rf \"$work\"' EXIT",
        *(["gzip -d > ../further.sh"] if further else []),
        "exec 3>&1 > /dev/null 2>&1 < /dev/null",
        _LIMITED,
        *(["limited ../further.sh 3>&- &"] if further else []),
        *([f"{{ {_SOUND} && cp {FOLDER}/sum {_SUM} && limited {FOLDER}/run.sh; }} 3>&- &"] if trace else []),
        "wait",
        "tar -cf - . | gzip >&3",
    ]
    return "\n".join(lines)


def name(command: str) -> str:
    """The name by which a command and its answer are known on both sides."""
    return hashlib.sha256(command.encode()).hexdigest()[:32]


def run_script(commands: Sequence[str]) -> str:
    """The shell script that runs all commands in the folder for the answers, each into its own file."""
    lines = [f"# {SECONDS + len(commands) // 8} seconds, then the rest is given up", "set -C"]
    for start in range(min(CHAINS, len(commands))):
        chain = [commands[number] for number in range(start, len(commands), CHAINS)]
        lines += ["{", *(f"sh -c {shlex.quote(each)} >{name(each)}" for each in chain), "} &"]
    return "\n".join([*lines, "wait", ""])


def packed(commands: Sequence[str]) -> bytes:
    """A script for standard input."""
    return gzip.compress(run_script(commands).encode(), mtime=0)


def checksum_of(commands: Sequence[str]) -> str:
    """The checksum beside a trace, as sha256sum(1) reads it."""
    return f"{hashlib.sha256(run_script(commands).encode()).hexdigest()}  run.sh\n"


def packed_trace(commands: Sequence[str]) -> bytes:
    """The script and its checksum for `WRITE`."""
    content, checksum = run_script(commands).encode(), checksum_of(commands).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for file, text in (("run.sh", content), ("sum", checksum)):
            entry = tarfile.TarInfo(file)
            entry.size, entry.mode, entry.mtime = len(text), 0o600, time.time()
            archive.addfile(entry, io.BytesIO(text))
    return buffer.getvalue()


def unpacked(output: bytes) -> tuple[dict[str, list[str]], str]:
    """Answers by the name of their command, without those that were cut off; the checksum of the trace."""
    answers, checksum = {}, ""
    try:
        for file, content in _files(gzip.decompress(output)):
            if file == _SUM:
                checksum = content.decode(errors="replace")
            with suppress(UnicodeDecodeError):
                answers[file] = content.decode().splitlines()
    except (OSError, EOFError, zlib.error, tarfile.TarError):
        return {}, ""
    return {file: lines for file, lines in answers.items() if _complete(lines)}, checksum


def _complete(lines: Iterable[str]) -> bool:
    return any(line.startswith(STATUS) for line in lines)


def _files(archive: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        for entry in opened:
            content = opened.extractfile(entry)
            if content is not None:
                yield entry.name.removeprefix("./"), content.read()
