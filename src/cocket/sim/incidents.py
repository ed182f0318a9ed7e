"""The incidents: what can be done to a vehicle, the truth about it, and which of them the demo plays how often.

Each incident is a function that changes one seal's rows over a span of its transit and tells the truths that
follow, side effects included. Where a span does not fit a vehicle (it would touch a zone in which unlocking is
permitted, or the vehicle does not move) it raises ``Unfit`` and the next vehicle is tried: never a half incident.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from cocket.core.batch import Array
from cocket.core.clock import US, parse_rfc3339
from cocket.sim import plane
from cocket.sim.seals import CARDS, METHODS, REPORT_INTERVAL_S
from cocket.sim.stage import MINUTE, Part, Stage, Unfit, fast_spans
from cocket.sim.truth import Truth

RESET_CLOCK_US: Final = parse_rfc3339("2000-01-01T00:00:00Z")


def rope_cut(s: Stage) -> list[Truth]:
    """The rope is cut and stays cut; the cut shakes the seal."""
    i, _ = s.span(10)
    s.seal.rows["rope_cut"][i:] = 1
    s.seal.rows["shock_g"][i] = 7.5
    return [s.truth("seal-cut", i, -1, "rope cut"), s.truth("shock", i, i, "rope cut")]


def unlocked(s: Stage) -> list[Truth]:
    """Unlocked with a key on the open road, locked again ten minutes later."""
    i, j = s.span(10, s.permitted)
    _unlock(s, i, j, "key")
    kind = "unlock outside its zone"
    return [s.truth("unlock-outside-zone", i, j, kind), s.truth("seal-opened", i, j, kind)]


def _unlock(s: Stage, i: int, j: int, method: str) -> None:
    rows = s.seal.rows
    rows["locked"][i:j] = 0
    rows["method"][i] = METHODS.index(method)
    rows["rope_inserted"][i + 1 : j] = 0


def long_stop(s: Stage) -> list[Truth]:
    """Half an hour at the roadside, outside every approved stop; the rest of the way follows later."""
    i, _ = s.span(4, s.exempt, moving=True)
    rows = s.seal.rows
    pause = int(s.rng.integers(27, 40)) * MINUTE
    n = int(pause / (45 * US))
    stay = np.repeat(rows[i : i + 1], n)
    for name in ("observed_us", "send_us"):
        stay[name] = rows[name][i] + np.linspace(0, pause, n + 1)[1:].astype(np.int64) // US * US
    stay["lat_deg"] += s.rng.normal(0, 2e-5, n).round(6)
    stay["lon_deg"] += s.rng.normal(0, 2e-5, n).round(6)
    stay["speed_mps"] = 0
    stay["course_deg"] = np.nan
    rest = rows[i + 1 :].copy()
    rest["observed_us"] += pause
    rest["send_us"] += pause
    s.seal.rows = np.concatenate([rows[: i + 1], stay, rest])
    return [s.truth("unscheduled-stop", i, i + n, "long stop")]


def silence(s: Stage) -> list[Truth]:
    """Not a word for half an hour; nothing is delivered later."""
    i, j = s.span(s.rng.uniform(25, 40), moving=True)
    t = s.seal.rows["observed_us"]
    truth = Truth(s.seal.mrn, "silence", int(t[i]) + 2 * REPORT_INTERVAL_S * US, int(t[j + 1]), "silence")
    s.seal.rows = np.delete(s.seal.rows, np.s_[i + 1 : j + 1])
    return [truth]


def jamming(s: Stage) -> list[Truth]:
    """No position for a quarter of an hour while reports keep coming."""
    i, j = s.span(s.rng.uniform(10, 18), moving=True)
    _jam(s, i, j)
    return [s.truth("gnss-jamming", i, j, "jamming")]


def _jam(s: Stage, i: int, j: int) -> None:
    rows = s.seal.rows
    rows["fix_valid"][i : j + 1] = 0
    for name in ("lat_deg", "lon_deg", "speed_mps", "course_deg"):
        rows[name][i : j + 1] = np.nan


def jam_and_open(s: Stage) -> list[Truth]:
    """The thief's way: jam the receiver, unlock, open the casing."""
    i, j = s.span(20, s.permitted, moving=True)
    k = i + (j - i) // 2
    _jam(s, i, j)
    _unlock(s, k, j, "password")
    s.seal.rows["casing_open"][k + 1 : j] = 1
    kind = "jamming, then opened"
    return [
        s.truth("gnss-jamming", i, j, kind),
        s.truth("unlock-outside-zone", k, j, kind),
        s.truth("seal-opened", k, j, kind),
        s.truth("casing-opened", k + 1, j, kind),
    ]


def _reset(s: Stage) -> tuple[int, int, Truth]:
    i, j = s.span(s.rng.uniform(22, 30), moving=True)
    rows = s.seal.rows
    t = rows["observed_us"]
    gap = Truth(
        s.seal.mrn,
        "silence",
        int(t[i - 1]) + 2 * REPORT_INTERVAL_S * US,
        int(t[j + 1]),
        "clock reset",
    )
    rows["observed_us"][i : j + 1] = t[i : j + 1] - t[i] + RESET_CLOCK_US
    return i, j, gap


