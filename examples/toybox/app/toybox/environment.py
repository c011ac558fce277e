"""Reads the settings that differ from server to server out of the environment."""

import os
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def required(name: str) -> str:
    """
    The value of an environment variable that has no sensible default.

    Raises:
        ImproperlyConfigured: it is missing or empty; nothing has been started.
    """
    value = os.environ.get(name, "")
    if not value:
        raise ImproperlyConfigured(f"the environment variable {name} is missing or empty")
    return value


def flag(name: str) -> bool:
    """Whether a variable says yes (`1`, `true`, `yes`, `on`); missing means no."""
    return os.environ.get(name, "").lower() in {"1", "true", "yes", "on"}


def words(name: str) -> list[str]:
    """The comma-separated values of a variable."""
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]


def database() -> dict[str, Any]:
    """
    Where PostgreSQL is: `DATABASE_URL` if it is set, else the `POSTGRES_*` variables.

    Raises:
        ImproperlyConfigured: neither is there, or the URL is not `postgres://…/NAME`.
    """
    connection: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5},
    }
    url = os.environ.get("DATABASE_URL")
    if not url:
        return connection | {
            "HOST": required("POSTGRES_HOST"),
            "PORT": os.environ.get("POSTGRES_PORT", "5432"),
            "NAME": required("POSTGRES_DB"),
            "USER": required("POSTGRES_USER"),
            "PASSWORD": required("POSTGRES_PASSWORD"),
        }
    parts = urlsplit(url)
    name = unquote(parts.path.lstrip("/"))
    if parts.scheme not in {"postgres", "postgresql"} or not name:
        raise ImproperlyConfigured("DATABASE_URL must be postgres://USER:PASSWORD@HOST:PORT/NAME")
    return connection | {
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or 5432),
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
    }
