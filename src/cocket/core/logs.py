"""What Cocket says of itself: one line a record on standard error, as text or as JSON.

Each line has time, level, logger and message, and what is known of the moment: ``request_id``, ``trace_id``,
``connection``, ``device``. Whatever stands in a message, a line stays one line: what devices and clients send is shown
with control characters escaped. Bodies, queries and headers are never logged, so neither are secrets.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final

import msgspec

from cocket.core.clock import rfc3339
from cocket.core.config import Watching

KNOWN: Final = ("request_id", "trace_id", "connection", "device", "method", "route", "status", "ms")
"""What a line may carry beside its message, in this order; given by ``told`` or by ``extra`` of a log call."""

_MOST: Final = 8_192
"""Characters of a message or a traceback that are kept."""

_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
"""Control characters, line separators, and what turns the direction of text: none may reach a terminal or a file."""

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_facts: ContextVar[Mapping[str, Any]] = ContextVar("cocket_facts", default=_NOTHING)


@contextmanager
def told(**facts: Any) -> Iterator[None]:
    """While it lasts, every line of this task or thread carries these."""
    token = _facts.set({**_facts.get(), **facts})
    try:
        yield
    finally:
        _facts.reset(token)


def tell(**facts: Any) -> None:
    """From now on, every line of this task carries these."""
    _facts.set({**_facts.get(), **facts})


def fact(name: str) -> Any:
    """What was told of this task, None if nothing was."""
    return _facts.get().get(name)


def safe(text: str) -> str:
    """On one line, whatever it was: each unsafe character as its escape, a backslash doubled only there."""
    shown = _UNSAFE.sub(_escape, text)
    return shown if len(shown) <= _MOST else f"{shown[:_MOST]}…"


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(code) or (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    )


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    facts = {**_facts.get(), **{k: v for k in KNOWN if (v := getattr(record, k, None)) is not None}}
    out: dict[str, Any] = {
        "time": rfc3339(int(record.created * 1_000_000)),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": safe(record.getMessage()),
    }
    for name in KNOWN:
        value = facts.get(name)
        if value is not None:
            out[name] = safe(value) if isinstance(value, str) else value
    if record.exc_info and record.exc_info[0] is not None:
        out["error"] = record.exc_info[0].__name__
        out["where"] = safe("".join(traceback.format_exception(*record.exc_info)))
    return out


class Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return msgspec.json.encode(_fields(record)).decode()


class Text(logging.Formatter):
    """``TIME LEVEL LOGGER MESSAGE key=value …``; a traceback follows in its own lines, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields = _fields(record)
        where = fields.pop("where", None)
        head = f"{fields.pop('time')} {fields.pop('level').upper():7} {fields.pop('logger')}: {fields.pop('message')}"
        line = " ".join([head, *(f"{name}={value}" for name, value in fields.items())])
        return line if where is None else f"{line}\n    " + str(where).replace("\\n", "\n    ").rstrip()


def configure(settings: Watching) -> None:
    """Let every logger of this process, also those of libraries, write like this to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if settings.log_format == "json" else Text())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    if settings.log_level in {"debug", "info"}:  # of libraries only what matters
        for name in (
            "httpx",
            "httpcore",
            "alembic",
            "numba",
            "asyncio",
            "opentelemetry",
            "urllib3",
            "botocore",
        ):
            logging.getLogger(name).setLevel(logging.WARNING)
