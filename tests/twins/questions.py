"""Each detector's question asked of one row at a time, written from its definition.

``see`` answers None (no news), CLEAR, or how severe it is (1, 2), AFRESH when another condition of the same sort
begins here; with the value measured and how long it must last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.twins.geometry import distance_m

CLEAR = 0
AFRESH = 3


@dataclass
class Row:
    """What a question may look at: the observation (or the timer that fired), and what is known so far."""

    t: int
    key: int
    timer: str | None
    obs: dict[str, Any]
    fix: tuple[float, float] | None
    last_fix: tuple[float, float, int] | None
    previous_fix: tuple[float, float, int] | None
    kinds: set[str]
    hot: bool
    zones: dict[str, str]
    off_m: float | None
    journey: Any


@dataclass
class Answer:
    level: int
    value: float | None = None
    dwell_s: float = 0.0
    elapsed: bool = False


class Question:
    def __init__(self, params: dict[str, Any]) -> None:
        self.p = params


class Flag(Question):
    column = ""

    def see(self, row: Row) -> Answer | None:
        flag = row.obs.get(self.column)
        return None if flag is None else Answer(1 if flag else CLEAR)


class SealCut(Flag):
    column = "rope_cut"


class CasingOpened(Flag):
    column = "casing_open"


class WrongPassword(Flag):
    column = "wrong_password"


class MotorFault(Flag):
    column = "motor_stuck"


class UnauthorisedCard(Question):
    def see(self, row: Row) -> Answer | None:
        refused, card, cards = row.obs.get("card_refused"), row.obs.get("card_id"), row.journey.cards
        if refused:
            return Answer(1)
        if card is not None and cards:
            return Answer(CLEAR if card in cards else 1)
        return None if refused is None else Answer(CLEAR)


class SealOpened(Question):
    armed = False

    def see(self, row: Row) -> Answer | None:
        locked, rope = row.obs.get("locked"), row.obs.get("rope_inserted")
        if row.obs.get("unlock_alarm"):
            self.armed = True
            return Answer(1)
        if locked and rope is not False:
            self.armed = True
            return Answer(CLEAR)
        if self.armed and (locked is False or rope is False):
            if row.kinds & set(self.p["permitted_kinds"]):
                self.armed = False
                return None
            return Answer(1)
        return None


class UnlockOutsideZone(Question):
    was_locked = False

    def see(self, row: Row) -> Answer | None:
        if row.timer:
            return None
        locked = row.obs.get("locked")
        if locked:
            self.was_locked = row.obs.get("rope_inserted") is not False
            return Answer(CLEAR)
        unlocked_now = locked is False and self.was_locked
        if locked is False:
            self.was_locked = False
        if row.kinds & set(self.p["permitted_kinds"]):
            return Answer(CLEAR)
        return Answer(1) if unlocked_now else None


class RouteDeviation(Question):
    def see(self, row: Row) -> Answer | None:
        if row.off_m is None:
            return None
        if row.off_m == 0:
            return Answer(CLEAR)
        if row.off_m > self.p["alarm_m"]:
            return Answer(2, row.off_m)
        return Answer(1, row.off_m) if row.off_m > self.p["warn_m"] else None


class GnssJamming(Question):
    first: int | None = None
    latest = 0
    raised = False

    def see(self, row: Row) -> Answer | None:
        if row.timer:
            return None
        valid, jamming = row.obs.get("fix_valid"), row.obs.get("jamming")
        if jamming is False or (jamming is None and (valid or row.fix)):
            self.first, self.raised = None, False
            return Answer(CLEAR)
        if jamming is None and (valid is None or row.obs.get("delayed")):
            return None
        level = 1
        if self.first is None:
            self.first = row.t
        elif not self.raised and row.t - self.latest > self.p["max_gap_s"] * 1e6:
            level = AFRESH
            self.first = row.t
        self.latest = row.t
        hold = 0.0 if jamming else self.p["hold_s"]
        self.raised = self.raised or row.t - self.first >= hold * 1e6
        return Answer(level, dwell_s=hold, elapsed=True)


class GnssSpoofing(Question):
    def see(self, row: Row) -> Answer | None:
        if row.fix:
            if row.previous_fix is None:
                return None
            lat, lon, us = row.previous_fix
            m, s = distance_m(lat, lon, *row.fix), (row.t - us) / 1e6
            return Answer(1 if m > self.p["min_m"] and m > self.p["max_kmh"] / 3.6 * s else CLEAR, m)
        lat, lon = row.obs.get("lat_deg"), row.obs.get("lon_deg")
        if row.obs.get("fix_source") != "cell" or row.last_fix is None or lat is None or lon is None:
            return None
        if row.t - row.last_fix[2] > self.p["cell_age_s"] * 1e6:
            return None
        m = distance_m(row.last_fix[0], row.last_fix[1], lat, lon)
        return Answer(1 if m > self.p["cell_m"] else CLEAR, m)


class Silence(Question):
    def see(self, row: Row) -> Answer | None:
        if row.timer == "silence":
            return Answer(1 if row.kinds & set(self.p["dead_kinds"]) else 2)
        return None if row.timer else Answer(CLEAR)


class Overstay(Question):
    def see(self, row: Row) -> Answer | None:
        level = {"warn": 1, "limit": 2, "arrived": CLEAR}.get(row.timer or "")
        return None if level is None else Answer(level)


class UnscheduledStop(Question):
    anchor: tuple[float, float] | None = None

    def see(self, row: Row) -> Answer | None:
        if row.fix is None:
            return None
        speed = row.obs.get("speed_mps")
        moving = speed is not None and speed >= self.p["slow_mps"]
        if moving or row.kinds & set(self.p["exempt_kinds"]):
            self.anchor = None
            return Answer(CLEAR)
        level = 1
        if self.anchor is None:
            self.anchor = row.fix
        elif distance_m(*self.anchor, *row.fix) > self.p["radius_m"]:
            self.anchor = row.fix
            level = AFRESH
        return Answer(level, dwell_s=self.p["hot_stop_s" if row.hot else "stop_s"], elapsed=True)


class TemperatureExcursion(Question):
    since: int | None = None

    def see(self, row: Row) -> Answer | None:
        temp = row.obs.get("temp_c")
        if temp is None:
            return None
        low = self.p["min_c"] if row.journey.temp_min_c is None else row.journey.temp_min_c
        high = self.p["max_c"] if row.journey.temp_max_c is None else row.journey.temp_max_c
        excess = temp - high if high is not None and temp > high else 0.0
        if low is not None and temp < low:
            excess = low - temp
        if not excess > 0:
            self.since = None
            return Answer(CLEAR)
        if self.since is None:
            self.since = row.t
        level = 2 if row.t - self.since >= self.p["alarm_s"] * 1e6 else 1
        return Answer(level, excess, self.p["hold_s"])


class LowBattery(Question):
    def see(self, row: Row) -> Answer | None:
        if row.obs.get("charging"):
            return Answer(CLEAR)
        battery = row.obs.get("battery_pct")
        if battery is None:
            return Answer(1) if row.obs.get("battery_low") else None
        if battery < self.p["below_pct"]:
            return Answer(1, battery)
        return Answer(CLEAR) if battery >= self.p["clear_pct"] else None


class Speeding(Question):
    def see(self, row: Row) -> Answer | None:
        speed = row.obs.get("speed_mps")
        if speed is None or row.obs.get("fix_valid") is False:
            return None
        own = row.journey.speed_limit_mps
        limit = self.p["limit_mps"] if own is None else own
        fast = speed > limit * (1 + self.p["over_share"])
        return Answer(1 if fast else CLEAR, speed, self.p["hold_s"])


class Shock(Question):
    def see(self, row: Row) -> Answer | None:
        g = row.obs.get("shock_g")
        return None if g is None else Answer(1 if g >= self.p["shock_g"] else CLEAR, g)


QUESTIONS: dict[str, type[Question]] = {
    "seal-cut": SealCut,
    "seal-opened": SealOpened,
    "casing-opened": CasingOpened,
    "unlock-outside-zone": UnlockOutsideZone,
    "unauthorised-card": UnauthorisedCard,
    "wrong-password": WrongPassword,
    "motor-fault": MotorFault,
    "route-deviation": RouteDeviation,
    "gnss-jamming": GnssJamming,
    "gnss-spoofing": GnssSpoofing,
    "silence": Silence,
    "unscheduled-stop": UnscheduledStop,
    "overstay": Overstay,
    "temperature-excursion": TemperatureExcursion,
    "low-battery": LowBattery,
    "speeding": Speeding,
    "shock": Shock,
}
"""The questions of rows. Those of zones (restricted-zone, zone-entered, zone-left) stand in ``machine``."""

ZONE_QUESTIONS = ("restricted-zone", "zone-entered", "zone-left")
