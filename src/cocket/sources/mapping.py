"""A mapping file says how a foreign file's columns become observations: names, units, time zone, nulls.

It is TOML, checked when it is loaded; every error names the file and the line or key. Example::

    [file]
    format = "csv"            # csv | ndjson | parquet; without it, by the file's ending
    header = false            # csv only; without a header, names = [...] names the columns
    names = ["vehicle", "time_of_day", "lon", "lat"]

    [time]
    column = "time_of_day"
    format = "%H:%M:%S"       # strptime, or iso | epoch-s | epoch-ms | epoch-us
    date = 2013-10-22         # only for a file that has a time of day and no date
    zone = "Asia/Shanghai"    # of times that name no offset themselves

    [columns.device_id]
    from = "vehicle"
    prefix = "taxi-"

    [columns.speed_mps]
    from = "speed"
    unit = "km/h"
    nulls = ["255"]           # texts that mean "unknown", besides the empty one

    [columns.fix_source]
    value = "gnss"            # a constant

``true``/``false`` list the texts of a truth column; ``add_if_negative`` unwraps angles kept in signed bits.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any, Final, NoReturn
from zoneinfo import ZoneInfo

from cocket.core.errors import BadSetting
from cocket.core.schema import BY_NAME, Column, Kind

FORMATS: Final = ("csv", "ndjson", "parquet")
TIME_WORDS: Final = ("iso", "epoch-s", "epoch-ms", "epoch-us")

UNITS: Final[dict[str, dict[str, tuple[float, float]]]] = {
    "m/s": {"m/s": (1, 0), "km/h": (1 / 3.6, 0), "kn": (1852 / 3600, 0), "mph": (0.44704, 0)},
    "°": {"°": (1, 0), "deg": (1, 0), "1e-7 deg": (1e-7, 0), "rad": (57.29577951308232, 0)},
    "m": {"m": (1, 0), "ft": (0.3048, 0), "km": (1000, 0)},
    "°C": {"°C": (1, 0), "C": (1, 0), "K": (1, -273.15), "F": (5 / 9, -160 / 9)},
    "%": {"%": (1, 0), "1": (100, 0)},
    "V": {"V": (1, 0), "mV": (0.001, 0)},
    "g": {"g": (1, 0), "m/s2": (1 / 9.80665, 0)},
    "lx": {"lx": (1, 0)},
}
"""Unit of the schema -> unit that a file may use -> (factor, offset): ours = theirs * factor + offset."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one schema column is filled: from a column of the file, or with a constant ``value``."""

    target: Column
    source: str | None
    value: str | float | bool | None = None
    prefix: str = ""
    factor: float = 1.0
    offset: float = 0.0
    nulls: tuple[str, ...] = ()
    add_if_negative: float = 0.0
    true: tuple[str, ...] = ("true", "True", "TRUE", "1", "t", "yes")
    false: tuple[str, ...] = ("false", "False", "FALSE", "0", "f", "no")


@dataclass(frozen=True, slots=True)
class Mapping:
    """A checked mapping. ``names`` is None where the file itself names its columns."""

    name: str
    time_column: str
    time_format: str = "iso"
    time_zone: str = "UTC"
    time_date: date | None = None
    format: str | None = None
    delimiter: str = ","
    names: tuple[str, ...] | None = None
    rules: tuple[Rule, ...] = field(default=())

    def sources(self) -> list[str]:
        """The file's columns that it reads."""
        wanted = [self.time_column, *(r.source for r in self.rules if r.source is not None)]
        return list(dict.fromkeys(wanted))


def shipped() -> list[str]:
    """Names of the mappings that come with Cocket."""
    folder = resources.files("cocket.sources") / "mappings"
    return sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml"))


def load(name: str | Path) -> Mapping:
    """The mapping in a file, or a shipped one by its name. Raises ``BadSetting`` naming file and key."""
    path = Path(name)
    if path.is_file():
        text, label = path.read_text(encoding="utf-8"), str(path)
    elif str(name) in shipped():
        label = f"{name}.toml"
        text = (resources.files("cocket.sources") / "mappings" / label).read_text(encoding="utf-8")
    else:
        raise BadSetting(f"no mapping file {name}; those that come with Cocket: {', '.join(shipped())}")
    return parse(text, label)


