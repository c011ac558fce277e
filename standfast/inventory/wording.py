"""What is wrong with a value, in words: what was expected, what was found, what to do."""

from __future__ import annotations

import difflib
from ipaddress import ip_interface

from standfast.inventory import shape
from standfast.inventory.document import Plain
from standfast.inventory.faults import Where, printable
from standfast.inventory.schema import Inventory, Secret
from standfast.inventory.syntax import full_width

NOT_A_REFERENCE = (
    "expected where the secret comes from, `{env: NAME}`, `{file: PATH}` or `{command: …}`, not the "
    "secret itself; if it is a real one, change it, because it has been in this file"
)


def wrong_value(where: Where, found: Plain) -> str:
    """A value of the wrong type, or one that its type does not allow."""
    wanted = shape.type_at(where, Inventory)
    if shape.kind(wanted) is Secret:
        return NOT_A_REFERENCE
    if shape.kind(shape.type_at(where[:-1], Inventory)) is Secret:
        return f"expected {shape.words(wanted)}, not what stands there (it is not shown: it may be secret)"
    remedy = _remedy(wanted, found)
    return f"expected {shape.words(wanted)}, not {shown(found)}" + (f"; {remedy}" if remedy else "")


def _remedy(wanted: object, found: Plain) -> str | None:
    """What to write instead, when that is clear."""
    if isinstance(found, dict | list):
        return None
    if shape.fits(wanted, [found]):
        return f"write `[{plain(found)}]`"
    if not isinstance(found, str):
        return f'write it in quotes, "{plain(found)}"' if shape.fits(wanted, plain(found)) else None
    if found.isdecimal() and shape.fits(wanted, int(found[:18])):
        return f"write {found} without quotes"
    close = closest(found, shape.choices(wanted))
    return f"did you mean `{close}`?" if close else _with_host_bits(found)


def wrong_name(where: Where) -> str:
    """A name in a mapping that may not stand there."""
    keys = shape.key_words(shape.type_at(where[:-1], Inventory))
    return f"expected {keys}, not {shown(where[-1])}"


def unknown_setting(where: Where) -> str:
    """A setting that the schema does not know."""
    close = closest_setting(where)
    if close:
        return f"unknown setting; did you mean `{close}`?{full_width(str(where[-1]))}"
    known = ", ".join(_settings_at(where[:-1]))
    return f"unknown setting; the settings here are: {known}{full_width(str(where[-1]))}"


def closest_setting(where: Where) -> str | None:
    """The setting that somebody meant who wrote an unknown one."""
    return closest(str(where[-1]).strip().replace("-", "_"), _settings_at(where[:-1]))


def closest(found: str, known: list[str]) -> str | None:
    """What somebody meant who wrote ``found``; None when nothing is near."""
    found = found.lower()
    begun = [name for name in known if len(found) > 2 and name.startswith(found)]
    close = begun or difflib.get_close_matches(found, known, n=1)
    return close[0] if close else None


def ambiguous(wanted: object, text: str, reading: str) -> str:
    """A value without quotes that YAML 1.1 reads as something else than it looks."""
    expected, text = shape.words(wanted), printable(text)
    if shape.fits(wanted, text):
        return (
            f'expected {expected}; write it in quotes, "{text}", '
            f"because YAML reads it without quotes as {reading}"
        )
    if text.isdecimal() and shape.fits(wanted, int(text)):
        return f"expected {expected}, not {text}, which YAML reads as {reading}; write {int(text)}"
    if shape.kind(wanted) is bool and reading in ("true", "false"):
        return f"expected {expected}, not `{text}`; write `{reading}`"
    return f"expected {expected}, not `{text}`"


def empty(wanted: object) -> str:
    """Nothing after the colon."""
    kind = shape.kind(wanted)
    remedy = "write a value, or remove the line"
    if kind is list:
        remedy = "write `[]`, or remove the line"
    elif kind is dict:
        remedy = "write `{}`, or remove the line"
    elif shape.is_part(kind):
        defaults = "`{}` for the defaults" if shape.fits(wanted, {}) else "its settings below it"
        remedy = f"write {defaults}, or remove the line"
    return f"expected {shape.words(wanted)}, not nothing; {remedy}"


def plain(value: Plain) -> str:
    """A simple value as it stands in YAML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return printable(str(value))


def shown(value: Plain) -> str:
    """A value for a message: short, and in backticks when it is text."""
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, str):
        return f"`{printable(value)}`" if value else "an empty text"
    return "nothing" if value is None else plain(value)


def _with_host_bits(text: str) -> str | None:
    """What to write instead of ``10.0.0.1/8`` and ``fe80::%eth0/64``."""
    if "%" in text:
        return "write it without the interface, which stands after the `%`"
    try:
        address = ip_interface(text)
    except ValueError:
        return None
    if address.ip == address.network.network_address:
        return None
    return f"write `{address.network}` for the network, or `{address.ip}` for the one address"


def _settings_at(where: Where) -> list[str]:
    part = shape.part(shape.type_at(where, Inventory))
    return list(shape.settings(part)) if part else []
