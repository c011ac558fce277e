"""
Settings of the site. Everything that differs from server to server comes from the environment:

DATABASE_URL or POSTGRES_HOST, POSTGRES_DB, POSTGRES_USER, POSTGRES_PASSWORD (POSTGRES_PORT)
DJANGO_SECRET_KEY     signs sessions; a new one logs everybody out
DJANGO_ALLOWED_HOSTS  host names of the site, separated by commas
SITE_URL, SITE_NAME   what link previews (Open Graph) show, for example https://toybox.example.com
SITE_PICTURE          path of the picture of previews without one of their own
TRUST_PROXY_HEADER    1 when a proxy in front of us sets X-Forwarded-Proto
MEDIA_ROOT            where uploaded pictures are kept; /srv/media
TOYBOX_VERSION        shown at the foot of each page
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

from toybox import environment

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = environment.required("DJANGO_SECRET_KEY")
DEBUG = environment.flag("DJANGO_DEBUG")
VERSION = os.environ.get("TOYBOX_VERSION", "development")

SITE_URL = os.environ.get("SITE_URL", "http://localhost:8000").rstrip("/")
SITE_NAME = os.environ.get("SITE_NAME", "TOYBOX")
SITE_PICTURE = os.environ.get("SITE_PICTURE", "/static/board/preview.png")

# The health check of the container asks for localhost.
ALLOWED_HOSTS = [*environment.words("DJANGO_ALLOWED_HOSTS"), "localhost", "127.0.0.1"]
CSRF_TRUSTED_ORIGINS = ["{0.scheme}://{0.netloc}".format(urlsplit(SITE_URL))]
if environment.flag("TRUST_PROXY_HEADER"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SITE_URL.startswith("https://")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "board",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "board.previews.site",
            ]
        },
    }
]
ROOT_URLCONF = "toybox.urls"
WSGI_APPLICATION = "toybox.wsgi.application"

DATABASES = {"default": environment.database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SESSION_ENGINE = "django.contrib.sessions.backends.db"

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "newest"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ja", "日本語")]
TIME_ZONE = os.environ.get("TZ", "Asia/Tokyo")
USE_TZ = True

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # files are served from where they lie; no collectstatic

MEDIA_URL = "/media/"
MEDIA_ROOT = Path(os.environ.get("MEDIA_ROOT", "/srv/media"))
PICTURE_LIMIT = 5 * 1024 * 1024
FILE_UPLOAD_PERMISSIONS = 0o644

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
