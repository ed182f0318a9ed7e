"""Alerts over a real server: lists, proof, and what people do."""

import pytest


def test_an_alert_carries_the_contract_and_its_proof(door) -> None:
    alert = door.cut()
    assert {
        "id", "code", "severity", "mrn", "equipment_id", "device_id", "began_at", "ended_at", "raised_at", "late",
        "superseded", "count", "state", "lat_deg", "lon_deg", "says",
    } <= set(alert)  # fmt: skip
    assert (alert["code"], alert["severity"], alert["state"], alert["superseded"]) == (
        "seal-cut",
        "critical",
        "raised",
        False,
    )
    detail = door.http.get(f"/alerts/{alert['id']}").json()
    assert {k: detail[k] for k in alert} == alert
    assert detail["history"] == []
    (proof,) = detail["evidence"]
    assert {"began", "raised", "last"} <= set(proof["roles"])
    assert proof["observation"]["rope_cut"] is True
    assert proof["observation"]["observed_at"] == alert["began_at"]
    door.is_problem(door.http.get("/alerts/nothing"), 404)


def test_each_proof_is_found_in_a_long_alert(door) -> None:
    mrn, device = door.bound()
    for s in range(-20, 0):
        door.observe({"device_id": device, "observed_at": door.at(s), "rope_cut": True, "sequence": s + 20})
    door.settled()
    (alert,) = door.http.get("/alerts", params={"mrn": mrn, "code": "seal-cut"}).json()["items"]
    door.until(lambda: door.http.get(f"/alerts/{alert['id']}").json()["count"] == 20)
    evidence = door.http.get(f"/alerts/{alert['id']}").json()["evidence"]
    by_role = {role: p["observation"]["sequence"] for p in evidence for role in p["roles"]}
    assert by_role["began"] == 0
    assert by_role["last"] == 19


def test_filters_and_pages(door) -> None:
    alerts = [door.cut() for _ in range(3)]
    devices = [a["device_id"] for a in alerts]

    def ids(**params) -> list[str]:
        return [a["id"] for a in door.http.get("/alerts", params={"limit": 1000, **params}).json()["items"]]

    assert ids(device_id=devices[0]) == [alerts[0]["id"]]
    assert ids(code=["seal-cut", "speeding"])[:3] == [a["id"] for a in reversed(alerts)]
    assert ids(code="speeding", device_id=devices[0]) == []
    assert ids(severity="critical", mrn=alerts[1]["mrn"]) == [alerts[1]["id"]]
    assert ids(since=alerts[2]["raised_at"], code="seal-cut") == [alerts[2]["id"]]
    assert alerts[2]["id"] not in ids(until=alerts[2]["raised_at"])
    assert ids(superseded="true", device_id=devices[0]) == []
    assert ids(open="true", device_id=devices[0], order="urgent") == [alerts[0]["id"]]
    seen, cursor = [], None
    while True:
        params = {"limit": 2, "code": "seal-cut"} | ({"cursor": cursor} if cursor else {})
        page = door.http.get("/alerts", params=params).json()
        seen += [a["id"] for a in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == len(ids(code="seal-cut"))
    for params in (
        {"limit": 0},
        {"severity": "bad"},
        {"since": "yesterday"},
        {"serverity": "high"},
        {"open": "maybe"},
    ):
        door.is_problem(door.http.get("/alerts", params=params), 422)
    door.is_problem(door.http.get("/alerts", params={"cursor": "x"}), 400)


def act(door, alert, state, **more):
    return door.http.patch(f"/alerts/{alert['id']}", json={"state": state, "by": "amina", **more})


def test_the_machine_from_raised_to_closed(door) -> None:
    alert = door.cut()
    problem = door.is_problem(act(door, alert, "closed", cause="x"), 409)
    assert "'raised'" in problem["detail"]
    assert "acknowledged" in problem["detail"]
    done = act(door, alert, "acknowledged", version=1, note="seen").json()
    assert (done["state"], done["acknowledged_by"], done["version"]) == ("acknowledged", "amina", 2)
    door.is_problem(act(door, alert, "triaged", version=1, triage="false"), 409)
    door.is_problem(act(door, alert, "triaged"), 422)
    assert act(door, alert, "triaged", triage="genuine", version=2).json()["triage"] == "genuine"
    assert act(door, alert, "on-scene").json()["state"] == "on-scene"
    door.is_problem(act(door, alert, "unit-dispatched"), 409)
    for cause in ({}, {"cause": None}, {"cause": " "}):
        door.is_problem(act(door, alert, "closed", **cause), 422)
    closed = act(door, alert, "closed", cause="rope cut by thieves", triage="genuine").json()
    assert closed["cause"] == "rope cut by thieves"
    assert "nowhere" in door.is_problem(act(door, alert, "closed", cause="again"), 409)["detail"]
    assert [(h["from"], h["to"], h["by"]) for h in closed["history"]] == [
        ("raised", "acknowledged", "amina"),
        ("acknowledged", "triaged", "amina"),
        ("triaged", "on-scene", "amina"),
        ("on-scene", "closed", "amina"),
    ]
    assert closed["history"][0]["note"] == "seen"
    door.is_problem(door.http.patch("/alerts/nothing", json={"state": "acknowledged", "by": "x"}), 404)


@pytest.mark.parametrize(
    "body",
    [{}, {"state": "acknowledged"}, {"state": "raised", "by": "x"}, {"state": "gone", "by": "x"}, {"state": "acknowledged", "by": ""},
     {"state": "acknowledged", "by": "x", "version": "1"}, {"state": "acknowledged", "by": "x", "extra": 1}, [], 5],
)  # fmt: skip
def test_acts_that_are_none(door, body) -> None:
    door.is_problem(door.http.patch("/alerts/any", json=body), 422)


def test_two_people_at_once(door) -> None:
    from concurrent.futures import ThreadPoolExecutor

    alert = door.cut()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: act(door, alert, "acknowledged", version=1), range(8)))
    assert sorted(a.status_code for a in answers) == [200] + [409] * 7


