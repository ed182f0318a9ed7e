"""The rules: every threshold of every detector, by device class, goods and corridor.

A rules file is TOML. What is not named keeps its default. Of several layers the more special wins, in this order::

    [defaults.route-deviation]               # for all journeys
    warn_m = 800
    [device_class.e-lock.low-battery]        # for devices of a class
    below_pct = 20
    [goods.pharma.temperature-excursion]     # for movements of a goods class
    max_c = 8
    [corridor."north".route-deviation]       # for movements on a corridor
    alarm_m = 5000

Each distinct combination that occurs is a *profile*; a param is one array by profile, so that a kernel never asks
by name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from cocket.core.alerts import SEVERITIES
from cocket.core.batch import Array
from cocket.core.detector import Detector, Param
from cocket.core.errors import BadSetting, Fault
from cocket.core.journeys import ZONE_KINDS, kind_mask

LAYERS: Final = ("device_classes", "goods", "corridors")
"""From the more general to the more special; in a file also as ``device_class`` and ``corridor``."""

_SINGULAR: Final = {"device_class": "device_classes", "corridor": "corridors"}

Values = dict[str, dict[str, Any]]


class Rules:
    """One rules document, checked. Profiles are numbered as they are first asked for."""

    def __init__(
        self, detectors: Sequence[Detector], defaults: Values, special: dict[str, dict[str, Values]]
    ) -> None:
        self.detectors = {d.name: d for d in detectors}
        self._params = {d.name: {p.name: p for p in d.all_params()} for d in detectors}
        self._defaults = defaults
        self._special = special
        self._profiles: dict[tuple[str | None, str | None, str | None], int] = {}
        self._values: dict[tuple[str, str], Array] = {}
        self.profile(None, None, None)

    @classmethod
    def defaults(cls, detectors: Sequence[Detector]) -> Rules:
        """Every param at its default."""
        return cls(detectors, {}, {layer: {} for layer in LAYERS})

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any], detectors: Sequence[Detector]) -> Rules:
        """From the document as the API has it; raises ``BadSetting`` with a fault for each thing wrong."""
        reader = _Reader(detectors)
        rules = reader.read(doc)
        if reader.faults:
            first = reader.faults[0]
            raise BadSetting(f"rules: {first.path}: {first.detail}", reader.faults)
        return rules

    @classmethod
    def parse(cls, text: str, name: str, detectors: Sequence[Detector]) -> Rules:
        """From TOML; ``name`` is the file's, for errors, which name line and key."""
        try:
            doc = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise BadSetting(f"{name}: not TOML: {error}") from None
        reader = _Reader(detectors)
        rules = reader.read(doc)
        if reader.faults:
            faults = [
                _placed(f, name, text, keys) for f, keys in zip(reader.faults, reader.keys, strict=True)
            ]
            raise BadSetting("; ".join(f"{f.path}: {f.detail}" for f in faults[:5]), faults)
        return rules

    def to_doc(self) -> dict[str, Any]:
        """The document as the API has it: only what was given."""
        return {"defaults": self._defaults, **{layer: self._special[layer] for layer in LAYERS}}

    def profile(self, corridor: str | None, goods: str | None, device_class: str | None) -> int:
        """Number of the set of params that holds for such a journey."""
        names = (device_class, goods, corridor)
        known = tuple(
            n if n in self._special[layer] else None for layer, n in zip(LAYERS, names, strict=True)
        )
        key = (known[0], known[1], known[2])
        number = self._profiles.get(key)
        if number is None:
            number = self._profiles[key] = len(self._profiles)
            self._values.clear()
        return number

    def profiles(
        self,
        corridor: Sequence[str | None],
        goods: Sequence[str | None],
        device_class: Sequence[str | None],
    ) -> Array:
        """``profile`` for many: int32."""
        if not any(self._special.values()):
            return np.zeros(len(corridor), np.int32)
        known: dict[tuple[str | None, str | None, str | None], int] = {}
        out = np.empty(len(corridor), np.int32)
        for i, names in enumerate(zip(corridor, goods, device_class, strict=True)):
            number = known.get(names)
            if number is None:
                number = known[names] = self.profile(*names)
            out[i] = number
        return out

    def values(self, detector: str, param: str) -> Array:
        """A param by profile: float64 (NaN for none), int8 for truths, int32 bits for kinds."""
        found = self._values.get((detector, param))
        if found is None:
            spec = self._params[detector][param]
            raw = [self._value(detector, spec, key) for key in self._profiles]
            found = self._values[detector, param] = _array(spec, raw)
        return found

    def number(self, detector: str, param: str, profile: int) -> float:
        """One number of one profile."""
        return float(self.values(detector, param)[profile])

    def severity(self, detector: str, profile: int) -> str | None:
        """The severity that replaces the detector's own, if any."""
        number = self.values(detector, "severity")[profile]
        return None if number < 0 else SEVERITIES[number]

    def _value(self, detector: str, spec: Param, key: tuple[str | None, str | None, str | None]) -> Any:
        value = self._defaults.get(detector, {}).get(spec.name, spec.default)
        for layer, name in zip(LAYERS, key, strict=True):
            if name is not None:
                value = self._special[layer][name].get(detector, {}).get(spec.name, value)
        return value


