"""Forms, and the rules for what is uploaded."""

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from board.models import PICTURES, Card, Post


class PostForm(forms.ModelForm):
    """Write a post."""

    class Meta:
        model = Post
        fields = ("text",)


class CardForm(forms.ModelForm):
    """Upload a picture card."""

    class Meta:
        model = Card
        fields = ("title", "picture")

    def clean_picture(self) -> UploadedFile:
        """Refuse what is too large or is another kind of file than its name says."""
        picture: UploadedFile = self.cleaned_data["picture"]
        if picture.size > settings.PICTURE_LIMIT:
            raise forms.ValidationError("This picture is larger than 5 MB.")
        if picture.image.format not in PICTURES.values():
            raise forms.ValidationError("Expected a PNG, JPEG or WebP picture.")
        return picture
