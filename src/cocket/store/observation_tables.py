"""The tables of observations in PostgreSQL, as SQLAlchemy Core knows them. SQLite has none of them.

``observations`` is partitioned by event time, a day (UTC) each; ``observations_rest`` takes what no day does: late
data and absurd times. It is not a table here: rows go in and out by COPY alone (``store.observations``).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

DAY_US: Final = 86_400_000_000
REST: Final = "observations_rest"

observation_metadata = MetaData()

observation_offsets = Table(
    "observation_offsets",
    observation_metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, nullable=False),
)
"""How far each partition's log is written to ``observations``."""

observation_periods = Table(
    "observation_periods",
    observation_metadata,
    Column("name", Text, primary_key=True),
    Column("from_us", BigInteger),
    Column("to_us", BigInteger),
    Column("state", Text, nullable=False),
    Index("observation_periods_from", "from_us"),
)
"""The tables that hold observations: ``hot`` ones are partitions of ``observations``; ``moving`` ones are detached,
take no more rows, and are on their way to Parquet. Without bounds: rows that were in ``observations_rest``."""

observation_files = Table(
    "observation_files",
    observation_metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("place", Text, nullable=False),
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
    Index("observation_files_times", "max_us", "min_us"),
)
"""The Parquet files that count, as ``tables.history_files``; ``place`` says where: empty, the history's folder, or
``s3://bucket/prefix``."""
