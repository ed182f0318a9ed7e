"""The observation: every column's type, unit and rule, in one table.

An observation is one thing that one device said at one time. Unknown is null, never 0. Column names carry
their units. Everything that reads, stores, checks or shows observations reads this table; a column that is
not here does not exist.

Times are UTC microseconds since 1970 (``*_us`` inside, RFC 3339 ``*_at`` at the doors). Positions are WGS 84.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION: Final = 1

NULL_INT: Final = -(2**63)
"""Null in an int64 column (counts, times)."""

NULL_BOOL: Final = -1
"""Null in an int8 column of truth values (0 false, 1 true)."""


class Kind(Enum):
    """How a column is kept in memory (see ``core.batch``) and in Arrow."""

    TEXT = "text"
    ENUM = "enum"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its kind, unit, the inclusive range or length it must keep, and what it means.

    ``content`` says whether it counts when two observations are compared for being the same one sent twice:
    what the device said does, how and when it reached us does not. ``door`` says whether a client may set it.
    """

    name: str
    kind: Kind
    doc: str
    unit: str = ""
    lo: float | None = None
    hi: float | None = None
    max_len: int = 0
    values: tuple[str, ...] = ()
    required: bool = False
    content: bool = True
    door: bool = True


TIME_QUALITIES: Final = ("device", "ahead", "before-2010", "received")
"""``device``: the device's clock, plausible. ``ahead``: more than five minutes after we received it.
``before-2010``: a clock that was never set; these two are kept, and move no journey's clock. ``received``: the
message carries no time, the event time is when its bytes reached us."""

NAV_STATUSES: Final = (
    "under-way-engine",
    "at-anchor",
    "not-under-command",
    "restricted-manoeuvre",
    "constrained-draught",
    "moored",
    "aground",
    "fishing",
    "under-way-sailing",
    "reserved-9",
    "reserved-10",
    "towing-astern",
    "pushing-ahead",
    "reserved-13",
    "ais-sart",
)
"""Navigational status of a vessel, by its number (ITU-R M.1371-5, table 45); 15 is "not defined"."""

FIX_SOURCES: Final = ("gnss", "cell", "wifi", "beacon", "manual")

