"""A running server as its HTTP door shows it: what ``cocket doctor --url`` and ``cocket status`` ask, and what is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

import httpx

from cocket import __version__
from cocket.core.clock import US, WallClock, parse_rfc3339
from cocket.core.errors import CocketError, NotFound
from cocket.store.finding import Finding

_SKEW_S: Final = 60.0


def asked(url: str, path: str) -> Any:
    """The JSON of a GET under /api/v1. ``CocketError`` says in words why there is none."""
    token = os.environ.get("COCKET_TOKEN", "")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    base = (url if "://" in url else f"http://{url}").rstrip("/")
    try:
        answer = httpx.get(f"{base}/api/v1{path}", headers=headers, timeout=10)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CocketError(
            f"no Cocket answers at {base}: {error or type(error).__name__}; is `cocket serve` running there?"
        ) from error
    if answer.status_code in {401, 403}:
        raise CocketError(
            f"{base} wants to know who asks: put an API token that may read its figures into COCKET_TOKEN"
        )
    if answer.status_code != 200:
        kind = NotFound if answer.status_code == 404 else CocketError
        raise kind(f"{base} answered {answer.status_code} to GET /api/v1{path}; is it Cocket?")
    try:
        return answer.json() if answer.headers["content-type"].startswith("application/json") else answer.text
    except (ValueError, KeyError) as error:
        raise CocketError(f"{base} gave no JSON for /api/v1{path}; is it Cocket?") from error


def findings(url: str) -> Iterator[Finding]:
    """What it says is wrong with itself, and what is seen from here."""
    try:
        health = asked(url, "/health")
        version, now = health["version"], parse_rfc3339(health["now"])
    except CocketError as error:
        yield Finding("warning", url, error.detail)
        return
    except (KeyError, TypeError, ValueError):
        yield Finding("warning", url, "what answers there is no Cocket", "name another --url")
        return
    alarms = health.get("alarms", [])
    yield from (
        Finding("warning", url, f"{a['code']}: {a['detail']} (since {a['since']})", a["do"]) for a in alarms
    )
    if health["status"] != "ok" and not any(a["code"] == "detectors-failing" for a in alarms):
        yield Finding("warning", url, f"it is {health['status']}: {health['detail']}")
    if version != __version__:
        yield Finding("note", url, f"it is version {version}, this command {__version__}")
    ahead_s = (now - WallClock().now_us()) / US
    if health["clock"]["kind"] == "wall" and abs(ahead_s) > _SKEW_S:
        yield Finding(
            "warning",
            url,
            f"its clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's",
            "see on both which one is right (timedatectl)",
        )
