"""The checklist for type approval: one function a line, each over the whole record of a run.

A line passes, fails, is *not shown* (the device had no occasion, and the line says what to do), or does not apply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from cocket.checks.proving import Heard, Record
from cocket.core.clock import US, rfc3339
from cocket.core.protocol import Protocol
from cocket.core.schema import TIME_AHEAD_US, TIME_EPOCH_US

Verdict: TypeAlias = Literal["passed", "failed", "not-shown", "does-not-apply"]

_SETTLE_US: Final = 5 * 60 * US


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report. ``proof``: hexadecimal frames that show it, three at most."""

    name: str
    asks: str
    verdict: Verdict
    found: str
    proof: tuple[str, ...] = ()


Check: TypeAlias = Callable[[Protocol, Record], Line]


def _line(name: str, asks: str, verdict: Verdict, found: str, *heard: Heard) -> Line:
    return Line(name, asks, verdict, found, tuple(h.data.hex() for h in heard[:3]))


def connects(_p: Protocol, record: Record) -> Line:
    """The device opens a connection and sends at least one frame."""
    asks = "The device connects and sends frames of the protocol."
    good = [h for h in record.heard if h.reading is not None and h.reading.fault is None]
    if good:
        return _line(
            "connects", asks, "passed", f"{len(good)} frames on {record.connections} connections", good[0]
        )
    if record.heard:
        return _line("connects", asks, "failed", "bytes came, and none of them were a frame", record.heard[0])
    return _line("connects", asks, "failed", "nothing came at all; is it pointed at this address?")


def framing(p: Protocol, record: Record) -> Line:
    """Nothing but whole, readable frames."""
    asks = "Every byte belongs to a whole frame, and every frame can be read."
    noise = [h for h in record.heard if h.reading is None]
    faults = [h for h in record.heard if h.reading is not None and h.reading.fault is not None]
    if noise:
        return _line(
            "framing",
            asks,
            "failed",
            f"{len(noise)} times bytes that are no frame of {p.name} ({noise[0].why})",
            *noise,
        )
    if faults:
        assert faults[0].reading is not None
        assert faults[0].reading.fault is not None
        fault = faults[0].reading.fault
        return _line(
            "framing",
            asks,
            "failed",
            f"{len(faults)} frames with faults; the first: {fault.rule}, {fault.detail}",
            *faults,
        )
    if not record.heard:
        return _line("framing", asks, "not-shown", "no frame came")
    return _line("framing", asks, "passed", f"{len(record.heard)} frames, all readable")


def identity(_p: Protocol, record: Record) -> Line:
    """One device, named before its first report counts."""
    asks = "The device says who it is, and stays the same."
    rows = record.rows()
    names = {row.get("device_id") for _, row in rows}
    if not rows:
        return _line("identity", asks, "not-shown", "no report came")
    if None in names:
        return _line(
            "identity", asks, "failed", "a report came before the device had named itself", rows[0][0]
        )
    if len(names) > 1:
        return _line("identity", asks, "failed", f"several names: {', '.join(sorted(map(str, names)))}")
    return _line("identity", asks, "passed", f"it is {record.device_id}", rows[0][0])


def time(_p: Protocol, record: Record) -> Line:
    """Live reports carry a time within five minutes of ours, and none is before 2010."""
    asks = "Live reports carry the time, in UTC, right to five minutes."
    rows = record.rows("listen")
    if not rows:
        return _line("time", asks, "not-shown", "no report came")
    timed = [(h, row["observed_us"]) for h, row in rows if "observed_us" in row]
    if not timed:
        return _line("time", asks, "failed", "no report carries a time", rows[0][0])
    unset = [h for h, at in timed if at < TIME_EPOCH_US]
    if unset:
        return _line("time", asks, "failed", "the clock was never set", *unset)
    ahead = [(h, at) for h, at in timed if at > h.at_us + TIME_AHEAD_US]
    if ahead:
        h, at = ahead[0]
        return _line(
            "time",
            asks,
            "failed",
            f"{rfc3339(at)} is {(at - h.at_us) // US} s ahead; a time zone, perhaps?",
            h,
        )
    newest = min(abs(h.at_us - at) for h, at in timed)
    if newest > _SETTLE_US:
        return _line(
            "time",
            asks,
            "failed",
            f"the nearest is {newest // US} s behind; a time zone, perhaps?",
            timed[-1][0],
        )
    return _line(
        "time", asks, "passed", f"off by {newest / US:.0f} s at best, {len(timed)} reports", timed[-1][0]
    )


def position(_p: Protocol, record: Record) -> Line:
    """At least one valid position."""
    asks = "Reports carry a position, and say whether it can be trusted."
    rows = record.rows()
    placed = [h for h, row in rows if "lat_deg" in row]
    valid = [h for h, row in rows if "lat_deg" in row and row.get("fix_valid")]
    if not placed:
        return _line("position", asks, "failed" if rows else "not-shown", "no report carries a position")
    if not valid:
        return _line(
            "position", asks, "not-shown", "no position was valid: put it under the open sky", placed[0]
        )
    return _line("position", asks, "passed", f"{len(valid)} valid of {len(placed)}", valid[0])