COLUMNS: Final[tuple[Column, ...]] = (
    # identity
    Column("device_id", Kind.TEXT, "the device that speaks", max_len=64, required=True),
    Column("sequence", Kind.INT, "the device's own running number", lo=0, hi=2**62),
    # times
    Column("observed_us", Kind.TIME, "event time, by the device's clock", "µs", required=True),
    Column("received_us", Kind.TIME, "when we received it", "µs", content=False, door=False),
    Column(
        "time_quality",
        Kind.ENUM,
        "how far the event time can be trusted",
        values=TIME_QUALITIES,
        content=False,
        door=False,
    ),
    # position
    Column("lat_deg", Kind.FLOAT, "latitude, WGS 84", "°", lo=-90, hi=90),
    Column("lon_deg", Kind.FLOAT, "longitude, WGS 84", "°", lo=-180, hi=180),
    Column("speed_mps", Kind.FLOAT, "speed over ground", "m/s", lo=0, hi=1000),
    Column("course_deg", Kind.FLOAT, "course over ground, clockwise from north", "°", lo=0, hi=360),
    Column("heading_deg", Kind.FLOAT, "true heading, clockwise from north", "°", lo=0, hi=360),
    Column("altitude_m", Kind.FLOAT, "height above mean sea level", "m", lo=-1000, hi=50000),
    Column("hdop", Kind.FLOAT, "horizontal dilution of precision", lo=0, hi=1000),
    Column("fix_valid", Kind.BOOL, "the receiver vouches for the position"),
    Column("fix_source", Kind.ENUM, "what gave the position", values=FIX_SOURCES),
    Column("satellites", Kind.INT, "satellites used for the position", lo=0, hi=255),
    Column("fence_entered", Kind.BOOL, "the device tells of entering a zone that it keeps itself"),
    Column("fence_left", Kind.BOOL, "the device tells of leaving a zone that it keeps itself"),
    # seal
    Column("locked", Kind.BOOL, "the lock's motor or bolt is closed"),
    Column("rope_inserted", Kind.BOOL, "the rope or shackle is in the lock"),
    Column("rope_cut", Kind.BOOL, "the rope or shackle is cut"),
    Column("casing_open", Kind.BOOL, "the device's own casing is open"),
    Column(
        "unlock_method",
        Kind.TEXT,
        "what unlocked it: card, password, remote, sms, bluetooth, key …",
        max_len=32,
    ),
    Column("card_id", Kind.TEXT, "the card held to the lock", max_len=64),
    Column("card_refused", Kind.BOOL, "the lock itself refused the card as not permitted"),
    Column("wrong_password", Kind.BOOL, "the lock's alarm for too many wrong passwords"),
    Column("motor_stuck", Kind.BOOL, "the lock's motor does not move"),
    Column("unlock_alarm", Kind.BOOL, "the lock's own alarm for an opening that was not permitted"),
    Column("vibration", Kind.BOOL, "the device felt a knock or shaking"),
    # device
    Column("battery_pct", Kind.FLOAT, "battery charge", "%", lo=0, hi=100),
    Column("battery_v", Kind.FLOAT, "battery voltage", "V", lo=0, hi=1000),
    Column("external_power", Kind.BOOL, "fed from outside"),
    Column("charging", Kind.BOOL, "the battery is being charged"),
    Column("battery_low", Kind.BOOL, "the device's own alarm for a low battery"),
    Column("gsm_signal", Kind.INT, "mobile network signal", "%", lo=0, hi=100),
    Column("jamming", Kind.BOOL, "the device itself tells of interference with GNSS or the mobile network"),
    Column("sos", Kind.BOOL, "someone pressed the device's alarm button"),
    Column("ignition", Kind.BOOL, "the vehicle's ignition is on"),
    Column("odometer_m", Kind.FLOAT, "distance counted by the device or the vehicle", "m", lo=0, hi=1e10),
    # environment
    Column("temp_c", Kind.FLOAT, "temperature", "°C", lo=-273.15, hi=1000),
    Column("humidity_pct", Kind.FLOAT, "relative humidity", "%", lo=0, hi=100),
    Column("light_lux", Kind.FLOAT, "light", "lx", lo=0, hi=1e6),
    Column("shock_g", Kind.FLOAT, "largest acceleration since the last report", "g", lo=0, hi=10000),
    Column("door_open", Kind.BOOL, "the door is open"),
    Column("temp_set_c", Kind.FLOAT, "temperature that a reefer is set to", "°C", lo=-273.15, hi=1000),
    Column("temp_supply_c", Kind.FLOAT, "air that a reefer blows in", "°C", lo=-273.15, hi=1000),
    Column("temp_ambient_c", Kind.FLOAT, "air around a reefer", "°C", lo=-273.15, hi=1000),
    Column("o2_pct", Kind.FLOAT, "oxygen inside", "%", lo=0, hi=100),
    Column("co2_pct", Kind.FLOAT, "carbon dioxide inside", "%", lo=0, hi=100),
    # radiation
    Column("gamma_cps", Kind.FLOAT, "gamma counts", "1/s", lo=0, hi=1e12),
    Column("neutron_cps", Kind.FLOAT, "neutron counts", "1/s", lo=0, hi=1e12),
    Column("dose_rate_usvh", Kind.FLOAT, "ambient dose equivalent rate", "µSv/h", lo=0, hi=1e12),
    Column("radiation_alarm", Kind.BOOL, "the instrument's own alarm"),
    Column("nuclide", Kind.TEXT, "nuclides that the instrument names, joined by +", max_len=128),
    # vessel
    Column("nav_status", Kind.ENUM, "navigational status of a vessel", values=NAV_STATUSES),
    Column("vessel_name", Kind.TEXT, "name of the vessel", max_len=64),
    Column("imo", Kind.TEXT, "IMO number of the vessel, seven digits", max_len=16),
    Column("call_sign", Kind.TEXT, "radio call sign", max_len=16),
    Column("ship_type", Kind.INT, "type of ship and cargo, ITU-R M.1371-5, table 53", lo=0, hi=255),
    Column("draught_m", Kind.FLOAT, "present static draught", "m", lo=0, hi=50),
    Column("destination", Kind.TEXT, "where the vessel says that it goes", max_len=64),
    # read
    Column("code", Kind.TEXT, "what a reader read: plate, EPC, container number, QR text", max_len=512),
    Column("symbology", Kind.TEXT, "what kind of code: plate, epc, iso6346, qr, datamatrix …", max_len=32),
    Column("confidence", Kind.FLOAT, "the reader's confidence", lo=0, hi=1),
    Column("reader_id", Kind.TEXT, "the antenna or camera that read it", max_len=64),
    Column("rssi_dbm", Kind.FLOAT, "strength of the signal that was read", "dBm", lo=-300, hi=100),
    Column("equipment_id", Kind.TEXT, "the equipment that the message itself names", max_len=64),
    # conduct, as the gateway saw it
    Column("connected_twice", Kind.BOOL, "the device spoke on two connections at once", door=False),
    Column("moved_impossibly", Kind.BOOL, "faster than anything could have gone", door=False),
    Column("sequence_replayed", Kind.BOOL, "a running number that it had used up came again", door=False),
    Column("identity_changed", Kind.BOOL, "one connection named two devices", door=False),
    # provenance
    Column("delayed", Kind.BOOL, "the device kept it while it had no network", content=False),
    Column("source", Kind.TEXT, "the door it came through", max_len=64, content=False),
    Column("raw_ref", Kind.TEXT, "where the raw bytes are kept", max_len=256, content=False),
)

BY_NAME: Final[dict[str, Column]] = {c.name: c for c in COLUMNS}

TIME_AHEAD_US: Final = 5 * 60 * 1_000_000
"""An event time further ahead of our clock than this is marked ``ahead``."""

TIME_EPOCH_US: Final = 1_262_304_000 * 1_000_000
"""2010-01-01T00:00:00Z: an event time before it is marked ``before-2010``."""


@cache
def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of one column, as it stands in the log, in history and in Arrow bodies."""
    import pyarrow as pa

    return {
        Kind.TEXT: pa.string(),
        Kind.ENUM: pa.string(),
        Kind.INT: pa.int64(),
        Kind.FLOAT: pa.float64(),
        Kind.BOOL: pa.bool_(),
        Kind.TIME: pa.timestamp("us", tz="UTC"),
    }[BY_NAME[name].kind]


@cache
def arrow_schema() -> pa.Schema:
    """The whole observation as an Arrow schema; each field's metadata holds its unit and meaning."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(
                c.name,
                arrow_type(c.name),
                nullable=not c.required,
                metadata={"unit": c.unit, "doc": c.doc},
            )
            for c in COLUMNS
        ],
        metadata={"cocket.schema": str(SCHEMA_VERSION)},
    )
