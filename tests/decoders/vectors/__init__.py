"""Hand-worked frames, one folder a protocol, and how they are read.

``NAME/*.json`` holds a list of ``{"why", "frame": hex, or "text", "observations": [...], "reject": rule or null,
"replies": [hex], "after": [hex or text, …], "streams": false}``. Columns that are not named must be absent. ``after``: frames
that the session has seen before. ``streams``: whether the frame stands in a stream as it is here (default: yes, unless rejected).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Vector:
    """One frame and what it says."""

    name: str
    why: str
    frame: bytes
    after: tuple[bytes, ...]
    observations: tuple[dict[str, Any], ...]
    reject: str | None
    replies: tuple[str, ...]
    streams: bool


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text.encode()


@cache
def vectors(name: str) -> tuple[Vector, ...]:
    """The vectors of one protocol."""
    out = []
    for path in sorted((HERE / name).glob("*.json")):
        for i, v in enumerate(json.loads(path.read_text(encoding="utf-8"))):
            frame = v["text"].encode() if "text" in v else bytes.fromhex(v["frame"])
            reject = v.get("reject")
            out.append(
                Vector(
                    f"{path.stem}-{i}",
                    v["why"],
                    frame,
                    tuple(map(_bytes, v.get("after", ()))),
                    tuple(v.get("observations", ())),
                    reject,
                    tuple(v.get("replies", ())),
                    v.get("streams", reject is None),
                )
            )
    return tuple(out)
