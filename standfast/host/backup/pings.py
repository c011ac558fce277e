"""Dead-man's switches: an address that is told of every run, and raises the alarm when it hears nothing."""

from __future__ import annotations

import time
import urllib.request

TRIES = 3
SECONDS = 10


def tell(url: str | None, message: str, *, suffix: str = "") -> str | None:
    """
    Tell an address how a run has gone.

    + url: as healthchecks.io and others give it; ``None`` does nothing
    + suffix: ``/start``, ``/fail``, or nothing for success

    Returns why it could not be told; ``None`` when it was.
    """
    if url is None:
        return None
    address = url.rstrip("/") + suffix
    problem = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(attempt)
        try:
            request = urllib.request.Request(address, data=message.encode()[:10_000])  # noqa: S310 - http(s) only
            with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310 - the schema lets nothing else in
                return None
        except (OSError, ValueError) as error:
            problem = str(error)
    return f"{url.split('/')[2] if '//' in url else url} could not be told: {problem}"
