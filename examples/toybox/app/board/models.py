"""What people leave on the site: posts, picture cards, reactions."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.core.validators import FileExtensionValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone

PICTURES = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP"}
"""File name endings of pictures that are accepted, and what Pillow calls their format."""


def picture_path(card: "Card", filename: str) -> str:
    """Where an uploaded picture is kept below MEDIA_ROOT; the name says nothing of the uploader."""
    return f"cards/{timezone.now():%Y/%m}/{uuid.uuid4().hex}.{filename.rpartition('.')[2].lower()}"


class Post(models.Model):
    """A short text."""

    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="posts")
    text = models.TextField(max_length=2000)
    created = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ("-created", "-pk")

    def __str__(self) -> str:
        return f"{self.author}: {self.text[:60]}"

    def get_absolute_url(self) -> str:
        """The page of this post."""
        return reverse("post", args=[self.pk])


class Card(models.Model):
    """A picture with a title."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="cards")
    title = models.CharField(max_length=120)
    picture = models.ImageField(upload_to=picture_path, validators=[FileExtensionValidator(list(PICTURES))])
    created = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ("-created", "-pk")

    def __str__(self) -> str:
        return self.title


class Reaction(models.Model):
    """What a user thinks of a post."""

    class Kind(models.TextChoices):
        """The buttons below a post."""

        HEART = "heart", "❤"
        LAUGH = "laugh", "😄"
        SURPRISE = "surprise", "😮"
        THANKS = "thanks", "🙏"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="reactions")
    post = models.ForeignKey(Post, models.CASCADE, related_name="reactions")
    kind = models.CharField(max_length=10, choices=Kind)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "post", "kind"], name="one_reaction_of_a_kind")
        ]

    def __str__(self) -> str:
        return f"{self.user} {self.get_kind_display()} {self.post_id}"
