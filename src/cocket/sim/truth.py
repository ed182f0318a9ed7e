"""What really happened, and how the alerts compare: the confusion table.

Truth comes from two sides. ``injected``: what the script did, with its side effects (a cut shakes the seal).
``tracks``: what the real positions contain by themselves, found by plain scans that share no code with the
detectors: GNSS jumps, fixes off the corridor, crossings of zones. An alert that overlaps an injected
event of its movement and code, and did not begin ten minutes or more before it, finds it; one that only overlaps
an event of the tracks is ``real``; one that overlaps neither is false. Superseded alerts have withdrawn themselves and are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cocket.core.clock import parse_rfc3339, rfc3339

TOLERANCE_US: Final = 1_000_000
EARLY_US: Final = 600_000_000
SEAL_CODES: Final = (
    "seal-cut",
    "seal-opened",
    "casing-opened",
    "unlock-outside-zone",
    "unauthorised-card",
    "wrong-password",
    "motor-fault",
)


@dataclass(frozen=True, slots=True)
class Truth:
    """Between ``from_us`` and ``to_us`` the condition that ``code`` names held for movement ``mrn``.

    In event time, which for a device whose clock fell back is not when it happened: that is ``really_us`` then.
    """

    mrn: str
    code: str
    from_us: int
    to_us: int
    kind: str
    origin: str = "injected"
    really_us: int | None = None

    @property
    def at_us(self) -> int:
        """When it happened."""
        return self.from_us if self.really_us is None else self.really_us

    def as_dict(self, number: int) -> dict[str, Any]:
        """For the page: one line of what was scripted."""
        return {
            "id": number,
            "code": self.code,
            "mrn": self.mrn,
            "kind": self.kind,
            "at": rfc3339(self.at_us),
        }


@dataclass(slots=True)
class Score:
    """The table's line for one code. ``real``: alerts that the tracks themselves explain; ``real_missed``:
    events of the tracks that no alert tells of.
    """

    injected: int = 0
    found: int = 0
    missed: int = 0
    false: int = 0
    real: int = 0
    real_missed: int = 0

    def as_dict(self) -> dict[str, int]:
        """As it is printed."""
        return {
            "injected": self.injected,
            "found": self.found,
            "missed": self.missed,
            "false": self.false,
            "real": self.real,
            "real_missed": self.real_missed,
        }


@dataclass(slots=True)
class Result:
    """The table, and for whoever wants to know why: the events missed and the alerts that are false."""

    table: dict[str, Score]
    missed: list[Truth]
    false: list[dict[str, Any]]

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Code -> line."""
        return {code: score.as_dict() for code, score in sorted(self.table.items())}


def score(truths: Sequence[Truth], alerts: Iterable[dict[str, Any]]) -> Result:
    """Compare. ``alerts`` as ``GET /alerts`` gives them; an alert that has not ended lasts for ever."""
    table: dict[str, Score] = {}
    by_key: dict[tuple[str, str], list[int]] = {}
    for i, truth in enumerate(truths):
        by_key.setdefault((truth.mrn, truth.code), []).append(i)
        line = table.setdefault(truth.code, Score())
        line.injected += truth.origin == "injected"
    told: set[int] = set()
    false: list[dict[str, Any]] = []
    for alert in alerts:
        if alert["superseded"]:
            continue
        line = table.setdefault(alert["code"], Score())
        began = parse_rfc3339(alert["began_at"])
        ended = None if alert["ended_at"] is None else parse_rfc3339(alert["ended_at"])
        hits = [
            i
            for i in by_key.get((alert["mrn"], alert["code"]), ())
            if began <= truths[i].to_us + TOLERANCE_US
            and (ended is None or ended >= truths[i].from_us - TOLERANCE_US)
            and (truths[i].origin != "injected" or began > truths[i].from_us - EARLY_US)
        ]
        told.update(hits)
        if not hits:
            line.false += 1
            false.append(alert)
        elif all(truths[i].origin != "injected" for i in hits):
            line.real += 1
    missed = []
    for i, truth in enumerate(truths):
        line = table[truth.code]
        if truth.origin != "injected":
            line.real_missed += i not in told
        elif i in told:
            line.found += 1
        else:
            line.missed += 1
            missed.append(truth)
    return Result(table, missed, false)
