"""The tables of the audit and of retention in ``cocket.sqlite``. Times are UTC microseconds.

``audit`` is only ever added to, by ``store.audit``; what is past its term is cut off at its beginning, and the cut is an entry.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from cocket.store.tables import main_metadata

audit = Table(
    "audit",
    main_metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("said_by", Text),
    Column("action", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("purpose", Text),
    Column("status", Integer),
    Column("request_id", Text, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Index("audit_at", "at_us"),
    Index("audit_who", "who", "seq"),
    Index("audit_action", "action", "seq"),
)
"""One row per entry. ``roles`` and ``subject`` are JSON as it was hashed; ``status`` null: begun, its outcome is a later entry of
the same ``request_id``. ``hash`` covers every other column."""

audit_head = Table(
    "audit_head",
    main_metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("cut_seq", BigInteger, nullable=False),
    Column("cut_hash", LargeBinary, nullable=False),
)
"""One row, id 1: the last entry's number and hash, and those of the last entry that was cut off (0 and zeros: none)."""

retention_runs = Table(
    "retention_runs",
    main_metadata,
    Column("id", Integer, primary_key=True),
    Column("began_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("terms", Text, nullable=False),
    Column("counts", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("audit_seq", BigInteger, nullable=False),
)
"""Each run of retention: the terms it went by, what was dropped, made anonymous and held back by kind (JSON), and the SHA-256
over what was dropped, which stands in the audit entry ``audit_seq`` too."""

retention_done = Table(
    "retention_done",
    main_metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
)
"""Movements, documents and evidence that were made anonymous, and when: their bytes are gone, their hashes stand."""
