"""Each detector on a small story, with what must come of it written out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from tests.laws.harness import Machine, Reference

from cocket.core.journeys import Journey
from cocket.journeys.corridors import CorridorDef, CorridorIndex
from cocket.journeys.zones import ZoneDef, ZoneIndex

T0 = 1_700_000_000_000_000
S = 1_000_000
YARD = (22.50, 114.00)
ROAD = (22.50, 114.10)
DEPOT = (22.50, 114.20)
FORBIDDEN = (22.50, 114.30)
TUNNEL = (22.50, 114.40)
HOT = (22.50, 114.50)
NORTH_KM = 1 / 110.75
"""Degrees of latitude in a kilometre at 22.5° N."""

ZONES = [
    ("yard", "departure", False, YARD),
    ("depot", "unlock-permitted", False, DEPOT),
    ("forbidden", "restricted", False, FORBIDDEN),
    ("tunnel", "dead-zone", False, TUNNEL),
    ("hot", "dead-zone", True, HOT),
]


def _zones() -> ZoneIndex:
    return ZoneIndex.build(
        [
            ZoneDef(name, kind, hot, shapely.box(lon - 0.01, lat - 0.01, lon + 0.01, lat + 0.01))
            for name, kind, hot, (lat, lon) in ZONES
        ]
    )


def _corridors() -> CorridorIndex:
    return CorridorIndex.build([CorridorDef("west", [np.array([[113.9, 22.5], [114.6, 22.5]])], 100.0)])


def story(
    *rows: dict[str, Any],
    journey: dict[str, Any] | None = None,
    rules: Any = None,
    tick_s: float | None = None,
) -> dict[str, list[Any]]:
    """Alerts by code, in order of beginning; ``s`` in a row is seconds since the journey began."""
    given: dict[str, Any] = {"from_us": T0, "period_us": 10**12} | (journey or {})
    machine = Machine(Reference([Journey("D", "EQ", "MRN", **given)], _zones(), _corridors(), rules))
    observations = []
    for given_row in rows:
        row = dict(given_row)
        row |= {"device_id": "D", "observed_us": T0 + round(row.pop("s") * S)}
        if "at" in row:
            row["lat_deg"], row["lon_deg"] = row.pop("at")
        observations.append(row)
    machine.feed(observations)
    if tick_s is not None:
        machine.tick(T0 + round(tick_s * S))
    machine.flush()
    out: dict[str, list[Any]] = {}
    for alert in sorted(machine.alerts.values(), key=lambda a: a.began_us):
        out.setdefault(alert.code, []).append(alert)
    return out


def after_s(us: int | None) -> float | None:
    return None if us is None else (us - T0) / S


@pytest.mark.parametrize(
    ("code", "column", "severity"),
    [
        ("seal-cut", "rope_cut", "critical"),
        ("casing-opened", "casing_open", "critical"),
        ("wrong-password", "wrong_password", "critical"),
        ("motor-fault", "motor_stuck", "high"),
        ("unauthorised-card", "card_refused", "critical"),
    ],
)
def test_a_flag_raises_at_once_and_ends_when_false(code: str, column: str, severity: str) -> None:
    told = story(
        {"s": 0, column: False, "at": ROAD},
        {"s": 10, column: True},
        {"s": 20},
        {"s": 30, column: True},
        {"s": 40, column: False},
        {"s": 50, column: True},
    )
    first, second = told.pop(code)
    assert (after_s(first.began_us), after_s(first.ended_us), first.count) == (10, 40, 2)
    assert (first.severity, first.lat_deg, first.lon_deg) == (severity, *ROAD)
    assert (after_s(second.began_us), second.ended_us) == (50, None)
    assert set(told) == set()


def test_a_card_that_is_on_nobodys_list() -> None:
    rows = [{"s": 0, "card_id": "7"}, {"s": 1, "card_id": "8"}, {"s": 2, "card_id": "7"}]
    assert not story(*rows)
    (alert,) = story(*rows, journey={"cards": frozenset({"7"})})["unauthorised-card"]
    assert (after_s(alert.began_us), after_s(alert.ended_us)) == (1, 2)


def test_a_seal_opened_on_the_road_but_not_in_the_depot() -> None:
    closed, opened = {"locked": True, "rope_inserted": True}, {"locked": False, "rope_inserted": False}
    told = story(
        {"s": 0, "at": ROAD, **opened},
        {"s": 10, "at": ROAD, **closed},
        {"s": 20, "at": ROAD, **opened},
        {"s": 30, "at": ROAD, **opened},
        {"s": 40, "at": ROAD, **closed},
        {"s": 1000, "at": DEPOT, **opened},
        {"s": 2000, "at": ROAD, **opened},
    )
    (opening,) = told["seal-opened"]
    assert (after_s(opening.began_us), after_s(opening.ended_us), opening.count) == (20, 40, 2)
    (unlocking,) = told["unlock-outside-zone"]
    assert (after_s(unlocking.began_us), after_s(unlocking.ended_us), unlocking.count) == (20, 40, 1)
    assert opening.severity == unlocking.severity == "critical"


def test_the_locks_own_alarm_is_an_opening_wherever_it_sounds() -> None:
    told = story(
        {"s": 0, "at": ROAD, "unlock_alarm": True},
        {"s": 10, "locked": False},
        {"s": 20, "locked": True, "unlock_alarm": True},
        {"s": 30, "unlock_alarm": False},
        {"s": 40, "locked": True},
        {"s": 50, "at": DEPOT, "locked": False},
        {"s": 60, "unlock_alarm": True},
        {"s": 70, "locked": False},
        {"s": 80, "locked": True, "rope_inserted": False},
        {"s": 90, "locked": True},
    )
    first, second = told["seal-opened"]
    assert (after_s(first.began_us), after_s(first.ended_us), first.count) == (0, 40, 3)
    assert (after_s(second.began_us), after_s(second.ended_us), second.count) == (60, 90, 1)
    assert first.severity == second.severity == "critical"
    assert "unlock-outside-zone" not in told


def test_a_rope_pulled_out_is_no_unlocking() -> None:
    told = story({"s": 0, "locked": True}, {"s": 9, "locked": True, "rope_inserted": False})
    assert [after_s(a.began_us) for a in told["seal-opened"]] == [9]
    assert "unlock-outside-zone" not in told


def test_leaving_the_corridor_warns_then_alarms_and_ends_only_inside() -> None:
    def row(s: int, km: float) -> dict[str, Any]:
        return {"s": s, "at": (22.5 + km * NORTH_KM, 114.1), "speed_mps": 20.0}

    told = story(
        row(0, 0.0), row(60, 0.55), row(120, 0.65), row(180, 1.5), row(240, 2.6), row(300, 0.8), row(360, 0.3),
        row(420, 0.05), row(480, 0.4), journey={"corridor": 0, "corridor_id": "west"},
    )  # fmt: skip
    (alert,) = told["route-deviation"]
    assert (after_s(alert.began_us), after_s(alert.ended_us)) == (120, 420)
    assert (alert.severity, alert.count, alert.threshold, alert.corridor) == ("high", 4, 2000, "west")
    assert alert.value == pytest.approx(550, abs=2)
    assert alert.peak == pytest.approx(2500, abs=3)
    assert after_s(alert.peak_us) == 240
    assert "2.5 km" in alert.says
    assert "west" in alert.says


def test_zones_entered_and_left_and_the_forbidden_one() -> None:
    told = story(
        {"s": 0, "at": YARD},
        {"s": 10, "at": YARD},
        {"s": 500, "at": ROAD},
        {"s": 900, "at": FORBIDDEN},
        {"s": 905, "at": ROAD, "fix_valid": False},
        {"s": 910, "at": FORBIDDEN},
        {"s": 1500, "at": ROAD},
    )
    assert [(a.subject, after_s(a.began_us), after_s(a.ended_us)) for a in told["zone-entered"]] == [
        ("yard", 0, 0)
    ]
    assert [(a.subject, after_s(a.began_us), after_s(a.ended_us)) for a in told["zone-left"]] == [
        ("yard", 500, 500)
    ]
    (alert,) = told["restricted-zone"]
    assert (alert.subject, after_s(alert.began_us), after_s(alert.ended_us), alert.count) == (
        "forbidden", 900, 1500, 2,
    )  # fmt: skip
    assert alert.severity == "high"


def _stop(place: tuple[float, float], *times: int) -> list[dict[str, Any]]:
    return [{"s": s, "at": (place[0] + 0.0001 * (s % 2), place[1]), "speed_mps": 0.5} for s in times]


def test_a_stop_is_told_after_a_quarter_of_an_hour_and_sooner_in_hot_zones() -> None:
    (alert,) = story(*_stop(ROAD, 0, 300, 899, 900, 1201), {"s": 1300, "at": ROAD, "speed_mps": 9.0})[
        "unscheduled-stop"
    ]
    assert (after_s(alert.began_us), after_s(alert.raised_event_us), after_s(alert.ended_us)) == (
        0,
        900,
        1300,
    )
    assert (alert.value, alert.peak, alert.count, alert.severity) == (900, 1201, 5, "warn")
    assert "20 min" in alert.says
    (alert,) = story(*_stop(HOT, 0, 299, 300))["unscheduled-stop"]
    assert after_s(alert.raised_event_us) == 300
    assert "unscheduled-stop" not in story(*_stop(ROAD, 0, 899))
    assert "unscheduled-stop" not in story(*_stop(YARD, 0, 3000))


def test_moving_on_begins_another_stop() -> None:
    farther = (ROAD[0] + 0.2 * NORTH_KM, ROAD[1])
    told = story(*_stop(ROAD, 0, 600, 1000), *_stop(farther, 1010, 2000))
    assert [(after_s(a.began_us), after_s(a.ended_us)) for a in told["unscheduled-stop"]] == [
        (0, 1010),
        (1010, None),
    ]


def test_overstay_warns_at_four_fifths_and_alarms_at_the_limit() -> None:
    limits = {"departed_us": T0 - 1000 * S, "limit_us": T0 + 1000 * S}
    assert not story({"s": 0}, journey=limits, tick_s=599)
    (alert,) = story({"s": 0}, journey=limits, tick_s=600)["overstay"]
    assert (after_s(alert.began_us), alert.severity) == (600, "warn")
    (alert,) = story({"s": 0}, {"s": 2000}, journey=limits)["overstay"]
    assert (after_s(alert.began_us), alert.severity, alert.ended_us) == (600, "high", None)
    arrived = limits | {"arrived_us": T0 + 700 * S}
    (alert,) = story({"s": 0}, journey=arrived, tick_s=9999)["overstay"]
    assert (alert.severity, after_s(alert.ended_us)) == ("warn", 700)
    assert not story({"s": 0}, journey=limits | {"arrived_us": T0 + 600 * S}, tick_s=9999)


def test_silence_after_two_periods_and_its_end() -> None:
    period = {"period_us": 60 * S}
    assert not story({"s": 0}, {"s": 120}, {"s": 239}, journey=period, tick_s=358)
    (alert,) = story({"s": 0}, {"s": 121}, journey=period)["silence"]
    assert (after_s(alert.began_us), after_s(alert.ended_us), alert.severity) == (120, 121, "high")
    (alert,) = story({"s": 0, "at": TUNNEL}, journey=period, tick_s=120)["silence"]
    assert (after_s(alert.began_us), alert.severity, alert.lat_deg) == (120, "warn", TUNNEL[0])
    assert "silence" not in story({"s": 0}, journey=period | {"to_us": T0 + 120 * S}, tick_s=999)
    (alert,) = story({"s": 0}, journey=period | {"to_us": T0 + 150 * S}, tick_s=999)["silence"]
    assert after_s(alert.ended_us) == 150


def test_a_low_battery_is_well_again_only_when_it_is() -> None:
    (alert,) = story(
        {"s": 0, "battery_pct": 15.0},
        {"s": 1, "battery_pct": 14.9},
        {"s": 2, "battery_pct": 11.0},
        {"s": 3, "battery_pct": 19.9},
        {"s": 4, "battery_pct": 20.0},
    )["low-battery"]
    assert (after_s(alert.began_us), after_s(alert.ended_us), alert.value, alert.peak) == (1, 4, 14.9, 11.0)
    (alert,) = story({"s": 0, "battery_pct": 3.0}, {"s": 1, "battery_pct": 4.0, "charging": True})[
        "low-battery"
    ]
    assert after_s(alert.ended_us) == 1


def test_a_battery_that_is_low_by_the_devices_own_alarm() -> None:
    low = {"battery_low": True}
    (alert,) = story(
        {"s": 0, "battery_pct": 15.0, **low},
        {"s": 1, **low},
        {"s": 2, "battery_low": False},
        {"s": 3, "battery_pct": 12.0},
        {"s": 4, **low},
        {"s": 5, "battery_pct": 20.0, **low},
    )["low-battery"]
    assert (after_s(alert.began_us), after_s(alert.ended_us), alert.count) == (1, 5, 3)
    assert (alert.value, alert.peak, after_s(alert.peak_us)) == (None, 12.0, 3)
    assert "down to 12 %" in alert.says
    (alert,) = story({"s": 0, **low}, {"s": 1, "charging": True, **low})["low-battery"]
    assert (after_s(alert.ended_us), alert.peak) == (1, None)
    assert "is low" in alert.says


def test_jamming_is_lost_fixes_while_reports_keep_coming() -> None:
    def lost(s: int, **more: Any) -> dict[str, Any]:
        return {"s": s, "fix_valid": False, **more}

    (alert,) = story({"s": 0, "at": ROAD}, lost(10), lost(70), lost(130), {"s": 190, "at": ROAD})[
        "gnss-jamming"
    ]
    assert (after_s(alert.began_us), after_s(alert.raised_event_us), after_s(alert.ended_us)) == (
        10,
        130,
        190,
    )
    assert alert.severity == "high"
    assert "gnss-jamming" not in story(lost(0), lost(119), {"s": 121, "at": ROAD})
    assert "gnss-jamming" not in story(lost(0, delayed=True), lost(60, delayed=True), lost(200, delayed=True))
    assert "gnss-jamming" not in story(lost(0), lost(3600), lost(7200))


def test_spoofing_by_speed_and_by_the_cell_network() -> None:
    (alert,) = story(
        {"s": 0, "at": ROAD}, {"s": 60, "at": YARD}, {"s": 120, "at": YARD}, {"s": 180, "at": ROAD}
    )["gnss-spoofing"]
    assert (after_s(alert.began_us), alert.count, alert.ended_us) == (60, 2, None)
    assert alert.value == pytest.approx(10_290, abs=20)
    far = {"lat_deg": ROAD[0], "lon_deg": ROAD[1] + 0.05, "fix_source": "cell"}
    (alert,) = story({"s": 0, "at": ROAD}, {"s": 120, **far})["gnss-spoofing"]
    assert alert.value == pytest.approx(5_145, abs=10)
    assert "gnss-spoofing" not in story({"s": 0, "at": ROAD}, {"s": 121, **far})


def test_speeding_for_a_minute() -> None:
    def fast(*times: int) -> list[dict[str, Any]]:
        return [{"s": s, "speed_mps": 28.0} for s in times]

    (alert,) = story(*fast(0, 59, 60), {"s": 61, "speed_mps": 27.5})["speeding"]
    assert (after_s(alert.raised_event_us), after_s(alert.ended_us), alert.severity) == (60, 61, "info")
    assert alert.threshold == pytest.approx(27.5)
    assert not story(*fast(0, 59))
    assert not story(*fast(0, 59, 60), journey={"speed_limit_mps": 26.0})


def test_warmth_by_duration() -> None:
    cold_chain = {"temp_min_c": 2.0, "temp_max_c": 8.0}
    temps = [(0, 5.0), (60, 8.5), (500, 8.1), (959, 9.0), (960, 11.0), (3660, 8.2), (3700, 8.0)]
    rows = [{"s": s, "temp_c": c} for s, c in temps]
    assert not story(*rows)
    (alert,) = story(*rows, journey=cold_chain)["temperature-excursion"]
    assert (after_s(alert.began_us), after_s(alert.raised_event_us), after_s(alert.ended_us)) == (
        60,
        960,
        3700,
    )
    assert (alert.severity, alert.value, alert.peak) == ("high", 3.0, 3.0)
    assert "outside 2 to 8 °C" in alert.says
    rules = {"goods": {"pharma": {"temperature-excursion": {"max_c": 8}}}}
    assert story(*rows, journey={"goods": "pharma"}, rules=rules)["temperature-excursion"]
    assert not story(
        {"s": 0, "temp_c": 9.0}, {"s": 800, "temp_c": 7.0}, {"s": 900, "temp_c": 9.0}, journey=cold_chain
    )


def test_a_shock_is_information() -> None:
    (alert,) = story(
        {"s": 0, "shock_g": 4.9}, {"s": 1, "shock_g": 5.0}, {"s": 2, "shock_g": 7.0}, {"s": 3, "shock_g": 0.1}
    )["shock"]
    assert (after_s(alert.began_us), after_s(alert.ended_us), alert.count, alert.peak) == (1, 3, 2, 7.0)
    assert alert.severity == "info"


def test_what_is_open_ends_with_the_binding() -> None:
    told = story(
        {"s": 0, "rope_cut": True, "at": FORBIDDEN, "battery_pct": 1.0},
        journey={"to_us": T0 + 100 * S},
        tick_s=100,
    )
    for code in ("seal-cut", "restricted-zone", "low-battery"):
        assert after_s(told[code][0].ended_us) == 100


def test_what_returns_soon_goes_on_as_the_same_alert_and_keeps_its_severity() -> None:
    def row(s: int, km: float) -> dict[str, Any]:
        return {"s": s, "at": (22.5 + km * NORTH_KM, 114.1)}

    rules = {"defaults": {"route-deviation": {"fold_s": 600}}}
    told = story(
        row(0, 3.0), row(100, 0.0), row(700, 0.8), row(800, 0.0), row(1401, 0.8),
        journey={"corridor": 0, "corridor_id": "west"}, rules=rules,
    )  # fmt: skip
    assert [
        (after_s(a.began_us), after_s(a.ended_us), a.severity, a.count) for a in told["route-deviation"]
    ] == [
        (0, 800, "high", 2),
        (1401, None, "warn", 1),
    ]


def test_jamming_once_raised_outlasts_a_pause() -> None:
    lost = [{"s": s, "fix_valid": False} for s in (0, 60, 120, 2000, 2010)]
    (alert,) = story(*lost)["gnss-jamming"]
    assert (after_s(alert.began_us), after_s(alert.raised_event_us), alert.ended_us) == (0, 120, None)
    assert (alert.count, alert.peak) == (5, 2010)
    assert "gnss-jamming" not in story(*lost[:2], *lost[3:])


def test_jamming_of_which_the_device_itself_tells() -> None:
    (alert,) = story(
        {"s": 0, "at": ROAD, "jamming": True},
        {"s": 10, "fix_valid": False},
        {"s": 2000, "fix_valid": False},
        {"s": 2010, "jamming": True, "delayed": True},
        {"s": 2020},
        {"s": 2030, "at": ROAD},
    )["gnss-jamming"]
    assert (after_s(alert.began_us), after_s(alert.raised_event_us), after_s(alert.ended_us)) == (0, 0, 2030)
    assert (alert.count, alert.value, alert.peak, alert.threshold) == (4, 0.0, 2010, None)
    assert "itself" in alert.says
    first, second = story(
        {"s": 0, "fix_valid": False},
        {"s": 50, "jamming": True},
        {"s": 60, "fix_valid": False, "jamming": False},
        {"s": 200, "fix_valid": False},
        {"s": 1000, "jamming": True},
    )["gnss-jamming"]
    assert (after_s(first.began_us), after_s(first.raised_event_us), after_s(first.ended_us)) == (0, 50, 60)
    assert (after_s(second.began_us), second.ended_us, second.count) == (1000, None, 1)
