"""Alerts, how far detection has come, and the detectors' snapshot: all three move in one transaction.

A kill at any point therefore neither loses nor repeats an alert: after it, detection reads on from the snapshot's
offset, and what it finds again changes nothing, for an alert's id is the same in every run.

Who may call: anything from any thread, and over PostgreSQL from any process. Writers queue; readers wait for nobody.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from cocket.core.alerts import SEVERITIES, AlertChange
from cocket.core.errors import Conflict, DataDamaged, NotFound
from cocket.store import alert_pages, alert_rows
from cocket.store.alert_rows import Changed, Group
from cocket.store.database import WRITER, Database
from cocket.store.sight import Sight
from cocket.store.snapshot import page_checksum, write_pages
from cocket.store.tables import alert_history, alert_numbers, alerts, detection, snapshot_pages

_CHUNK: Final = 500
_OF_A_PARTITION: Final = re.compile(r"p[0-9]+/")
_LAST: Final = sa.select(alert_numbers.c.last)


class SnapshotDamaged(DataDamaged):
    """A page of the detectors' snapshot does not match its checksum: the state has to be made anew."""


class AlertEvent(NamedTuple):
    """One alert, new or changed, as it stands after the change numbered ``seq``."""

    seq: int
    alert: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The detectors' state as of ``offset`` of the log and ``applied_version`` of the reference data."""

    offset: int
    applied_version: int
    pages: dict[str, bytes]


@dataclass(slots=True)
class Counts:
    """How many alerts there are. ``open`` and the two tables leave superseded ones out; ``total`` does not."""

    total: int = 0
    open: int = 0
    superseded: int = 0
    by_code: Counter[str] = field(default_factory=Counter)
    by_state: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Closed:
    """What people found on closing one code's alerts: the measured false-alarm rate is ``false / closed``."""

    closed: int = 0
    false: int = 0
    causes: Counter[str] = field(default_factory=Counter)


class Standing(NamedTuple):
    """How far detection of one partition is: a row of ``detection``."""

    offset: int
    applied_version: int
    snapshot_offset: int
    snapshot_version: int