def identity(columns: list[str]) -> Mapping:
    """For a file whose columns already carry the schema's names, with ``observed_at`` or ``observed_us``.

    Raises ``BadSetting`` if it has no time or device column: then a mapping is needed.
    """
    time_column = next((c for c in ("observed_at", "observed_us") if c in columns), None)
    if time_column is None or "device_id" not in columns:
        raise BadSetting(
            f"the file has columns {', '.join(columns)}; without --mapping it needs device_id and observed_at "
            f"(or observed_us) in the schema's names"
        )
    rules = tuple(
        Rule(BY_NAME[c], c)
        for c in columns
        if c in BY_NAME and BY_NAME[c].door and BY_NAME[c].kind is not Kind.TIME
    )
    return Mapping(
        "as named in the file",
        time_column,
        "iso" if time_column == "observed_at" else "epoch-us",
        rules=rules,
    )


def parse(text: str, label: str) -> Mapping:
    """Check one mapping's TOML; ``label`` stands in the errors."""
    try:
        doc = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise BadSetting(f"{label}: {e}") from e
    check = _Checker(label, text)
    check.known(doc, (), {"title", "file", "time", "columns"})
    file, time = check.table(doc, "file"), check.table(doc, "time", needed=True)
    check.known(file, ("file",), {"format", "header", "names", "delimiter"})
    check.known(time, ("time",), {"column", "format", "zone", "date"})

    fmt = check.value(file, ("file", "format"), str, None)
    if fmt is not None and fmt not in FORMATS:
        check.fail(("file", "format"), f"is {fmt!r}; it can be {', '.join(FORMATS)}")
    names = check.texts(file, ("file", "names"))
    if check.value(file, ("file", "header"), bool, default=True) == bool(names):
        check.fail(
            ("file", "header"), "and names contradict: give names exactly where the file has no header"
        )
    delimiter = check.value(file, ("file", "delimiter"), str, ",")
    if len(delimiter) != 1:
        check.fail(("file", "delimiter"), f"is {delimiter!r}; it must be one character")

    mapping = Mapping(
        name=label,
        time_column=check.value(time, ("time", "column"), str),
        time_format=_time_format(check, time),
        time_zone=_zone(check, time),
        time_date=check.value(time, ("time", "date"), date, None),
        format=fmt,
        delimiter=delimiter,
        names=tuple(names) or None,
        rules=_rules(check, doc),
    )
    if names:
        for source in mapping.sources():
            if source not in names:
                check.fail(("file", "names"), f"has no column {source!r}, which the mapping reads")
    return mapping


def _time_format(check: _Checker, time: Dict[str, Any]) -> str:
    text: str = check.value(time, ("time", "format"), str, "iso")
    if text not in TIME_WORDS and "%" not in text:
        check.fail(
            ("time", "format"), f"is {text!r}; it can be {', '.join(TIME_WORDS)}, or a strptime format"
        )
    dated = text in TIME_WORDS or re.search(r"%[dDjFcxs]", text)
    if not dated and "date" not in time:
        check.fail(("time", "format"), f"{text!r} has no day in it: give time.date, as date = 2026-01-31")
    if dated and "date" in time:
        check.fail(("time", "date"), f"contradicts time.format {text!r}, which has a day of its own")
    return text


def _zone(check: _Checker, time: Dict[str, Any]) -> str:
    zone: str = check.value(time, ("time", "zone"), str, "UTC")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as e:
        check.fail(
            ("time", "zone"), f"is {zone!r}, which is no time zone; write it as Asia/Shanghai or UTC ({e})"
        )
    return zone


