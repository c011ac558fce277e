"""The tables in Django's own administration pages."""

from django.contrib import admin

from board.models import Card, Post, Reaction

admin.site.register([Card, Post, Reaction])
