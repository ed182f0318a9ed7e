"""The tables of codes on papers, of scans and of excise stamps, in ``cocket.sqlite``. Times are UTC microseconds.

No private key is in any of them: keys are files in ``keys/``. Scans, uses and events of stamps are only added to.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Float, Index, Integer, Table, Text

from cocket.store.tables import main_metadata

codes = Table(
    "codes",
    main_metadata,
    Column("id", Integer, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("mrn", Text, nullable=False),
    Column("equipment_id", Text),
    Column("gate", Text),
    Column("text", Text, nullable=False),
    Column("kid", Text, nullable=False),
    Column("issued_us", BigInteger, nullable=False),
    Column("issued_by", Text, nullable=False),
    Column("valid_from_us", BigInteger, nullable=False),
    Column("valid_to_us", BigInteger, nullable=False),
    Column("void_us", BigInteger),
    Column("void_by", Text),
    Column("void_reason", Text),
    Index("codes_number", "number", unique=True),
    Index("codes_mrn", "mrn", "purpose"),
    Index("codes_equipment", "equipment_id"),
)
"""One row per code. ``number`` (60 bits) is its short code. The columns ``void_…`` are set once."""

code_uses = Table(
    "code_uses",
    main_metadata,
    Column("code_id", Integer, primary_key=True, autoincrement=False),
    Column("scan_id", Integer, nullable=False),
    Index("code_uses_scan", "scan_id", unique=True),
)
"""The one use of a code: its key makes a second one impossible."""

scans = Table(
    "scans",
    main_metadata,
    Column("id", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("code_id", Integer),
    Column("purpose", Text),
    Column("mrn", Text),
    Column("equipment_id", Text),
    Column("gate", Text),
    Column("office", Text),
    Column("by", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("recorded_us", BigInteger, nullable=False),
    Column("lat_deg", Float),
    Column("lon_deg", Float),
    Column("outcome", Text, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("effects", JSON, nullable=False),
    Column("state", Text),
    Index("scans_mrn", "mrn", "id"),
    Index("scans_code", "code_id", "id"),
    Index("scans_gate", "gate", "id"),
)
"""Every scan, also the refused ones: the text as it came, what it was, what came of it."""

stamp_ranges = Table(
    "stamp_ranges",
    main_metadata,
    Column("id", Integer, primary_key=True),
    Column("product", Text, nullable=False),
    Column("manufacturer", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("valid_to_us", BigInteger),
    Column("issued_us", BigInteger, nullable=False),
    Column("issued_by", Text, nullable=False),
    Index("stamp_ranges_first", "first", unique=True),
    Index("stamp_ranges_last", "last"),
)
"""Ranges of excise stamps, both ends included. No two overlap."""

stamp_events = Table(
    "stamp_events",
    main_metadata,
    Column("id", Integer, primary_key=True),
    Column("range_id", Integer, nullable=False),
    Column("event", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index("stamp_events_range", "range_id", "id"),
)
"""What happened to parts of a range. The state of a stamp is what the newest event over it made it."""

stamp_checks = Table(
    "stamp_checks",
    main_metadata,
    Column("id", Integer, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("serial", BigInteger),
    Column("verdict", Text, nullable=False),
    Column("lat_deg", Float),
    Column("lon_deg", Float),
    Index("stamp_checks_serial", "serial", "id"),
    Index("stamp_checks_at", "at_us"),
)
"""Checks by the public, for as many days as the settings say. ``serial`` only of genuine stamps; positions are rounded."""

stamp_suspicions = Table(
    "stamp_suspicions",
    main_metadata,
    Column("id", Integer, primary_key=True),
    Column("serial", BigInteger, nullable=False),
    Column("check_id", Integer, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("rule", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("stamp_suspicions_serial", "serial", "id"),
)
"""Stamps that were probably copied, and why. Kept longer than the checks, and without a position."""
