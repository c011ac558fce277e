"""`fill` and `counts`, which tests of backups and restores stand on."""

import io
import json
import tempfile
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import TransactionTestCase, override_settings

from board.models import Post, Reaction


class Commands(TransactionTestCase):
    reset_sequences = True

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.media = Path(folder.name)
        changed = override_settings(MEDIA_ROOT=self.media)
        changed.enable()
        self.addCleanup(changed.disable)

    def counts(self) -> dict[str, Any]:
        out = io.StringIO()
        call_command("counts", "--json", "--hash", stdout=out)
        answer: dict[str, Any] = json.loads(out.getvalue())
        return answer

    def fill(self, *options: str) -> None:
        call_command("fill", *options, stdout=io.StringIO())

    def test_rows_of_every_table_are_counted(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE made_by_hand AS SELECT generate_series(1, 7) AS n")
            self.addCleanup(self.drop, "made_by_hand")
        self.fill("--users", "20", "--pictures", "6")
        taken = self.counts()
        expected = {
            "auth_user": 20,
            "board_post": 100,
            "board_card": 20,
            "board_reaction": 200,
            "django_session": 20,
            "made_by_hand": 7,
        }
        self.assertLessEqual(expected.items(), taken["tables"].items())
        sizes = [path.stat().st_size for path in self.media.rglob("*.png")]
        self.assertEqual(taken["media"], {"files": 6, "bytes": sum(sizes)})

    def drop(self, table: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {connection.ops.quote_name(table)}")

    def test_the_hash_sees_one_changed_letter_and_one_changed_picture(self) -> None:
        self.fill("--users", "5")
        before = self.counts()
        Post.objects.filter(pk=Post.objects.first().pk).update(text="x")
        picture = next(self.media.rglob("*.png"))
        picture.write_bytes(picture.read_bytes()[:-1] + b"!")
        after = self.counts()
        self.assertEqual(before["tables"], after["tables"])
        self.assertEqual(before["media"], after["media"])
        changed = {name for name, value in before["hashes"].items() if after["hashes"][name] != value}
        self.assertEqual(changed, {"board_post", "media"})

    def test_the_hash_does_not_depend_on_the_server_s_time_zone(self) -> None:
        self.fill("--users", "3")
        before = self.counts()
        with connection.cursor() as cursor:
            cursor.execute("SET TimeZone = 'Asia/Tokyo'")
        self.assertEqual(self.counts(), before)

    def test_a_second_fill_adds(self) -> None:
        self.fill("--users", "3")
        self.fill("--users", "4")
        names = list(User.objects.order_by("username").values_list("username", flat=True))
        self.assertEqual(names, [f"filled-{number:07d}" for number in range(1, 8)])

    def test_people_s_data_is_left_alone(self) -> None:
        User.objects.create_user("hana")
        with self.assertRaisesMessage(CommandError, "1 accounts here were not made by `fill`"):
            self.fill("--users", "1")
        self.assertEqual(User.objects.count(), 1)
        self.fill("--users", "1", "--among-people")
        self.assertEqual(User.objects.count(), 2)

    def test_odd_numbers_are_refused(self) -> None:
        for options in (("--users", "-1"), ("--users", "1", "--pictures", "0")):
            with self.assertRaises(CommandError):
                self.fill(*options)

    def test_migrating_twice_changes_nothing(self) -> None:
        self.fill("--users", "2")
        before = self.counts()
        call_command("migrate_when_ready", stdout=io.StringIO())
        self.assertEqual(self.counts(), before)


class SameSeedSameRows(TransactionTestCase):
    reset_sequences = True
    rows = ("auth_user", "board_post", "board_card", "board_reaction", "django_session", "media")

    def filled(self, seed: int) -> dict[str, str]:
        User.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE auth_user, django_session RESTART IDENTITY CASCADE")
        out = io.StringIO()
        with tempfile.TemporaryDirectory() as media, override_settings(MEDIA_ROOT=Path(media)):
            call_command("fill", "--users", "8", "--seed", str(seed), stdout=io.StringIO())
            call_command("counts", "--json", "--hash", stdout=out)
        hashes: dict[str, str] = json.loads(out.getvalue())["hashes"]
        return {name: hashes[name] for name in self.rows}

    def test_it_is_so(self) -> None:
        first = self.filled(seed=1)
        self.assertEqual(self.filled(seed=1), first)
        self.assertFalse(set(self.filled(seed=2).items()) & set(first.items()))
        self.assertTrue(Reaction.objects.exists())
