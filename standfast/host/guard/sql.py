"""What SQL statements do to data, read without a server."""

from __future__ import annotations

import re
from itertools import pairwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NamedTuple
else:
    from standfast.host.guard.named_tuple import NamedTuple

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|\#(?=[ ])[^\n]*)
    |(?P<comment>/\*)
    |(?P<dollar>\$(?:[A-Za-z_]\w*)?\$)
    |(?P<text>[eE]'(?:[^'\\]|''|\\.)*'|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')
    |(?P<name>"(?:[^"]|"")*"|`[^`]*`|\[[^\]\n]*\])
    |(?P<meta>\\[^\n]*)
    |(?P<variable>:(?:'[^']*'|"[^"]*"|[A-Za-z_]\w*)|:)
    |(?P<word>[^\W\d]\w*)
    |(?P<other>::|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_VERSIONED = re.compile(r"/\*!\d*(.*?)\*/", re.DOTALL)
# With these before them, the verbs are no verbs: FOR UPDATE, ON DELETE, DO UPDATE, BEFORE TRUNCATE.
_NO_VERB_AFTER = {"ON", "FOR", "DO", "OR", "BEFORE", "AFTER", "OF", "GRANT", "REVOKE", ",", ".", "KEY", "AS"}
_NOT_COLUMNS = {"CONSTRAINT", "DEFAULT", "NOT", "IDENTITY", "EXPRESSION"}
_WITH_DATA = {
    *("DATABASE", "SCHEMA", "TABLE", "OWNED", "EXTENSION", "MATERIALIZED", "FOREIGN", "TABLESPACE"),
    *("SEQUENCE", "TYPE", "DOMAIN", "KEYSPACE", "COLLECTION"),
}
_ALWAYS_TRUE = {
    ("TRUE",),
    ("1",),
    ("1", "=", "1"),
    ("'1'", "=", "'1'"),
    ("NOT", "FALSE"),
    ("'t'",),
    ("1", "<", "2"),
}
_WEAKER = {("DISABLE", "ROW"), ("DISABLE", "TRIGGER"), ("DISABLE", "RULE"), ("NO", "FORCE")}
_DEEPEST = 6
_ROWS_END = re.compile(r"^\\\.\r?$", re.MULTILINE)
# As psql takes it: verbatim, also without quotes. Everything else may name another server.
_CONNECTED = re.compile(r'"?([\w.-]+)"?', re.ASCII)


class Statement(NamedTuple):
    """What one statement does."""

    kind: str
    """``drop data``, ``drop definition``, ``truncate``, ``delete all``, ``update all``, ``drop column``,
    ``weaken protection``, ``connect``, ``run file``, ``run shell``, or ``unreadable``."""
    text: str
    """Beginning of the statement, or the file or shell command that it names; without values."""
    database: str | None = ""
    """Name of the database that it drops or connects to; ``None`` when that cannot be known, empty when it is
    about the one that is connected."""


class _Token(NamedTuple):
    kind: str
    text: str

    @property
    def word(self) -> str:
        return self.text.upper() if self.kind == "word" else self.text


def destructive(text: str) -> list[Statement]:
    """All that is destructive, or cannot be known, in some statements; also in the bodies of ``DO``."""
    found: list[Statement] = []
    for tokens in _statements(_VERSIONED.sub(r"\1", text)):
        found += _judged(tokens, 0)
    return found


def _statements(text: str) -> Iterator[list[_Token]]:
    current: list[_Token] = []
    for token in _tokens(text):
        if token.kind == "meta":
            words = token.text.split()
            if words[0] in ("\\g", "\\gx", "\\gdesc", "\\gset", "\\gexec", "\\crosstabview", "\\watch"):
                yield [*current, token] if words[0] == "\\gexec" else current
                current = []
            else:
                yield [token]
        elif token.text == ";" and token.kind == "other":
            yield current
            current = []
        else:
            current.append(token)
    yield current


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    statement: list[str] = []
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return
        kind, at = str(match.lastgroup), match.end()
        if kind == "comment":
            at = _comment_end(text, at)
        elif kind == "dollar":
            end = text.find(match[0], at)
            end = len(text) if end < 0 else end
            yield _Token("body", text[at:end])
            at = end + len(match[0])
        elif kind != "space":
            token = _Token(kind, match[0])
            yield token
            statement.append(token.word)
            if token.text == ";":
                if statement[0] == "COPY" and ("FROM", "STDIN") in pairwise(statement):
                    text, at = _without_rows(text, at), 0
                statement.clear()


def _without_rows(text: str, at: int) -> str:
    """What psql reads as SQL behind a ``COPY … FROM STDIN;``: its line, and all behind the rows."""
    line = text.find("\n", at)
    end = _ROWS_END.search(text, line) if line >= 0 else None
    return text[at:line] + text[end.end() :] if end else text[at:]


def _comment_end(text: str, at: int) -> int:
    """Behind a comment; PostgreSQL's comments nest."""
    depth = 1
    while depth:
        opening, closing = text.find("/*", at), text.find("*/", at)
        if closing < 0:
            return len(text)
        if 0 <= opening < closing:
            depth, at = depth + 1, opening + 2
        else:
            depth, at = depth - 1, closing + 2
    return at


def _judged(tokens: Sequence[_Token], depth: int) -> Iterator[Statement]:
    if not tokens or depth > _DEEPEST:
        return
    first = tokens[0]
    if first.kind == "meta":
        yield from _meta(first.text)
    elif tokens[-1].kind == "meta":
        yield Statement("unreadable", f"{_shown(tokens)} \\gexec runs what the query answers")
    elif first.kind == "variable" and len(first.text) > 1:
        yield Statement("unreadable", f"the variable {first.text}")
    elif first.word == "USE" and len(tokens) > 1:
        yield Statement("connect", _shown(tokens[:2]), _name(tokens[1]))
        yield from _judged(tokens[2:], depth)  # MySQL ends it with the line, too
    elif first.word == "EXPLAIN" and not any(each.word in ("ANALYZE", "ANALYSE") for each in tokens[:4]):
        return
    elif first.word == "DO":
        for body in (each.text for each in tokens if each.kind in ("body", "text")):
            yield from _body(body, depth + 1)
    elif first.word in ("CREATE", "GRANT", "REVOKE", "COMMENT"):
        yield from _created(tokens)
    elif first.word == "ALTER":
        yield from _altered(tokens)
    else:
        yield from _verbs(tokens, anywhere=False)


def _created(tokens: Sequence[_Token]) -> Iterator[Statement]:
    """What stands in a function or a trigger does not run; MariaDB's ``CREATE OR REPLACE TABLE`` drops."""
    words = [each.word for each in tokens[:4]]
    if words[:4] == ["CREATE", "OR", "REPLACE", "TABLE"]:
        yield Statement("drop data", _shown(tokens))


def _altered(tokens: Sequence[_Token]) -> Iterator[Statement]:
    words = [each.word for each in tokens]
    for index, word in enumerate(words[:-1]):
        after = words[index + 1]
        if word == "DROP" and words[1:2] in (["TABLE"], ["TYPE"], ["FOREIGN"]) and after not in _NOT_COLUMNS:
            yield Statement("drop column", _shown(tokens))
        elif (word, after) in _WEAKER or (words[1:3] == ["EVENT", "TRIGGER"] and after == "DISABLE"):
            yield Statement("weaken protection", _shown(tokens))


def _verbs(tokens: Sequence[_Token], *, anywhere: bool) -> Iterator[Statement]:
    for index, token in enumerate(tokens):
        if token.kind != "word" or token.word not in ("DROP", "TRUNCATE", "DELETE", "UPDATE", "REASSIGN"):
            continue
        before = tokens[index - 1].word if index else ""
        prepared = before == "AS" and tokens[0].word == "PREPARE"
        if before in _NO_VERB_AFTER and not prepared:
            continue
        if anywhere or before in ("", "(", ")") or prepared or tokens[0].word == "EXPLAIN":
            yield from _verb(tokens[index:])


def _verb(tokens: Sequence[_Token]) -> Iterator[Statement]:
    word = tokens[0].word
    after = tokens[1].word if len(tokens) > 1 else ""
    if word == "DROP" and after:
        kind = "drop data" if after in _WITH_DATA else "drop definition"
        kind = "weaken protection" if after in ("POLICY", "TRIGGER", "EVENT", "RULE") else kind
        yield Statement(kind, _shown(tokens), _dropped(tokens[2:]) if after == "DATABASE" else "")
    elif word == "TRUNCATE" and after != "(":
        yield Statement("truncate", _shown(tokens))
    elif word == "DELETE" and _everything(tokens):
        yield Statement("delete all", _shown(tokens))
    elif word == "UPDATE" and any(each.word == "SET" for each in tokens) and _everything(tokens):
        yield Statement("update all", _shown(tokens))


def _dropped(tokens: Sequence[_Token]) -> str | None:
    """The name in ``[IF EXISTS] NAME [[WITH] (FORCE)]``; ``None`` when anything else stands there."""
    if [each.word for each in tokens[:2]] == ["IF", "EXISTS"]:
        tokens = tokens[2:]
    if not tokens or (len(tokens) > 1 and tokens[1].word not in ("WITH", "(")):
        return None
    return _name(tokens[0])


def _name(token: _Token) -> str | None:
    """What an identifier names; ``None`` when PostgreSQL, psql or a shell may make something else of it."""
    if token.kind == "word" and token.text.isascii():
        return token.text.lower()
    if token.kind == "name" and token.text[0] in '"`' and "$" not in token.text:
        quote = token.text[0]
        return token.text[1:-1].replace(quote * 2, quote)
    return None


def _everything(tokens: Sequence[_Token]) -> bool:
    """Whether no WHERE keeps a row from it."""
    depth, condition = 0, None
    for index, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth < 0:
            tokens = tokens[:index]
            break
        if not depth and token.word == "WHERE":
            condition = index + 1
    if condition is None:
        return True
    rest = [each.word for each in tokens[condition:]]
    if "RETURNING" in rest:
        rest = rest[: rest.index("RETURNING")]
    return tuple(each for each in rest if each not in ("(", ")")) in _ALWAYS_TRUE


def _body(text: str, depth: int) -> Iterator[Statement]:
    """A ``DO`` block: everything that its statements, and the texts that it executes, could do."""
    for tokens in _statements(text):
        words = [each.word for each in tokens]
        yield from _verbs(tokens, anywhere=True)
        if "ALTER" in words:
            yield from _altered(tokens[words.index("ALTER") :])
        if "EXECUTE" not in words:
            continue
        texts = [each.text for each in tokens[words.index("EXECUTE") :] if each.kind in ("text", "body")]
        inner = [each for one in texts for each in destructive(one.strip("eE").strip("'").replace("''", "'"))]
        yield from inner
        readable = texts and not any("%" in one for one in texts) and "||" not in "".join(words)
        if not inner and not readable and depth <= _DEEPEST:
            yield Statement("unreadable", "EXECUTE with a statement that is put together while it runs")


def _meta(text: str) -> Iterator[Statement]:
    """psql's own commands."""
    name, _, rest = text.replace("\t", " ").partition(" ")
    if name in ("\\c", "\\connect"):
        yield from _connected(rest.split())
    elif name in ("\\i", "\\include", "\\ir", "\\include_relative"):
        yield Statement("run file", rest.strip().strip("'"))
    elif name.startswith("\\!"):
        yield Statement("run shell", text[2:].strip())


def _connected(words: Sequence[str]) -> Iterator[Statement]:
    """``\\connect [NAME [USER]]``; with a host or a connection string, nobody knows where it goes."""
    first = words[0].rstrip(";") if words else "-"
    match = _CONNECTED.fullmatch(first)
    if len(words) > 2 or match is None:
        yield Statement("connect", "\\connect", None)
    elif first not in ("-", ""):
        yield Statement("connect", "\\connect", match[1])


def _shown(tokens: Sequence[_Token]) -> str:
    """The beginning of a statement; texts may be secrets."""
    words = ["'…'" if each.kind in ("text", "body") else each.text for each in tokens[:12]]
    shown = " ".join(words).replace(" . ", ".").replace(" ,", ",").replace("( ", "(").replace(" )", ")")
    return shown + (" …" if len(tokens) > 12 else "")
