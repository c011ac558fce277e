"""
The program that lives on servers, ``/usr/local/sbin/standfast-host``.

Cron jobs, timers, guards and health checks call it; apply puts it there as one file. It runs with the
server's own Python, 3.10 or newer, and nothing but its standard library, and imports nothing of the rest of
standfast.
"""
