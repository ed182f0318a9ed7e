"""The tables of the customs file in ``cocket.sqlite``: documents, events of the machines, guarantees, deadlines.

``customs_documents``, ``file_events``, ``file_refusals`` and ``evidence`` are only added to; ``file_subjects`` and ``deadlines`` are
what follows from the events, kept for asking. Times are UTC microseconds, money is exact decimal text.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from cocket.store.tables import main_metadata

customs_documents = Table(
    "customs_documents",
    main_metadata,
    Column("id", Text, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("reference", Text),
    Column("mrn", Text),
    Column("lrn", Text),
    Column("received_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("flags", JSON, nullable=False),
    Column("effects", JSON, nullable=False),
    Column("read", LargeBinary, nullable=False),
    Column("original", LargeBinary, nullable=False),
    Index("customs_documents_seq", "seq", unique=True),
    Index("customs_documents_sha256", "sha256", unique=True),
    Index("customs_documents_reference", "reference", "kind"),
    Index("customs_documents_mrn", "mrn"),
    Index("customs_documents_lrn", "lrn"),
)
"""One row per document. ``read``: what the reader made of it (canonical model, origins, what is raw), JSON in a zstd frame;
``original``: the bytes as they came, in a zstd frame."""

document_subjects = Table(
    "document_subjects",
    main_metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("document_id", Text, primary_key=True),
)
"""What a document names, for finding it: its equipment, seals, plates, bills, bookings."""

file_events = Table(
    "file_events",
    main_metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("machine", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("mrn", Text),
    Column("event", Text, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("recorded_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("office", Text),
    Column("reason", Text),
    Column("details", JSON, nullable=False),
    Column("document_id", Text),
    Index("file_events_subject", "machine", "subject", "at_us", "seq"),
    Index("file_events_mrn", "mrn", "seq"),
)
"""What happened to movements, seals and guarantees: event time, recorded time, who. The state is their fold; ``from_state`` and
``to_state`` are what it led from and to as known when it was recorded, for those who follow the feed."""

file_subjects = Table(
    "file_subjects",
    main_metadata,
    Column("machine", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Column("mrn", Text),
    Column("summary", JSON, nullable=False),
    Index("file_subjects_state", "machine", "state", "subject"),
    Index("file_subjects_mrn", "mrn"),
)
"""Where each subject stands now. ``last_us``: event time of its latest event."""

file_refusals = Table(
    "file_refusals",
    main_metadata,
    Column("seq", Integer, primary_key=True),
    Column("mrn", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("recorded_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("office", Text),
    Index("file_refusals_mrn", "mrn"),
)
"""What somebody tried and was refused: who, what, why."""

waiting_effects = Table(
    "waiting_effects",
    main_metadata,
    Column("id", Integer, primary_key=True),
    Column("reference", Text, nullable=False),
    Column("document_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("body", JSON, nullable=False),
    Index("waiting_effects_reference", "reference", "at_us"),
)
"""What documents say that could not be recorded yet: their movement has no MRN yet, or has not come so far."""

deadlines = Table(
    "deadlines",
    main_metadata,
    Column("mrn", Text, primary_key=True),
    Column("event", Text, primary_key=True),
    Column("due_us", BigInteger, nullable=False),
    Index("deadlines_due", "due_us"),
)
"""What will be recorded by itself when its time comes and nothing else happened."""

guarantees = Table(
    "guarantees",
    main_metadata,
    Column("grn", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("amount", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("reserved", Text, nullable=False),
    Column("called", Text, nullable=False),
    Column("valid_from_us", BigInteger),
    Column("valid_to_us", BigInteger),
    Column("changed_us", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
)
"""The ledger's heads. ``reserved`` and ``called`` are the sums of its entries (``file_subjects`` of the guarantee machine)."""

evidence = Table(
    "evidence",
    main_metadata,
    Column("id", Text, primary_key=True),
    Column("mrn", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("evidence_mrn", "mrn"),
)
"""Photos and papers that somebody gave to a movement."""