def clock_reset(s: Stage) -> list[Truth]:
    """The device's clock falls back to 2000; to its movement it is silent until the clock is right again."""
    return [_reset(s)[2]]


def clock_reset_with_cut(s: Stage) -> list[Truth]:
    """The same, and meanwhile the rope is cut: the alert must not wait for the clock."""
    i, j, gap = _reset(s)
    rows = s.seal.rows
    k = i + (j - i) // 2
    rows["rope_cut"][k:] = 1
    kind, when = "clock reset with a cut", int(rows["send_us"][k])
    cut = Truth(s.seal.mrn, "seal-cut", RESET_CLOCK_US, s.seal.bound_to_us, kind, really_us=when)
    return [gap, cut]


def _delay(s: Stage, avoid: Array | None = None) -> tuple[int, int]:
    i, j = s.span(s.rng.uniform(70, 110), avoid, moving=True)
    rows = s.seal.rows
    rows["delayed"][i : j + 1] = 1
    rows["send_us"][i : j + 1] = rows["observed_us"][j + 1] - US
    return i, j


def delayed_upload(s: Stage) -> list[Truth]:
    """Out of coverage for more than an hour, then everything is delivered: nothing happened."""
    _delay(s)
    return []


def delayed_cut(s: Stage) -> list[Truth]:
    """The rope is cut while out of coverage: found late, dated right."""
    i, j = _delay(s)
    k = i + (j - i) // 2
    s.seal.rows["rope_cut"][k:] = 1
    return [s.truth("seal-cut", k, -1, "delayed upload with a cut")]


def delayed_unlock(s: Stage) -> list[Truth]:
    """Unlocked and locked again while out of coverage: over before anybody could know."""
    i, j = _delay(s)
    for k in s.rng.permutation(np.arange(i + 2, j - 8)):
        m = int(np.searchsorted(s.seal.rows["observed_us"], s.seal.rows["observed_us"][k] + 9 * MINUTE))
        if m < j and not s.permitted[k : m + 2].any():
            _unlock(s, int(k), m, "key")
            kind = "delayed upload with an unlock"
            return [
                s.truth("unlock-outside-zone", int(k), m, kind),
                s.truth("seal-opened", int(k), m, kind),
            ]
    raise Unfit


def duplicate_upload(s: Stage) -> list[Truth]:
    """Half an hour is sent twice: once more at once, and all of it again half an hour later."""
    i, j = s.span(30)
    at_once, later = s.seal.rows[i : j + 1].copy(), s.seal.rows[i : j + 1].copy()
    later["send_us"] = min(int(s.seal.rows["observed_us"][j]) + 30 * MINUTE, s.seal.ended_us)
    s.seal.extra += [at_once, later]
    return []


def seal_swapped(s: Stage) -> list[Truth]:
    """The seal is opened and left by the road; a strange one drives on in its place."""
    i, _ = s.span(4, s.permitted | s.exempt, moving=True)
    rows = s.seal.rows
    stranger = rows[i + 2 :].copy()
    stranger["device"] = -1
    s.seal.extra.append(stranger)
    rows["locked"][i:] = 0
    rows["rope_inserted"][i:] = 0
    rows["casing_open"][i + 1 :] = 1
    n = len(rows) - i
    for name in ("lat_deg", "lon_deg"):
        rows[name][i:] = rows[name][i] + s.rng.normal(0, 1e-5, n).round(6)
    rows["speed_mps"][i:] = 0
    rows["course_deg"][i:] = np.nan
    kind = "seal swapped"
    truths = [
        s.truth("unlock-outside-zone", i, -1, kind),
        s.truth("seal-opened", i, -1, kind),
        s.truth("casing-opened", i + 1, -1, kind),
    ]
    if s.seal.ended_us - int(rows["observed_us"][i]) > 16 * MINUTE:
        truths.append(s.truth("unscheduled-stop", i, -1, kind))
    return truths


def low_battery(s: Stage) -> list[Truth]:
    """It runs down to six per cent."""
    i, _ = s.span(10)
    rows = s.seal.rows
    rows["battery_pct"][i:] = np.round(np.linspace(19, 6, len(rows) - i), 1)
    first = int(np.flatnonzero(rows["battery_pct"] < 15)[0])
    return [s.truth("low-battery", first, -1, "low battery")]


def too_warm(s: Stage) -> list[Truth]:
    """The refrigeration fails for three quarters of an hour."""
    if s.seal.temp_range_c is None:
        raise Unfit
    i, j = s.span(s.rng.uniform(40, 50))
    rows = s.seal.rows
    rise = np.sin(np.linspace(0, np.pi, j - i + 1)) * 9
    rows["temp_c"][i : j + 1] = np.round(rows["temp_c"][i : j + 1] + rise, 1)
    warm = i + np.flatnonzero(rows["temp_c"][i : j + 1] > s.seal.temp_range_c[1])
    return [s.truth("temperature-excursion", int(warm[0]), int(warm[-1]), "temperature excursion")]