def _rules(check: _Checker, doc: Dict[str, Any]) -> tuple[Rule, ...]:
    columns = check.table(doc, "columns", needed=True)
    if "device_id" not in columns:
        check.fail(("columns",), "lacks device_id: an observation needs the device that made it")
    rules: list[Rule] = []
    for target, spec in columns.items():
        at = ("columns", target)
        column = BY_NAME.get(target)
        if column is None or not column.door or column.kind is Kind.TIME:
            allowed = ", ".join(n for n, c in BY_NAME.items() if c.door and c.kind is not Kind.TIME)
            check.fail(at, f"is no column that a file can fill; there are: {allowed}")
        if not isinstance(spec, dict):
            check.fail(at, 'must be a table, as { from = "speed", unit = "km/h" }')
        check.known(
            spec, at, {"from", "value", "prefix", "unit", "nulls", "true", "false", "add_if_negative"}
        )
        if ("from" in spec) == ("value" in spec):
            check.fail(at, "needs either from (a column of the file) or value (a constant)")
        factor, offset = _unit(check, at, column, spec)
        if spec.get("prefix") and column.kind is not Kind.TEXT:
            check.fail((*at, "prefix"), f"is for text columns; {target} is {column.kind.value}")
        defaults = Rule(column, None)
        rules.append(
            Rule(
                column,
                check.value(spec, (*at, "from"), str, None),
                _constant(check, at, column, spec),
                check.value(spec, (*at, "prefix"), str, ""),
                factor,
                offset,
                tuple(check.texts(spec, (*at, "nulls"))),
                float(check.value(spec, (*at, "add_if_negative"), (int, float), 0)),
                tuple(check.texts(spec, (*at, "true"))) or defaults.true,
                tuple(check.texts(spec, (*at, "false"))) or defaults.false,
            )
        )
    return tuple(rules)


def _constant(
    check: _Checker, at: tuple[str, ...], column: Column, spec: Dict[str, Any]
) -> str | float | bool | None:
    kinds: dict[Kind, Any] = {Kind.FLOAT: (int, float), Kind.INT: int, Kind.BOOL: bool}
    value: str | float | bool | None = check.value(spec, (*at, "value"), kinds.get(column.kind, str), None)
    if column.kind is Kind.ENUM and value is not None and value not in column.values:
        check.fail((*at, "value"), f"is {value!r}; it can be {', '.join(column.values)}")
    return value


def _unit(check: _Checker, at: tuple[str, ...], column: Column, spec: Dict[str, Any]) -> tuple[float, float]:
    unit = check.value(spec, (*at, "unit"), str, None)
    if unit is None:
        return 1.0, 0.0
    known = UNITS.get(column.unit, {})
    if unit not in known:
        check.fail(
            (*at, "unit"),
            f"is {unit!r}; {column.name} takes {', '.join(known) or 'no unit'}",
        )
    return known[unit]


class _Checker:
    """Reads values out of one TOML document and names file, key and, where it can, line in every error."""

    def __init__(self, label: str, text: str) -> None:
        self.label = label
        self.lines = text.splitlines()

    def fail(self, path: tuple[str, ...], detail: str) -> NoReturn:
        key = ".".join(path)
        number = self._line(path)
        where = f"{self.label}, line {number}" if number else self.label
        raise BadSetting(f"{where}: {key} {detail}")

    def _line(self, path: tuple[str, ...]) -> int:
        for n in range(len(path), 0, -1):  # the key itself, else the table that should hold it
            header = re.compile(rf"\s*\[\s*{re.escape('.'.join(path[:n]))}\s*\]")
            key = re.compile(rf"\s*{re.escape(path[n - 1])}\s*=")
            table = re.compile(rf"\s*\[\s*{re.escape('.'.join(path[: n - 1]))}\s*\]")
            inside = n == 1
            for number, line in enumerate(self.lines, 1):
                if header.match(line):
                    return number
                if line.lstrip().startswith("["):
                    inside = bool(table.match(line))
                if inside and key.match(line):
                    return number
        return 0

    def known(self, table: Dict[str, Any], path: tuple[str, ...], names: set[str]) -> None:
        for key in table:
            if key not in names:
                self.fail((*path, key), f"is not known here; there are: {', '.join(sorted(names))}")

    def table(self, doc: Dict[str, Any], name: str, *, needed: bool = False) -> dict[str, Any]:
        value = doc.get(name)
        if value is None and not needed:
            return {}
        if not isinstance(value, dict):
            self.fail((name,), "is missing; it must be a table")
        return value

    def value(self, table: Dict[str, Any], path: tuple[str, ...], kind: Any, default: Any = ...) -> Any:
        value = table.get(path[-1], default)
        if value is ...:
            self.fail(path, "is missing")
        if value is not default and (
            not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
        ):
            self.fail(path, f"is {value!r}, which is not of the right type")
        return value

    def texts(self, table: Dict[str, Any], path: tuple[str, ...]) -> list[str]:
        value = table.get(path[-1], [])
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            self.fail(path, 'must be a list of texts, as ["91.0"]')
        return list(value)