def load(path: Path, detectors: Sequence[Detector]) -> Rules:
    """The rules in a file; ``BadSetting`` names file, line and key."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path}: cannot be read: {error}; give the path of a TOML file in UTF-8") from None
    return Rules.parse(text, str(path), detectors)


def as_toml(detectors: Sequence[Detector]) -> str:
    """Every param of every detector with its default and meaning: a rules file that changes nothing."""
    lines = ["# Every threshold at its default. See docs/rules.md for corridors, goods and device classes."]
    for detector in detectors:
        lines += ["", f"# {detector.question}", f"[defaults.{detector.name}]"]
        for p in detector.all_params():
            unit = f" [{p.unit}]" if p.unit else ""
            if p.default is None:
                lines.append(f"# {p.name} =  # {p.doc}{unit}")
            else:
                lines.append(f"{p.name} = {_toml(p.default)}  # {p.doc}{unit}")
    return "\n".join(lines) + "\n"


def _toml(value: float | bool | str | tuple[str, ...]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{v}"' for v in value) + "]"
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:g}"


def _array(spec: Param, raw: list[Any]) -> Array:
    if spec.kind == "kinds":
        return np.array([kind_mask(v) for v in raw], np.int32)
    if spec.kind == "truth":
        return np.array(raw, np.int8)
    if spec.kind == "severity":
        return np.array([-1 if v is None else SEVERITIES.index(v) for v in raw], np.int8)
    return np.array([np.nan if v is None else float(v) for v in raw], np.float64)


class _Reader:
    """Checks a document; what is wrong is collected, not raised, so that a person sees all of it at once."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self._detectors = detectors
        self._params = {d.name: {p.name: p for p in d.all_params()} for d in detectors}
        self.faults: list[Fault] = []
        self.keys: list[tuple[str, ...]] = []

    def read(self, doc: Mapping[str, Any]) -> Rules:
        defaults: Values = {}
        special: dict[str, dict[str, Values]] = {layer: {} for layer in LAYERS}
        for top, content in doc.items():
            layer = _SINGULAR.get(top, top)
            if layer == "defaults":
                defaults = self._detector_tables((top,), content)
            elif layer in LAYERS:
                for name, tables in self._table((top,), content).items():
                    special[layer][name] = self._detector_tables((top, name), tables)
            else:
                self._fault((top,), "unknown", "must be defaults, device_class, goods or corridor")
        return Rules(self._detectors, defaults, special)

    def _table(self, path: tuple[str, ...], content: Any) -> Mapping[str, Any]:
        if isinstance(content, Mapping):
            return content
        self._fault(path, "type", "must be a table")
        return {}

    def _detector_tables(self, path: tuple[str, ...], content: Any) -> Values:
        out: Values = {}
        for name, values in self._table(path, content).items():
            if name not in self._params:
                known = ", ".join(self._params)
                self._fault((*path, name), "unknown", f"no detector is called that; there are {known}")
                continue
            params = self._params[name]
            out[name] = {}
            for key, value in self._table((*path, name), values).items():
                where = (*path, name, key)
                if key not in params:
                    self._fault(where, "unknown", f"{name} has no such param; it has {', '.join(params)}")
                    continue
                problem = _problem(params[key], value)
                if problem:
                    self._fault(where, "value", problem)
                else:
                    out[name][key] = value
        return out

    def _fault(self, path: tuple[str, ...], rule: str, detail: str) -> None:
        self.faults.append(Fault(".".join(path), rule, detail))
        self.keys.append(path)


def _problem(spec: Param, value: Any) -> str | None:
    if spec.kind == "truth":
        return None if isinstance(value, bool) else f"must be true or false, not {value!r}"
    if value is None and spec.default is None:
        return None
    if spec.kind == "severity":
        return None if value in SEVERITIES else f"must be one of {', '.join(SEVERITIES)}, not {value!r}"
    if spec.kind == "kinds":
        if isinstance(value, list) and all(v in ZONE_KINDS for v in value):
            return None
        return f"must be a list of zone kinds ({', '.join(ZONE_KINDS)}), not {value!r}"
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        return f"must be a number, not {value!r}"
    return None if value >= spec.lo else f"must be at least {spec.lo:g}, not {value!r}"


_PARTS: Final = re.compile(r'"([^"]*)"|\'([^\']*)\'|([\w-]+)')


def _placed(fault: Fault, name: str, text: str, path: tuple[str, ...]) -> Fault:
    """The fault with file and line: the first line that leads farthest along its path."""
    header: tuple[str, ...] = ()
    best, score = 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        bracket = re.match(r"\s*\[([^\]]+)\]", line)
        key = re.match(r"""\s*((?:"[^"]*"|'[^']*'|[\w.-])+)\s*=""", line)
        if not (bracket or key):
            continue
        parts = tuple(a or b or c for a, b, c in _PARTS.findall((bracket or key)[1]))  # type: ignore[index]
        if bracket:
            header = parts
        here = parts if bracket else header + parts
        shared = min(len(here), len(path))
        if here[:shared] == path[:shared] and shared > score:
            best, score = number, shared
    return Fault(f"{name}:{best}: {fault.path}", fault.rule, fault.detail)