def test_track(door) -> None:
    import pyarrow as pa

    mrn, device = door.bound()
    rows = [
        {
            "device_id": device,
            "observed_at": door.at(i - 3000),
            "lat_deg": 22.5 + i * 1e-4 + (0.01 if i == 1234 else 0),
            "lon_deg": 114 + i * 1e-4,
            "locked": not 700 <= i < 705,
            "speed_mps": i % 30,
            "sequence": i,
        }
        for i in range(2500)
    ]
    door.observe(*rows)
    door.observe({"device_id": device, "observed_at": "2000-01-01T00:00:00Z"})
    door.settled()
    (whole,) = door.http.get(f"/movements/{mrn}/track", params={"max_points": 5000}).json()["features"]
    columns = whole["properties"]["columns"]
    assert whole["properties"]["rows"] == 2500
    assert whole["properties"]["thinned"] is False
    assert columns["speed_mps"][:3] == [0, 1, 2]
    assert {len(c) for c in columns.values()} == {2500}
    assert columns["temp_c"] == [None] * 2500
    assert whole["geometry"]["coordinates"][0] == [114.0, 22.5]
    (thin,) = door.http.get(f"/movements/{mrn}/track", params={"max_points": 50}).json()["features"]
    kept = thin["properties"]["columns"]
    assert thin["properties"]["thinned"] is True
    assert len(kept["observed_at"]) <= 50
    assert kept["observed_at"] == sorted(kept["observed_at"])
    assert (kept["observed_at"][0], kept["observed_at"][-1]) == (
        columns["observed_at"][0],
        columns["observed_at"][-1],
    )
    assert {columns["observed_at"][700], columns["observed_at"][705], columns["observed_at"][1234]} <= set(
        kept["observed_at"]
    )
    answer = door.http.get(f"/movements/{mrn}/track", params={"format": "arrow", "max_points": 100})
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    table = pa.ipc.open_stream(answer.content).read_all()
    assert 50 < table.num_rows <= 100
    assert set(table.column("device_id").to_pylist()) == {device}
    door.is_problem(door.http.get("/movements/unknown/track"), 404)
    door.is_problem(door.http.get(f"/movements/{mrn}/track", params={"format": "xml"}), 422)
