"""Link previews: what other sites show when somebody posts a link to us (Open Graph, OGP)."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest

from board.models import Card, Post


@dataclass(frozen=True, slots=True)
class Preview:
    """The `og:` properties of a page; addresses are absolute, as other sites need them."""

    title: str
    description: str
    url: str
    image: str
    type: str = "website"


def absolute(path: str) -> str:
    """The public address of a path of this site."""
    return settings.SITE_URL + path


def site(request: HttpRequest) -> dict[str, object]:
    """For every template: the name of the site, its version, and the preview of a plain page."""
    return {
        "site_name": settings.SITE_NAME,
        "version": settings.VERSION,
        "preview": Preview(
            title=settings.SITE_NAME,
            description="Posts and picture cards.",
            url=absolute(request.path),
            image=absolute(settings.SITE_PICTURE),
        ),
    }


def of_post(post: Post) -> Preview:
    """The preview of a post, with the newest picture of its author."""
    card = Card.objects.filter(owner_id=post.author_id).first()
    return Preview(
        title=f"{post.author} on {settings.SITE_NAME}",
        description=post.text[:200],
        url=absolute(post.get_absolute_url()),
        image=absolute(card.picture.url if card else settings.SITE_PICTURE),
        type="article",
    )