class AlertStore:
    """The alerts in ``db`` (``cocket.sqlite``, or PostgreSQL), as detection of one ``partition`` of the log writes them.

    Several processes may have one each. ``fence`` is called first in every transaction that writes how far detection is,
    with its connection, and raises if the caller may not write any more: who was only paused changes nothing.
    """

    def __init__(
        self, db: Database, partition: int = 0, fence: Callable[[sa.Connection], None] | None = None
    ) -> None:
        self._db = db
        self.partition = partition
        self._fence = fence
        self._lock = threading.RLock()  # of those who write, also while they remember what they wrote
        self._memory = threading.Lock()
        self._tally = threading.Lock()
        self._mine = detection.c.id == 1 + partition
        self._row = sa.select(*(detection.c[name] for name in Standing._fields)).where(self._mine)
        self._state: Standing | None = None
        self._counted: tuple[int, Counter[Group]] | None = None
        if self._standing() is None and not db.read_only:
            with db.write() as connection:
                if connection.execute(self._row).first() is None:
                    first = Standing(0, 0, 0, 0)._asdict()
                    connection.execute(detection.insert().values(id=1 + partition, **first))
        self._counts()

    def reload(self) -> None:
        """Forget what is remembered of the tables: another process wrote this partition."""
        with self._memory:
            self._state = None
        with self._tally:
            self._counted = None

    def _standing(self) -> Standing | None:
        """How far detection is; None before this partition's first write."""
        with self._memory:
            # where others may write it we remember it only while the fence keeps them out
            if self._state is not None and (self._fence is not None or not self._db.shared):
                return self._state
            with self._db.read() as connection:
                row = connection.execute(self._row).first()
            self._state = None if row is None else Standing(*row)
            return self._state

    def _counts(self) -> tuple[int, Counter[Group]]:
        """The newest number, and how many alerts there are in each group at that number."""
        with self._tally:
            if self._counted is not None and not self._db.shared:
                return self._counted
            with self._db.read() as connection:
                last = connection.execute(_LAST).scalar_one()
                if self._counted is None or self._counted[0] != last:
                    self._counted = last, alert_rows.count(connection)
            return self._counted

    @contextmanager
    def _write(self, lock: str = WRITER) -> Iterator[sa.Connection]:
        """A transaction; if it fails, what is remembered is read anew, for a failed commit may have been kept."""
        try:
            with self._db.write(lock) as connection:
                yield connection
        except BaseException:
            self.reload()
            raise

    def _detecting(self) -> AbstractContextManager[sa.Connection]:
        """A transaction of this partition's own rows, beside those of other partitions and of people."""
        return self._write(f"detection {self.partition}")

    def _numbering(self, connection: sa.Connection) -> int:
        """The newest number, which stays so until this transaction ends: numbers are seen in the order they were given.

        It comes last of all locks, and before the alerts are read: nobody else changes one from here on.
        """
        self._db.hold(connection, "alert numbers")
        return int(connection.execute(_LAST).scalar_one())

    def _booked(self, rows: Sequence[Changed], seq: int) -> None:
        """Remember the counts after a transaction that wrote ``rows`` up to ``seq``; with other writers they are asked for."""
        with self._tally:
            if self._counted is not None and self._counted[0] == seq - len(rows) and not self._db.shared:
                self._counted = seq, alert_rows.regroup(self._counted[1], rows)

    def _came_to(self, state: Standing) -> None:
        with self._memory:
            self._state = state

    # the machine's side

    def apply(
        self,
        changes: Sequence[AlertChange],
        offset: int | None,
        *,
        at_us: int,
        pages: Mapping[str, bytes | None] | None = None,
        applied_version: int | None = None,
        also: Callable[[sa.Connection], None] | None = None,
    ) -> list[AlertEvent]:
        """Book what detection found up to ``offset``, in one transaction that is on the disk when it returns.

        New alerts are inserted in state ``raised``. Known ones take the machine's part anew and keep ``raised_us``,
        ``late`` and all that people said. ``superseded`` marks one with ``at_us`` and its reason; one that is
        found to hold after all loses the mark. Only rows that changed get a new ``seq`` and are returned.

        ``offset`` None leaves the offset alone. One that is behind the stored offset means that the log is being
        read again after a crash: the stored alerts are further already, and ``changes`` are left out, so that no
        alert goes back to an earlier state and forth again. ``pages`` (None deletes one) make the snapshot
        stand for ``offset``; ``applied_version`` is the last change of reference data that was taken in.

        ``also`` writes more in the same transaction, such as the observations themselves. It is left out when ``offset``
        is not ahead of the stored one: what it writes was written when the offset came there.
        """
        if pages is not None and offset is None:
            raise ValueError("a snapshot stands for an offset of the log; give it")
        with self._lock:
            with self._detecting() as connection:
                if self._fence is not None:
                    self._fence(connection)
                state = Standing(*connection.execute(self._row).one())
                if also is not None and (offset is None or offset > state.offset):
                    also(connection)
                if pages is not None:
                    write_pages(connection, {self._prefix + name: body for name, body in pages.items()})
                rows: list[Changed] = []
                seq = 0
                if changes and (offset is None or offset >= state.offset):
                    seq = self._numbering(connection)
                    rows = alert_rows.merge(connection, changes, seq, at_us)
                    alert_rows.upsert(connection, rows)
                    seq += len(rows)
                    connection.execute(alert_numbers.update().values(last=seq))
                after = state
                if offset is not None:
                    after = after._replace(offset=max(offset, state.offset))
                if applied_version is not None:
                    after = after._replace(applied_version=applied_version)
                if pages is not None:
                    assert offset is not None
                    after = after._replace(snapshot_offset=offset, snapshot_version=after.applied_version)
                connection.execute(detection.update().where(self._mine).values(after._asdict()))
            self._came_to(after)
            self._booked(rows, seq)
        return [AlertEvent(row["seq"], alert_pages.plain(row)) for row, _ in rows]

    def offset(self) -> int:
        """How far the log is detected."""
        state = self._standing()
        return 0 if state is None else int(state.offset)

    def applied_version(self) -> int:
        """The last change of reference data that detection took in."""
        state = self._standing()
        return 0 if state is None else int(state.applied_version)

    def snapshot_offset(self) -> int:
        """What the snapshot stands for: the log behind it is needed to start again. 0 without one."""
        state = self._standing()
        return 0 if state is None else int(state.snapshot_offset)

    @property
    def _prefix(self) -> str:
        return f"p{self.partition}/" if self.partition else ""

    def _page_names(self, connection: sa.Connection) -> list[str]:
        """The names of this partition's pages, as they are stored."""
        names = connection.execute(sa.select(snapshot_pages.c.name)).scalars()
        if self.partition:
            return [n for n in names if n.startswith(self._prefix)]
        return [n for n in names if not _OF_A_PARTITION.match(n)]

    def load_snapshot(self) -> Snapshot:
        """The last snapshot, each page checked; ``SnapshotDamaged`` names a page that does not match."""
        with self._db.read() as connection:
            state = Standing(*connection.execute(self._row).one())
            names = self._page_names(connection)
            pages = {}
            for i in range(0, len(names), _CHUNK):
                query = snapshot_pages.select().where(snapshot_pages.c.name.in_(names[i : i + _CHUNK]))
                for row in connection.execute(query):
                    if page_checksum(row.name, row.body) != row.checksum:
                        raise SnapshotDamaged(
                            f"snapshot page {row.name!r} in {self._db.path} does not match its checksum"
                        )
                    pages[row.name.removeprefix(self._prefix)] = row.body
        return Snapshot(state.snapshot_offset, state.snapshot_version, pages)

    def forget_snapshot(self) -> None:
        """Drop the snapshot: the next start reads the log from its first offset, if it still has it."""
        with self._lock:
            with self._detecting() as connection:
                if self._fence is not None:
                    self._fence(connection)
                write_pages(connection, dict.fromkeys(self._page_names(connection)))
                state = Standing(*connection.execute(self._row).one())
                after = state._replace(snapshot_offset=0, snapshot_version=0)
                connection.execute(detection.update().where(self._mine).values(after._asdict()))
            self._came_to(after)

    # people's side

    def act(
        self,
        alert_id: str,
        *,
        expected_version: int | None,
        by: str,
        at_us: int,
        to: str,
        note: str | None = None,
        cause: str | None = None,
        triage: str | None = None,
        acknowledged_by: str | None = None,
    ) -> AlertEvent:
        """Write one step of the alert machine (which decides; this only keeps): row, history and event at once.

        None leaves ``cause``, ``triage`` and ``acknowledged_by`` as they were. ``Conflict`` if somebody acted since
        ``expected_version``, ``NotFound`` if there is no such alert.
        """
        with self._lock:
            with self._write() as connection:
                seq = self._numbering(connection) + 1
                old = connection.execute(alerts.select().where(alerts.c.id == alert_id)).mappings().first()
                if old is None:
                    raise NotFound(f"there is no alert {alert_id!r}")
                if expected_version is not None and old["version"] != expected_version:
                    raise Conflict(
                        f"alert {alert_id} is at version {old['version']}, not {expected_version}: somebody acted on it "
                        f"in between (it is {old['state']!r} now); read it again"
                    )
                new = {**old, "seq": seq, "state": to, "version": old["version"] + 1}
                given = {"cause": cause, "triage": triage, "acknowledged_by": acknowledged_by}
                new.update({name: value for name, value in given.items() if value is not None})
                connection.execute(alerts.update().where(alerts.c.id == alert_id).values(new))
                connection.execute(
                    alert_history.insert().values(
                        alert_id=alert_id,
                        at_us=at_us,
                        by=by,
                        from_state=old["state"],
                        to_state=to,
                        note=note,
                        cause=cause,
                        triage=triage,
                    )
                )
                connection.execute(alert_numbers.update().values(last=seq))
            self._booked([(new, dict(old))], seq)
        return AlertEvent(seq, alert_pages.plain(new))

    # reading

    def get(self, alert_id: str) -> dict[str, Any] | None:
        """One alert with its ``history``, oldest step first; None if there is none of that id."""
        with self._db.read() as connection:
            row = connection.execute(alerts.select().where(alerts.c.id == alert_id)).mappings().first()
            if row is None:
                return None
            steps = connection.execute(
                alert_history.select()
                .where(alert_history.c.alert_id == alert_id)
                .order_by(alert_history.c.id)
            )
            history = [
                {
                    "at_us": s.at_us,
                    "by": s.by,
                    "from": s.from_state,
                    "to": s.to_state,
                    "note": s.note,
                    "cause": s.cause,
                    "triage": s.triage,
                }
                for s in steps
            ]
        return {**alert_pages.plain(row), "history": history}

    def page(
        self, filters: Mapping[str, Any], cursor: str | None, limit: int, order: str = "newest"
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Alerts that match ``filters``, ``limit`` at most, and the cursor of the next page (None at the end).

        ``order`` is ``newest`` (raised last first) or ``urgent`` (worst severity first, then newest). Filters:
        ``code``, ``severity``, ``state`` (lists), ``mrn``, ``device_id``, ``equipment_id``, ``since_us``,
        ``until_us`` (of ``raised_us``, until exclusive), ``open`` (not ended, not superseded, not closed), ``superseded``, ``sight``
        (what somebody may see). A cursor that was
        not ours raises ``Malformed``.
        """
        query = alert_pages.query(filters, cursor, order).limit(limit + 1)
        with self._db.read() as connection:
            rows = [alert_pages.plain(row) for row in connection.execute(query).mappings()]
        more = alert_pages.cursor_of(rows[limit - 1], order) if len(rows) > limit else None
        return rows[:limit], more

    def of_journeys(self, journeys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Every alert of these journeys (``binding_key``), superseded ones too, by id."""
        found: dict[str, dict[str, Any]] = {}
        with self._db.read() as connection:
            for i in range(0, len(journeys), _CHUNK):
                query = alerts.select().where(alerts.c.journey.in_(journeys[i : i + _CHUNK]))
                found.update({r["id"]: alert_pages.plain(r) for r in connection.execute(query).mappings()})
        return found

    def open_of(self, mrns: Sequence[str]) -> dict[str, tuple[int, str]]:
        """By movement: how many alerts are open and the worst severity among them; movements without are absent."""
        found: dict[str, tuple[int, str]] = {}
        with self._db.read() as connection:
            for i in range(0, len(mrns), _CHUNK):
                query = (
                    sa.select(alerts.c.mrn, sa.func.count(), sa.func.max(alerts.c.rank))
                    .where(alerts.c.mrn.in_(mrns[i : i + _CHUNK]), alert_pages.OPEN)
                    .group_by(alerts.c.mrn)
                )
                for mrn, count, rank in connection.execute(query):
                    found[mrn] = (count, SEVERITIES[rank])
        return found

    def open_on(self, mrn: str, connection: sa.Connection | None = None) -> list[dict[str, Any]]:
        """Alerts of a movement that are neither closed nor superseded, as the caller's transaction sees them, if there is one."""
        query = alerts.select().where(
            alerts.c.mrn == mrn, alerts.c.state != "closed", alerts.c.superseded_us.is_(None)
        )
        with nullcontext(connection) if connection is not None else self._db.read() as reading:
            return [alert_pages.plain(row) for row in reading.execute(query).mappings()]

    def events_after(self, seq: int, limit: int = 1000, sight: Sight | None = None) -> list[AlertEvent]:
        """Every alert that changed after ``seq``, once, as it stands now, in the order of the latest changes; of those that
        ``sight`` shows, if one is given.
        """
        query = alerts.select().where(alerts.c.seq > seq).order_by(alerts.c.seq).limit(limit)
        if sight is not None:
            query = query.where(sight.alerts())
        with self._db.read() as connection:
            return [
                AlertEvent(row["seq"], alert_pages.plain(row)) for row in connection.execute(query).mappings()
            ]

    def standing(self, subject: str) -> list[dict[str, Any]]:
        """Every alert of a subject that no detector runs again, as it is booked up to ``offset``."""
        with self._db.read() as connection:
            found = connection.execute(alerts.select().where(alerts.c.subject == subject))
            return [alert_pages.plain(row) for row in found.mappings()]

    def open_events(self) -> list[AlertEvent]:
        """Every alert that is neither superseded nor closed, as of its latest change."""
        query = alerts.select().where(alerts.c.superseded_us.is_(None), alerts.c.state != "closed")
        with self._db.read() as connection:
            return [
                AlertEvent(row["seq"], alert_pages.plain(row)) for row in connection.execute(query).mappings()
            ]

    def closed(self) -> list[dict[str, Any]]:
        """id, code, cause and triage of every alert that people closed and that still holds."""
        query = sa.select(alerts.c.id, alerts.c.code, alerts.c.cause, alerts.c.triage).where(
            alerts.c.superseded_us.is_(None), alerts.c.state == "closed"
        )
        with self._db.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def first_event_seq(self) -> int:
        """The oldest ``seq`` to resume from: always 0, for each alert keeps its latest change for ever."""
        return 0

    def last_event_seq(self) -> int:
        """The newest ``seq``; a larger one was not given by this folder."""
        return self._counts()[0] if not self._db.shared else self._last()

    def _last(self) -> int:
        with self._db.read() as connection:
            return int(connection.execute(_LAST).scalar_one())

    def counts(self) -> Counts:
        """How many alerts there are: from memory, if none has changed since they were counted."""
        found = Counts()
        for (code, state, is_open, is_superseded), n in self._counts()[1].items():
            found.total += n
            if is_superseded:
                found.superseded += n
                continue
            found.open += n * is_open
            found.by_code[code] += n
            found.by_state[state] += n
        return found

    def open_by_severity(self) -> dict[str, int]:
        """How many open alerts there are of each severity; reads the table."""
        query = (
            sa.select(alerts.c.severity, sa.func.count())
            .where(alerts.c.ended_us.is_(None), alerts.c.superseded_us.is_(None), alerts.c.state != "closed")
            .group_by(alerts.c.severity)
        )
        with self._db.read() as connection:
            return {severity: int(n) for severity, n in connection.execute(query)}

    def false_alarms(self) -> dict[str, Closed]:
        """By code: how many alerts people closed, how many of them as false, and with which causes."""
        query = (
            sa.select(alerts.c.code, alerts.c.triage, alerts.c.cause, sa.func.count())
            .where(alerts.c.state == "closed", alerts.c.superseded_us.is_(None))
            .group_by(alerts.c.code, alerts.c.triage, alerts.c.cause)
        )
        found: dict[str, Closed] = {}
        with self._db.read() as connection:
            for code, triage, cause, n in connection.execute(query):
                closed = found.setdefault(code, Closed())
                closed.closed += n
                closed.false += n * (triage == "false")
                closed.causes[cause or ""] += n
        return found