def strange_card(s: Stage) -> list[Truth]:
    """Somebody tries a card that opens nothing."""
    i, _ = s.span(4)
    s.seal.rows["card"][i] = CARDS.index("CARD-9913")
    s.seal.rows["card_refused"][i] = 1
    return [s.truth("unauthorised-card", i, i, "unauthorised card")]


def passwords(s: Stage) -> list[Truth]:
    """Wrong passwords until the lock raises its alarm."""
    i, j = s.span(2)
    s.seal.rows["wrong_password"][i : j + 1] = 1
    return [s.truth("wrong-password", i, j, "wrong password")]


def motor(s: Stage) -> list[Truth]:
    """The lock's motor is stuck for some minutes."""
    i, j = s.span(5)
    s.seal.rows["motor_stuck"][i : j + 1] = 1
    return [s.truth("motor-fault", i, j, "motor fault")]


def shock(s: Stage) -> list[Truth]:
    """A hard knock."""
    i, _ = s.span(4)
    s.seal.rows["shock_g"][i] = 8.2
    return [s.truth("shock", i, i, "shock")]


def spoofing(s: Stage) -> list[Truth]:
    """The position jumps twelve kilometres north, off the corridor, and back ten minutes later."""
    i, j = s.span(10, moving=True)
    s.seal.rows["lat_deg"][i : j + 1] += 12_000 / plane.M_PER_LAT
    return [s.truth("gnss-spoofing", i, j + 1, "spoofing"), s.truth("route-deviation", i, j, "spoofing")]


def overstay(s: Stage) -> list[Truth]:
    """The limit date falls before the arrival."""
    seal = s.seal
    seal.allowed_share = 0.6
    length = (seal.ended_us - seal.began_us + 600 * US) * 0.6
    warn = seal.began_us + int(0.8 * length)
    return [Truth(seal.mrn, "overstay", warn, seal.bound_to_us, "overstay")]


def off_corridor(s: Stage) -> list[Truth]:
    """The declared corridor leaves out a district through which the vehicle really drives (truth by ``scan``)."""
    x, y = s.seal.xy()
    t = s.seal.rows["observed_us"]
    for radius in (4200.0, 3600.0, 3100.0):
        for i in s.rng.permutation(np.arange(20, len(x) - 20))[:80].tolist():
            away = np.hypot(x - x[i], y - y[i])
            inside = away < radius - 520
            deep = int(np.count_nonzero(away < radius - 2700))
            visits = np.flatnonzero(np.diff(inside.astype(np.int8), prepend=0) == 1)
            if len(visits) != 1 or deep < 3 or inside[:8].any() or inside[-8:].any():
                continue
            rows = np.flatnonzero(inside)
            if t[rows[-1]] - t[rows[0]] > 50 * MINUTE:
                continue
            s.seal.corridor_gap = (float(x[i]), float(y[i]), radius)
            return []
    raise Unfit


def speeding(s: Stage) -> list[Truth]:
    """Its corridor allows 22 m/s (79 km/h), and the vehicle really drives faster for minutes (truth by ``scan``)."""
    limit = 22.0
    fast = s.seal.rows["speed_mps"] > limit * 1.1
    if not fast_spans(fast, s.seal.rows["observed_us"], 150 * US):
        raise Unfit
    s.seal.speed_limit_mps = limit
    return []


CAST: Final[tuple[Part, ...]] = (
    # kind, what happens, how many vehicles, at which wave
    ("speeding", speeding, 2, None),
    ("temperature excursion", too_warm, 3, None),
    ("off the corridor", off_corridor, 3, None),
    ("delayed upload with a cut", delayed_cut, 2, None),
    ("delayed upload with an unlock", delayed_unlock, 1, None),
    ("delayed upload", delayed_upload, 2, None),
    ("rope cut", rope_cut, 2, 0),
    ("unlock outside its zone", unlocked, 2, 0),
    ("jamming", jamming, 2, 0),
    ("jamming, then opened", jam_and_open, 1, 0),
    ("rope cut", rope_cut, 1, 1),
    ("long stop", long_stop, 2, 1),
    ("seal swapped", seal_swapped, 1, 1),
    ("unlock outside its zone", unlocked, 1, 1),
    ("rope cut", rope_cut, 1, None),
    ("unlock outside its zone", unlocked, 1, None),
    ("jamming, then opened", jam_and_open, 1, None),
    ("jamming", jamming, 1, None),
    ("long stop", long_stop, 2, None),
    ("seal swapped", seal_swapped, 1, None),
    ("silence", silence, 3, None),
    ("clock reset", clock_reset, 1, None),
    ("clock reset with a cut", clock_reset_with_cut, 2, None),
    ("duplicate upload", duplicate_upload, 3, None),
    ("low battery", low_battery, 3, None),
    ("unauthorised card", strange_card, 2, None),
    ("wrong password", passwords, 2, None),
    ("motor fault", motor, 2, None),
    ("spoofing", spoofing, 2, None),
    ("overstay", overstay, 2, None),
    ("shock", shock, 1, None),
)
