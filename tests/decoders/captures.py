"""Captured frames with what an independent implementation (Traccar) reads from them, and how ours is held against it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cocket.core.protocol import Protocol, Row, Session
from cocket.observations.frames import read_line

KNOT = 1852 / 3600
RUN_ON = "2026-11-22"
"""When the other implementation was run over the captures."""
NAMES = {
    "Castel": "castel",
    "Egts": "egts",
    "Eseal": "eseal",
    "Galileo": "galileosky",
    "Gl200Text": "gl200",
    "Gps103": "gps103",
    "Gt06": "gt06",
    "H02": "h02",
    "Jt600": "jt701",
    "Jt808": "jt808",
    "Meitrack": "meitrack",
    "Suntech": "suntech",
    "T55": "t55",
    "Teltonika": "teltonika",
    "Tk103": "tk103",
    "Wialon": "wialon",
}
"""Traccar's name of a protocol to ours."""


def folder() -> Path:
    """Where the outside data lies."""
    root = Path(__file__).resolve().parents[2]
    return Path(os.environ.get("COCKET_CONFORMANCE_DATA", root.parent / "shared" / "data"))


@dataclass
class Capture:
    """One captured frame; ``positions`` are those of the other implementation."""

    protocol: str
    data: bytes
    device_id: str | None
    positions: list[dict[str, Any]]

    @property
    def fixes(self) -> list[dict[str, Any]]:
        """The positions that are positions: the others (without a time; at 0, 0 at the time of its run) only hold attributes."""
        return [p for p in self.positions if "fixTime" in p and (dated(p) or p["lat"] or p["lon"])]


def dated(position: dict[str, Any]) -> bool:
    """Whether the frame itself names its day; where it does not, the other implementation took the day it was run on."""
    return not position["fixTime"].startswith(RUN_ON)


def captures() -> list[Capture]:
    """Every capture of a protocol that we read; empty where the data is absent."""
    path = folder() / "devices" / "captures.jsonl"
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["protocol"] in NAMES:
            data = bytes.fromhex(row["data"]) if row["kind"] == "binary" else row["data"].encode()
            found.append(Capture(NAMES[row["protocol"]], data, row["device_id"], row["positions"]))
    return found


def compare(protocol: Protocol, capture: Capture) -> tuple[str, int]:
    """The first thing in which the two differ, in words (empty if they agree), and how many positions we have beyond its own.

    They agree if every position that it finds is found here, in its order, with the same time (to the second), place (1e-4°),
    validity and speed (2 %).
    """
    reading = read_line(protocol, capture.data, Session())
    ours = [row for row in reading.rows if "lat_deg" in row]
    if not capture.positions and reading.rows:
        return f"{len(reading.rows)} observations where it finds none", 0
    if len(ours) < len(capture.fixes):
        return f"{len(ours)} positions where it finds {len(capture.fixes)}", 0
    placed = sum(bool(row["lat_deg"] or row["lon_deg"]) for row in ours)
    beyond = max(0, min(placed, len(ours)) - len(capture.fixes))
    at = 0
    for fix in capture.fixes:
        whys = []
        while at < len(ours) and (why := difference(ours[at], fix)):
            whys.append(why)
            at += 1
        if at == len(ours):
            return whys[0], beyond
        at += 1
    return "", beyond


def difference(row: Row, fix: dict[str, Any]) -> str:
    """In what one position differs from one of the other implementation; empty if in nothing."""
    at = datetime.fromisoformat(fix["fixTime"]).timestamp()
    if dated(fix) and (row.get("observed_us") is None or abs(row["observed_us"] / 1e6 - at) >= 1):
        return f"time {row.get('observed_us')} where it has {fix['fixTime']}"
    if abs(row["lat_deg"] - fix["lat"]) > 1e-4 or abs(row["lon_deg"] - fix["lon"]) > 1e-4:
        return f"position {row['lat_deg']}, {row['lon_deg']} where it has {fix['lat']}, {fix['lon']}"
    if row.get("fix_valid") != fix["valid"]:
        return f"validity {row.get('fix_valid')} where it has {fix['valid']}"
    speed = fix["speed_kn"] * KNOT
    if abs((row.get("speed_mps") or 0.0) - speed) > max(0.02 * speed, 0.01):
        return f"speed {row.get('speed_mps')} m/s where it has {speed}"
    return ""
