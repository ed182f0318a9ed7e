"""ANSI/IEEE N42.42 radiation data: hand-held identifiers, personal detectors, portal monitors (XML).

Document: ANSI N42.42-2006 (root ``N42InstrumentData``, also inside an ``Event``) and N42.42-2012 (root
``RadInstrumentData``, namespace of 2011). Names of elements count, namespaces do not: they are often wrong or not declared. One
foreground measurement is one row; background and calibration are none. Rates are counts by live time; dose rates are
in µSv/h. What an analysis found goes to the last measurement that it refers to, else to the last of all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.sax.saxutils import escape

from defusedxml.ElementTree import DefusedXMLParser  # type: ignore[import-untyped]

from cocket.core.clock import rfc3339
from cocket.core.jsontext import moment, number
from cocket.core.protocol import Cut, Protocol, Reading, Row, Session, Simulation, Undecodable

MOST_BYTES: Final = 4 << 20
MOST_DEPTH: Final = 40
MOST_ROWS: Final = 2000
"""A portal's passage has some hundred measurements; what is behind this many is not read."""

DOSE_UNITS: Final[Mapping[str, float]] = {
    "sv": 1e6,
    "msv": 1e3,
    "usv": 1.0,
    "nsv": 1e-3,
    "rem": 1e4,
    "mrem": 10.0,
    "urem": 0.01,
}
"""µSv in a unit of dose, in small letters. Exposure (R) is no ambient dose and has no factor."""

ALARMS_2006: Final = frozenset({"RadiationAlarm", "GammaAlarm", "NeutronAlarm"})
_PASSED_2012: Final = frozenset({"Background", "Calibration", "IntrinsicActivity"})
_PASSED_2006: Final = frozenset({"background", "calibration", "stabilization"})
_DURATION: Final = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?")
_ROOT: Final = re.compile(rb"<([A-Za-z_][\w.\-:]{0,63})")
_NOT_BLANK: Final = re.compile(rb"[^\s\x00]")
_LONGEST_NUCLIDES: Final = 128
_PREFIX: Final = re.compile(rb"(</?)[A-Za-z_][\w.\-]{0,63}:")
_PREFIXED_ATTRIBUTE: Final = re.compile(rb"(\s)[A-Za-z_][\w.\-]{0,63}:([A-Za-z_][\w.\-]{0,63}\s{0,9}=)")


class _Shallow(TreeBuilder):
    """Builds a tree of local names, no deeper than is allowed."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: Any, attrs: Any) -> Element:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise Undecodable("malformed", f"nested more than {MOST_DEPTH} deep")
        return super().start(_local(tag), {_local(k): v for k, v in attrs.items()})

    def end(self, tag: Any) -> Element:
        self._depth -= 1
        return super().end(_local(tag))


def _local(name: str) -> str:
    return name.rpartition("}")[2].rpartition(":")[2]


def _parse(frame: bytes) -> Element:
    if len(frame) > MOST_BYTES:
        raise Undecodable("malformed", f"a document of {len(frame)} bytes; at most {MOST_BYTES} are read")
    data = frame.strip(b"\r\n\t \0")
    try:
        return _tree(data)
    except (ParseError, LookupError):
        pass
    try:
        return _tree(_mended(data))
    except ParseError as error:
        raise Undecodable("malformed", f"no XML: {error}") from None


def _mended(data: bytes) -> bytes:
    """Without a declaration (of a wrong encoding), as UTF-8 where it was Latin-1, without prefixes (not declared)."""
    if data.startswith(b"<?xml"):
        data = data.partition(b"?>")[2]
    try:
        data.decode()
    except UnicodeDecodeError:
        data = data.decode("latin-1").encode()
    return _PREFIXED_ATTRIBUTE.sub(rb"\1\2", _PREFIX.sub(rb"\1", data))


def _tree(data: bytes) -> Element:
    parser = DefusedXMLParser(target=_Shallow(), forbid_dtd=True)
    parser.feed(data)
    root: Element = parser.close()
    return root


def _split(buffer: bytes, at: int) -> Cut:
    """From the first byte that is no blank to the end of the root element, whatever lines lie between."""
    first = _NOT_BLANK.search(buffer, at)
    if first is None:
        return (len(buffer), len(buffer)) if len(buffer) > at else None
    root = _ROOT.search(buffer, first.start())
    if root is None:
        return None
    end = re.compile(rb"</" + re.escape(root[1]) + rb"\s{0,9}>").search(buffer, root.end())
    return None if end is None else (first.start(), end.end())


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One document."""
    root = _parse(frame)
    new, old = _find(root, "RadInstrumentData"), _find(root, "N42InstrumentData")
    if new is not None:
        found = _read_2012(new)
    elif old is not None:
        found = _read_2006(old)
    else:
        raise Undecodable("unknown-type", f"{str(root.tag)[:40]!r} is no N42 document")
    session.device_id = (
        _text(root, ".//RadInstrumentIdentifier") or _text(root, ".//InstrumentID") or session.device_id
    )
    rows: dict[str, Row] = {}
    for key, row in found:
        if len(rows) >= MOST_ROWS:
            break
        rows[key if key not in rows else f"{key} {len(rows)}"] = row
    for analysis in root.iter("AnalysisResults"):
        said = _analysis(analysis)
        if said:
            known = [rows[r] for r in analysis.get("radMeasurementReferences", "").split() if r in rows]
            if not rows:
                rows[""] = {"observed_us": _time(analysis, "AnalysisStartDateTime", "StartTime")}
            (known or list(rows.values()))[-1].update(said)
    alarm = _alarm_2006(root)
    if alarm is not None and rows:
        row = list(rows.values())[-1]
        row["radiation_alarm"] = row.get("radiation_alarm", False) or alarm
    for row in rows.values():
        row["device_id"] = session.device_id
    reading.rows.extend(rows.values())


