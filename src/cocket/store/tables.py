"""Every table of the two SQLite files, as SQLAlchemy Core knows them; in PostgreSQL both may live in one database.

``log.sqlite`` holds what came in (log, quarantine, totals) and which history files there are;
``cocket.sqlite`` holds what was made of it and what people said (alerts, reference data, detection state).
The migrations in ``store/migrations`` create them; ``tests/store`` checks that both say the same.
Times are UTC microseconds. 64-bit keys are kept as signed integers, for SQL knows no others.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

log_metadata = MetaData()
main_metadata = MetaData()

entries = Table(
    "entries",
    log_metadata,
    Column("offset", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("tick_us", BigInteger),
    Column("n", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
    Column("blob", LargeBinary, nullable=False),
)
"""One row per group commit (an Arrow IPC stream in a zstd frame, ``size`` bytes when unpacked) or tick.
``checksum`` covers every other column."""

totals = Table(
    "totals",
    log_metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last_offset", BigInteger, nullable=False),
    Column("observations", BigInteger, nullable=False),
    Column("duplicates", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("compacted_offset", BigInteger, nullable=False),
)
"""One row, id 1: running sums since the folder was made; trimming does not touch them."""

quarantine = Table(
    "quarantine",
    log_metadata,
    Column("id", Integer, primary_key=True),
    Column("received_us", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("row", Integer, nullable=False),
    Column("field", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("protocol", Text),
    Column("device_id", Text),
    Index("quarantine_rule", "rule", "id"),
    Index("quarantine_device", "device_id", "id"),
)
"""``protocol`` and ``device_id`` are of frames of devices: how to read them again, and who sent them."""

history_files = Table(
    "history_files",
    log_metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("level", Integer, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("min_us", BigInteger, nullable=False),
    Column("max_us", BigInteger, nullable=False),
    Column("oldest_us", BigInteger, nullable=False),
    Column("newest_us", BigInteger, nullable=False),
    Column("hours", LargeBinary, nullable=False),
    Column("footer_checksum", LargeBinary, nullable=False),
    Column("chunk_checksums", LargeBinary, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
)
"""The Parquet files that count. ``min_us``/``max_us`` bound event time, ``oldest_us``/``newest_us`` age (the
later of event time and receipt); ``hours`` lists the event hours present (int32, little-endian; empty: any)."""

documents = Table(
    "documents",
    main_metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("doc", JSON, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("changed_at_us", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("corridor", Text),
    Column("is_open", Boolean),
    Column("holder", Text),
    Index("documents_corridor", "corridor"),
    Index("documents_holder", "holder"),
)
"""Zones, corridors, offices, devices, movements, rules. ``corridor``, ``is_open`` (no ``arrived_at``) and
``holder`` (their identification, or else their name) are drawn out of movements, for filtering."""

bindings = Table(
    "bindings",
    main_metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("device_id", Text, nullable=False),
    Column("equipment_id", Text, nullable=False),
    Column("mrn", Text, nullable=False),
    Column("from_us", BigInteger, nullable=False),
    Column("to_us", BigInteger),
    Column("by", Text, nullable=False),
    Index("bindings_device", "device_id", "from_us"),
    Index("bindings_mrn", "mrn"),
    Index("bindings_equipment", "equipment_id"),
)

changes = Table(
    "changes",
    main_metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
    Index("changes_subject", "kind", "id", "version"),
)
"""Who changed which reference data, when, from what to what. Rows are only ever added."""

alerts = Table(
    "alerts",
    main_metadata,
    Column("id", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("journey", Text, nullable=False),
    Column("mrn", Text, nullable=False),
    Column("equipment_id", Text, nullable=False),
    Column("device_id", Text, nullable=False),
    Column("subject", Text),
    Column("began_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),
    Column("raised_event_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Column("raised_us", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("lat_deg", Float),
    Column("lon_deg", Float),
    Column("value", Float),
    Column("peak", Float),
    Column("threshold", Float),
    Column("unit", Text, nullable=False),
    Column("corridor", Text),
    Column("began_key", BigInteger, nullable=False),
    Column("raised_key", BigInteger, nullable=False),
    Column("last_key", BigInteger, nullable=False),
    Column("peak_us", BigInteger, nullable=False),
    Column("peak_key", BigInteger, nullable=False),
    Column("says", Text, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("superseded_us", BigInteger),
    Column("superseded_reason", Text),
    Column("state", Text, nullable=False),
    Column("triage", Text),
    Column("cause", Text),
    Column("acknowledged_by", Text),
    Column("version", Integer, nullable=False),
    Index("alerts_seq", "seq"),
    Index("alerts_newest", "raised_us", "id"),
    Index("alerts_urgent", "rank", "raised_us", "id"),
    Index("alerts_journey", "journey"),
    Index("alerts_mrn", "mrn"),
    Index("alerts_device", "device_id"),
)
"""One row per alert. ``seq`` numbers its latest change; ``rank`` is severity as a number, worst highest."""

alert_history = Table(
    "alert_history",
    main_metadata,
    Column("id", Integer, primary_key=True),
    Column("alert_id", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("note", Text),
    Column("cause", Text),
    Column("triage", Text),
    Index("alert_history_alert", "alert_id", "id"),
)
"""What people did with an alert. Rows are only ever added."""

alert_traces = Table(
    "alert_traces",
    main_metadata,
    Column("alert_id", Text, primary_key=True),
    Column("trace_id", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index("alert_traces_at", "at_us"),
)
"""The trace of which an alert came, where traces are on; kept for 30 days."""

commands = Table(
    "commands",
    main_metadata,
    Column("id", Integer, primary_key=True),
    Column("device_id", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("approved_by", Text),
    Column("approved_us", BigInteger),
    Column("sent_us", BigInteger),
    Column("sent", LargeBinary),
    Column("answered_us", BigInteger),
    Column("answer", Text),
    Column("expires_us", BigInteger, nullable=False),
    Index("commands_device", "device_id", "id"),
    Index("commands_state", "state", "id"),
)
"""Commands to devices: who wanted what and why, who else agreed, what was sent, what the device answered."""

detection = Table(
    "detection",
    main_metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, nullable=False),
    Column("applied_version", BigInteger, nullable=False),
    Column("snapshot_offset", BigInteger, nullable=False),
    Column("snapshot_version", BigInteger, nullable=False),
)
"""How far the log and the changes are detected, and what the snapshot stands for: one row for each partition, whose
id is 1 + the partition."""

alert_numbers = Table(
    "alert_numbers",
    main_metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
)
"""One row, id 1: the newest ``seq`` of the alerts, over all partitions."""

snapshot_pages = Table(
    "snapshot_pages",
    main_metadata,
    Column("name", Text, primary_key=True),
    Column("checksum", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""The detectors' state as of ``detection.snapshot_offset``. Names of partition p > 0 begin with ``p{p}/``."""