def battery(_p: Protocol, record: Record) -> Line:
    """Charge or voltage."""
    asks = "Reports tell the state of the battery."
    having = [
        h for h, row in record.rows() if "battery_pct" in row or "battery_v" in row or "charging" in row
    ]
    if having:
        return _line("battery", asks, "passed", f"{len(having)} reports tell it", having[0])
    return _line("battery", asks, "failed" if record.rows() else "not-shown", "no report tells it")


def lock_events(p: Protocol, record: Record) -> Line:
    """Both states of the lock, when somebody works it."""
    asks = "Opening and closing the lock is reported."
    if p.family != "seal":
        return _line("lock-events", asks, "does-not-apply", f"{p.title} are no seals")
    told = [(h, row["locked"]) for h, row in record.rows() if "locked" in row]
    opened = [h for h, row in record.rows() if "unlock_method" in row or row.get("unlock_alarm")]
    if not told and not opened:
        return _line(
            "lock-events",
            asks,
            "failed" if record.rows() else "not-shown",
            "no report tells the state of the lock",
        )
    states = {state for _, state in told}
    if len(states) > 1 or opened:
        shown = opened or [next(h for h, s in told if s is want) for want in (True, False)]
        return _line("lock-events", asks, "passed", "open and closed were both seen", *shown)
    state = "closed" if True in states else "open"
    return _line(
        "lock-events",
        asks,
        "not-shown",
        f"it was {state} all the time: work the lock while this runs",
        told[0][0],
    )


def acknowledgement(p: Protocol, record: Record) -> Line:
    """What was answered is not sent again."""
    asks = "A report that was answered is not sent again."
    seen: dict[bytes, Heard] = {}
    if not _answers(record):
        return _line("acknowledgement", asks, "does-not-apply", f"{p.name} wants no answers")
    for h in record.heard:
        if h.reading is None or not h.reading.rows or not h.reading.replies:
            continue
        before = seen.get(h.data)
        if before is not None and before.answered and before.connection == h.connection:
            return _line(
                "acknowledgement", asks, "failed", "a report came again although it was answered", before, h
            )
        seen[h.data] = h
    return _line("acknowledgement", asks, "passed", f"{len(seen)} reports, each once")


def resending(p: Protocol, record: Record) -> Line:
    """What was not answered is sent again, the same."""
    asks = "A report that was not answered is sent again, unchanged, so that it can be known for a repeat."
    if not _answers(record):
        return _line("resending", asks, "does-not-apply", f"{p.name} wants no answers")
    if record.withheld is None:
        return _line("resending", asks, "not-shown", "no report came while answers were withheld")
    if record.resent is None:
        return _line("resending", asks, "failed", "the report did not come again", record.withheld)
    after = (record.resent.at_us - record.withheld.at_us) / US
    return _line(
        "resending", asks, "passed", f"it came again after {after:.1f} s", record.withheld, record.resent
    )


def re_upload(_p: Protocol, record: Record) -> Line:
    """Reports made while there was no server are delivered afterwards."""
    asks = "What happened while there was no network is delivered afterwards, with the time at which it happened."
    if record.away_us is None:
        return _line("re-upload", asks, "not-shown", "the run ended before there was an outage")
    began, ended = record.away_us
    back = record.rows("return")
    if not back:
        return _line("re-upload", asks, "failed", "the device did not come back after the outage")
    kept = [
        h for h, row in back if began <= row.get("observed_us", 0) + US and row.get("observed_us", 0) < ended
    ]
    if not kept:
        return _line(
            "re-upload",
            asks,
            "failed",
            f"nothing of the {(ended - began) // US} s without a server was delivered",
            back[0][0],
        )
    return _line(
        "re-upload",
        asks,
        "passed",
        f"{len(kept)} reports of the {(ended - began) // US} s without a server",
        kept[0],
    )


def duplicates(_p: Protocol, record: Record) -> Line:
    """Different reports can be told apart, the same one is the same."""
    asks = "No two different reports look the same, and a repeat looks like its first."
    rows = [(h, row) for h, row in record.rows() if "observed_us" in row]
    if len(rows) < 2:
        return _line("duplicates", asks, "not-shown", "too few reports")
    seen: dict[tuple[object, ...], Heard] = {}
    for h, row in rows:
        key = (
            row["observed_us"],
            *sorted((k, v) for k, v in row.items() if k not in {"observed_us", "delayed"}),
        )
        before = seen.get(key)
        if (
            before is not None
            and before.answered
            and before.data != h.data
            and before.connection == h.connection
        ):
            return _line(
                "duplicates",
                asks,
                "failed",
                "two frames say the same of one moment, in different bytes",
                before,
                h,
            )
        seen[key] = h
    return _line("duplicates", asks, "passed", f"{len(seen)} different reports of {len(rows)}")


def _answers(record: Record) -> bool:
    return any(h.reading is not None and h.reading.rows and h.reading.replies for h in record.heard)


CHECKLIST: Final[tuple[Check, ...]] = (
    connects,
    framing,
    identity,
    time,
    position,
    battery,
    lock_events,
    acknowledgement,
    resending,
    re_upload,
    duplicates,
)


def judge(protocol: Protocol, record: Record) -> list[Line]:
    """Every line, in order."""
    return [check(protocol, record) for check in CHECKLIST]


def approved(lines: list[Line]) -> bool:
    """Nothing failed, and nothing was left unshown."""
    return all(line.verdict in {"passed", "does-not-apply"} for line in lines)
