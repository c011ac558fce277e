"""What people can do on the site."""

import io
import tempfile
from pathlib import Path
from unittest import mock

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection
from django.test import TestCase, override_settings
from PIL import Image

from board import filling
from board.models import Card, Post, Reaction


def png(name: str = "a.png", kind: str = "PNG") -> SimpleUploadedFile:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, kind)
    return SimpleUploadedFile(name, file.getvalue())


class Pages(TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.media = Path(folder.name)
        changed = override_settings(MEDIA_ROOT=self.media)
        changed.enable()
        self.addCleanup(changed.disable)
        self.user = User.objects.create_user("hana", password="a-long-password")
        self.post = Post.objects.create(author=self.user, text="こんにちは <b>world</b>")

    def test_newest_shows_posts_and_row_counts(self) -> None:
        page = self.client.get("/")
        self.assertContains(page, "こんにちは &lt;b&gt;world&lt;/b&gt;")
        self.assertContains(page, '<td id="rows-users">1</td>', html=True)
        self.assertContains(page, '<td id="rows-reactions">0</td>', html=True)

    def test_version_is_shown(self) -> None:
        with override_settings(VERSION="41"):
            self.assertContains(self.client.get("/"), '<span id="version">41</span>', html=True)

    @override_settings(SITE_NAME='A "toy" box', SITE_URL="https://toys.example.com")
    def test_link_preview_of_a_post(self) -> None:
        page = self.client.get(f"/posts/{self.post.pk}/").content.decode()
        self.assertIn('<meta property="og:site_name" content="A &quot;toy&quot; box">', page)
        self.assertIn(f'"og:url" content="https://toys.example.com/posts/{self.post.pk}/"', page)
        self.assertIn('"og:title" content="hana on A &quot;toy&quot; box"', page)
        self.assertIn('"og:image" content="https://toys.example.com/static/board/preview', page)

    def test_link_preview_takes_the_author_s_newest_card(self) -> None:
        Card.objects.create(owner=self.user, title="old", picture="cards/old.png")
        Card.objects.create(owner=self.user, title="new", picture="cards/new.png")
        page = self.client.get(f"/posts/{self.post.pk}/")
        self.assertContains(page, f'"og:image" content="{settings.SITE_URL}/media/cards/new.png"')

    def test_missing_post(self) -> None:
        self.assertEqual(self.client.get("/posts/999999/").status_code, 404)

    def test_sign_up_logs_in_and_a_session_is_in_the_database(self) -> None:
        words = {"username": "jan", "password1": "zes-houten-blokken", "password2": "zes-houten-blokken"}
        self.assertRedirects(self.client.post("/signup/", words), "/")
        self.assertContains(self.client.get("/"), '<td id="rows-sessions">1</td>', html=True)
        self.assertContains(self.client.get("/"), "Log out jan")

    def test_log_in_write_and_log_out(self) -> None:
        self.assertRedirects(self.client.get("/posts/new/"), "/login/?next=/posts/new/")
        self.client.post("/login/", {"username": "hana", "password": "a-long-password"})
        answer = self.client.post("/posts/new/", {"text": "second"})
        self.assertRedirects(answer, f"/posts/{Post.objects.get(text='second').pk}/")
        self.client.post("/logout/")
        self.assertRedirects(self.client.get("/posts/new/"), "/login/?next=/posts/new/")

    def test_a_reaction_is_counted_and_taken_back(self) -> None:
        self.client.force_login(self.user)
        address = f"/posts/{self.post.pk}/react/"
        self.client.post(address, {"kind": "heart"})
        self.assertContains(self.client.get(f"/posts/{self.post.pk}/"), "❤ 1")
        self.client.post(address, {"kind": "heart"})
        self.assertFalse(Reaction.objects.exists())
        self.assertEqual(self.client.post(address, {"kind": "bogus"}).status_code, 404)

    def test_an_uploaded_card_is_served(self) -> None:
        self.client.force_login(self.user)
        sent = png()
        self.client.post("/cards/new/", {"title": "積み木", "picture": sent})
        card = Card.objects.get()
        answer = self.client.get(card.picture.url)
        self.assertEqual(answer["Content-Type"], "image/png")
        sent.seek(0)
        self.assertEqual(b"".join(answer.streaming_content), sent.read())
        self.assertContains(self.client.get("/cards/"), "積み木")

    def test_what_is_no_picture_is_refused(self) -> None:
        self.client.force_login(self.user)
        for bad in (
            SimpleUploadedFile("a.png", b"<svg onload=alert(1)>"),
            png("a.exe"),
            png("a.png", "GIF"),
        ):
            self.client.post("/cards/new/", {"title": "bad", "picture": bad})
        with override_settings(PICTURE_LIMIT=10):
            page = self.client.post("/cards/new/", {"title": "bad", "picture": png()})
        self.assertContains(page, "larger than")
        self.assertFalse(Card.objects.exists())
        self.assertEqual([path for path in self.media.rglob("*") if path.is_file()], [])

    def test_nothing_outside_the_media_folder_is_served(self) -> None:
        for path in ("../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", ""):
            self.assertIn(self.client.get(f"/media/{path}").status_code, (400, 404), path)

    def test_healthz(self) -> None:
        self.assertEqual(self.client.get("/healthz").json()["status"], "ok")

    def test_healthz_says_when_the_database_is_away(self) -> None:
        # The connection is the one part that a test cannot take away from itself.
        away = OperationalError("connection refused\nand a second line")
        with mock.patch.object(connection, "cursor", side_effect=away):
            answer = self.client.get("/healthz")
        self.assertEqual(answer.status_code, 503)
        self.assertEqual(answer.json()["reason"], "connection refused")

    def test_healthz_says_when_a_table_is_gone(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE board_post RENAME TO board_post_gone")
        self.assertEqual(self.client.get("/healthz").status_code, 503)

    def test_a_filled_session_is_logged_in(self) -> None:
        User.objects.all().delete()
        filling.make(filling.Maker.of(seed=3, pictures=2), range(1, 3))
        self.client.cookies[settings.SESSION_COOKIE_NAME] = filling.session_key(3, 2)
        self.assertContains(self.client.get("/"), "Log out filled-0000002")
