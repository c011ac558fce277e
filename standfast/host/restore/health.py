"""Whether applications answer again: asked as often as needed, by their health addresses."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence

from standfast.host.telling import Report

PATIENCE = 180
"""Seconds to wait for an answer."""
_ONE_TRY = 10


def answered(urls: Sequence[str], report: Report, patience: float = PATIENCE) -> dict[str, bool]:
    """Wait until each URL answers with status 200; whether each one did."""
    deadline = time.monotonic() + patience
    found = {}
    for url in urls:
        report(f"waiting until {url} answers")
        while not (answers := asked(url) == "") and time.monotonic() < deadline:
            time.sleep(0.5)
        found[url] = answers
    return found


def asked(url: str, headers: Mapping[str, str] | None = None) -> str:
    """Ask once; empty when it answers with status 200, else what it did instead."""
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 - the inventory's http(s)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_ONE_TRY) as response:
            status = int(response.status)
    except urllib.error.HTTPError as error:
        return f"it answers with status {error.code}"
    except (OSError, ValueError) as error:
        return f"it does not answer: {getattr(error, 'reason', error)}"
    return "" if status == 200 else f"it answers with status {status}"
