"""Alerts, offset and snapshot in one transaction; the same again changes nothing."""

from __future__ import annotations

import random
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from cocket.core.errors import Conflict, DataDamaged, Malformed, NotFound
from cocket.store import tables
from cocket.store.alerts import AlertStore
from cocket.store.database import Database
from cocket.store.folder import DataFolder


@pytest.fixture
def folder(either_folder):
    return either_folder


def test_a_new_alert_is_told_once_with_plain_values(folder, change):
    events = folder.alerts.apply([change("a"), change("b")], 3, at_us=200)
    assert [(e.seq, e.alert["id"], e.alert["state"], e.alert["version"]) for e in events] == [
        (1, "a", "raised", 1),
        (2, "b", "raised", 1),
    ]
    alert = folder.alerts.get("a")
    assert (alert["began_key"], alert["raised_key"]) == (2**64 - 1, 2**63)
    assert (alert["value"], alert["lon_deg"], alert["superseded_us"]) == (3.5, None, None)
    assert alert["history"] == []
    assert {k: v for k, v in alert.items() if k != "history"} == events[0].alert
    assert folder.alerts.get("nobody") is None


def test_the_same_again_makes_no_event(folder, change):
    changes = [change("a", late=True), change("b", ended_us=50, count=3)]
    folder.alerts.apply(changes, 3, at_us=200)
    assert folder.alerts.apply(changes, 3, at_us=300) == []
    assert folder.alerts.apply(changes, 9, at_us=300) == []
    assert folder.alerts.offset() == 9


def test_a_change_keeps_what_was_first_and_what_people_said(folder, change):
    folder.alerts.apply([change("a", late=True)], 1, at_us=200)
    folder.alerts.act(
        "a", expected_version=1, by="ana", at_us=210, to="acknowledged", acknowledged_by="ana", note="seen"
    )
    folder.alerts.act("a", expected_version=2, by="bo", at_us=220, to="closed", triage="false", cause="test")
    (event,) = folder.alerts.apply(
        [change("a", raised_us=999, late=False, count=5, ended_us=77, severity="high")], 2, at_us=300
    )
    alert = event.alert
    assert (alert["raised_us"], alert["late"], alert["state"], alert["triage"], alert["cause"]) == (
        100,
        True,
        "closed",
        "false",
        "test",
    )
    assert (alert["count"], alert["ended_us"], alert["severity"], alert["version"]) == (5, 77, "high", 3)
    assert alert["acknowledged_by"] == "ana"
    assert [(h["by"], h["from"], h["to"], h["note"]) for h in folder.alerts.get("a")["history"]] == [
        ("ana", "raised", "acknowledged", "seen"),
        ("bo", "acknowledged", "closed", None),
    ]


def test_superseded_stays_with_reason_and_time_and_may_hold_again(folder, change):
    folder.alerts.apply([change("a")], 1, at_us=200)
    folder.alerts.apply([change("a", superseded="a late report says otherwise")], 2, at_us=300)
    assert folder.alerts.apply([change("a", superseded="a late report says otherwise")], 3, at_us=400) == []
    alert = folder.alerts.get("a")
    assert (alert["superseded_us"], alert["superseded_reason"]) == (300, "a late report says otherwise")
    assert (folder.alerts.counts().superseded, folder.alerts.counts().open) == (1, 0)
    assert folder.alerts.open_events() == []
    (event,) = folder.alerts.apply([change("a")], 4, at_us=500)
    assert (event.alert["superseded_us"], event.alert["superseded_reason"]) == (None, None)
    assert (folder.alerts.counts().superseded, folder.alerts.counts().open) == (0, 1)


def test_a_replay_behind_the_offset_moves_no_alert_back(folder, change):
    folder.alerts.apply([change("a")], 5, at_us=200)
    folder.alerts.apply([change("a", ended_us=60)], 8, at_us=200)
    assert folder.alerts.apply([change("a")], 5, at_us=300, pages={"p": b"at 5"}) == []
    assert folder.alerts.get("a")["ended_us"] == 60
    assert (folder.alerts.offset(), folder.alerts.snapshot_offset()) == (8, 5)
    assert folder.alerts.apply([change("a", ended_us=60)], 8, at_us=300) == []
    assert len(folder.alerts.apply([change("a", ended_us=61)], None, at_us=300)) == 1
    assert folder.alerts.offset() == 8


