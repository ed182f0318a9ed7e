"""The reference desk over a real store: what many threads and odd documents must not break."""

import contextlib
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cocket.core.clock import ReplayClock
from cocket.core.errors import Conflict, Refused
from cocket.customs.reference import ReferenceDesk
from cocket.customs.shapes import checked
from cocket.store.folder import DataFolder

LINE = {"type": "LineString", "coordinates": [[10, 10], [11, 11]]}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = DataFolder.open(tmp_path_factory.mktemp("desk") / "d")
    yield ReferenceDesk(folder.reference, ReplayClock(1_700_000_000_000_000, 1.0))
    folder.close()


def corridor() -> dict:
    return {"type": "Feature", "properties": {"half_width_m": 10}, "geometry": LINE}


def test_nothing_is_deleted_under_a_document_that_names_it(desk) -> None:
    """However deleting and naming run against each other, no movement names a corridor that is not there."""
    for i in range(20):
        desk.put("corridor", f"C{i}", corridor(), by="t")
        gate = threading.Barrier(2)
        told: list[str] = []

        def name(i=i, gate=gate, told=told) -> None:
            gate.wait()
            try:
                desk.put("movement", f"M{i}", {"corridor": f"C{i}"}, by="t")
            except Refused as error:
                told.append(error.faults[0].rule)

        def delete(i=i, gate=gate, told=told) -> None:
            gate.wait()
            try:
                desk.delete("corridor", f"C{i}", by="t")
            except Conflict as error:
                told.append(error.faults[0].rule)

        threads = [threading.Thread(target=name), threading.Thread(target=delete)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert told in (["unknown-reference"], ["referenced"])
        assert desk.store.exists("corridor", [f"C{i}"]) or not desk.store.exists("movement", [f"M{i}"])


def test_a_device_keeps_the_date_that_it_became_known(desk) -> None:
    first, new = desk.put("device", "D1", {"class": "e-seal"}, by="t")
    again, _ = desk.put("device", "D1", {"class": "tracker"}, by="t")
    assert new
    assert again["registered_at"] == first["registered_at"] != again["changed_at"]
    desk.put_many("device", [{"id": "D1"}, {"id": "D2"}], by="t")
    assert desk.get("device", "D1")["registered_at"] == first["registered_at"]


def test_what_answers_add_is_not_kept_when_sent_back(desk) -> None:
    shown, _ = desk.put("movement", "M-again", {"risk": "high"}, by="amina")
    back, _ = desk.put("movement", "M-again", {**shown, "bindings": [], "last": None}, by="jo")
    assert back == shown, "nothing changed, so nobody changed it"


def test_a_feature_is_normalised(desk) -> None:
    ring = [[179, 10], [179, 11], [-179, 11], [-179, 10], [179, 10]]
    zone = {
        "type": "Feature",
        "properties": {"kind": "restricted"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    kept, _ = desk.put("zone", "pacific", zone, by="t")
    assert kept["geometry"]["type"] == "MultiPolygon"
    assert len(kept["geometry"]["coordinates"]) == 2


def test_every_fault_is_told_at_once(desk) -> None:
    with pytest.raises(Refused) as told:
        desk.put(
            "movement",
            "M",
            {"corridor": "no", "departure_office": "no", "temp_min_c": 9, "temp_max_c": 1},
            by="t",
        )
    assert [f.path for f in told.value.faults] == ["/temp_min_c", "/corridor", "/departure_office"]
    with pytest.raises(Refused) as told:
        desk.put("office", "O", {"country": "nl", "lat_deg": 99}, by="t")
    assert {f.path for f in told.value.faults} == {"/name", "/country", "/lat_deg"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        ["id", "type", "properties", "geometry", "coordinates", "kind", "half_width_m", "name", "corridor", "mrn", "from", "to",
         "device_id", "equipment_id", "departed_at", "limit_at", "consignments", "authorised_cards"]) | st.text(max_size=4), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["zone", "corridor", "office", "device", "movement"]), value=json_values)
def test_any_json_is_kept_or_refused(desk, kind, value) -> None:
    with contextlib.suppress(Refused):
        desk.put(kind, "X", value, by="t")
    bulk = desk.put_many(kind, [value], by="t")
    assert bulk.accepted + len(bulk.rejects) == 1
    bound = desk.bind_many([value], by="t")
    assert bound.accepted + len(bound.rejects) == 1


@pytest.mark.parametrize(
    ("given_at", "kept"),
    [
        ("2026-11-22T08:30:00Z", "2026-11-22T08:30:00Z"),
        ("2026-11-22t08:30:00.5+01:00", "2026-11-22T07:30:00.500000Z"),
        ("0427-09-14T00:00:00Z", "0427-09-14T00:00:00Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
    ],
)
def test_times_are_kept_in_utc(given_at, kept) -> None:
    assert checked("movement", {"departed_at": given_at})["departed_at"] == kept


@pytest.mark.parametrize(
    "given_at",
    ["2026-11-22", "2026-11-22T08:30:00", "2026-W47-7T08:30:00Z", "0001-01-01T00:00:00+10:00", 5, True],
)
def test_times_that_are_none(given_at) -> None:
    with pytest.raises(Refused) as told:
        checked("movement", {"departed_at": given_at})
    assert told.value.faults[0].path == "/departed_at"
