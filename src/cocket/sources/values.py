"""One value of a message into the schema's, as its rule says: numbers, texts, truth, times.

``convert`` does the same for whole columns of files. A reader gives None where the value is unknown (blank, listed
in ``nulls``, NaN), and raises ``Undecodable`` where it cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from cocket.core.protocol import Undecodable
from cocket.core.schema import Kind
from cocket.sources.model import Rule, Time
from cocket.sources.paths import kind_of

Reader: TypeAlias = Callable[[Any], Any]

NUMBER: Final = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
_IS_NUMBER: Final = re.compile(NUMBER)
_IS_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_IS_EPOCH: Final = re.compile(r"-?[0-9]{1,17}(\.[0-9]{1,30})?")
_IS_ISO: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - local times are counted from it
_WHOLE_LIMIT: Final = 2**53
_US: Final = timedelta(microseconds=1)
_FURTHEST_US: Final = 2**60


def sentinels(nulls: tuple[str, ...]) -> frozenset[float]:
    """The numbers among the texts that mean "unknown"; 0x7FFF is one, too."""
    found = set()
    for text in nulls:
        if _IS_NUMBER.fullmatch(text):
            found.add(float(text))
        elif re.fullmatch(r"0[xX][0-9A-Fa-f]{1,16}", text):
            found.add(float(int(text, 16)))
    return frozenset(found)


def text_of(raw: Any) -> str:
    """What stands there as text: numbers as JSON writes them, without blanks around. ``Undecodable`` for [] and {}."""
    if isinstance(raw, str):
        return raw.strip()
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int):
        return str(raw)
    if isinstance(raw, float):
        return msgspec.json.encode(raw).decode()
    raise Undecodable("type", f"{kind_of(raw)} stands there, not one value")


def reader(rule: Rule) -> Reader:
    """Reads the raw values of one column."""
    kind = rule.target.kind
    if rule.map is not None:
        return _mapped(rule, dict(rule.map))
    if kind in {Kind.FLOAT, Kind.INT}:
        return _number(rule, whole=kind is Kind.INT)
    if kind is Kind.BOOL:
        return _truth(rule)
    if kind is Kind.ENUM:
        return _mapped(rule, {v: v for v in rule.target.values})
    return _text(rule)


def _shown(raw: Any) -> str:
    text = repr(raw)
    return text if len(text) <= 42 else f"{text[:40]}…"


def _text(rule: Rule) -> Reader:
    unknown, prefix = frozenset(("", *rule.nulls)), rule.prefix

    def read(raw: Any) -> Any:
        text = text_of(raw)
        return None if text in unknown else prefix + text

    return read


def _mapped(rule: Rule, table: dict[str, Any]) -> Reader:
    unknown = frozenset(("", *rule.nulls))

    def read(raw: Any) -> Any:
        text = text_of(raw)
        if text in table:
            return table[text]
        if text in unknown:
            return None
        raise Undecodable("values", f"{_shown(text)} is none of {', '.join(table)[:200]}")

    return read


def _truth(rule: Rule) -> Reader:
    plain = _mapped(rule, dict.fromkeys(rule.false, False) | dict.fromkeys(rule.true, True))

    def read(raw: Any) -> Any:
        return raw if isinstance(raw, bool) else plain(raw)

    return read


def _number(rule: Rule, *, whole: bool) -> Reader:
    unknown, numbers = frozenset(("", *rule.nulls)), sentinels(rule.nulls)
    factor, offset, add, scaled = rule.factor, rule.offset, rule.add_if_negative, rule.scaled

    def read(raw: Any) -> Any:
        value = _as_number(raw, unknown)
        if value is None or value in numbers or value != value:  # noqa: PLR0124 - NaN is unknown
            return None
        if whole and not scaled and not add and isinstance(value, int):
            return value
        value = float(value)
        if add and value < 0:
            value = round(value + add, 6)
        value = value * factor + offset
        if not -1e308 < value < 1e308:
            raise Undecodable("type", f"{_shown(raw)} is beyond all numbers")
        if not whole:
            return value
        value = float(round(value)) if scaled else value
        if not value.is_integer() or abs(value) >= _WHOLE_LIMIT:
            raise Undecodable("type", f"{_shown(raw)} is no whole number")
        return int(value)

    return read


def _as_number(raw: Any, unknown: frozenset[str]) -> float | None:
    if isinstance(raw, str):
        text = raw.strip()
        if text in unknown:
            return None
        if _IS_WHOLE.fullmatch(text):
            return int(text)
        if not _IS_NUMBER.fullmatch(text):
            raise Undecodable("type", f"{_shown(raw)} is no number")
        return float(text)
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise Undecodable("type", f"a number is wanted, this is {kind_of(raw)}")
    if isinstance(raw, int) and abs(raw) >= 1 << 63:
        raise Undecodable("type", "the number has more than 63 bits")
    return raw


def time_reader(time: Time) -> Reader:
    """Reads raw times to UTC microseconds."""
    unknown, numbers = frozenset(("", *time.nulls)), sentinels(time.nulls)
    if time.format.startswith("epoch-"):
        scale = {"epoch-s": 1_000_000, "epoch-ms": 1_000, "epoch-us": 1}[time.format]

        def epoch(raw: Any) -> int | None:
            value: float
            if isinstance(raw, str):
                text = raw.strip()
                if text in unknown:
                    return None
                if not _IS_EPOCH.fullmatch(text):
                    raise Undecodable("malformed", f"{_shown(raw)} is no time in {time.format}")
                value = float(text) if "." in text else int(text)
            else:
                found = _as_number(raw, unknown)
                if found is None:
                    return None
                value = found
            if value in numbers:
                return None
            if not abs(value) * scale < _FURTHEST_US:
                raise Undecodable("malformed", f"{_shown(raw)} is no time in {time.format}")
            return round(value * scale)

        return epoch

    place = _placer(time.zone)
    parse = _iso if time.format == "iso" else _strptime(time)

    def written(raw: Any) -> int | None:
        text = text_of(raw)
        if text in unknown or (numbers and _IS_NUMBER.fullmatch(text) and float(text) in numbers):
            return None
        try:
            moment = parse(text)
        except ValueError:
            moment = None
        if moment is None:
            raise Undecodable("malformed", f"{_shown(text)} is no time as {time.format}")
        east = moment.utcoffset()
        if east is None:
            return place(moment)
        return (moment.replace(tzinfo=None) - _EPOCH - east) // _US

    return written


def _iso(text: str) -> datetime | None:
    found = _IS_ISO.fullmatch(text)
    if found is None:
        return None
    day, clock, fraction, offset = found.groups()
    micro = f".{fraction[:6]:0<6}" if fraction else ""
    if micro and len(clock) == 5:
        return None
    return datetime.fromisoformat(f"{day}T{clock}{micro}{offset or ''}")


def _strptime(time: Time) -> Callable[[str], datetime]:
    form, ahead = time.format, ""
    if time.date is not None:
        form, ahead = f"%Y-%m-%d {form}", f"{time.date:%Y-%m-%d} "
    return lambda text: datetime.strptime(ahead + text, form)  # noqa: DTZ007 - the zone is put to it later


def _placer(zone: str) -> Callable[[datetime], int]:
    """Local times to UTC µs: an hour that clocks repeat is its first, one that they skip is just before it."""
    if zone == "UTC":
        return lambda naive: (naive - _EPOCH) // _US
    info: tzinfo = ZoneInfo(zone)

    def east_of(utc: datetime) -> timedelta:
        return utc.replace(tzinfo=UTC).astimezone(info).utcoffset() or timedelta()

    def place(naive: datetime) -> int:
        early = naive.replace(tzinfo=info)
        before, after = early.utcoffset() or timedelta(), early.replace(fold=1).utcoffset() or timedelta()
        if not 2 <= naive.year <= 9998:
            raise Undecodable("malformed", f"no clock of {zone} shows the year {naive.year}")
        utc = naive - before
        if after <= before:  # not skipped; of a repeated hour the first
            return (utc - _EPOCH) // _US
        low, high = naive - after, utc  # the clocks are put forward between these
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) // 2
            low, high = (middle, high) if east_of(middle) == before else (low, middle)
        return (high.replace(microsecond=0) - _EPOCH) // _US - 1

    return place
