"""Who has which partition: leases in PostgreSQL, by its clock, each with an epoch that fences what came before.

A worker beats several times a lease's length. In one transaction a beat prolongs what it holds, learns what it lost,
takes free partitions up to its fair share, and names those that it has too many of. A worker that was only
paused finds its epoch passed: every transaction that writes detection reads the lease's row first (``fence``), and a
log takes no entry behind one of another writer (``JetStreamLog``).

Gray, Cheriton: Leases (1989); fencing as in Burrows, The Chubby lock service (2006), section 2.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from cocket.core.clock import US
from cocket.core.errors import BadSetting
from cocket.core.slots import are_partitions
from cocket.store.database import Database
from cocket.store.lease_tables import leases, sites, workers
from cocket.store.log import Fenced

_LOCK = "leases"
_END_SESSIONS = sa.text(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = :name AND datname = current_database()"
)


def session_name(worker: str) -> str:
    """Under which a worker's database sessions are known (at most 63 bytes)."""
    return f"cocket {worker}"[:63]


@dataclass(slots=True)
class Beat:
    """What a beat found: partition → epoch. ``spare`` are held and more than a fair share."""

    held: dict[int, int] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    taken: dict[int, int] = field(default_factory=dict)
    spare: list[int] = field(default_factory=list)
    workers: int = 1


class Leases:
    """The leases of one worker. One thread beats; ``fence`` may be called from any."""

    def __init__(self, db: Database, worker: str, at: str, version: str, length_s: float) -> None:
        self._db = db
        self.worker = worker
        self._at = at
        self._version = version
        self._length_us = int(length_s * US)

    def beat(self, held: Mapping[int, int], *, leaving: bool = False) -> Beat:
        """Prolong, lose, take. ``held``: partition → epoch as of the last beat. ``leaving`` takes nothing and is not counted."""
        beat = Beat()
        with self._db.write(lock=_LOCK) as connection:
            now = _now_us(connection)
            until = now + self._length_us
            connection.execute(
                workers.delete().where((workers.c.id == self.worker) | (workers.c.until_us < now))
            )
            if not leaving:
                here = {"id": self.worker, "until_us": until, "at": self._at, "version": self._version}
                connection.execute(workers.insert().values(here))
            there = sorted(connection.execute(sa.select(workers.c.id)).scalars())
            beat.workers = len(there)
            rows = connection.execute(leases.select().order_by(leases.c.partition)).all()
            for row in rows:
                if held.get(row.partition) == row.epoch and row.owner == self.worker:
                    beat.held[row.partition] = row.epoch
            beat.lost = [p for p in held if p not in beat.held]
            if beat.held:
                mine = (leases.c.owner == self.worker) & leases.c.partition.in_(list(beat.held))
                connection.execute(leases.update().where(mine).values(until_us=until))
            share = _share(len(rows), there, self.worker)
            beat.spare = sorted(beat.held)[share:]
            if leaving:
                return beat
            gone = {r.owner for r in rows if r.owner not in {None, self.worker} and r.until_us < now}
            for owner in gone:
                connection.execute(_END_SESSIONS, {"name": session_name(owner)})
            free = [r for r in rows if r.partition not in beat.held and (r.owner is None or r.until_us < now)]
            wanted = free[: max(0, share - len(beat.held))]
            if wanted:  # waits for transactions that hold the fence; prolonging does not
                these = leases.c.partition.in_([row.partition for row in wanted])
                connection.execute(sa.select(leases.c.partition).where(these).with_for_update())
            for row in wanted:
                values = {"owner": self.worker, "epoch": row.epoch + 1, "until_us": until}
                connection.execute(leases.update().where(leases.c.partition == row.partition).values(values))
                beat.taken[row.partition] = row.epoch + 1
        return beat

    def release(self, partition: int, epoch: int) -> None:
        """Let go of a partition, for another to take at once."""
        with self._db.write(lock=_LOCK) as connection:
            mine = (
                (leases.c.partition == partition)
                & (leases.c.owner == self.worker)
                & (leases.c.epoch == epoch)
            )
            connection.execute(leases.update().where(mine).values(owner=None, until_us=0))

    def fence(self, partition: int, epoch: int) -> Callable[[sa.Connection], None]:
        """What raises ``Fenced`` in a transaction if the partition changed hands. It cannot while the transaction lasts."""
        query = sa.select(leases.c.epoch).where(leases.c.partition == partition)

        def check(connection: sa.Connection) -> None:
            now = connection.execute(query.with_for_update(read=True, key_share=True)).scalar_one()
            if now != epoch:
                raise Fenced(
                    f"partition {partition} is at epoch {now}, this worker had {epoch}: another one has it"
                )

        return check


def partitions(db: Database, wanted: int) -> tuple[int, int, int]:
    """(partitions, generation, first offset of its logs) of the site; makes it if there is none yet.

    ``BadSetting`` if it has another number of partitions.
    """
    if not are_partitions(wanted):
        raise BadSetting(f"log.partitions = {wanted}: give a power of two from 1 to 1024")
    with db.write(lock=_LOCK) as connection:
        row = connection.execute(sites.select()).first()
        if row is None:
            make(connection, wanted, 0, 1)
            return wanted, 0, 1
    if row.partitions != wanted:
        raise BadSetting(
            f"log.partitions = {wanted}, but this site has {row.partitions}; `cocket repartition` changes that while no worker runs"
        )
    return int(row.partitions), int(row.generation), int(row.first_offset)


def _share(partitions: int, there: list[str], worker: str) -> int:
    """How many partitions a worker has to have: all the same number, the first ones by name one more if they do not divide."""
    if worker not in there:
        return 0
    each, more = divmod(partitions, len(there))
    return each + (there.index(worker) < more)


def make(connection: sa.Connection, wanted: int, generation: int, first_offset: int) -> None:
    """Write down the site and its partitions, all free."""
    connection.execute(sites.delete())
    connection.execute(leases.delete())
    row = {"id": 1, "partitions": wanted, "generation": generation, "first_offset": first_offset}
    connection.execute(sites.insert().values(row))
    empty = [{"partition": p, "owner": None, "epoch": 0, "until_us": 0} for p in range(wanted)]
    connection.execute(leases.insert(), empty)


def workers_there(db: Database) -> list[dict[str, Any]]:
    """The workers that are there: ``id``, ``at`` (the machine), ``version``."""
    with db.read() as connection:
        there = workers.c.until_us >= _now_us(connection)
        query = sa.select(workers.c.id, workers.c.at, workers.c.version).where(there).order_by(workers.c.id)
        return [dict(row) for row in connection.execute(query).mappings()]


def owners(db: Database) -> dict[int, tuple[str | None, int]]:
    """Partition → (owner, epoch), an owner whose lease has run out left out."""
    with db.read() as connection:
        now = _now_us(connection)
        rows = connection.execute(leases.select()).all()
    return {r.partition: (r.owner if r.until_us >= now else None, r.epoch) for r in rows}


def _now_us(connection: sa.Connection) -> int:
    now = sa.text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
    return int(connection.execute(now).scalar_one())