def _find(root: Element, name: str) -> Element | None:
    return root if root.tag == name else root.find(f".//{name}")


def _read_2012(doc: Element) -> Iterator[tuple[str, Row]]:
    neutron = {
        e.get("id", "")
        for e in doc.iter("RadDetectorInformation")
        if (_text(e, "RadDetectorCategoryCode") or "").lower() == "neutron"
    }
    measurements = [(m, _text(m, "MeasurementClassCode")) for m in doc.iter("RadMeasurement")]
    wanted = [m for m, kind in measurements if kind == "Foreground"]
    for i, m in enumerate(wanted or [m for m, kind in measurements if kind not in _PASSED_2012]):
        yield m.get("id") or f"measurement {i}", _measurement(m, neutron)


def _measurement(m: Element, neutron: set[str]) -> Row:
    row: Row = {"observed_us": _time(m, "StartDateTime")}
    real = _duration(_text(m, "RealTimeDuration"))
    rates: dict[bool, dict[str, float]] = {False: {}, True: {}}
    for e in (*m.iter("GrossCounts"), *m.iter("Spectrum")):
        detector = e.get("radDetectorInformationReference", "")
        counts = _counts(e.find("CountData")) if e.tag == "GrossCounts" else _counts(e.find("ChannelData"))
        live = _duration(_text(e, "LiveTimeDuration")) or real
        if counts is not None and live:
            rates[detector in neutron or "neutron" in detector.lower()].setdefault(detector, counts / live)
    for kind, column in ((False, "gamma_cps"), (True, "neutron_cps")):
        if rates[kind]:
            row[column] = sum(rates[kind].values())
    doses = [d for e in m.iter("DoseRateValue") if (d := _number(e.text)) is not None]
    if doses:
        row["dose_rate_usvh"] = max(doses)
    point = m.find(".//GeographicPoint")
    if point is not None:
        lat, lon = _number(_text(point, "LatitudeValue")), _number(_text(point, "LongitudeValue"))
        row |= {"lat_deg": lat, "lon_deg": lon, "altitude_m": _number(_text(point, "ElevationValue"))}
    row["speed_mps"] = _number(_text(m, ".//SpeedValue"))
    return row


def _read_2006(doc: Element) -> Iterator[tuple[str, Row]]:
    """Spectra and counts that began at the same time are one row, whatever the number of detectors."""
    for i, m in enumerate(doc.iter("Measurement")):
        rows: dict[int | None, Row] = {}
        place = _place_2006(m)
        slices = list(m.iter("DetectorData"))
        for part in slices or [m]:
            began = _time(part, "StartTime", "SampleStartTime")
            for e in part.iter():
                if e.tag == "Spectrum":
                    _spectrum_2006(e, began, rows)
                elif e.tag == "CountDoseData":
                    _doses_2006(e, began, rows)
        for at, row in rows.items():
            yield f"{i} {at}", row | place


