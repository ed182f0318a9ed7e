"""Sparkplug B payloads of edge nodes and their devices (MQTT): births name the metrics, data refer to them by alias.

Document: Eclipse Sparkplug 3.0.0, chapter 6 (payloads, ``sparkplug_b.proto``). The message here is built from the
specification's field numbers. Who speaks is in the topic, so the door gives it; a birth's serial number serves where it
does not. Metrics are read by their names (``core.sensorwords``): the last two parts of the path, then the last.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from cocket.core.protocol import Cut, Protocol, Reading, Row, Session, Simulation, Undecodable
from cocket.core.schema import BY_NAME, Kind
from cocket.core.sensorwords import known, one

_F: Final = descriptor_pb2.FieldDescriptorProto
FIELDS: Final = {
    "Payload": (
        ("timestamp", 1, _F.TYPE_UINT64),
        ("metrics", 2, _F.TYPE_MESSAGE),
        ("seq", 3, _F.TYPE_UINT64),
        ("uuid", 4, _F.TYPE_BYTES),
        ("body", 5, _F.TYPE_BYTES),
    ),
    "Metric": (
        ("name", 1, _F.TYPE_BYTES),
        ("alias", 2, _F.TYPE_UINT64),
        ("timestamp", 3, _F.TYPE_UINT64),
        ("datatype", 4, _F.TYPE_UINT32),
        ("is_historical", 5, _F.TYPE_BOOL),
        ("is_null", 7, _F.TYPE_BOOL),
        ("int_value", 10, _F.TYPE_UINT32),
        ("long_value", 11, _F.TYPE_UINT64),
        ("float_value", 12, _F.TYPE_FLOAT),
        ("double_value", 13, _F.TYPE_DOUBLE),
        ("boolean_value", 14, _F.TYPE_BOOL),
        ("string_value", 15, _F.TYPE_BYTES),
    ),
}
"""Message, field, number, type; times are ms. Text is taken as bytes, for it may be no UTF-8. Data sets, templates, metadata and properties are passed over."""

INT8, INT16, INT32, INT64 = 1, 2, 3, 4
DOUBLE, BOOLEAN, STRING = 10, 11, 12
SIGNED: Final = {INT8: 8, INT16: 16, INT32: 32, INT64: 64}
"""Data types that are two's complement in an unsigned field, and their bits."""

COMPRESSED: Final = b"SPBV1.0_COMPRESSED"
SERIAL: Final = frozenset(
    {"Properties/Serial Number", "Properties/SerialNumber", "Serial Number", "Device ID"}
)
BIRTH: Final = b"bdSeq"

MOST_ALIASES: Final = 2048
MOST_BYTES: Final = 1 << 20
_MOST_NAME: Final = 96
_MS: Final = 1000


def _messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="cocket/sparkplug_b.proto", package="cocket.sparkplug", syntax="proto2"
    )
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        if name == "Metric":
            message.oneof_decl.add(name="value")
        for field, number, kind in fields:
            repeated = kind == _F.TYPE_MESSAGE
            added = message.field.add(
                name=field,
                number=number,
                type=kind,
                label=_F.LABEL_REPEATED if repeated else _F.LABEL_OPTIONAL,
            )
            if repeated:
                added.type_name = ".cocket.sparkplug.Metric"
            if field.endswith("_value"):
                added.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"cocket.sparkplug.{name}"))
        for name in FIELDS
    }


Payload: Final = _messages()["Payload"]


def _split(buffer: bytes, at: int) -> Cut:
    """A message is a payload."""
    return (at, len(buffer)) if at < len(buffer) else None


def decode(frame: bytes, session: Session, reading: Reading) -> None:
    """One payload of NBIRTH, DBIRTH, NDATA, DDATA (or NDEATH, DDEATH, which tell nothing); STATE is JSON and passed over."""
    if frame[:1] == b"{" or frame in {b"ONLINE", b"OFFLINE"}:
        return
    payload = _read(frame)
    if payload.uuid == COMPRESSED:
        payload = _read(_inflated(payload.body))
    aliases: dict[int, tuple[str, int]] = session.memory.setdefault("aliases", {})
    if payload.HasField("seq") and any(m.name.endswith(BIRTH) for m in payload.metrics):
        aliases.clear()
    rows: dict[int | None, Row] = {}
    unknown = 0
    for metric in payload.metrics:
        name, datatype = _named(metric, aliases)
        if name is None:
            unknown += 1
            continue
        value = _value(metric, datatype)
        if name in SERIAL and session.device_id is None and isinstance(value, str) and value:
            session.device_id = value
        if value is None:
            continue
        at = metric.timestamp if metric.is_historical else None
        row = rows.setdefault(at, {"delayed": True} if metric.is_historical else {})
        before = len(row)
        _put(name, value, row)
        if len(row) > before and metric.timestamp:
            row["observed_us"] = max(row.get("observed_us", 0), metric.timestamp * _MS)
    for row in rows.values():
        if not row.keys() - {"delayed", "observed_us"}:
            continue
        if "observed_us" not in row and payload.timestamp:
            row["observed_us"] = payload.timestamp * _MS
        if payload.HasField("seq"):
            row["sequence"] = payload.seq
        row["device_id"] = session.device_id
        reading.rows.append(row)
    if unknown and unknown == len(payload.metrics):
        raise Undecodable(
            "no-birth", f"{unknown} metrics by aliases that no birth has named; ask the node for a rebirth"
        )


