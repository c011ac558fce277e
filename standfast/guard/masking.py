"""Commands for the audit log and for messages: passwords and texts left out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

HIDDEN = "***"
_TELLING = "PASS|PWD|SECRET|TOKEN|APIKEY|API_KEY|ACCESS_KEY|CREDENTIAL"
_WORD = rf"[A-Za-z0-9_-]*(?:{_TELLING})[A-Za-z0-9_-]*"
_ASSIGNMENT = re.compile(rf"(?i)(?<![A-Za-z0-9])({_WORD})=(?:'[^']*'|\"[^\"]*\"|\S+)")
_OPTION = re.compile(rf"(?i)--?{_WORD}")
# Everything between the scheme and the last @ before a space or a quote: passwords may hold any sign.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)([^\s'\"]*)@")
_WHOLE = re.compile(r"((?:-{1,2}[\w-]+=|\w+=)?[A-Za-z][A-Za-z0-9+.-]*://)(.*)@", re.DOTALL)
"""In a word that begins with a URL, everything up to the last @ may be its password."""
_QUERY = re.compile(r"(?i)([?&](?:password|sslpassword|token)=)[^&\s'\"]*")
_NAME = rf"[A-Za-z0-9_-]{{0,60}}(?:{_TELLING})[A-Za-z0-9_-]{{0,60}}"
_SETTING = re.compile(rf"(?i)(?<![A-Za-z0-9_-])({_NAME}[\"']?\s*[=:>]\s*|--?{_NAME}[\"']?,?\s+)\S.*")
"""A name and its value in a file: ``NAME=…``, ``"name": …``, ``<name>…``, ``--name …``."""
_DIRECTIVE = re.compile(rf"(?i)^(\s*{_NAME}\s+)(?!(?:yes|no|on|off|true|false|\d+)\b)\S+\s*$")
"""The same in files like redis.conf; ``PasswordAuthentication no`` is no secret."""
_KEY = re.compile(r"^(\s*)[A-Za-z0-9+/]{40,}=*\s*$")
"""A line of a key in base64."""
_DOLLARS = re.compile(r"(\$(?:[A-Za-z_]\w*)?\$).*?\1", re.DOTALL)
_PASSWORDS = (
    (("mysql", "mariadb"), "-p", False),
    (("redis-cli", "valkey-cli"), "-a", True),
    (("mongo", "supabase"), "-p", True),
)
"""How programs' names begin, their option with a password, and whether it may be the next word."""
_VALUE = r"(?:'[^']*'|\"[^\"]*\"|[^\s|;&]+)"
# The same within one text: what `sh -c` is given, or a line of a script.
_IN_TEXT = [re.compile(rf"(?i)(?<![A-Za-z0-9-])(--?{_WORD}\s+){_VALUE}")] + [
    re.compile(
        rf"(?<![\w-])((?:{'|'.join(names)})[\w.-]*\s(?:[^|;&\n]*?\s)?{option}"
        + (rf"\s*){_VALUE}" if apart else f"){_VALUE}")
    )
    for names, option, apart in _PASSWORDS
]
_TEXT = re.compile(r"'(?:[^']|'')*'")


def masked(argv: Sequence[str]) -> str:
    """A command on one line, without passwords in URLs, options and assignments, without texts in SQL."""
    return shlex.join(masked_words(argv))


def masked_words(argv: Sequence[str]) -> list[str]:
    """The same, word by word."""
    shown: list[str] = []
    secret_follows = False
    for word in argv:
        if secret_follows:
            shown.append(HIDDEN)
            secret_follows = False
            continue
        shown.append(masked_text(_WHOLE.sub(_user_only, word) if _WHOLE.match(word) else word))
        secret_follows = bool(_OPTION.fullmatch(word))
    for index, word in enumerate(argv):
        for names, option, apart in _PASSWORDS:
            # Behind `docker exec db` too; what stands before a program's name is another's.
            if word.rpartition("/")[2].startswith(names):
                shown[index + 1 :] = _without(shown[index + 1 :], option, apart=apart)
    return shown


def _without(words: Sequence[str], option: str, *, apart: bool) -> list[str]:
    """A program's arguments without its password, which may stand in the option's own word."""
    glued = [f"{option}{HIDDEN}" if each.startswith(option) and each != option else each for each in words]
    return [
        HIDDEN if apart and before == option else each
        for before, each in zip(["", *glued], glued, strict=False)
    ]


def masked_text(text: str) -> str:
    """A text in which there may be passwords."""
    text = _URL.sub(_user_only, text)
    text = _QUERY.sub(rf"\g<1>{HIDDEN}", text)
    text = _ASSIGNMENT.sub(rf"\1={HIDDEN}", text)
    for pattern in _IN_TEXT:
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    text = _DOLLARS.sub(r"\1…\1", text)
    return _TEXT.sub("'…'", text) if " " in text and "'" in text else text


def masked_line(line: str) -> str:
    """A line of a file of which nobody said that it holds secrets; what is telling goes to the line's end."""
    line = _URL.sub(_user_only, line)
    for pattern in (_SETTING, _DIRECTIVE, _KEY):
        line = pattern.sub(rf"\g<1>{HIDDEN}", line)
    return line


def _user_only(match: re.Match[str]) -> str:
    user, colon, _ = match[2].partition(":")
    return f"{match[1]}{user}:{HIDDEN}@" if colon else f"{match[1]}{user}@"
