"""Building a frame: lay out the rows, find zones and corridors, and carry each journey's last position along."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numba import njit

from cocket.core.batch import Array, Batch
from cocket.core.frame import OBSERVATION, Frame
from cocket.core.journeys import JourneyTable
from cocket.core.rules import Rules
from cocket.core.schema import FIX_SOURCES
from cocket.journeys.timers import plan, plan_tick


class Zones(Protocol):
    """What is asked of a zone index."""

    @property
    def ids(self) -> list[str]:
        """The zones' ids, by number."""
        ...

    @property
    def kinds(self) -> Array:
        """int32 bits by zone."""
        ...

    def locate(self, lat: Array, lon: Array) -> tuple[Array, Array]:
        """Zones of each point as (offsets, zones); NaN is in none."""
        ...

    def kinds_of(self, offsets: Array, zones: Array) -> Array:
        """int32 bits of the kinds by row."""
        ...


class Corridors(Protocol):
    """What is asked of a corridor index."""

    def off_m(self, corridor: Array, lat: Array, lon: Array, hint: Array, journey: Array) -> Array:
        """Metres outside the corridor's edge by row; moves ``hint[journey]``."""
        ...


_NO_BYTES: Final = np.empty(0, np.int8)
_NO_ROWS: Final = np.empty(0, np.int32)
_NO_SEQ: Final = np.empty(0, np.int64)
_PRECISE: Final = np.array([s in {"gnss", "beacon", "manual"} for s in FIX_SOURCES])


def build(
    batch: Batch,
    rows: Array | None,
    journey: Array,
    keys: Array,
    *,
    state: Array,
    times: Array,
    hint: Array,
    table: JourneyTable,
    rules: Rules,
    zones: Zones | None,
    corridors: Corridors | None,
) -> Frame:
    """The frame of a batch's ``rows`` (None: all, as they stand); moves clocks, positions and corridor hints.

    ``journey`` and ``keys`` are by batch row; ``state``, ``times`` and ``hint`` by journey.
    """
    observed = batch.filled("observed_us")
    room = 6 * (batch.n if rows is None else len(rows)) + 1
    at = np.empty(room, np.int32)
    out_journey = np.empty(room, np.int32)
    out_t = np.empty(room, np.int64)
    out_key = np.empty(room, np.uint64)
    timer = np.empty(room, np.int8)
    seq = batch.array("sequence")
    some = _NO_ROWS if rows is None else rows
    if rows is not None and not len(rows):
        n, timers = 0, 0
    else:
        n, timers = plan(
            some,
            journey,
            observed,
            _NO_SEQ if seq is None else seq,
            keys,
            state,
            times,
            at,
            out_journey,
            out_t,
            out_key,
            timer,
        )
    as_it_stands = rows is None and n == batch.n
    frame = _frame(n, timers, at[:n], out_journey[:n], out_t[:n], out_key[:n], timer[:n], batch, table, rules)
    if as_it_stands:
        frame.rows = None
    _locate(frame, state, hint, zones, corridors)
    return frame


def build_tick(
    now_us: int, js: Array, *, state: Array, times: Array, table: JourneyTable, rules: Rules
) -> Frame | None:
    """The frame of the timers of journeys ``js`` due by ``now_us``; None when there are none."""
    if not len(js):
        return None
    room = 5 * len(js)
    out_journey = np.empty(room, np.int32)
    out_t = np.empty(room, np.int64)
    out_key = np.empty(room, np.uint64)
    timer = np.empty(room, np.int8)
    n, timers = plan_tick(now_us, js, state, times, out_journey, out_t, out_key, timer)
    if not n:
        return None
    at = np.full(n, -1, np.int32)
    frame = _frame(
        n, timers, at, out_journey[:n], out_t[:n], out_key[:n], timer[:n], Batch(0, {}), table, rules
    )
    _carry(frame, state, None, None)
    return frame


