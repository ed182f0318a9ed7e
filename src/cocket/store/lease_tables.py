"""Tables by which workers share the partitions of a site. One machine's data folder has them too, empty."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from cocket.store.tables import main_metadata

sites = Table(
    "sites",
    main_metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("partitions", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("first_offset", BigInteger, nullable=False),
)
"""One row, id 1: how many partitions there are, how often that was changed, and where their logs begin."""

leases = Table(
    "leases",
    main_metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("owner", Text),
    Column("epoch", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
)
"""Who has a partition until when, by the database's clock. ``epoch`` grows with every change of hands: what is written
under an older one is refused."""

workers = Table(
    "workers",
    main_metadata,
    Column("id", Text, primary_key=True),
    Column("until_us", BigInteger, nullable=False),
    Column("at", Text, nullable=False),
    Column("version", Text, nullable=False),
)
"""Workers that are there, until when, and on which machine."""
