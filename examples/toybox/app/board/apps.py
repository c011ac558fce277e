"""Registers the app with Django."""

from django.apps import AppConfig


class BoardConfig(AppConfig):
    """Posts, picture cards and the reactions to them."""

    name = "board"
