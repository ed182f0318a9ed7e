"""The demo's client: declares the world, sends the rows as simulated time runs, and scores the alerts it reads.

It knows the server only by its public HTTP door.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import numpy as np
import pyarrow as pa

from cocket.core.clock import US, parse_rfc3339, rfc3339
from cocket.core.errors import CocketError, Unavailable
from cocket.sim import transits
from cocket.sim.clerk import Clerk, Officers
from cocket.sim.scan import JUMP_M, TOLD_KIND
from cocket.sim.script import Script
from cocket.sim.truth import SEAL_CODES, Result, score

SETTLE_MOST_S: Final = 60.0
ROWS_A_BODY: Final = 10_000
STEP_S: Final = 0.1
FILED: Final = 4
"""Every so many-th vehicle has a whole customs file; the others are declared as another system would."""
RULES: Final[dict[str, Any]] = {
    "defaults": {"zone-entered": {"kinds": [TOLD_KIND]}, "zone-left": {"kinds": [TOLD_KIND]}},
    "device_classes": {"e-seal": {"gnss-spoofing": {"min_m": JUMP_M}}},
}


@dataclass(slots=True)
class Sent:
    """What the door answered, summed."""

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    rejects: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """A run, scored."""

    result: Result
    complete: bool
    facts: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"alerts": self.result.as_dict(), **self.facts}


class Run:
    """One run of ``script`` at ``speed`` times life; ``last_words`` is what the server wrote, for errors."""

    def __init__(
        self, script: Script, client: httpx.Client, speed: float, last_words: Callable[[], str]
    ) -> None:
        self.script = script
        self.client = client
        self.speed = speed
        self.last_words = last_words
        self.sent = Sent()
        self.filed = [s for s in script.seals if s.vehicle % FILED == 0]
        self.arrived: set[str] = {s.mrn for s in self.filed}
        self.began = time.monotonic()
        self.clock: tuple[float, int] = (0.0, 0)

    def to_the_end(self) -> Outcome:
        """Declare, send, wait for detection, score. Raises ``CocketError`` where the server refuses or goes away."""
        self._declare()
        self._tell(script_done=False, table=None)
        self._read_clock()
        officers = Officers(Clerk(self.filed, self._ask), self.now_us)
        officers.start()
        try:
            self._stream()
        finally:
            officers.finish()
        lag = self._settle()
        result = score(self.script.truths, self._alerts("false"))
        self._tell(script_done=True, table=result.as_dict())
        return self._outcome(result, lag)

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request; waits while the server is over capacity, raises with its words if it refuses."""
        answer = self._ask(method, path, **more)
        if answer.is_error:
            raise CocketError(f"{method} {path} answered {answer.status_code}: {answer.text[:500]}")
        return answer

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        while True:
            try:
                answer = self.client.request(method, path, **more)
            except httpx.TransportError as e:
                raise Unavailable(f"the server went away ({e}): {self.last_words()}") from e
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                return answer
            time.sleep(float(answer.headers.get("Retry-After", "1")))

    # the world

    def _declare(self) -> None:
        script = self.script
        self.call("PUT", "/rules", json=RULES)
        self._bulk("/offices", transits.offices())
        self._bulk("/zones", _collection(transits.zone_features(script.zones)))
        self._bulk("/corridors", _collection(transits.corridor_features(script.corridors, script.seals)))
        self._bulk("/devices", transits.devices(script.seals))
        self._bulk("/movements", [transits.movement(s) for s in script.seals])
        self._bulk("/bindings", [transits.binding(s) for s in script.seals])

    def _bulk(self, path: str, body: Any) -> None:
        answer = self.call("POST", path, json=body).json()
        if answer["rejected"]:
            raise CocketError(f"POST {path}: {answer['rejected']} refused, first: {answer['rejects'][0]}")

    # the rows

    def _read_clock(self) -> None:
        now = parse_rfc3339(self.call("GET", "/health").json()["now"])
        self.clock = (time.monotonic(), now)

    def now_us(self) -> int:
        """The server's clock, as we reckon it: never ahead of it."""
        read_at, then_us = self.clock
        return then_us + int((time.monotonic() - read_at) * self.speed * US)

    def _stream(self) -> None:
        rows = self.script.rows["send_us"]
        at, told = 0, time.monotonic()
        while at < len(rows) or self.now_us() < self.script.ends_us:
            due = int(np.searchsorted(rows, self.now_us(), side="right"))
            while at < due:
                upto = min(due, at + ROWS_A_BODY)
                self._post(at, upto)
                at = upto
            self._arrivals()
            if time.monotonic() - told > 1.0:
                self._tell(script_done=False, table=None)
                self._read_clock()
                told = time.monotonic()
            time.sleep(STEP_S)

    def _post(self, first: int, last: int) -> None:
        record = self.script.batch(first, last).to_arrow()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, record.schema) as writer:
            writer.write_batch(record)
        answer = self.call(
            "POST",
            "/observations",
            content=sink.getvalue().to_pybytes(),
            headers={"Content-Type": "application/vnd.apache.arrow.stream"},
        ).json()
        self.sent.rows += last - first
        self.sent.accepted += answer["accepted"]
        self.sent.duplicates += answer["duplicates"]
        self.sent.rejected += answer["rejected"]
        self.sent.rejects += answer["rejects"][:3]

    def _arrivals(self) -> None:
        """Transits of which no file is kept are only declared as arrived."""
        now = self.now_us()
        due = [s for s in self.script.seals if s.bound_to_us <= now and s.mrn not in self.arrived]
        if due:
            self._bulk("/movements", [transits.movement(s, s.bound_to_us) for s in due])
            self.arrived.update(s.mrn for s in due)

    def _settle(self) -> int:
        """Wait until everything stored is detected; returns what is still to do if that takes too long."""
        deadline = time.monotonic() + SETTLE_MOST_S
        quiet = 0
        while True:
            lag = int(self.call("GET", "/stats").json()["lag_observations"])
            health = self.call("GET", "/health").json()
            if health["status"] != "ok":
                raise Unavailable(f"the detectors stand still: {health.get('detail')}")
            quiet = quiet + 1 if lag == 0 else 0
            if quiet == 3 or time.monotonic() > deadline:
                return lag
            time.sleep(0.3)

    # the table

    def _alerts(self, superseded: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            asked: dict[str, Any] = {"limit": 500, "superseded": superseded}
            if cursor is not None:
                asked["cursor"] = cursor
            page = self.call("GET", "/alerts", params=asked).json()
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items

    def _tell(self, *, script_done: bool, table: dict[str, Any] | None) -> None:
        script = self.script
        now = self.now_us() if self.clock[1] else script.begins_us
        self.call(
            "PUT",
            "/demo",
            json={
                "real": script.real(),
                "simulated": script.simulated(),
                "speed": round(self.speed, 1),
                "started_at": rfc3339(script.begins_us),
                "ends_at": rfc3339(script.ends_us),
                "stop_at": rfc3339(script.ends_us + 60 * US),
                "progress": 1.0
                if script_done
                else round(
                    min(1.0, max(0.0, (now - script.begins_us) / (script.ends_us - script.begins_us))), 4
                ),
                "finished": script_done,
                "table": table,
                "vehicles": len(script.seals),
                "incident_vehicles": len(script.incident_vehicles()),
                "rows_sent": self.sent.rows,
                "duplicates_sent": script.sent_again,
                "incidents": [
                    t.as_dict(i)
                    for i, t in enumerate(script.truths)
                    if t.origin == "injected" and (t.at_us <= now or script_done)
                ],
            },
        )

    def _outcome(self, result: Result, lag: int) -> Outcome:
        stats = self.call("GET", "/stats").json()
        hit = {s.mrn for s in self.script.incident_vehicles()}
        sent = self.sent
        facts = {
            "observations": stats["observations"],
            "sent": sent.rows,
            "duplicates": sent.duplicates,
            "duplicates_sent": self.script.sent_again,
            "rejected": sent.rejected,
            "rejects": sent.rejects[:10],
            "vehicles": len(self.script.seals),
            "incident_vehicles": len(hit),
            "superseded": len(self._alerts("true")),
            "seal_alerts_on_vehicles_without_incidents": sum(
                a["code"] in SEAL_CODES and a["mrn"] not in hit for a in result.false
            ),
            "missed": [
                {"mrn": t.mrn, "code": t.code, "kind": t.kind, "at": rfc3339(t.at_us)} for t in result.missed
            ],
            "false": [
                {k: a[k] for k in ("mrn", "code", "began_at", "ended_at", "says")} for a in result.false
            ],
            "lag_observations": lag,
            "speed": round(self.speed, 1),
            "seconds": round(time.monotonic() - self.began, 1),
        }
        balanced = sent.rows == sent.accepted + sent.duplicates + sent.rejected == len(self.script.rows)
        return Outcome(result, balanced and lag == 0, facts)


def _collection(features: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": features}
