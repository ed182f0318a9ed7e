"""The twin: one object per journey that looks at one observation at a time.

Plain Python, no arrays: slow and readable. It says what the compiled detectors must say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tests.twins.geometry import Corridor, Zones
from tests.twins.questions import AFRESH, CLEAR, QUESTIONS, Answer, Question, Row

PRECISE = {None, "gnss", "beacon", "manual"}
LEAST = {"low-battery"}


@dataclass
class Alert:
    code: str
    zone: str
    level: int
    began_us: int
    began_key: int
    lat: float | None
    lon: float | None
    value: float | None
    peak: float | None
    peak_us: int
    peak_key: int
    last_us: int
    last_key: int
    count: int = 1
    raised_us: int | None = None
    raised_key: int = 0
    ended_us: int | None = None


class Watch:
    """What becomes of one question's answers in one journey (or, for a zone, of being inside it)."""

    def __init__(self, code: str, fold_s: float, zone: str = "") -> None:
        self.code, self.zone, self.fold_us = code, zone, fold_s * 1e6
        self.alerts: list[Alert] = []
        self.now: Alert | None = None

    def see(self, row: Row, answer: Answer | None) -> None:
        if answer is None:
            return
        if answer.level in {CLEAR, AFRESH}:
            if self.now and self.now.raised_us is not None and self.now.ended_us is None:
                self.now.ended_us = row.t
                if answer.level == AFRESH or not self.fold_us:
                    self.now = None
            elif self.now and (self.now.raised_us is None or answer.level == AFRESH):
                self.now = None
            if answer.level == CLEAR:
                return
        cooling = self.now and self.now.ended_us is not None
        if cooling and row.t - self.now.ended_us > self.fold_us:
            self.now = None
        if self.now is None:
            self._begin(row, answer)
        else:
            self._again(row, answer)
        now = self.now
        level = 2 if answer.level == 2 else 1
        now.level = max(now.level, level)
        if now.raised_us is None and row.t - now.began_us >= answer.dwell_s * 1e6:
            now.raised_us, now.raised_key, now.value = row.t, row.key, self._value(row, answer)
            self.alerts.append(now)
        now.ended_us = None

    def over(self, t: int) -> None:
        """The binding ends."""
        if self.now and self.now.raised_us is not None and self.now.ended_us is None:
            self.now.ended_us = t
        self.now = None

    def _value(self, row: Row, answer: Answer) -> float | None:
        return (row.t - self.now.began_us) / 1e6 if answer.elapsed else answer.value

    def _begin(self, row: Row, answer: Answer) -> None:
        value = 0.0 if answer.elapsed else answer.value
        lat, lon, _ = row.last_fix or (None, None, 0)
        self.now = Alert(
            self.code, self.zone, 1, row.t, row.key, lat, lon, value, value, row.t, row.key, row.t, row.key
        )

    def _again(self, row: Row, answer: Answer) -> None:
        now, value = self.now, self._value(row, answer)
        now.count += 1
        now.last_us, now.last_key = row.t, row.key
        if value is not None and (
            now.peak is None or (value < now.peak if self.code in LEAST else value > now.peak)
        ):
            now.peak, now.peak_us, now.peak_key = value, row.t, row.key


