"""
Makes users with everything that belongs to them, the same ones each time.

The same numbers of users with the same seed in an empty database give the same rows, ids included.
"""

import datetime as dt
import hashlib
import io
import random
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core import signing
from django.db import transaction
from PIL import Image, ImageDraw

from board.models import Card, Post, Reaction

PREFIX = "filled-"
PASSWORD = "toybox-for-tests"  # noqa: S105 known on purpose: these accounts exist in tests only
BATCH = 500
POSTS, REACTIONS = 5, 10
BIRTH = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
SESSIONS_END = dt.datetime(2036, 1, 1, tzinfo=dt.UTC)
# What breaks careless dumps and terminals: scripts, quotes, tabs, backslashes, line ends.
TEXTS = (
    "今日のおもちゃ箱に、新しい積み木が入りました。",
    "Wer hat den roten Würfel gesehen? Er lag gestern noch unter dem Sofa.",
    "Trois billes, deux cubes et un dragon en carton 🐉",
    'It\'s "done": 100 %; back\\slash,\ttab,\nand a second line.',
    "ｶﾀｶﾅ 半角と全角、①②③、髙﨑さん、𠮷野家。",
    "Ελληνικά, русский, العربية, עברית: all in one box.",
    "'; DROP TABLE board_post; --",
    "今度の週末、みんなで集まって遊びませんか？ 返事を待っています。",
)


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes users of one seed; `password` is one hash for all, as each hash takes 0.3 s."""

    seed: int
    pictures: int
    password: str

    @classmethod
    def of(cls, seed: int, pictures: int) -> "Maker":
        """A maker whose password hash is always the same for a seed."""
        return cls(seed, pictures, make_password(PASSWORD, salt=f"toybox{seed:016d}"))

    def chance(self, what: str, number: int) -> random.Random:
        """A source of chance that depends on nothing but the seed and what is made."""
        return random.Random(f"{self.seed}/{what}/{number}")  # noqa: S311 must be repeatable

    def user(self, number: int) -> User:
        """The account of a user, not saved."""
        born = BIRTH + dt.timedelta(minutes=number)
        return get_user_model()(
            username=f"{PREFIX}{number:07d}",
            email=f"{PREFIX}{number:07d}@example.com",
            password=self.password,
            date_joined=born,
            last_login=born,
        )

    def posts(self, number: int, user: User) -> Iterator[Post]:
        """What a user wrote, not saved."""
        chance = self.chance("posts", number)
        for _ in range(POSTS):
            text = " ".join(chance.choices(TEXTS, k=chance.randint(1, 3)))
            written = user.date_joined + dt.timedelta(seconds=chance.randint(60, 31_000_000))
            yield Post(author=user, text=text, created=written)

    def card(self, number: int, user: User) -> Card:
        """A user's card, not saved; its picture is written to MEDIA_ROOT."""
        drawn = (number - 1) % self.pictures + 1
        name = f"cards/{PREFIX}{self.seed}/{drawn % 100:02d}/{drawn:07d}.png"
        path = settings.MEDIA_ROOT / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.picture(drawn))
        return Card(owner=user, title=f"絵 No. {number}", picture=name, created=user.date_joined)

    def picture(self, number: int) -> bytes:
        """A small PNG picture with some shapes on it."""
        chance = self.chance("picture", number)
        image = Image.new("RGB", (96, 96), tuple(chance.randbytes(3)))
        draw = ImageDraw.Draw(image)
        for shape in (draw.ellipse, draw.rectangle, draw.ellipse, draw.rectangle):
            left, top = chance.randint(0, 60), chance.randint(0, 60)
            size = chance.randint(8, 36)
            shape((left, top, left + size, top + size), fill=tuple(chance.randbytes(3)))
        file = io.BytesIO()
        image.save(file, "PNG")
        return file.getvalue()

    def reactions(self, number: int, user: User, posts: list[Post]) -> Iterator[Reaction]:
        """What a user thinks of some of these posts, not saved."""
        chance = self.chance("reactions", number)
        choices = len(posts) * len(Reaction.Kind)
        for choice in chance.sample(range(choices), min(REACTIONS, choices)):
            post, kind = posts[choice % len(posts)], Reaction.Kind.values[choice // len(posts)]
            yield Reaction(user=user, post=post, kind=kind, created=post.created)

    def session(self, number: int, user: User) -> Session:
        """A session that is logged in, not saved; its key is known to tests by `session_key`."""
        content = {
            SESSION_KEY: str(user.pk),
            BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
            HASH_SESSION_KEY: user.get_session_auth_hash(),
        }
        return Session(
            session_key=session_key(self.seed, number),
            session_data=encode(content),
            expire_date=SESSIONS_END,
        )


def session_key(seed: int, number: int) -> str:
    """The session cookie of the n-th user of a seed."""
    return hashlib.sha256(f"toybox/{seed}/{number}".encode()).hexdigest()[:32]


def encode(content: dict[str, str]) -> str:
    """Session data that Django reads as its own; its own encoder would put the present time in."""
    plain = signing.b64_encode(signing.JSONSerializer().dumps(content)).decode()
    signer = signing.Signer(salt=SessionStore().key_salt)
    return signer.sign(f"{plain}:{signing.b62_encode(int(BIRTH.timestamp()))}")


def batches(first: int, users: int) -> Iterator[range]:
    """User numbers from `first` on, a batch at a time."""
    end = first + users
    for start in range(first, end, BATCH):
        yield range(start, min(start + BATCH, end))


@transaction.atomic
def make(maker: Maker, numbers: range) -> None:
    """Save one batch of users with everything of theirs, or nothing of it in the database."""
    users = get_user_model().objects.bulk_create([maker.user(number) for number in numbers])
    people = list(zip(numbers, users, strict=True))
    posts = Post.objects.bulk_create([p for n, user in people for p in maker.posts(n, user)])
    Card.objects.bulk_create([maker.card(n, user) for n, user in people])
    Reaction.objects.bulk_create([r for n, user in people for r in maker.reactions(n, user, posts)])
    Session.objects.bulk_create([maker.session(n, user) for n, user in people])


def filled() -> int:
    """The number of the last user that was made here; 0 when there is none."""
    mine = get_user_model().objects.filter(username__startswith=PREFIX)
    last = mine.order_by("-username").values_list("username", flat=True).first()
    return int(last.removeprefix(PREFIX)) if last else 0


def others() -> int:
    """How many accounts are not ours: people's."""
    return get_user_model().objects.exclude(username__startswith=PREFIX).count()
