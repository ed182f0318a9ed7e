"""Cases: all that waits on a movement in one, the nearest unit, and who was sent."""

import math

import pytest
from tests.web import roadside as road


def unit(door, lat: float, lon: float, *, on_duty: bool = True) -> str:
    name = door.name("UNIT")
    doc = {"name": name.lower(), "phone": "+254 700", "lat_deg": lat, "lon_deg": lon, "on_duty": on_duty}
    assert door.put(f"/units/{name}", doc).status_code == 201
    return name


def haversine_m(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great circle on a sphere of 6,371,008.8 m."""
    p1, p2, dl = math.radians(lat1), math.radians(lat2), math.radians(lon2 - lon1)
    h = math.sin((p2 - p1) / 2) ** 2 + math.cos(p1) * math.cos(p2) * math.sin(dl / 2) ** 2
    return 2 * 6_371_008.8 * math.asin(math.sqrt(h))


def troubled(door, lat: float, lon: float) -> str:
    """A movement with a cut rope and an open casing there."""
    mrn, device = door.bound()
    for seconds, what in ((-2, {"casing_open": True}), (-1, {"casing_open": True, "rope_cut": True})):
        road.here(door, device, lat=lat, lon=lon, seconds=seconds, **what)
    door.settled()
    return mrn


def case(door, mrn: str) -> dict:
    answer = door.http.get(f"/movements/{mrn}/case")
    assert answer.status_code == 200, answer.text
    return answer.json()


def dispatch(door, mrn: str, unit_id: str, by: str = "amina", **more):
    return door.http.post(
        f"/movements/{mrn}/case/dispatch", json={"unit_id": unit_id, **more}, params={"by": by}
    )


def test_one_case_holds_all_and_the_nearest_unit_on_duty_is_proposed(fresh) -> None:
    place = (-1.2, 36.8)
    near, far = unit(fresh, -1.3, 36.8), unit(fresh, -1.2, 37.3)
    unit(fresh, -1.2, 36.8, on_duty=False)
    across = unit(fresh, -1.2, -179.9)
    rest = [unit(fresh, -1.2, 40.0 + i) for i in range(3)]
    mrn = troubled(fresh, *place)
    found = case(fresh, mrn)
    assert {a["code"] for a in found["alerts"]} == {"seal-cut", "casing-opened"}
    assert found["worst"] == "critical"
    assert found["opened_at"] == min(a["raised_at"] for a in found["alerts"])
    assert found["unit"]["id"] == near
    assert [u["id"] for u in found["units"]] == [near, far, *rest]
    assert across not in str(found["units"])
    expected = {near: (-1.3, 36.8), far: (-1.2, 37.3)} | {r: (-1.2, 40.0 + i) for i, r in enumerate(rest)}
    for shown in found["units"]:
        assert shown["distance_m"] == pytest.approx(haversine_m(*place, *expected[shown["id"]]), rel=0.006)
    assert case(fresh, mrn)["id"] == found["id"]


def test_the_latest_alert_with_a_position_says_where(fresh) -> None:
    west, east = unit(fresh, 0, 10.0), unit(fresh, 0, 20.0)
    mrn, device = fresh.bound()
    road.here(fresh, device, lat=0, lon=10.1, seconds=-1800, casing_open=True)
    fresh.settled()
    assert case(fresh, mrn)["unit"]["id"] == west
    road.here(fresh, device, lat=0, lon=19.9, seconds=-1, rope_cut=True, casing_open=False)
    fresh.settled()
    assert case(fresh, mrn)["unit"]["id"] == east


def test_without_alerts_a_case_is_empty_and_nobody_is_sent(door) -> None:
    mrn = road.movement(door)
    found = case(door, mrn)
    assert (found["alerts"], found["unit"], found["units"], found["opened_at"], found["worst"]) == (
        [],
        None,
        [],
        None,
        None,
    )
    problem = door.is_problem(dispatch(door, mrn, unit(door, 1, 1)), 409)
    assert problem["errors"][0]["rule"] == "no-open-case"
    door.is_problem(door.http.get("/movements/NO-SUCH/case"), 404)


def test_a_dispatch_moves_each_alert_that_may_by_the_person(door) -> None:
    mrn, sent = troubled(door, 5.0, 5.0), unit(door, 5.1, 5.0)
    first, second = case(door, mrn)["alerts"]
    for state in ("acknowledged", "on-scene"):
        done = door.http.patch(f"/alerts/{second['id']}", json={"state": state, "by": "jan"})
        assert done.status_code == 200
    answer = dispatch(door, mrn, sent, note="rope cut at km 12")
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert [(s["id"], s["from"], s["to"]) for s in told["alerts"]] == [
        (first["id"], "raised", "acknowledged"),
        (first["id"], "acknowledged", "unit-dispatched"),
    ]
    assert told["distance_m"] == pytest.approx(haversine_m(5.0, 5.0, 5.1, 5.0), rel=0.006)
    history = door.http.get(f"/alerts/{first['id']}").json()["history"]
    assert [(h["to"], h["by"]) for h in history] == [("acknowledged", "amina"), ("unit-dispatched", "amina")]
    assert "rope cut at km 12" in history[-1]["note"]
    assert door.http.get(f"/alerts/{second['id']}").json()["state"] == "on-scene"
    found = case(door, mrn)
    assert {a["state"] for a in found["alerts"]} == {"unit-dispatched", "on-scene"}
    assert [(d["unit_id"], d["by"], d["note"]) for d in found["dispatches"]] == [
        (sent, "amina", "rope cut at km 12")
    ]
    again = dispatch(door, mrn, sent, by="jan").json()
    assert again["alerts"] == []
    assert len(case(door, mrn)["dispatches"]) == 2


def test_a_closed_alert_leaves_the_case(door) -> None:
    mrn = troubled(door, 6.0, 6.0)
    for alert in case(door, mrn)["alerts"]:
        for step in ({"state": "acknowledged"}, {"state": "closed", "cause": "handled"}):
            done = door.http.patch(f"/alerts/{alert['id']}", json={**step, "by": "amina"})
            assert done.status_code == 200
    assert case(door, mrn)["alerts"] == []


def test_who_cannot_be_sent_is_refused(door) -> None:
    mrn = troubled(door, 7.0, 7.0)
    problem = door.is_problem(dispatch(door, mrn, "NOBODY"), 422)
    assert problem["errors"][0] | {"detail": ""} == {
        "path": "/unit_id",
        "rule": "unknown-reference",
        "detail": "",
    }
    problem = door.is_problem(dispatch(door, mrn, unit(door, 7, 7, on_duty=False)), 409)
    assert problem["errors"][0]["rule"] == "off-duty"
    assert {a["state"] for a in case(door, mrn)["alerts"]} == {"raised"}
    assert case(door, mrn)["dispatches"] == []


def test_units_are_kept_and_listed(door) -> None:
    name = unit(door, 1, 2)
    moved = {"name": "x", "lat_deg": 3, "lon_deg": 4, "on_duty": False}
    assert door.put(f"/units/{name}", moved).json() | {"changed_at": 0} == {
        **moved,
        "id": name,
        "phone": None,
        "changed_by": "api",
        "changed_at": 0,
    }
    items = door.http.get("/units", params={"limit": 1000}).json()["items"]
    assert name in {u["id"] for u in items}
    for body in ({}, {**moved, "lat_deg": 91}, {**moved, "on_duty": "yes"}, {**moved, "rank": 1}):
        door.is_problem(door.put(f"/units/{name}", body), 422)
