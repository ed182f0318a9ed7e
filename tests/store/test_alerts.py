"""Alerts, offset and snapshot in one transaction; the same again changes nothing."""

from __future__ import annotations

import random
from contextlib import contextmanager

import pytest
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
