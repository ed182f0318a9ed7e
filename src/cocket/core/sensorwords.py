"""What the values are that sensors' codecs and metrics name in their own words: ``TempC_SHT``, ``Battery Level``, ``gps_1``.

Codecs are written by many hands, so the names are compared without case and separators, and a channel number at the end is dropped if
the name with it is not known. Only names whose meaning and unit are clear are in the table; besides, every column may be
named as it is in the schema. A value of an unusual type is passed over: nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from cocket.core.protocol import Row
from cocket.core.schema import BY_NAME, Kind
from cocket.core.units import KMH

_OWN: Final = {
    name.replace("_", ""): (name, 1.0)
    for name, column in BY_NAME.items()
    if column.door
    and column.kind in {Kind.FLOAT, Kind.INT, Kind.BOOL}
    and name not in {"sequence", "confidence"}
}

WORDS: Final[Mapping[str, tuple[str, float]]] = _OWN | {
    word: (column, factor)
    for column, factor, words in (
        (
            "temp_c",
            1.0,
            "temperature temp tempc temperaturec airtemperature temperaturesensor tempcsht tempcds",
        ),
        ("humidity_pct", 1.0, "humidity hum relativehumidity airhumidity humiditysensor humsht rh"),
        ("battery_pct", 1.0, "batterypercent batterypercentage batterylevel batt batterysoc stateofcharge"),
        ("battery_v", 1.0, "batteryvoltage batv batteryvolt vbat vbatt"),
        ("battery_v", 0.001, "batterymv batmv vdd vbatmv batteryvoltagemv"),
        ("lat_deg", 1.0, "latitude lat"),
        ("lon_deg", 1.0, "longitude lon lng"),
        ("altitude_m", 1.0, "altitude alt"),
        ("speed_mps", KMH, "speedkmh speedkph"),
        ("course_deg", 1.0, "course"),
        (
            "light_lux",
            1.0,
            "light illuminance illumination lux illlx lightlux luminosity lightintensity illuminancesensor",
        ),
        ("co2_pct", 0.0001, "co2ppm"),
        ("o2_pct", 1.0, "o2 oxygen oxygenpercent"),
        ("dose_rate_usvh", 1.0, "doserateusv"),
        ("door_open", 1.0, "door doorstatus doorstate dooropenstatus contactstate magnetstatus magnet"),
        ("casing_open", 1.0, "tamper tampered tamperalarm"),
        ("vibration", 1.0, "vibrationalarm shockdetected"),
        ("sos", 1.0, "panic panicbutton"),
        ("satellites", 1.0, "sats numsats"),
        ("locked", 1.0, "lockstatus lockstate"),
        ("battery_low", 1.0, "lowbattery batterylowalarm"),
    )
    for word in words.split()
}
"""Names in small letters without separators to a column and the factor to its unit."""

TRUE: Final = frozenset(
    {"true", "yes", "on", "open", "opened", "alarm", "locked", "tampered", "triggered", "active"}
)
FALSE: Final = frozenset(
    {"false", "no", "off", "close", "closed", "normal", "unlocked", "ok", "inactive", "none"}
)

_SEPARATORS: Final = re.compile(r"[\W_]+")
_WHERE: Final = frozenset({"gps", "gpslocation", "location", "position", "coordinates", "gnss"})
_PARTS: Final = frozenset({"air", "action", "measurements", "values", "data", "sensors"})
_MOST: Final = 200
_LONGEST: Final = 64
_MOST_SIZE: Final = 1e15
_DEEP: Final = 2
_LEAST_PERCENT: Final = 5
_LEAST_PPM: Final = 100


def meaning(name: str) -> tuple[str, float] | None:
    """The column that a name stands for, and the factor to its unit; None if it is not known."""
    return _meaning(name[:_LONGEST])


@lru_cache(maxsize=1024)
def _meaning(name: str) -> tuple[str, float] | None:
    word = _SEPARATORS.sub("", name.lower())
    return WORDS.get(word) or WORDS.get(word.rstrip("0123456789"))


def known(name: str) -> bool:
    """Whether ``one`` may know this name."""
    return meaning(name) is not None or _SEPARATORS.sub("", name[:_LONGEST].lower()) in {"battery", "co2"}


def sensed(values: Mapping[str, Any]) -> Row:
    """The columns that are among these values; of two with one meaning the first counts."""
    row: Row = {}
    _walk(values.items(), row, _DEEP)
    if ("lat_deg" in row) != ("lon_deg" in row):
        row.pop("lat_deg", None)
        row.pop("lon_deg", None)
    return row


def _walk(items: Iterable[tuple[str, Any]], row: Row, deep: int) -> None:
    for name, value in list(items)[:_MOST]:
        if isinstance(value, dict):
            if deep:
                _inside(name, value, row, deep - 1)
        else:
            one(name, value, row)


def _inside(name: str, value: Mapping[str, Any], row: Row, deep: int) -> None:
    """An object: a place, a group, or the channels of one kind of sensor (``{"temperatureSensor": {"1": 21.5}}``)."""
    word = _SEPARATORS.sub("", name[:_LONGEST].lower()).rstrip("0123456789")
    if word in _WHERE or word in _PARTS:
        inner = next(iter(value.values()), None)
        if word in _WHERE and isinstance(inner, dict):
            _walk(inner.items(), row, deep)
        else:
            _walk(value.items(), row, deep)
    elif value:
        one(name, next(iter(value.values())), row)


def one(name: str, value: Any, row: Row) -> None:
    """Put one value into the row if its name and type are known, and nothing of that meaning is there."""
    word = _SEPARATORS.sub("", name[:_LONGEST].lower())
    if word == "battery":
        found: tuple[str, float] | None = ("battery_pct", 1.0) if _is_more(value, _LEAST_PERCENT) else None
    elif word == "co2":
        found = ("co2_pct", 0.0001) if _is_more(value, _LEAST_PPM) else None
    else:
        found = meaning(name)
    if found is None or found[0] in row:
        return
    column, factor = found
    kind = BY_NAME[column].kind
    if kind is Kind.BOOL:
        state = _state(value)
        if state is not None:
            row[column] = state
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and -_MOST_SIZE < value < _MOST_SIZE:
        if kind is Kind.FLOAT:
            row[column] = value * factor
        elif value == int(value):
            row[column] = int(value)


def _is_more(value: Any, least: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > least


def _state(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value == 1 if value in {0, 1} else None
    if isinstance(value, str):
        word = value.strip().lower()
        return True if word in TRUE else False if word in FALSE else None
    return None