def _entry(rows: dict[int | None, Row], at: int | None) -> Row:
    if at is None and rows:
        return next(reversed(rows.values()))
    return rows.setdefault(at, {"observed_us": at})


def _spectrum_2006(e: Element, began: int | None, rows: dict[int | None, Row]) -> None:
    kind = (_text(e, "SourceType") or e.get("SourceType") or "").lower()
    counts = _counts(e.find("ChannelData"))
    live = _duration(_text(e, "LiveTime")) or _duration(_text(e, "RealTime"))
    if kind in _PASSED_2006 or counts is None or not live:
        return
    row = _entry(rows, _time(e, "StartTime") or began)
    column = "neutron_cps" if _is_neutron(e) else "gamma_cps"
    row[column] = row.get(column, 0.0) + counts / live


def _doses_2006(e: Element, began: int | None, rows: dict[int | None, Row]) -> None:
    row = _entry(rows, _time(e, "StartTime") or began)
    rate = _number(_text(e, "CountRate"))
    if rate is not None:
        found = e.find("CountRate")
        if found is not None and "cpm" in (found.get("Units") or "").lower():
            rate /= 60
        if _is_neutron(e):
            row["neutron_cps"] = row.get("neutron_cps", 0.0) + rate
        else:
            row.setdefault("gamma_cps", rate)
    dose = e.find("DoseRate")
    if dose is not None:
        value, factor = (
            _number(dose.text),
            DOSE_UNITS.get(_unit(dose.get("Units") or dose.get("Unit") or "uSv")),
        )
        if value is not None and factor is not None:
            row["dose_rate_usvh"] = value * factor


def _unit(text: str) -> str:
    return text.strip().lower().partition("/")[0].replace("µ", "u").replace("μ", "u")


def _is_neutron(e: Element) -> bool:
    words = (e.get("DetectorType"), e.get("Detector"), _text(e, "DetectorType"))
    return any("neutron" in w.lower() for w in words if w)


def _place_2006(m: Element) -> Row:
    parts = (_text(m, ".//MeasurementLocation/Coordinates") or _text(m, ".//Coordinates") or "").split()
    values = [_number(p) for p in parts[:2]]
    if len(values) < 2 or None in values:
        return {}
    return {"lat_deg": values[0], "lon_deg": values[1]}


def _analysis(analysis: Element) -> Row:
    said: Row = {}
    names: list[str] = []
    for e in analysis.iter("Nuclide"):
        name = _text(e, "NuclideName")
        identified = (_text(e, "NuclideIdentifiedIndicator") or "true").lower()
        if name and identified in {"true", "1"} and name not in names:
            names.append(name)
    while names and len("+".join(names)) > _LONGEST_NUCLIDES:
        names.pop()
    if names:
        said["nuclide"] = "+".join(names)
    if analysis.find(".//RadAlarm") is not None:
        said["radiation_alarm"] = True
    return said


def _alarm_2006(root: Element) -> bool | None:
    """What the alarm elements of the 2006 dialect say together; None if there are none."""
    said = [
        (e.text or "").strip().lower() in {"true", "1", "yes", "alarm"}
        for e in root.iter()
        if e.tag in ALARMS_2006
    ]
    return any(said) if said else None


def _text(e: Element, path: str) -> str | None:
    found = e.find(path)
    return ((found.text or "").strip() or None) if found is not None else None


def _number(text: str | None) -> float | None:
    try:
        return number({"": (text or "").strip()}, "")
    except Undecodable:
        return None


def _time(e: Element, *names: str) -> int | None:
    for name in names:
        try:
            found = moment({"": _text(e, name)}, "")
        except Undecodable:
            continue
        if found is not None:
            return found
    return None


def _duration(text: str | None) -> float | None:
    """Seconds of an ISO 8601 duration, or of a bare number; None if it is neither, or nothing."""
    if text is None:
        return None
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        return _number(text)
    parts = zip(found.groups(), (86400, 3600, 60, 1), strict=True)
    return sum((_number(value) or 0.0) * unit for value, unit in parts) or None


