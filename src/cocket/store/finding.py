"""What ``cocket doctor`` and ``cocket verify`` find, and how they say it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["damage", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``damage``: data is lost or altered. ``warning``: it will go wrong. ``note``: worth knowing.

    ``do`` says what to do about it, where there is something.
    """

    level: Level
    where: str
    what: str
    do: str = ""


def report(findings: Sequence[Finding], *, as_json: bool) -> int:
    """Print the findings for a person, or as JSON; the exit code is 1 if there is damage or a warning."""
    bad = any(f.level != "note" for f in findings)
    if as_json:
        text = json.dumps({"ok": not bad, "findings": [asdict(f) for f in findings]}, indent=2)
    else:
        lines = []
        for f in findings:
            lines.append(f"{f.level:8} {f.where}: {f.what}")
            if f.do:
                lines.append(f"{'':8} → {f.do}")
        text = "\n".join([*lines, "Found wrong: see above." if bad else "Nothing found wrong."])
    sys.stdout.write(text + "\n")
    return int(bad)
