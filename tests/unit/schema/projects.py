"""Projects as teams have them: the same small school in Prisma, Django and plain SQL."""

from __future__ import annotations

from pathlib import Path

FIRST = """
-- CreateTable
CREATE TABLE "User" ("id" SERIAL NOT NULL, "email" TEXT NOT NULL, CONSTRAINT "User_pkey" PRIMARY KEY ("id"));
-- CreateIndex
CREATE UNIQUE INDEX "User_email_key" ON "User"("email");
"""
SECOND = """
CREATE TABLE "Lesson" ("id" SERIAL NOT NULL, "teacherId" INTEGER NOT NULL, "title" TEXT NOT NULL,
    CONSTRAINT "Lesson_pkey" PRIMARY KEY ("id"));
ALTER TABLE "Lesson" ADD CONSTRAINT "Lesson_teacherId_fkey" FOREIGN KEY ("teacherId") REFERENCES "User"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE;
"""
# Incident 1: what nobody had written down.
BY_HAND = """
CREATE TABLE lesson_sessions (id serial PRIMARY KEY, lesson integer NOT NULL, at timestamptz DEFAULT now());
ALTER TABLE lesson_sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_sessions ON lesson_sessions USING (lesson = 1);
"""


def sql(folder: Path) -> Path:
    """SQL files, as dbmate, golang-migrate and people write them."""
    folder.mkdir(parents=True)
    (folder / "2_lessons.up.sql").write_text(SECOND)
    (folder / "2_lessons.down.sql").write_text('DROP TABLE "Lesson";')
    (folder / "1_users.sql").write_text(f'-- migrate:up\n{FIRST}\n-- migrate:down\nDROP TABLE "User";')
    (folder / "10_more.sql").write_text('ALTER TABLE "Lesson" ADD COLUMN "room" TEXT;')
    return folder


def django(folder: Path) -> Path:
    """A Django project with one application."""
    files = {
        "manage.py": 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "school.settings")\n',
        "school/__init__.py": "",
        "school/settings.py": SETTINGS,
        "lessons/__init__.py": "",
        "lessons/models.py": MODELS,
        "lessons/migrations/__init__.py": "",
        "lessons/migrations/0001_initial.py": INITIAL,
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


# The settings name a database that nobody may touch: it does not even exist.
SETTINGS = """
SECRET_KEY = "test"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "lessons"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "live", "HOST": "192.0.2.1"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""
MODELS = """
from django.db import models

class Lesson(models.Model):
    title = models.CharField(max_length=80)
    teacher = models.ForeignKey("auth.User", on_delete=models.CASCADE)
"""
INITIAL = """
from django.conf import settings
from django.db import migrations, models

class Migration(migrations.Migration):
    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.CreateModel("Lesson", [
            ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("title", models.CharField(max_length=80)),
            ("teacher", models.ForeignKey(on_delete=models.CASCADE, to=settings.AUTH_USER_MODEL)),
        ]),
    ]
"""
