"""Pages of the site."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from board import views

urlpatterns = [
    path("", views.newest, name="newest"),
    path("posts/new/", views.write_post, name="write-post"),
    path("posts/<int:pk>/", views.post, name="post"),
    path("posts/<int:pk>/react/", views.react, name="react"),
    path("cards/", views.cards, name="cards"),
    path("cards/new/", views.upload_card, name="upload-card"),
    path("media/<path:path>", views.picture, name="picture"),
    path("signup/", views.sign_up, name="sign-up"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("healthz", views.healthz, name="healthz"),
    path("admin/", admin.site.urls),
]