class JourneyTwin:
    """One journey. ``params`` is {detector: {param: value}}; times as in ``cocket.core.journeys.Journey``."""

    def __init__(
        self, journey: Any, params: dict[str, dict[str, Any]], zones: Zones, corridor: Corridor | None
    ) -> None:
        self.journey, self.params, self.zones, self.corridor = journey, params, zones, corridor
        self.questions: list[tuple[Question, Watch]] = [
            (question(params[code]), Watch(code, params[code]["fold_s"]))
            for code, question in QUESTIONS.items()
            if code in params and params[code]["enabled"]
        ]
        self.last_obs: tuple[int, int] | None = None
        self.silence_due: float | None = None
        self.fix: tuple[float, float, int] | None = None
        self.kinds: set[str] = set()
        self.hot = False
        self.inside: dict[str, str] = {}
        self.stays: dict[str, Watch] = {}
        self.moments: list[Alert] = []
        self.fixed = self._fixed_timers()

    def observe(self, obs: dict[str, Any], key: int) -> None:
        """One observation, later than all before it."""
        t = obs["observed_us"]
        self._timers_until(t, inclusive=False)
        fix = self._fix_of(obs)
        previous = self.fix
        zones: dict[str, str] = {}
        off_m = None
        if fix:
            self.fix = (*fix, t)
            found = self.zones.at(*fix)
            zones = {zone.id: zone.kind for zone in found}
            self.kinds = set(zones.values())
            self.hot = any(zone.hot for zone in found)
            off_m = None if self.corridor is None else self.corridor.off_m(*fix)
        row = Row(
            t, key, None, obs, fix, self.fix, previous, self.kinds, self.hot, zones, off_m, self.journey
        )
        for question, watch in self.questions:
            watch.see(row, question.see(row))
        if fix:
            self._zones(row)
        self.last_obs = (t, key)
        period = self.journey.period_us
        if "silence" in self.params and self.params["silence"]["enabled"]:
            if period is None:
                period = self.params["silence"]["period_s"] * 1e6
            due = t + int(self.params["silence"]["missed_periods"] * period)
            self.silence_due = due if self.journey.to_us is None or due < self.journey.to_us else None

    def tick(self, now_us: int) -> None:
        """Time has come to ``now_us``."""
        self._timers_until(now_us, inclusive=True)

    def alerts(self) -> list[Alert]:
        """Every alert so far."""
        watches = [w for _, w in self.questions] + list(self.stays.values())
        return [replace(a) for w in watches for a in w.alerts] + self.moments

    def _fixed_timers(self) -> list[tuple[int, str]]:
        j = self.journey
        end = j.to_us if j.to_us is not None else None
        arrived = None if j.arrived_us is None else max(j.arrived_us, j.from_us)
        timers: list[tuple[int, str]] = []
        over = min((t for t in (end, arrived) if t is not None), default=None)
        if j.limit_us is not None and "overstay" in self.params:
            departed = j.from_us if j.departed_us is None else j.departed_us
            warn = departed + int((j.limit_us - departed) * self.params["overstay"]["warn_share"])
            for t, name in ((min(warn, j.limit_us), "warn"), (j.limit_us, "limit")):
                moment = max(t, j.from_us)
                if over is None or moment < over:
                    timers.append((moment, name))
        if arrived is not None and (end is None or arrived < end):
            timers.append((arrived, "arrived"))
        if end is not None:
            timers.append((end, "ended"))
        return timers

    def _timers_until(self, t: int, *, inclusive: bool) -> None:
        while True:
            due = [(self.silence_due, "silence")] if self.silence_due is not None else []
            due += self.fixed[:1]
            due = [d for d in due if d[0] < t or (inclusive and d[0] == t)]
            if not due:
                return
            moment, name = min(due, key=lambda d: d[0])
            if name == "silence":
                self.silence_due = None
            else:
                self.fixed.pop(0)
            self._timer(int(moment), name)

    def _timer(self, t: int, name: str) -> None:
        if name == "ended":
            for _, watch in self.questions:
                watch.over(t)
            for watch in self.stays.values():
                watch.over(t)
            self.inside = {}
            self.silence_due = None
            return
        key = self.last_obs[1] if self.last_obs else 0
        row = Row(t, key, name, {}, None, self.fix, self.fix, self.kinds, self.hot, {}, None, self.journey)
        for question, watch in self.questions:
            watch.see(row, question.see(row))

    def _fix_of(self, obs: dict[str, Any]) -> tuple[float, float] | None:
        lat, lon = obs.get("lat_deg"), obs.get("lon_deg")
        if lat is None or lon is None or obs.get("fix_valid") is False:
            return None
        return (lat, lon) if obs.get("fix_source") in PRECISE else None

    def _zones(self, row: Row) -> None:
        for zone, kind in self.inside.items():
            if zone not in row.zones:
                self._moment("zone-left", row, zone, kind)
        for zone, kind in row.zones.items():
            if zone not in self.inside:
                self._moment("zone-entered", row, zone, kind)
            stay = self.params.get("restricted-zone")
            if stay and stay["enabled"] and kind in stay["kinds"] and zone not in self.stays:
                self.stays[zone] = Watch("restricted-zone", stay["fold_s"], zone)
        for zone, watch in self.stays.items():
            watch.see(row, Answer(1 if zone in row.zones else CLEAR))
        self.inside = row.zones

    def _moment(self, code: str, row: Row, zone: str, kind: str) -> None:
        p = self.params.get(code)
        if not p or not p["enabled"] or kind not in p["kinds"]:
            return
        lat, lon, _ = row.last_fix or (None, None, 0)
        t, key = row.t, row.key
        self.moments.append(Alert(code, zone, 1, t, key, lat, lon, None, None, t, key, t, key, 1, t, key, t))


def final_alerts(
    journey: Any,
    rows: list[tuple[dict[str, Any], int]],
    params: dict[str, dict[str, Any]],
    zones: Zones,
    corridor: Corridor | None,
    tick_us: int | None,
) -> list[Alert]:
    """The alerts of one journey given all its (observation, key), in any order, and the last tick."""
    twin = JourneyTwin(journey, params, zones, corridor)
    none_first = -1
    for obs, key in sorted(
        rows,
        key=lambda r: (
            r[0]["observed_us"],
            none_first if r[0].get("sequence") is None else r[0]["sequence"],
            r[1],
        ),
    ):
        twin.observe(obs, key)
    if tick_us is not None:
        twin.tick(tick_us)
    return twin.alerts()