STEP = st.tuples(st.sampled_from("abc"), st.integers(1, 4), st.sampled_from([None, "no longer"]))


@settings(max_examples=12, deadline=None)
@given(st.lists(st.lists(STEP, max_size=4), max_size=8), st.data())
def test_killed_anywhere_and_read_again_from_the_snapshot_ends_the_same(main_file, change, batches, data):
    """Each batch is one offset; the run stops after some, starts again from an earlier snapshot, and goes on."""
    stops = data.draw(st.lists(st.integers(0, len(batches)), max_size=3))

    def changes(batch):
        return [change(i, count=n, superseded=s) for i, n, s in batch]

    def outcome(store):
        return sorted(
            (e.alert["id"], e.alert["count"], e.alert["superseded_us"]) for e in store.events_after(0)
        )

    @contextmanager
    def opened(path):
        db = Database(path, "main", tables.main_metadata)
        yield AlertStore(db)
        db.close()

    path = main_file()
    told = []
    for stop in [*stops, len(batches)]:
        with opened(path) as killed:
            for offset in range(killed.snapshot_offset() + 1, max(stop, killed.offset()) + 1):
                pages = {"p": b""} if offset % 3 == 0 else None
                events = killed.apply(changes(batches[offset - 1]), offset, at_us=offset, pages=pages)
                told.extend(e.seq for e in events)
    with opened(path) as killed, opened(main_file()) as straight:
        for offset, batch in enumerate(batches, 1):
            straight.apply(changes(batch), offset, at_us=offset)
        assert outcome(killed) == outcome(straight)
        assert told == list(range(1, straight.last_event_seq() + 1))
        assert killed.last_event_seq() == len(told)
        assert killed.counts().total == straight.counts().total
        assert killed.counts().superseded == straight.counts().superseded


def test_snapshot_pages_are_replaced_deleted_and_checked(folder, change):
    with pytest.raises(ValueError, match="offset"):
        folder.alerts.apply([], None, at_us=0, pages={"a": b""})
    folder.alerts.apply([], 4, at_us=0, pages={"a": b"1", "b": b"2"}, applied_version=7)
    folder.alerts.apply([], 5, at_us=0, applied_version=8)
    folder.alerts.apply([], 6, at_us=0, pages={"a": b"3", "b": None, "c": b""})
    snapshot = folder.alerts.load_snapshot()
    assert (snapshot.offset, snapshot.applied_version, snapshot.pages) == (6, 8, {"a": b"3", "c": b""})
    with folder.alerts._db.write() as other:
        other.execute(
            tables.snapshot_pages.update().where(tables.snapshot_pages.c.name == "a").values(body=b"4")
        )
    with pytest.raises(DataDamaged, match="page 'a'"):
        folder.alerts.load_snapshot()
    folder.alerts.forget_snapshot()
    assert (folder.alerts.load_snapshot().pages, folder.alerts.snapshot_offset()) == ({}, 0)


def test_a_transaction_that_fails_leaves_nothing(folder, change):
    folder.alerts.apply([change("a")], 1, at_us=0)
    with pytest.raises(Exception, match=r"(?i)not.null"):
        folder.alerts.apply([change("b"), change("c", says=None)], 2, at_us=0, pages={"p": b"x"})
    assert (folder.alerts.offset(), folder.alerts.snapshot_offset(), folder.alerts.last_event_seq()) == (
        1,
        0,
        1,
    )
    assert folder.alerts.get("b") is None
    assert folder.alerts.counts().total == 1


