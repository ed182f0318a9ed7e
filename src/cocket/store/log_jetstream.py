"""The log as a stream of NATS JetStream: for several machines, in three copies.

One partition is one stream of one subject; a message is one group commit (``log_message``), and its sequence number is the offset.
Each message is published with the sequence that must stand before it (``Nats-Expected-Last-Sequence``). This one rule carries
all of the promises:

- *Order, no gaps.* Message n + 1 is not stored unless n is.
- *Once.* A message whose answer did not come (time-out, lost connection, the leader gone) is published again, the very same bytes: either
  it is stored now, or the servers say that something stands in its place; that is read, and is either our own message or another writer's.
- *Fencing.* Whoever opens the log to write stores a ``claim`` first. So a writer that was only paused, and wakes, is behind by one message
  at least: its next message is refused, and it raises ``Fenced`` from then on.

Acknowledged is what the servers acknowledged: stored and fsynced by most of the replicas, given ``sync_interval: always`` (``nats_servers``).

A group beyond the servers' ``max_payload`` becomes several messages, rows first, rejects last. If one of them fails the caller is told that the
group failed; what was stored before it is known to the followers, so that the repeat folds as duplicates. Rejects that were stored, and come
again, stand in the quarantine twice, as with any log that fails after its commit; the sums count both.

Sums and quarantine are also kept in the SQL database (``totals``, ``quarantine``), booked from the messages: with rejects before ``append``
returns, else each second, on a thread of its own, and whatever is missing when the log is opened. Booking moves ``totals.last_offset`` in
the same transaction, so that nothing is booked twice. A database that is away holds up no append: what is to be booked waits
(``booking_failure`` says so).

Source: NATS server 2.15, JetStream API; ADR-31 (direct get in batches).
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent import futures
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from cocket.core.batch import Array, Batch
from cocket.core.errors import BadSetting, CocketError, DataDamaged, Unavailable
from cocket.store.database import Database
from cocket.store.jetstream import Stream
from cocket.store.log import Entry, Fenced, Follower, Prepared, Totals, prepare
from cocket.store.log_message import OVERHEAD, Message
from cocket.store.log_pieces import Piece, pieces_of
from cocket.store.nats_connection import ApiError, NatsConnection
from cocket.store.quarantine import Quarantine, Quarantined
from cocket.store.tables import quarantine, totals

_BOOK_S: Final = 1.0
_BOOK_WAIT_S: Final = 2.0
_SUMS: Final = 65_536
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Unsure:
    """A message that was published, and may be stored."""

    message: Message
    payload: bytes
    entry: Entry
    keys: Array | None
    rejects: tuple[Quarantined, ...]


def stream_name(site: str, partition: int, generation: int = 0) -> str:
    """The stream of a partition: ``COCKET_site_3``, and after the second re-partition ``COCKET_site_g2_3``."""
    return f"COCKET_{site}_g{generation}_{partition}" if generation else f"COCKET_{site}_{partition}"


class JetStreamLog(Quarantine):
    """``cocket.store.log.Log`` as the stream of ``partition`` at ``site``; sums and quarantine in ``db``.

    Opening it takes it over: the writer before, if there is one, is fenced. ``read_only`` takes nothing over and books nothing;
    it reads what there is, beside the writer. The stream is made if it is not there, with ``replicas`` copies.
    ``generation`` counts the re-partitions of the site: each has streams of its own, whose offsets begin at ``first``, behind all that the
    database has booked of the generation before; the sums go on from what is booked.
    ``connection.timeout_s`` bounds each append: then ``Unavailable``, and the next one finds out what became of it.
    Raises ``Unavailable`` when the servers do not answer, ``BadSetting`` when the stream is not one of ours, ``DataDamaged``
    when the stream has lost what ``db`` knows of.
    """

    def __init__(
        self,
        connection: NatsConnection,
        db: Database,
        *,
        site: str = "main",
        partition: int = 0,
        replicas: int = 3,
        generation: int = 0,
        first: int = 1,
        read_only: bool = False,
        follow: Follower | None = None,
    ) -> None:
        super().__init__(db)
        if not _NAME.fullmatch(site):
            raise BadSetting(f"log.site {site!r}: use up to 64 letters, digits, - and _")
        self.site = site
        self.partition = partition
        self.stream = stream_name(site, partition, generation)
        self.subject = f"cocket.log.{site}.{generation}.{partition}"
        self._stream = Stream(connection, self.stream, self.subject, first)
        self._first = first
        self.booking_failure: CocketError | None = None
        self._connection = connection
        self._read_only = read_only
        self._follow = follow
        self._lock = threading.RLock()
        self._writer = secrets.token_bytes(16)
        self._unsure: _Unsure | None = None
        self._fenced: str | None = None
        self._received_us = 0
        self._sums: OrderedDict[int, int] = OrderedDict()
        self._sums_lock = threading.Lock()
        self._ahead: tuple[int, deque[tuple[int, bytes]]] = (0, deque())
        self._ahead_lock = threading.Lock()
        self._rows_each = 1000.0
        self._turn = f"log-{site}-{partition}"
        self._books = threading.Lock()
        self._to_book: list[tuple[int, tuple[Quarantined, ...]]] = []
        self._booked_to = 0
        self._booked_at = time.monotonic()
        self._booked_by: futures.Future[None] | None = None
        self._booker = futures.ThreadPoolExecutor(1, f"cocket-books-{partition}")
        self._state: tuple[int, Totals] = (0, Totals(0, 0, 0))
        self._open(replicas)

    # opening

    def _open(self, replicas: int) -> None:
        if self._read_only:
            self._stream.state()
            return
        self._stream.make(replicas)
        self._stream.trust_leader()
        with self._db.write(self._turn) as connection:
            if connection.execute(self._own(totals.select())).first() is None:
                zero = dict.fromkeys(
                    ("last_offset", "observations", "duplicates", "rejected", "compacted_offset"), 0
                )
                connection.execute(totals.insert().values(id=1 + self.partition, **zero))
        booked, known = self._booked()
        end = time.monotonic() + self._connection.timeout_s
        while (problem := self._claim(booked, known)) is not None:
            if time.monotonic() > end:
                raise problem
            self._connection.run(self._connection.pause())
        self._catch_up(booked)

    def _claim(self, booked: int, known: Totals) -> CocketError | None:
        """Take the log over; what is in the way, if something is. It may pass: a new leader lags, another writer ends."""
        last, sums = self._newest(known)
        if last < booked:
            return DataDamaged(
                f"the stream {self.stream} ends at {last}, but {booked} messages were booked: it lost some; "
                "restore it from a copy"
            )
        self._state = (last, sums)
        try:
            self._write(Piece(kind="claim"), self._received_us)
        except Fenced:
            self._fenced = None  # somebody was quicker: the log is taken over from him
            return Unavailable(f"others keep writing to the stream {self.stream}; end them first")
        return None

    def _newest(self, known: Totals) -> tuple[int, Totals]:
        """The last offset, and the sums up to it."""
        state = self._stream.state()
        last = int(state["last_seq"])
        if last < max(1, int(state["first_seq"])):  # nothing, or all of it trimmed, and booked before that
            return last, known
        message = self._stream.at(last)
        if message is None:
            raise DataDamaged(
                f"{self._stream.where(last)} is missing, though it is the last; restore the stream from a copy"
            )
        self._received_us = message.received_us
        return last, message.sums

    # writing

    def follow(self, follow: Follower) -> None:
        """Set who is told of each new entry."""
        self._follow = follow

    def append(
        self,
        batch: Batch | Prepared | None,
        *,
        received_us: int,
        duplicates: int = 0,
        rejects: Sequence[Quarantined] = (),
        keys: Array | None = None,
    ) -> int:
        """As ``Log.append``. Rejects or duplicates without observations make an entry without a batch."""
        prepared = prepare(batch, keys) if isinstance(batch, Batch) else batch
        with self._lock:
            self.settle()
            room = self._connection.run(self._connection.max_payload()) - OVERHEAD
            for piece in pieces_of(prepared, rejects, duplicates, room):
                self._write(piece, received_us)
            self._book_soon(wait=bool(rejects))
            return self._state[0]

    def append_tick(self, tick_us: int) -> int:
        """As ``Log.append_tick``."""
        with self._lock:
            self.settle()
            self._write(Piece(kind="tick", tick_us=tick_us), tick_us)
            self._book_soon()
            return self._state[0]

    def settle(self) -> None:
        """As ``Log.settle``: publishes again what is unsure, so that it stands there once, or says ``Fenced``."""
        with self._lock:
            if self._fenced is not None:
                raise Fenced(self._fenced)
            if self._unsure is not None:
                self._finish(self._unsure)
                self._book_soon(wait=bool(self._to_book))

    @property
    def fenced(self) -> bool:
        """Whether another writer took over: then this one is of no use any more, but for reading."""
        return self._fenced is not None

    def _write(self, piece: Piece, received_us: int) -> None:
        if self._read_only:
            raise Unavailable(f"the log {self.stream} was opened for reading only")
        last, sums = self._state
        prepared = piece.prepared
        n = 0 if prepared is None else prepared.batch.n
        message = Message(
            offset=last + 1,
            kind=piece.kind,
            writer=self._writer,
            received_us=received_us,
            tick_us=piece.tick_us,
            n=n,
            rejected=piece.rejected,
            duplicates=piece.duplicates,
            size=0 if prepared is None else prepared.size,
            rejects_size=piece.unpacked,
            sums=Totals(
                sums.observations + n, sums.duplicates + piece.duplicates, sums.rejected + piece.rejected
            ),
            rejects=piece.packed,
            blob=b"" if prepared is None else prepared.blob,
        )
        tick = piece.kind == "tick"
        entry = Entry(
            last + 1,
            "tick" if tick else "observations",
            None if prepared is None else prepared.batch,
            piece.tick_us if tick else None,
            received_us,
            n,
        )
        keys = None if prepared is None else prepared.keys
        self._unsure = _Unsure(message, message.to_bytes(), entry, keys, piece.rejects)
        self._finish(self._unsure)

    def _finish(self, unsure: _Unsure) -> None:
        """Publish until it is known to stand in the stream; then it counts."""
        try:
            self._connection.run(self._stream.store(unsure.message.offset, unsure.payload))
        except Fenced as error:
            self._unsure, self._fenced = None, error.detail
            raise
        self._unsure = None
        self._received_us = unsure.message.received_us
        with self._books:
            self._state = (unsure.message.offset, unsure.message.sums)
            if unsure.rejects:
                self._to_book.append((unsure.message.offset, unsure.rejects))
        self._remember(unsure.message)
        if self._follow is not None:
            self._follow(unsure.entry, unsure.keys)

    # booking

    def _own(self, query: Any) -> Any:
        return query.where(totals.c.id == 1 + self.partition)

    def _booked(self) -> tuple[int, Totals]:
        with self._db.read() as connection:
            row = connection.execute(self._own(totals.select())).first()
        if row is None:
            return self._first - 1, Totals(0, 0, 0)
        return max(row.last_offset, self._first - 1), Totals(row.observations, row.duplicates, row.rejected)

    def book(self) -> None:
        """Write sums and quarantine into the database, as far as the log has come. Repeating it changes nothing."""
        with self._books:
            (last, sums), waiting = self._state, self._to_book
            self._to_book = []
        try:
            self._book(last, sums, waiting)
        except BaseException:
            with self._books:
                self._to_book = waiting + self._to_book
            raise
        self.booking_failure, self._booked_to = None, last

    def keep_booked(self) -> None:
        """Book what waits, aside, if it is time. Whoever has the log calls it now and then: nothing else does while nothing comes in."""
        if self._state[0] > self._booked_to or self._to_book:
            self._book_soon()

    def _book_soon(self, *, wait: bool = False) -> None:
        """Book on the booker's thread, if it is time; with ``wait``, and while the database answers, be there when it is done."""
        broken = self.booking_failure is not None
        due = time.monotonic() >= self._booked_at + _BOOK_S
        if (wait and not broken) or (due and (self._booked_by is None or self._booked_by.done())):
            self._booked_at = time.monotonic()
            self._booked_by = self._booker.submit(self._book_or_keep)
            if wait and not broken:
                futures.wait([self._booked_by], _BOOK_WAIT_S)

    def _book_or_keep(self) -> None:
        """The log has them, and is what was promised; a database that is away is told later."""
        try:
            self.book()
        except (CocketError, sa.exc.SQLAlchemyError) as error:
            if self.booking_failure is None:
                _log.warning(
                    "sums and quarantine of %s could not be booked, and wait: %s", self.stream, error
                )
            detail = f"sums and quarantine of the log {self.stream} wait for the database ({error})"
            self.booking_failure = Unavailable(detail)

    def _book(self, last: int, sums: Totals, rejects: Sequence[tuple[int, Sequence[Quarantined]]]) -> None:
        with self._db.write(self._turn) as connection:
            booked = connection.execute(
                self._own(sa.select(totals.c.last_offset)).with_for_update()
            ).scalar_one()
            if booked >= last:
                return
            rows = [q.values() for offset, some in rejects if offset > booked for q in some]
            if rows:
                connection.execute(quarantine.insert(), rows)
            connection.execute(
                self._own(totals.update()).values(
                    last_offset=last,
                    observations=sums.observations,
                    duplicates=sums.duplicates,
                    rejected=sums.rejected,
                )
            )

    def _catch_up(self, booked: int) -> None:
        """Book what a writer before did not come to."""
        last = self._state[0]
        at = booked
        part: Quarantined | None = None
        rejects: list[tuple[int, list[Quarantined]]] = []
        while at < last:
            fetched = self._stream.fetch(at + 1, 256, last)
            if not fetched or fetched[0][0] != at + 1:
                raise DataDamaged(
                    f"messages from {at + 1} on are missing in the stream {self.stream}, and were not booked; "
                    "restore it from a copy"
                )
            for offset, payload in fetched:
                message = self._stream.checked(offset, payload)
                some = message.quarantined()
                if some and part is not None and replace(some[0], raw=b"") == replace(part, raw=b""):
                    some[0] = replace(part, raw=part.raw + some[0].raw)
                part = None
                if (
                    some and not message.rejected
                ):  # of one that is too long for a message; the last part counts
                    part = some[0]
                elif some:
                    rejects.append((offset, some))
                at = offset
            if part is None:
                self._book(at, message.sums, rejects)
                rejects = []

    # reading

    def read(self, after: int, max_rows: int = 20_000) -> list[Entry]:
        """As ``Log.read``; a message that one replica gives damaged is taken from another, if one has it whole."""
        found: list[Entry] = []
        rows, wanted = 0, after + 1
        ahead = self._taken_ahead(wanted)
        while rows < max_rows and len(found) < max_rows:
            if not ahead:
                batch = int((max_rows - rows) / self._rows_each) + 1
                ahead = self._stream.fetch(
                    wanted, min(batch, 1024), None if self._read_only else self._state[0]
                )
                if not ahead:
                    break
            offset, payload = ahead.popleft()
            message = self._stream.checked(offset, payload)
            if message.n:
                self._rows_each = 0.9 * self._rows_each + 0.1 * message.n
            self._remember(message)
            found.append(message.entry(self._stream.where(offset)))
            rows += message.n
            wanted = offset + 1
        with self._ahead_lock:
            self._ahead = (wanted, ahead)
        return found

    def _taken_ahead(self, wanted: int) -> deque[tuple[int, bytes]]:
        """What an earlier reading fetched from ``wanted`` on, and did not use."""
        with self._ahead_lock:
            (start, ahead), self._ahead = self._ahead, (0, deque())
        return ahead if start == wanted else deque()

    def last_offset(self) -> int:
        """As ``Log.last_offset``; with ``read_only``, the servers are asked."""
        return int(self._stream.state()["last_seq"]) if self._read_only else self._state[0]

    def first_offset(self) -> int:
        """As ``Log.first_offset``; the servers are asked."""
        return max(1, int(self._stream.state()["first_seq"]))

    def rows_after(self, offset: int) -> int:
        """As ``Log.rows_after``: the difference of two sums, most often from memory."""
        last, sums = self._latest()
        if offset >= last:
            return 0
        with self._sums_lock:
            upto = self._sums.get(offset)
        if upto is None:
            first = self.first_offset()
            if first > last:
                return 0
            message = self._stream.at(max(offset, first))
            if message is None:  # trimmed meanwhile
                return self.rows_after(offset)
            upto = message.sums.observations - (message.n if offset < first else 0)
        return sums.observations - upto

    def _latest(self) -> tuple[int, Totals]:
        if not self._read_only:
            return self._state
        return self._newest(self._booked()[1])

    def totals(self) -> Totals:
        """As ``Log.totals``."""
        return self._latest()[1]

    def _remember(self, message: Message) -> None:
        with self._sums_lock:
            self._sums[message.offset] = message.sums.observations
            while len(self._sums) > _SUMS:
                self._sums.popitem(last=False)

    # care

    def trim(self, upto: int) -> None:
        """As ``Log.trim``. What is forgotten was booked before."""
        with self._db.read() as connection:
            compacted = connection.execute(self._own(sa.select(totals.c.compacted_offset))).scalar_one()
        if upto > compacted:
            raise ValueError(
                f"history holds the log up to {compacted}; trimming to {upto} would lose the rest"
            )
        upto = min(upto, self._state[0])
        self.book()
        if upto < 1:
            return
        try:
            self._connection.api(f"STREAM.PURGE.{self.stream}", {"seq": upto + 1})
        except ApiError as error:
            raise Unavailable(f"NATS does not trim the stream {self.stream}: {error}") from error
        with self._sums_lock:  # what stands behind a trimmed one is counted from the first that is left
            for offset in [offset for offset in self._sums if offset < upto]:
                del self._sums[offset]

    def damage(self) -> list[str]:
        """As ``Log.damage``. What no server gives whole, or at all, is named, and that a server lacks what others have.

        Beside a writer: what grows at the end is asked before the stream is, and what follows its trimming afterwards.
        """
        known = self._booked()[0] if self._read_only else max(self._state[0], self._booked()[0])
        state = self._stream.state()
        first, last = max(1, int(state["first_seq"])), int(state["last_seq"])
        with self._db.read() as connection:
            compacted = connection.execute(self._own(sa.select(totals.c.compacted_offset))).scalar() or 0
        compacted = max(compacted, self._first - 1)
        found = []
        if first > compacted + 1:
            found.append(
                f"log entries {compacted + 1} to {first - 1} are missing in the stream {self.stream}"
            )
        found.extend(self._stream.damage(first, last))
        found.extend(self._stream.gaps(first, last))
        if last < known:
            found.append(f"log entries {last + 1} to {known} are missing in the stream {self.stream}")
        return found

    def close(self) -> None:
        """Book what waits. What was acknowledged is safe without this; the connection is the caller's."""
        self._booker.shutdown()
        if not self._read_only and self._fenced is None:
            self.book()