def _read(data: bytes) -> Any:
    payload = Payload()
    try:
        payload.ParseFromString(data)
    except DecodeError as error:
        raise Undecodable("malformed", f"no Sparkplug B payload: {error}"[:200]) from None
    if not payload.ListFields():
        raise Undecodable("malformed", "no Sparkplug B payload: nothing that it names is in it")
    return payload


def _inflated(body: bytes) -> bytes:
    """A body compressed with DEFLATE or GZIP; no more than ``MOST_BYTES``."""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, MOST_BYTES)
    except zlib.error as error:
        raise Undecodable("malformed", f"the compressed body cannot be read: {error}") from None


def _named(metric: Any, aliases: dict[int, tuple[str, int]]) -> tuple[str | None, int]:
    """The metric's name and data type; what a birth says is remembered under its alias."""
    if metric.name:
        name = metric.name[:_MOST_NAME].decode("utf-8", "replace")
        if metric.HasField("alias") and (metric.alias in aliases or len(aliases) < MOST_ALIASES):
            aliases[metric.alias] = (name, metric.datatype)
        return name, metric.datatype
    name, datatype = aliases.get(metric.alias, (None, 0))
    return name, metric.datatype or datatype


def _value(metric: Any, datatype: int) -> Any:
    which = metric.WhichOneof("value")
    if metric.is_null or which is None:
        return None
    value = getattr(metric, which)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    bits = SIGNED.get(datatype)
    if bits and which in {"int_value", "long_value"}:
        value &= (1 << bits) - 1
        if value >> (bits - 1):
            value -= 1 << bits
    return value


def _put(name: str, value: Any, row: Row) -> None:
    parts = name.split("/")
    for tail in (parts[-2:], parts[-1:]):
        word = "".join(tail)
        if known(word):
            one(word, value, row)
            return


CARRIES: Final = (
    "lat_deg",
    "lon_deg",
    "speed_mps",
    "course_deg",
    "fix_valid",
    "battery_pct",
    "battery_v",
    "temp_c",
    "humidity_pct",
    "door_open",
    "locked",
    "casing_open",
    "shock_g",
)


def _metric(payload: Any, alias: int, column: str, value: Any) -> None:
    metric = payload.metrics.add(alias=alias)
    if BY_NAME[column].kind is Kind.BOOL:
        metric.datatype, metric.boolean_value = BOOLEAN, value
    else:
        metric.datatype, metric.double_value = DOUBLE, value


def _hello(device_id: str) -> bytes:
    payload = Payload(timestamp=1_700_000_000_000, seq=0)
    payload.metrics.add(name=BIRTH, datatype=INT64, long_value=0)
    payload.metrics.add(name=b"Properties/Serial Number", datatype=STRING, string_value=device_id.encode())
    for alias, column in enumerate(CARRIES, 1):
        kind = BOOLEAN if BY_NAME[column].kind is Kind.BOOL else DOUBLE
        payload.metrics.add(name=f"Sensors/{column}".encode(), alias=alias, datatype=kind, is_null=True)
    return bytes(payload.SerializeToString())


def _report(row: Row, sequence: int) -> bytes:
    payload = Payload(timestamp=row["observed_us"] // _MS, seq=sequence % 256)
    said: Iterable[tuple[int, str]] = enumerate(CARRIES, 1)
    for alias, column in said:
        if row.get(column) is not None:
            _metric(payload, alias, column, row[column])
    return bytes(payload.SerializeToString())


PROTOCOL: Final = Protocol(
    name="sparkplug",
    title="Sparkplug B edge nodes and devices",
    document="Eclipse Sparkplug 3.0.0",
    family="sensor",
    decode=decode,
    split=_split,
    doors=("mqtt", "http"),
    max_frame=MOST_BYTES,
    simulation=Simulation(report=_report, carries=frozenset({"observed_us", *CARRIES}), hello=_hello),
)
