"""Rules of iptables in words, for plans and people; what is not known stays as iptables spells it."""

from __future__ import annotations

import re
import shlex

PLACES = {"STANDFAST-INPUT": "host", "STANDFAST-DOCKER": "containers"}
VERBS = {"ACCEPT": "let in", "RETURN": "let in", "DROP": "drop", "REJECT": "refuse", "LOG": "log"}
WIDTH = 11
READ_BY = re.compile(r" read by \S+, place \d+$")
"""Words for the place of a jump to our chains."""

# Modules, and options that are the same in all rules of ours.
SILENT = {
    *(("-m", module) for module in ("tcp", "udp", "comment", "conntrack", "hashlimit", "limit")),
    ("--hashlimit-mode", "srcip"),
    ("--ctdir", "ORIGINAL"),
    ("--log-prefix", "standfast drop: "),
    ("--reject-with", "icmp-port-unreachable"),
    ("--reject-with", "icmp6-port-unreachable"),
}
STATES = {"RELATED,ESTABLISHED": "open connections", "ESTABLISHED": "answers", "DNAT": "published"}
# In the order in which they stand in a sentence.
PHRASES = {
    "--ctstate": "{}",
    "-p": "{}",
    "--dport": "{}",
    "--ctorigdstport": "{}",
    "-s": "from {}",
    "-d": "to {}",
    "-i": "through {}",
    "-o": "towards {}",
    "--comment": "({})",
}
LIMITS = {
    "--limit": "at most {}",
    "--hashlimit-upto": "at most {} for each address",
    "--limit-burst": "{} at once",
    "--hashlimit-burst": "{} at once",
    "--hashlimit-srcmask": "of one /{}",
    "--hashlimit-name": "counted as {}",
    "--hashlimit-htable-expire": "for {} ms",
}


def in_words(rule: str) -> str:
    """
    One rule of ours, or a jump to our chains.

    + rule: as `standfast.facts.firewall.Rules` has it, for example ``-A STANDFAST-INPUT -i lo -j ACCEPT``
    """
    try:
        words = shlex.split(rule)
    except ValueError:
        return rule
    if len(words) == 5 and words[0] == "-I" and words[4] in PLACES:
        return f"{PLACES[words[4]]:<{WIDTH}}read by {words[1]}, place {words[2]}"
    if len(words) % 2 or words[0] != "-A" or words[1] not in PLACES:
        return rule
    options = [pair for pair in zip(words[2::2], words[3::2], strict=True) if pair not in SILENT]
    values = dict(options)
    verb = VERBS.get(values.pop("-j", ""))
    if verb is None or len(values) + 1 < len(options) or not values.keys() <= {*PHRASES, *LIMITS}:
        return rule
    what = " ".join(_phrases(values, PHRASES)) or "everything else"
    return f"{PLACES[words[1]]:<{WIDTH}}{verb} {', '.join([what, *_phrases(values, LIMITS)])}"


def _phrases(values: dict[str, str], known: dict[str, str]) -> list[str]:
    return [known[name].format(_value(name, values[name])) for name in known if name in values]


def _value(name: str, value: str) -> str:
    if name == "--ctstate":
        return STATES.get(value, value)
    return value.replace(":", "-") if name in ("--dport", "--ctorigdstport") else value
