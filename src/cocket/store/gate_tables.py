"""The tables of gates, transports, trip links and response units, in ``cocket.sqlite``. Times are UTC microseconds.

Arrivals, exits, passages of transports and dispatches are only added to. No position of a phone is in any of them.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, Table, Text

from cocket.store.tables import main_metadata

gates = Table(
    "gates",
    main_metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("office", Text),
    Column("kind", Text, nullable=False),
    Column("lat_deg", Float),
    Column("lon_deg", Float),
    Column("radius_m", Float),
    Column("changed_us", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
)
"""Barriers with a plate reader: where each is, and of which office."""

gate_arrivals = Table(
    "gate_arrivals",
    main_metadata,
    Column("id", Integer, primary_key=True),
    Column("gate", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("recorded_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("plate", Text),
    Column("plate_confidence", Float),
    Column("container_ids", JSON, nullable=False),
    Column("device_id", Text),
    Column("decision", Text, nullable=False),
    Column("body", JSON, nullable=False),
    Index("gate_arrivals_gate", "gate", "id"),
)
"""Every arrival with its decision. ``body``: reasons, and what was joined before the barrier."""

gate_exits = Table(
    "gate_exits",
    main_metadata,
    Column("id", Integer, primary_key=True),
    Column("mrn", Text, nullable=False),
    Column("gate", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("office", Text),
    Column("at_us", BigInteger, nullable=False),
    Column("event", Text, nullable=False),
    Column("arrival_id", Integer, nullable=False),
    Index("gate_exits_mrn", "mrn", "gate", unique=True),
)
"""Exit reads: a movement leaves by a gate once. ``event`` is what its machine recorded then."""

transports = Table(
    "transports",
    main_metadata,
    Column("id", Text, primary_key=True),
    Column("plate", Text),
    Column("plate_key", Text),
    Column("device_id", Text),
    Column("booking", Text),
    Column("mrns", JSON, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
    Index("transports_plate", "plate_key"),
)
"""Transport declarations: a vehicle and a phone with the goods declarations that they carry."""

transport_mrns = Table(
    "transport_mrns",
    main_metadata,
    Column("mrn", Text, primary_key=True),
    Column("transport_id", Text, primary_key=True),
)
"""The movements of each transport, for finding it by them."""

transport_passages = Table(
    "transport_passages",
    main_metadata,
    Column("transport_id", Text, primary_key=True),
    Column("mrn", Text, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("zone", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("signal", Text, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("event_seq", Integer, nullable=False),
)
"""Declarations that were activated or confirmed by their transport, each once: its key makes a second one impossible."""

trip_links = Table(
    "trip_links",
    main_metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("mrn", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("revoked_us", BigInteger),
    Column("revoked_by", Text),
    Index("trip_links_mrn", "mrn", "created_us"),
)
"""Links for traders, by the SHA-256 of their tokens; the tokens themselves are kept nowhere."""

units = Table(
    "units",
    main_metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("phone", Text),
    Column("lat_deg", Float, nullable=False),
    Column("lon_deg", Float, nullable=False),
    Column("on_duty", Boolean, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
)
"""Response units, and where each is now."""

unit_dispatches = Table(
    "unit_dispatches",
    main_metadata,
    Column("id", Integer, primary_key=True),
    Column("mrn", Text, nullable=False),
    Column("unit_id", Text, nullable=False),
    Column("unit_name", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("note", Text),
    Column("distance_m", Float),
    Column("alerts", JSON, nullable=False),
    Index("unit_dispatches_mrn", "mrn", "id"),
)
"""Which unit was sent to which movement, by whom, for which alerts."""
