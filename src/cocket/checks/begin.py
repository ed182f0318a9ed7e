"""``cocket new-decoder``: a file, a folder of vectors and a page, ready to be filled in; all tests pass from the start."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from cocket.core.errors import BadSetting, Conflict

_NAME: Final = re.compile(r"[a-z][a-z0-9]{1,31}")

_CODE: Final = '''"""{title}: one line of what speaks it.

Document: the maker's document, with its version.
"""

from __future__ import annotations

import re
from typing import Final

from cocket.core.framing import between
from cocket.core.protocol import Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.wire import Columns, decimal, digits, utc_parts, utc_us

REPORT: Final = Columns("id", "time", "lat", "lon", "battery")
"""``time`` yyyymmddhhmmss UTC, degrees, per cent. Replace it by what the document says."""


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """``*{mark},id,time,lat,lon,battery#``"""
    text = frame.decode("ascii")
    if not (text.startswith("*{mark},") and text.endswith("#")):
        raise Undecodable("no-frame", "a frame is *{mark},…#")
    part = REPORT.read(text[{skip}:-1].split(","))
    session.device_id = part["id"]
    t = part["time"]
    if len(t) != 14:
        raise Undecodable("malformed", f"{{t[:20]!r}} is no time of 14 digits")
    reading.rows.append(
        {{
            "observed_us": utc_us(
                digits(t[:4]), digits(t[4:6]), digits(t[6:8]), digits(t[8:10]), digits(t[10:12]), digits(t[12:])
            ),
            "lat_deg": decimal(part["lat"]),
            "lon_deg": decimal(part["lon"]),
            "fix_valid": True,
            "battery_pct": decimal(part["battery"]),
        }}
    )
    reading.replies.append(b"*{mark},OK#")


def _report(row: Row, _sequence: int) -> bytes:
    part = {{
        "id": row["device_id"],
        "time": utc_parts(row["observed_us"]).strftime("%Y%m%d%H%M%S"),
        "lat": f"{{row.get('lat_deg', 0.0):.6f}}",
        "lon": f"{{row.get('lon_deg', 0.0):.6f}}",
        "battery": f"{{row.get('battery_pct', 0.0):.0f}}",
    }}
    return f"*{mark},{{','.join(REPORT.write(part))}}#".encode()


PROTOCOL: Final = Protocol(
    name="{name}",
    title="{title}",
    document="to be named",
    family="tracker",
    decode=decode,
    split=between(b"*{mark},", b"#"),
    text=True,
    starts=re.compile(rb"\\*{mark},"),
    max_frame=256,
    simulation=Simulation(
        report=_report,
        carries=frozenset({{"observed_us", "lat_deg", "lon_deg", "battery_pct"}}),
    ),
)
'''

_PAGE: Final = """# {title}

What it is, who makes it, where it is met.

## Point the device at Cocket

    cocket serve --data ./data --listen tcp:5000={name}

How the server's address is set in the device, and under which number it is registered.

## What is read

Every kind of message, and which columns it fills.

## What is not read

What is passed over, and why.
"""


def new_decoder(name: str, root: Path) -> list[Path]:
    """Write the three below ``root``, a checkout of Cocket; gives what was written.

    ``BadSetting`` for a name that cannot be one or a folder that is no checkout, ``Conflict`` if something is there.
    """
    if not _NAME.fullmatch(name):
        raise BadSetting(f"{name!r}: a protocol's name has small letters and digits and begins with a letter")
    decoders = root / "src" / "cocket" / "decoders"
    if not decoders.is_dir():
        raise BadSetting(
            f"{root} is no checkout of Cocket: it has no src/cocket/decoders; name one by --root"
        )
    mark = name.upper()
    fill = {"name": name, "title": name.upper(), "mark": mark, "skip": len(mark) + 2}
    vector = [
        {
            "why": "a report, by hand",
            "text": f"*{mark},123456,20261122083000,22.531700,114.114600,88#",
            "observations": [
                {
                    "device_id": "123456",
                    "observed_at": "2026-11-22T08:30:00Z",
                    "lat_deg": 22.5317,
                    "lon_deg": 114.1146,
                    "fix_valid": True,
                    "battery_pct": 88.0,
                }
            ],
            "replies": [f"*{mark},OK#".encode().hex()],
        },
        {"why": "cut off", "text": f"*{mark},123456,20261122083000#", "reject": "truncated"},
    ]
    files = {
        decoders / f"{name}.py": _CODE.format(**fill),
        root / "tests" / "decoders" / "vectors" / name / "messages.json": json.dumps(vector, indent=1) + "\n",
        root / "docs" / "devices" / f"{name}.md": _PAGE.format(**fill),
    }
    for path in files:
        if path.exists():
            raise Conflict(f"{path} is there already")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(files)