def test_acting_wants_the_version_one_saw(folder, change):
    folder.alerts.apply([change("a")], 1, at_us=0)
    folder.alerts.act("a", expected_version=1, by="ana", at_us=1, to="acknowledged")
    with pytest.raises(Conflict, match="version 2, not 1"):
        folder.alerts.act("a", expected_version=1, by="bo", at_us=2, to="triaged")
    with pytest.raises(NotFound):
        folder.alerts.act("z", expected_version=None, by="bo", at_us=2, to="triaged")
    assert folder.alerts.get("a")["state"] == "acknowledged"


@pytest.mark.parametrize("order", ["newest", "urgent"])
def test_pages_give_each_alert_once_in_order(folder, change, order):
    chance = random.Random(1)
    severities = ("info", "warn", "high", "critical")
    made = [
        change(f"{i:02d}", raised_us=chance.randrange(5), severity=chance.choice(severities))
        for i in range(25)
    ]
    folder.alerts.apply(made, 1, at_us=0)
    found, cursor = [], None
    while True:
        items, cursor = folder.alerts.page({}, cursor, 4, order)
        found.extend(items)
        if cursor is None:
            break

    def place(a):
        rank = severities.index(a["severity"]) if order == "urgent" else 0
        return (rank, a["raised_us"], a["id"])

    assert [a["id"] for a in found] == [a["id"] for a in sorted(found, key=place, reverse=True)]
    assert len({a["id"] for a in found}) == 25
    other = {"newest": "urgent", "urgent": "newest"}[order]
    _, good = folder.alerts.page({}, None, 4, order)
    for bad in ("!", "WyJ4Il0", "é", good[:-3]):
        with pytest.raises(Malformed):
            folder.alerts.page({}, bad, 4, order)
    with pytest.raises(Malformed):
        folder.alerts.page({}, good, 4, other)


def test_filters_counts_and_closed_causes(folder, change, place):
    folder.alerts.apply(
        [
            change("a", code="seal-cut"),
            change(
                "b", code="silence", severity="high", ended_us=5, raised_us=50, mrn="26NL2", device_id="d2"
            ),
            change("c", code="silence", severity="warn", superseded="no"),
            change("d", code="silence", severity="warn", journey="other", equipment_id="E2"),
        ],
        1,
        at_us=0,
    )
    folder.alerts.act("d", expected_version=1, by="x", at_us=1, to="closed", triage="false", cause="parked")

    def ids(**filters):
        return sorted(a["id"] for a in folder.alerts.page(filters, None, 99)[0])

    assert ids() == ["a", "b", "c", "d"]
    assert ids(code=["silence"], severity=["warn"]) == ["c", "d"]
    assert ids(state=["closed"]) == ["d"]
    assert ids(open=True) == ["a"]
    assert ids(open=False) == ["b", "c", "d"]
    assert ids(superseded=True) == ["c"]
    assert ids(mrn="26NL2") == ids(device_id="d2") == ids(until_us=100) == ["b"]
    assert ids(since_us=100) == ["a", "c", "d"]
    assert ids(equipment_id="E2") == ["d"]
    counts = folder.alerts.counts()
    assert (counts.total, counts.open, counts.superseded) == (4, 1, 1)
    assert counts.by_code == {"seal-cut": 1, "silence": 2}
    assert +counts.by_state == {"raised": 2, "closed": 1}
    path = folder.path
    folder.close()
    again = DataFolder.open(path, store_url=place if isinstance(place, str) else "")
    assert again.alerts.counts() == counts
    closed = again.alerts.false_alarms()
    assert (closed["silence"].closed, closed["silence"].false, closed["silence"].causes) == (
        1,
        1,
        {"parked": 1},
    )
    assert again.alerts.open_of(["26NL1", "26NL2"]) == {"26NL1": (1, "critical")}
    assert sorted(again.alerts.of_journeys(["other", "nobody"])) == ["d"]
    again.close()


def test_events_resume_after_any_number_and_tell_each_alert_as_it_stands(folder, change):
    folder.alerts.apply([change("a"), change("b")], 1, at_us=0)
    folder.alerts.apply([change("a", count=2)], 2, at_us=0)
    assert [(e.seq, e.alert["id"]) for e in folder.alerts.events_after(0)] == [(2, "b"), (3, "a")]
    assert [(e.seq, e.alert["count"]) for e in folder.alerts.events_after(2)] == [(3, 2)]
    assert folder.alerts.events_after(3) == []
    assert (folder.alerts.first_event_seq(), folder.alerts.last_event_seq()) == (0, 3)


