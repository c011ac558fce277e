"""Answers for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click


def print_json(document: Mapping[str, object]) -> None:
    """Print a document for machines."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