def _counts(e: Element | None) -> float | None:
    """The sum of the channels. Compressed, a zero is followed by how many zeroes it stands for."""
    if e is None or not (e.text or "").strip():
        return None
    values = map(float, (e.text or "").split())
    if (e.get("compressionCode") or e.get("Compression") or "").lower() != "countedzeroes":
        return sum(values)
    total = 0.0
    for value in values:
        if value == 0:
            next(values, None)
        else:
            total += value
    return total


def _report(row: Row, sequence: int) -> bytes:
    live = 10.0
    gamma, neutron = (round(row.get(name, 0.0) * live) for name in ("gamma_cps", "neutron_cps"))
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<RadInstrumentData xmlns="http://physics.nist.gov/N42/2011/N42" n42DocUUID="{sequence}">',
        '<RadInstrumentInformation id="I">',
        f"<RadInstrumentIdentifier>{escape(str(row['device_id']))}</RadInstrumentIdentifier>",
        "</RadInstrumentInformation>",
        '<RadDetectorInformation id="G"><RadDetectorCategoryCode>Gamma</RadDetectorCategoryCode></RadDetectorInformation>',
        '<RadDetectorInformation id="N">',
        "<RadDetectorCategoryCode>Neutron</RadDetectorCategoryCode></RadDetectorInformation>",
        '<RadMeasurement id="M"><MeasurementClassCode>Foreground</MeasurementClassCode>',
        f"<StartDateTime>{rfc3339(row['observed_us'])}</StartDateTime>",
        f"<RealTimeDuration>PT{live}S</RealTimeDuration>",
        f'<Spectrum id="S" radDetectorInformationReference="G"><LiveTimeDuration>PT{live}S</LiveTimeDuration>',
        f'<ChannelData compressionCode="CountedZeroes">0 5 {gamma} 0 2</ChannelData></Spectrum>'
        if gamma
        else '<ChannelData compressionCode="CountedZeroes">0 8</ChannelData></Spectrum>',
        f'<GrossCounts id="C" radDetectorInformationReference="N"><LiveTimeDuration>PT{live}S</LiveTimeDuration>',
        f"<CountData>{neutron}</CountData></GrossCounts>",
        f"<DoseRate><DoseRateValue>{row.get('dose_rate_usvh', 0.0)!r}</DoseRateValue></DoseRate>",
    ]
    if "lat_deg" in row:
        parts.append(
            "<RadInstrumentState><StateVector><GeographicPoint>"
            f"<LatitudeValue>{row['lat_deg']!r}</LatitudeValue><LongitudeValue>{row['lon_deg']!r}</LongitudeValue>"
            "</GeographicPoint></StateVector></RadInstrumentState>"
        )
    parts.append("</RadMeasurement>")
    if row.get("nuclide") or row.get("radiation_alarm"):
        parts.append('<AnalysisResults radMeasurementReferences="M">')
        if row.get("radiation_alarm"):
            parts.append("<RadAlarm><RadAlarmCategoryCode>Gamma</RadAlarmCategoryCode></RadAlarm>")
        if row.get("nuclide"):
            parts.append("<NuclideAnalysisResults>")
            parts += [
                f"<Nuclide><NuclideIdentifiedIndicator>true</NuclideIdentifiedIndicator>"
                f"<NuclideName>{escape(n)}</NuclideName></Nuclide>"
                for n in row["nuclide"].split("+")
            ]
            parts.append("</NuclideAnalysisResults>")
        parts.append("</AnalysisResults>")
    return "".join((*parts, "</RadInstrumentData>")).encode()


PROTOCOL: Final = Protocol(
    name="n42",
    title="ANSI N42.42 radiation instruments",
    document="ANSI N42.42-2006, ANSI N42.42-2012",
    family="sensor",
    decode=decode,
    split=_split,
    text=True,
    doors=("http", "file"),
    max_frame=MOST_BYTES,
    simulation=Simulation(
        report=_report,
        carries=frozenset(
            {
                "observed_us",
                "lat_deg",
                "lon_deg",
                "gamma_cps",
                "neutron_cps",
                "dose_rate_usvh",
                "radiation_alarm",
                "nuclide",
            }
        ),
    ),
)
