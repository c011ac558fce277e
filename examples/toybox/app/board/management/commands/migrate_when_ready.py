"""`manage.py migrate_when_ready`: what the container does before it serves."""

import time
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connection

LOCK = 7_053_209_266
"""Any number that nothing else in this database uses as an advisory lock."""


class Command(BaseCommand):
    """Waits for the database, then migrates; two containers that start together take turns."""

    help = "Wait until the database answers, then migrate."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--timeout", type=int, default=60, help="seconds; default 60")

    def handle(self, **options: Any) -> None:
        self.wait(options["timeout"])
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
            try:
                call_command("migrate", interactive=False)
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])

    def wait(self, seconds: int) -> None:
        """
        Connect, trying again once a second.

        Raises:
            CommandError: no connection in time; nothing was changed.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                connection.ensure_connection()
            except OperationalError as error:
                if time.monotonic() > deadline:
                    raise CommandError(f"no database after {seconds} s: {error}") from error
                time.sleep(1)
            else:
                return
