"""`manage.py fill --users N`: users, posts, cards with pictures, reactions, sessions."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from board import filling


class Command(BaseCommand):
    """Saves what board.filling makes."""

    help = "Add users with posts, cards, reactions and sessions; the same ones for the same seed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--users", type=int, required=True, help="how many to add")
        parser.add_argument("--seed", type=int, default=1, help="another seed, other content")
        parser.add_argument(
            "--pictures", type=int, default=1000, help="different picture files at most (1000)"
        )
        parser.add_argument("--among-people", action="store_true", help="even if people have accounts here")

    def handle(self, **options: Any) -> None:
        users, pictures = options["users"], options["pictures"]
        if users < 0 or pictures < 1:
            raise CommandError("expected --users 0 or more, --pictures 1 or more; nothing written")
        if (people := filling.others()) and not options["among_people"]:
            raise CommandError(
                f"{people} accounts here were not made by `fill`: this looks like people's data. "
                "Nothing was written. Add --among-people if that is what you want."
            )
        started = time.monotonic()
        maker = filling.Maker.of(options["seed"], pictures)
        for numbers in filling.batches(filling.filled() + 1, users):
            filling.make(maker, numbers)
        took = time.monotonic() - started
        self.stdout.write(f"added {users} users with what belongs to them in {took:.1f} s")
