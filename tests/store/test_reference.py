"""Reference data: every write is booked, bindings do not overlap."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import StatementError

from cocket.core.errors import CocketError, Conflict, Malformed, NotFound, Refused
from cocket.store import tables
from cocket.store.bindings import NewBinding
from cocket.store.database import Database
from cocket.store.reference import Reference


@pytest.fixture
def folder(either_folder):
    return either_folder


def test_every_write_is_booked_with_before_and_after(folder):
    r = folder.reference
    assert r.put("zone", "z", {"kind": "office", "é": None}, by="ana", at_us=1) == 1
    assert r.put("zone", "z", {"kind": "restricted"}, by="bo", at_us=2) == 2
    assert r.put("zone", "z", {"kind": "restricted"}, by="cy", at_us=3) == 2  # nothing changed
    assert r.delete("zone", "z", by="di", at_us=4) == 3
    assert [(c.version, c.at_us, c.by, c.kind, c.id, c.before, c.after) for c in r.changes(0)] == [
        (1, 1, "ana", "zone", "z", None, {"kind": "office", "é": None}),
        (2, 2, "bo", "zone", "z", {"kind": "office", "é": None}, {"kind": "restricted"}),
        (3, 4, "di", "zone", "z", {"kind": "restricted"}, None),
    ]
    assert [c.version for c in r.changes(1, limit=1)] == [2]
    assert r.version() == 3
    assert r.get("zone", "z") is None
    with pytest.raises(NotFound):
        r.delete("zone", "z", by="di", at_us=5)


def test_many_at_once_all_or_none(folder):
    r = folder.reference
    docs = [(f"c{i:04d}", {"n": i}) for i in range(1500)]
    assert r.put_many("corridor", docs, by="ana", at_us=1) == 1500
    assert [(s.id, s.doc, s.version) for s in r.all("corridor")] == [(i, d, d["n"] + 1) for i, d in docs]
    assert r.count("corridor") == 1500
    assert r.exists("corridor", ["c0003", "c1499", "x"]) == {"c0003", "c1499"}
    with pytest.raises(StatementError, match="unsupported"):
        r.put_many("corridor", [("new", {"n": 1}), ("bad", {"n": object()})], by="ana", at_us=2)
    assert (r.get("corridor", "new"), r.version()) == (None, 1500)
    found, cursor = [], None
    while True:
        items, cursor = r.page("corridor", 400, cursor)
        found.extend(s.id for s in items)
        if cursor is None:
            break
    assert found == [i for i, _ in docs]


def test_movements_are_found_by_part_open_and_corridor(folder):
    r = folder.reference
    r.put(
        "movement", "26NL_1", {"corridor": "c", "arrived_at": None, "departure_office": "o"}, by="a", at_us=1
    )
    r.put("movement", "26BE%2", {"corridor": "d", "arrived_at": "2026-01-01T00:00:00Z"}, by="a", at_us=1)
    r.add_binding("dev-9", "MSKU_7", "26BE%2", 0, None, "a", 1)

    def ids(**filters):
        return [s.id for s in r.page("movement", 9, None, filters)[0]]

    assert ids(q="NL_") == ids(open=True) == ids(corridor="c") == ["26NL_1"]
    assert ids(q="dev-9") == ids(q="U_7") == ids(q="%") == ids(open=False) == ["26BE%2"]
    assert ids(q="N__1") == []
    with pytest.raises(Malformed):
        ids(colour="red")
    assert r.referrers("corridor", "c") == r.referrers("office", "o") == ["movement 26NL_1"]
    assert r.referrers("device", "dev-9") == r.referrers("movement", "26BE%2") == ["binding 1"]
    assert r.referrers("zone", "z") == []


def test_a_binding_registers_its_device_and_is_booked(folder):
    r = folder.reference
    r.put("movement", "m", {}, by="a", at_us=1)
    assert r.add_binding("d", "e", "m", 10, None, "ana", 5) == 1
    assert r.get("device", "d").doc == {}
    assert [(c.kind, c.id, c.by) for c in r.changes(1)] == [("device", "d", "ana"), ("binding", "1", "ana")]
    assert r.end_binding(1, 20, by="bo", at_us=6).to_us == 20
    last = r.changes(3)[0]
    assert (last.by, last.before["to_us"], last.after["to_us"]) == ("bo", None, 20)
    assert r.device_at("d", 10).id == r.device_at("d", 19).id == 1
    assert r.device_at("d", 20) is r.device_at("d", 9) is r.get_binding(7) is None
    assert [b.id for b in r.bindings_of(["m", "x"])["m"]] == [1]


def test_refusals_name_what_is_in_the_way(folder):
    r = folder.reference
    r.put("movement", "m", {}, by="a", at_us=1)
    with pytest.raises(Refused, match="'nope' is not known"):
        r.add_binding("d", "e", "nope", 0, None, "a", 1)
    with pytest.raises(Refused, match="not after it begins"):
        r.add_binding("d", "e", "m", 10, 10, "a", 1)
    r.add_binding("d", "e", "m", 10, 20, "a", 1)
    r.add_binding("d", "e", "m", 20, 30, "a", 1)
    with pytest.raises(Conflict, match=r"binding 1"):
        r.add_binding("d", "e2", "m", 0, 11, "a", 1)
    with pytest.raises(Conflict, match=r"binding 2"):
        r.end_binding(1, 21, by="a", at_us=1)
    with pytest.raises(NotFound):
        r.end_binding(9, 21, by="a", at_us=1)
    assert r.get("device", "d2") is None
    assert len(r.bindings()) == 2


WANTED = st.tuples(
    st.sampled_from("de"),
    st.integers(0, 20),
    st.one_of(st.none(), st.integers(0, 25)),
    st.sampled_from(["m", "no"]),
)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(WANTED, max_size=6), max_size=4))
def test_bulk_takes_each_that_does_not_overlap_in_order(main_file, bulks):
    db = Database(main_file(), "main", tables.main_metadata)
    reference = Reference(db)
    reference.put("movement", "m", {}, by="a", at_us=1)
    taken = []
    for bulk in bulks:
        results = reference.add_bindings([NewBinding(d, "e", m, a, b, "x") for d, a, b, m in bulk], 1)
        for (d, a, b, m), result in zip(bulk, results, strict=True):
            end = 10**9 if b is None else b
            good = m == "m" and a < end and not any(d == d2 and a < b2 and a2 < end for d2, a2, b2 in taken)
            assert isinstance(result, int) == good
            assert good or isinstance(result, CocketError)
            if good:
                taken.append((d, a, end))
                assert result == len(taken)
    page, cursor = reference.bindings_page(1)
    assert [b.id for b in page] == [1][: len(taken)]
    assert (cursor is None) == (len(taken) <= 1)
    db.close()