def _frame(
    n: int,
    timers: int,
    at: Array,
    journey: Array,
    t: Array,
    key: Array,
    timer: Array,
    batch: Batch,
    table: JourneyTable,
    rules: Rules,
) -> Frame:
    return Frame(
        n=n,
        journey=journey,
        t=t,
        key=key,
        timer=timer,
        timers=timers,
        profile=table.profile[journey],
        has_fix=np.zeros(n, np.bool_),
        fix_lat=np.empty(n, np.float64),
        fix_lon=np.empty(n, np.float64),
        fix_us=np.empty(n, np.int64),
        from_lat=np.empty(n, np.float64),
        from_lon=np.empty(n, np.float64),
        from_us=np.empty(n, np.int64),
        off_m=None,
        in_kinds=np.empty(n, np.int32),
        zone_offsets=np.zeros(n + 1, np.int32),
        zones=_NO_ROWS,
        batch=batch,
        rows=at,
        rules=rules,
        table=table,
    )


def _locate(
    frame: Frame, state: Array, hint: Array, zones: Zones | None, corridors: Corridors | None
) -> None:
    lat, lon = frame.get("lat_deg"), frame.get("lon_deg")
    if lat is None or lon is None:
        _carry(frame, state, None, None)
        return
    valid, source = frame.get("fix_valid"), frame.get("fix_source")
    fix_lat, fix_lon = np.empty(frame.n, np.float64), np.empty(frame.n, np.float64)
    _fixes(
        lat,
        lon,
        _NO_BYTES if valid is None else valid,
        _NO_BYTES if source is None else source,
        _PRECISE,
        frame.has_fix,
        fix_lat,
        fix_lon,
    )
    kinds = None
    if zones is not None and len(zones.ids):
        frame.zone_offsets, frame.zones = zones.locate(fix_lat, fix_lon)
        if len(frame.zones):
            kinds = zones.kinds_of(frame.zone_offsets, frame.zones)
    if corridors is not None:
        corridor = frame.table.corridor[frame.journey]
        if corridor.max(initial=-1) >= 0:
            frame.off_m = corridors.off_m(corridor, fix_lat, fix_lon, hint, frame.journey)
    _carry(frame, state, (fix_lat, fix_lon), kinds)


def _carry(frame: Frame, state: Array, fixes: tuple[Array, Array] | None, kinds: Array | None) -> None:
    lat, lon = (frame.fix_lat, frame.fix_lon) if fixes is None else fixes  # without a fix neither is read
    _move(
        frame.journey,
        frame.t,
        frame.has_fix,
        lat,
        lon,
        _NO_ROWS if kinds is None else kinds,
        state,
        frame.fix_lat,
        frame.fix_lon,
        frame.fix_us,
        frame.from_lat,
        frame.from_lon,
        frame.from_us,
        frame.in_kinds,
    )


@njit(cache=True, nogil=True)
def _fixes(
    lat: Array,
    lon: Array,
    valid: Array,
    source: Array,
    precise: Array,
    has_fix: Array,
    fix_lat: Array,
    fix_lon: Array,
) -> None:
    """A fix is a position in range that the receiver does not disown and that no cell or Wi-Fi network gave."""
    for i in range(len(lat)):
        good = -90.0 <= lat[i] <= 90.0 and -180.0 <= lon[i] <= 180.0
        if len(valid) and valid[i] == 0:
            good = False
        if len(source) and source[i] >= 0 and not precise[source[i]]:
            good = False
        has_fix[i] = good
        fix_lat[i] = lat[i] if good else np.nan
        fix_lon[i] = lon[i] if good else np.nan


@njit(cache=True, nogil=True)
def _move(
    journey: Array,
    t: Array,
    has_fix: Array,
    lat: Array,
    lon: Array,
    kinds: Array,
    state: Array,
    fix_lat: Array,
    fix_lon: Array,
    fix_us: Array,
    from_lat: Array,
    from_lon: Array,
    from_us: Array,
    in_kinds: Array,
) -> None:
    for i in range(len(journey)):
        s = state[journey[i]]
        from_lat[i] = s.fix_lat
        from_lon[i] = s.fix_lon
        from_us[i] = s.fix_us
        if has_fix[i]:
            s.fix_us = t[i]
            s.fix_lat = lat[i]
            s.fix_lon = lon[i]
            s.kinds = kinds[i] if len(kinds) else 0
        fix_lat[i] = s.fix_lat
        fix_lon[i] = s.fix_lon
        fix_us[i] = s.fix_us
        in_kinds[i] = s.kinds


assert OBSERVATION == 0  # a row of the batch has timer 0