def test_partitions_number_their_alerts_in_one_row_and_keep_their_snapshots_apart(folder, change):
    zero, three = folder.alerts, AlertStore(folder.alerts._db, 3)
    zero.apply([change("a")], 5, at_us=0, pages={"meta": b"zero", "p": b"0"}, applied_version=1)
    three.apply([change("b")], 2, at_us=0, pages={"meta": b"three"}, applied_version=9)
    zero.apply([change("a", count=2)], 6, at_us=0)
    assert [(e.seq, e.alert["id"]) for e in three.events_after(0)] == [(2, "b"), (3, "a")]
    assert (zero.offset(), zero.applied_version(), zero.snapshot_offset()) == (6, 1, 5)
    assert (three.offset(), three.applied_version(), three.snapshot_offset()) == (2, 9, 2)
    assert zero.load_snapshot().pages == {"meta": b"zero", "p": b"0"}
    assert three.load_snapshot().pages == {"meta": b"three"}
    with folder.alerts._db.read() as connection:
        names = connection.execute(sa.select(tables.snapshot_pages.c.name)).scalars()
        assert set(names) == {"meta", "p", "p3/meta"}
    zero.forget_snapshot()
    assert (zero.load_snapshot().pages, three.load_snapshot().pages) == ({}, {"meta": b"three"})
    assert AlertStore(folder.alerts._db, 3).snapshot_offset() == 2


def test_who_is_fenced_off_writes_nothing(folder, change):
    class Fenced(Exception):
        pass

    order: list[str] = []
    open_fence = [True]

    def fence(connection: sa.Connection) -> None:
        order.append("fence")
        if not open_fence[0]:
            raise Fenced

    store = AlertStore(folder.alerts._db, 1, fence)
    store.apply([change("a")], 1, at_us=0, pages={"p": b"1"}, also=lambda _: order.append("also"))
    assert order == ["fence", "also"]
    open_fence[0] = False
    for write in (
        lambda: store.apply([change("b")], 2, at_us=0, also=lambda _: order.append("never")),
        lambda: store.apply([], 2, at_us=0, pages={"p": b"2"}),
        store.forget_snapshot,
    ):
        with pytest.raises(Fenced):
            write()
    assert "never" not in order
    assert store.get("b") is None
    assert (store.offset(), store.load_snapshot().pages, store.last_event_seq()) == (1, {"p": b"1"}, 1)


def test_what_is_written_with_the_alerts_is_written_once_and_only_with_them(folder, change):
    store = folder.alerts

    def also(name: str):
        def write(connection: sa.Connection) -> None:
            body = {"name": f"also/{name}", "checksum": b"", "body": b""}
            connection.execute(tables.snapshot_pages.insert(), body)

        return write

    def written() -> list[str]:
        with store._db.read() as connection:
            return sorted(connection.execute(sa.select(tables.snapshot_pages.c.name)).scalars())

    store.apply([change("a")], 4, at_us=0, also=also("4"))
    with pytest.raises(Exception, match=r"(?i)not.null"):
        store.apply([change("b", says=None)], 5, at_us=0, also=also("5"))
    assert written() == ["also/4"]
    for offset in (3, 4):  # read again after a crash
        store.apply([change("a")], offset, at_us=0, also=also("again"))
    store.apply([], None, at_us=0, also=also("none"))
    store.apply([], 6, at_us=0, also=also("6"))
    assert written() == ["also/4", "also/6", "also/none"]


def test_a_device_that_sends_nul_stops_nothing(folder, change):
    (event,) = folder.alerts.apply([change("a", says="a\0b", subject="\0")], 1, at_us=0)
    assert (event.alert["says"], event.alert["subject"]) == ("a\u2400b", "\u2400")
    assert folder.alerts.apply([change("a", says="a\0b", subject="\0")], 2, at_us=0) == []
