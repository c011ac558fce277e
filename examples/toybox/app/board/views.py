"""The pages."""

from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import UserCreationForm
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views import static
from django.views.decorators.http import require_POST, require_safe

from board import previews
from board.forms import CardForm, PostForm
from board.models import Card, Post, Reaction


@require_safe
def newest(request: HttpRequest) -> HttpResponse:
    """The newest posts, and how many rows the database has."""
    rows = {
        "users": get_user_model().objects.count(),
        "posts": Post.objects.count(),
        "cards": Card.objects.count(),
        "reactions": Reaction.objects.count(),
        "sessions": Session.objects.count(),
    }
    posts = Post.objects.select_related("author")[:20]
    return render(request, "board/newest.html", {"posts": posts, "rows": rows})


@require_safe
def post(request: HttpRequest, pk: int) -> HttpResponse:
    """One post with its reactions."""
    found = get_object_or_404(Post.objects.select_related("author"), pk=pk)
    counted = dict(found.reactions.values_list("kind").annotate(Count("pk")))
    kinds = [(kind, counted.get(kind.value, 0)) for kind in Reaction.Kind]
    context = {"post": found, "kinds": kinds, "preview": previews.of_post(found)}
    return render(request, "board/post.html", context)


@login_required
def write_post(request: HttpRequest) -> HttpResponse:
    """Write a post."""
    form = PostForm(request.POST or None)
    if form.is_valid():
        form.instance.author = request.user
        return redirect(form.save())
    return render(request, "board/form.html", {"form": form, "heading": "Write a post"})


@require_POST
@login_required
def react(request: HttpRequest, pk: int) -> HttpResponse:
    """Leave a reaction, or take it back."""
    found = get_object_or_404(Post, pk=pk)
    kind = request.POST.get("kind", "")
    if kind not in Reaction.Kind.values:
        raise Http404(f"no such reaction: {kind}")
    reaction, created = Reaction.objects.get_or_create(user=request.user, post=found, kind=kind)
    if not created:
        reaction.delete()
    return redirect(found)


@require_safe
def cards(request: HttpRequest) -> HttpResponse:
    """The newest picture cards."""
    return render(request, "board/cards.html", {"cards": Card.objects.select_related("owner")[:40]})


@login_required
def upload_card(request: HttpRequest) -> HttpResponse:
    """Upload a picture card."""
    form = CardForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        form.instance.owner = request.user
        form.save()
        return redirect("cards")
    return render(request, "board/form.html", {"form": form, "heading": "Upload a card"})


@require_safe
def picture(request: HttpRequest, path: str) -> HttpResponse:
    """An uploaded picture; its name never names another picture, so browsers may keep it."""
    response = static.serve(request, path, document_root=settings.MEDIA_ROOT)
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


def sign_up(request: HttpRequest) -> HttpResponse:
    """Make an account and log in."""
    form = UserCreationForm(request.POST or None)
    if form.is_valid():
        login(request, form.save())
        return redirect("newest")
    return render(request, "board/form.html", {"form": form, "heading": "Sign up"})


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 when a table of ours can be read, else 503; a process that merely runs is not healthy."""
    try:
        Post.objects.exists()
    except DatabaseError as error:
        reason = str(error).partition("\n")[0]
        return JsonResponse({"status": "database unavailable", "reason": reason}, status=503)
    return JsonResponse({"status": "ok", "version": settings.VERSION})
