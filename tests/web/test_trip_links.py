"""Links for traders: minimal, rounded, expiring, revocable; a token that is no good is answered as one that never was."""

import hashlib
import json
import time

from tests.web import roadside as road


def link(door, mrn: str, seconds: float = 3600) -> dict:
    answer = door.http.post(f"/movements/{mrn}/links", json={"expires_at": door.at(seconds)})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_trip_shows_little_and_rounded(door) -> None:
    office = door.name("OFFICE")
    door.put(f"/offices/{office}", {"name": "Malaba", "lat_deg": 0.6, "lon_deg": 34.2})
    doc = {
        "departure_office": office,
        "holder": "ACME Haulage",
        "limit_at": door.at(9999),
        "goods": "tobacco",
    }
    mrn = road.movement(door, "en-route", **doc)
    seal = door.name("SEAL")
    binding = {"device_id": seal, "equipment_id": "MSKU9070323", "mrn": mrn, "from": door.at(-600)}
    assert door.http.post("/bindings", json=binding).status_code == 201
    road.here(door, seal, lat=0.638765, lon=34.254321)
    door.settled()
    made = link(door, mrn)
    assert made["path"] == f"/trip/{made['token']}"
    answer = door.http.get(f"/trips/{made['token']}")
    trip = answer.json()
    assert set(trip) == {
        *("state", "departed_at", "arrived_at", "limit_at"),
        *("from", "to", "last", "sealed", "expires_at"),
    }
    assert (trip["state"], trip["from"], trip["to"], trip["sealed"]) == ("en-route", "Malaba", None, False)
    assert (trip["last"]["lat_deg"], trip["last"]["lon_deg"]) == (0.64, 34.25)
    for secret in (mrn, seal, "MSKU9070323", "ACME", "tobacco", "0.6387", "34.2543"):
        assert secret not in answer.text
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


def test_a_phone_shows_where_the_trip_is(door) -> None:
    mrn = road.movement(door, "en-route", departed_at=door.at(-600))
    carried = road.transport(door, mrn)
    road.here(door, carried["device_id"], lat=1.234, lon=5.678, seconds=-700)
    door.settled()
    token = link(door, mrn)["token"]
    departed = door.http.get(f"/movements/{mrn}").json()["departed_at"]
    assert door.http.get(f"/trips/{token}").json()["last"] is None, departed
    time.sleep(0.01)
    road.here(door, carried["device_id"], lat=1.234, lon=5.678, seconds=0)
    door.settled()
    assert door.http.get(f"/trips/{token}").json()["last"]["lat_deg"] == 1.23
    road.act(door, mrn, {"event": "arrive"})
    assert door.http.get(f"/trips/{token}").json()["last"] is None


def test_sealed_says_whether_the_seals_hold(door) -> None:
    mrn = road.movement(door, "control-decided")
    seals = [{"id": door.name("SEAL"), "equipment_id": "MSKU9070323"}]
    road.act(door, mrn, {"event": "seal", "seals": seals})
    token = link(door, mrn)["token"]
    assert door.http.get(f"/trips/{token}").json()["sealed"] is True
    alarm = {"event": "alarm", "reason": "found open"}
    answer = door.http.post(f"/seals/{seals[0]['id']}/events", json=alarm)
    assert answer.status_code == 201, answer.text
    assert door.http.get(f"/trips/{token}").json()["sealed"] is False


def test_what_is_between_customs_and_the_holder_is_not_told(door) -> None:
    mrn = road.movement(door, "control-decided", control="examination")
    assert door.http.get(f"/trips/{link(door, mrn)['token']}").json()["state"] == "accepted"
    late = road.movement(door, "en-route")
    road.act(door, late, {"event": "fall-overdue"}, {"event": "open-enquiry"})
    assert door.http.get(f"/trips/{link(door, late)['token']}").json()["state"] == "overdue"


def test_unknown_revoked_and_expired_are_answered_alike(door) -> None:
    mrn = road.movement(door)
    gone, over = link(door, mrn)["token"], link(door, mrn, 0.3)["token"]
    assert door.http.delete(f"/movements/{mrn}/links/{gone}").status_code == 204
    assert door.http.delete(f"/movements/{mrn}/links/{gone}").status_code == 204
    door.until(lambda: door.http.get(f"/trips/{over}").status_code == 404)
    answers = [door.http.get(f"/trips/{t}") for t in (gone, over, "A" * 32, "x", gone[:-1], "é%00" * 999)]
    assert {a.status_code for a in answers} == {404}
    alike = {json.dumps({k: v for k, v in a.json().items() if k != "request_id"}) for a in answers}
    assert len(alike) == 1
    assert len({a.json()["request_id"] for a in answers}) == len(answers)
    assert len({json.dumps(sorted(k for k in a.headers if k != "date")) for a in answers}) == 1


def test_a_token_is_random_and_kept_only_as_a_hash(fresh) -> None:
    mrn = road.movement(fresh)
    made = [link(fresh, mrn) for _ in range(20)]
    tokens = {m["token"] for m in made}
    assert len(tokens) == 20
    assert all(len(t) >= 22 for t in tokens)  # 128 bits in base64url
    listed = fresh.http.get(f"/movements/{mrn}/links").json()["items"]
    assert {row["id"] for row in listed} == {m["id"] for m in made}
    assert not any("token" in row for row in listed)
    everything = b"".join(f.read_bytes() for f in fresh.service.folder.path.rglob("*") if f.is_file())
    assert not any(t.encode() in everything for t in tokens)
    assert hashlib.sha256(made[0]["token"].encode()).digest() in everything


def test_a_link_is_revoked_by_its_id_and_by_its_own_movement_only(door) -> None:
    mine, other = road.movement(door), road.movement(door)
    made = link(door, mine)
    door.is_problem(door.http.delete(f"/movements/{other}/links/{made['token']}"), 404)
    door.is_problem(door.http.delete(f"/movements/{mine}/links/nothing"), 404)
    assert door.http.get(f"/trips/{made['token']}").status_code == 200
    answer = door.http.delete(f"/movements/{mine}/links/{made['id']}", params={"by": "amina"})
    assert answer.status_code == 204
    assert door.http.get(f"/trips/{made['token']}").status_code == 404
    assert door.http.get(f"/trips/{made['id']}").status_code == 404


def test_a_link_has_an_end_and_a_movement(door) -> None:
    mrn = road.movement(door)
    for seconds in (-1, 91 * 86_400):
        answer = door.http.post(f"/movements/{mrn}/links", json={"expires_at": door.at(seconds)})
        assert door.is_problem(answer, 422)["errors"][0]["path"] == "/expires_at"
    door.is_problem(door.http.post(f"/movements/{mrn}/links", json={}), 422)
    door.is_problem(
        door.http.post("/movements/NO-SUCH/links", json={"expires_at": door.at(60)}),
        404,
    )
