"""Templates to texts: Jinja2, where an undefined variable is a fault and secrets stay hidden in diffs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError

from standfast.errors import InventoryError
from standfast.inventory.secrets import SecretValue

_ENVIRONMENT = Environment(
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 - these are texts for servers, not HTML
)


@dataclass(frozen=True, slots=True, repr=False)
class Rendered:
    """A text for a file on a server."""

    text: str
    """What is written."""
    shown: str
    """The same with every secret replaced by its name, for plans and logs."""

    def __repr__(self) -> str:
        return f"Rendered({len(self.text)} characters)"

    @property
    def sensitive(self) -> bool:
        """Whether the text contains a secret."""
        return self.text != self.shown


def plain(text: str) -> Rendered:
    """A text without secrets."""
    return Rendered(text, text)


def hidden(name: str, secret: SecretValue) -> Rendered:
    """
    A file that is nothing but a secret.

    + name: what is shown in its place
    """
    return Rendered(f"{secret.reveal().rstrip()}\n", f"‹{name}›\n")


def render(
    source: str, where: str, variables: Mapping[str, object], secrets: Mapping[str, SecretValue]
) -> Rendered:
    """
    Render a template twice: as it is written, and as it may be shown.

    + source: the template's text
    + where: its file name, for messages
    + variables: what the template may use, besides ``secrets``

    Raises:
        InventoryError: syntax error or undefined variable; nothing has been changed.
    """
    try:
        template = _compiled(source)
        text = template.render(variables, secrets={k: v.reveal() for k, v in secrets.items()})
        shown = template.render(variables, secrets={k: f"‹{k}›" for k in secrets})
    except TemplateSyntaxError as error:
        raise InventoryError(
            f"{where}:{error.lineno}: the template cannot be read: {error.message}"
        ) from None
    except UndefinedError as error:
        line = _line_of(error)
        raise InventoryError(
            f"{where}:{line}: {error.message}. The template may use: "
            f"{', '.join(sorted([*variables, *(f'secrets.{name}' for name in secrets)]))}"
        ) from None
    except TemplateError as error:
        raise InventoryError(f"{where}: the template cannot be rendered: {error.message}") from None
    return Rendered(text, shown)


def source_of(path: Path) -> str:
    """
    The text of a user's file.

    Raises:
        InventoryError: it cannot be read, or is no UTF-8; nothing has been changed.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InventoryError(f"{path}: expected a readable UTF-8 file: {error}") from None


def render_file(path: Path, variables: Mapping[str, object], secrets: Mapping[str, SecretValue]) -> Rendered:
    """Read a user's file; render it when its name ends in ``.j2``."""
    source = source_of(path)
    if path.suffix != ".j2":
        return plain(source)
    return render(source, str(path), variables, secrets)


@cache
def _compiled(source: str) -> Template:
    """Servers are rendered from the same few templates."""
    return _ENVIRONMENT.from_string(source)


def _line_of(error: UndefinedError) -> int:
    """The template's line: Jinja2 puts it into the traceback as the line of a file called <template>."""
    trace = error.__traceback__
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
