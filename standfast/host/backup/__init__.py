"""
Backups as they are made and checked on a server: cron and people call ``standfast-host backup``.

What others rely on: `configuration` (``/etc/standfast/backups.json``), `manifest` (what each copy says about
itself), `layout` (where things are, on the server and in the repository), `records` (what every run has come
to), `restic` (the repository), `postgres` and `census` (databases, and what is in them).
"""
