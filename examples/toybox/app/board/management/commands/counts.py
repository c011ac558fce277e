"""`manage.py counts`: rows of every table, number and bytes of pictures."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from board import census


class Command(BaseCommand):
    """Prints what board.census counts."""

    help = "Rows of every table, number and bytes of uploaded pictures, all at one moment."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object")
        parser.add_argument("--hash", action="store_true", help="also a hash of the content")

    def handle(self, **options: Any) -> None:
        taken = census.take(hashes=options["hash"])
        media = {"files": taken.pictures, "bytes": taken.picture_bytes}
        if options["json"]:
            answer: dict[str, object] = {"tables": taken.tables, "media": media}
            if options["hash"]:
                answer["hashes"] = taken.hashes
            self.stdout.write(json.dumps(answer, sort_keys=True))
            return
        for table, rows in taken.tables.items():
            self.stdout.write(f"{table:<28}{rows:>12}  {taken.hashes.get(table, '')}".rstrip())
        line = f"{'pictures':<28}{media['files']:>12}  {taken.hashes.get('media', '')}".rstrip()
        self.stdout.write(f"{line}\n{'bytes of pictures':<28}{media['bytes']:>12}")
