"""Reference data over a real server: what is kept, what is refused and why."""

import pytest

SQUARE = [[[10, 10], [11, 10], [11, 11], [10, 11], [10, 10]]]


def zone(coordinates=SQUARE, kind="restricted", **properties) -> dict:
    return {
        "type": "Feature",
        "properties": {"kind": kind, **properties},
        "geometry": {"type": "Polygon", "coordinates": coordinates},
    }


def corridor(**properties) -> dict:
    return {
        "type": "Feature",
        "properties": {"half_width_m": 100, **properties},
        "geometry": {"type": "LineString", "coordinates": [[10, 10], [11, 11]]},
    }


def test_a_zone_is_made_read_changed_and_deleted(door) -> None:
    name = door.name("Z")
    made = door.http.put(f"/zones/{name}", json=zone(name="Depot", colour="red"), params={"by": "amina"})
    assert made.status_code == 201
    assert made.json()["id"] == name
    assert made.json()["properties"]["changed_by"] == "amina"
    assert made.json()["properties"]["colour"] == "red"
    assert door.http.get(f"/zones/{name}").json() == made.json()
    again = door.put(f"/zones/{name}", made.json())
    assert again.status_code == 200
    assert door.put(f"/zones/{name}", zone(kind="office")).json()["properties"]["kind"] == "office"
    listed = door.http.get("/zones", params={"q": name}).json()
    assert listed["type"] == "FeatureCollection"
    assert [f["id"] for f in listed["features"]] == [name]
    assert door.http.delete(f"/zones/{name}").status_code == 204
    door.is_problem(door.http.get(f"/zones/{name}"), 404)
    door.is_problem(door.http.delete(f"/zones/{name}"), 404)
    kinds = [c["id"] for c in changes(door) if c["kind"] == "zone" and c["id"] == name]
    assert len(kinds) == 3


def changes(door) -> list[dict]:
    items, cursor = [], None
    while True:
        params = {"limit": 1000} | ({"cursor": cursor} if cursor else {})
        page = door.http.get("/changes", params=params).json()
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items


@pytest.mark.parametrize(
    ("document", "path", "rule"),
    [
        ({}, "/type", "missing"),
        (zone(kind="forbidden"), "/properties/kind", "literal-error"),
        (zone([[[10, 10], [11, 10], [11, 11], [10, 10.5]]]), "/geometry/coordinates/0/3", "ring-closed"),
        (zone([[[10, 10], [11, 11], [11, 10], [10, 11], [10, 10]]]), None, "self-intersection"),
        (zone([[[10, 10], [11, 10], [10, 10]]]), "/geometry/coordinates/0", "too-short"),
        (zone([[[10, 100], [11, 10], [11, 11], [10, 100]]]), None, "range"),
        (zone([]), "/geometry/coordinates", "too-short"),
        ({**zone(), "geometry": {"type": "Point", "coordinates": [1, 2]}}, "/geometry", "union-tag-invalid"),
        ({**zone(), "id": "other"}, "/id", "other-id"),
        ({**zone(), "properties": None}, "/properties", "model-type"),
        (zone(hot="yes"), "/properties/hot", "bool-type"),
        ([zone()], "", "model-type"),
    ],
)
def test_what_is_no_zone_is_refused_with_the_place(door, document, path, rule) -> None:
    problem = door.is_problem(door.http.put("/zones/ZZ", json=document), 422)
    assert problem["errors"][0]["rule"] == rule, problem
    if path is not None:
        assert problem["errors"][0]["path"] == path


@pytest.mark.parametrize("name", ["-a", "a b", "a" * 65, "%C3%A9", "%00"])
def test_names_that_cannot_stand_in_an_address(door, name) -> None:
    door.is_problem(door.put(f"/zones/{name}", zone()), 422)


@pytest.mark.parametrize("name", ["26NL0004327A1B2C35", "urn:epc:id:x.1_2~3+4@5-6", "7"])
def test_names_of_the_field_pass(door, name) -> None:
    assert door.put(f"/zones/{name}", zone()).status_code in {200, 201}
    assert door.http.get(f"/zones/{name}").json()["id"] == name


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff", 400),
        (b'{"a":1,"a":2}', 400),
        (b'{"type":NaN}', 400),
        (b"[" * 200_000, 400),
        (b'{"type":"\\ud800"}', 400),
        (b"null", 422),
        (b"[]", 422),
        (b'"x"', 422),
    ],
)
def test_bodies_that_are_no_document(door, body, status) -> None:
    door.is_problem(
        door.http.put("/zones/ZZ", content=body, headers={"content-type": "application/json"}), status
    )


def test_documents_of_the_wrong_type(door) -> None:
    door.is_problem(door.http.put("/zones/ZZ", content=b"{}", headers={"content-type": "text/plain"}), 415)
    door.is_problem(door.http.put("/zones/ZZ", content=b"{}"), 415)


def test_bulk_keeps_the_good_ones(door) -> None:
    a, b = door.name("Z"), door.name("Z")
    features = [{**zone(), "id": a}, zone(), {**zone([]), "id": b}, {**zone(), "id": a}, 5]
    answer = door.http.post("/zones", json={"type": "FeatureCollection", "features": features}).json()
    assert answer["accepted"] == 1
    assert answer["ids"] == [a, None, None, None, None]
    assert [(r["row"], r["field"]) for r in answer["rejects"]] == [
        (1, "/id"),
        (2, "/geometry/coordinates"),
        (3, "/id"),
        (4, "/id"),
    ]
    assert door.http.get(f"/zones/{a}").status_code == 200
    door.is_problem(door.http.get(f"/zones/{b}"), 404)
    door.is_problem(door.http.post("/zones", json=[]), 422)


def test_pages_go_through_everything_once(door) -> None:
    prefix = door.name("P")
    names = [f"{prefix}-{i:02d}" for i in range(7)]
    body = [{"id": n, "name": "Office"} for n in names]
    assert door.http.post("/offices", json=body).json()["accepted"] == 7
    seen, cursor = [], None
    while True:
        params = {"limit": 3, "q": prefix} | ({"cursor": cursor} if cursor else {})
        page = door.http.get("/offices", params=params).json()
        seen += [o["id"] for o in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == names


def test_what_is_referred_to_is_not_deleted(door) -> None:
    road, office, mrn = door.name("C"), door.name("O"), door.name("M")
    assert door.put(f"/corridors/{road}", corridor()).status_code == 201
    assert door.put(f"/offices/{office}", {"name": "Huanggang", "country": "CN"}).status_code == 201
    assert door.put(f"/movements/{mrn}", {"corridor": road, "departure_office": office}).status_code == 201
    for path in (f"/corridors/{road}", f"/offices/{office}"):
        assert f"movement {mrn}" in door.is_problem(door.http.delete(path), 409)["detail"]
    _, device = door.bound(mrn=mrn)
    assert "binding" in door.is_problem(door.http.delete(f"/movements/{mrn}"), 409)["detail"]
    assert "binding" in door.is_problem(door.http.delete(f"/devices/{device}"), 409)["detail"]


def test_movements(door) -> None:
    mrn = door.name("M")
    made = door.put(
        f"/movements/{mrn}",
        {
            "mrn": mrn,
            "departed_at": "2026-11-22T10:00:00+02:00",
            "limit_at": "2026-11-25T08:00:00Z",
            "limitAt": "typo",
        },
    )
    assert made.status_code == 201
    assert made.json()["departed_at"] == "2026-11-22T08:00:00Z"
    assert made.json()["flags"] == ["mrn-form", "unknown-field:limitAt"]
    assert door.put(f"/movements/{mrn}", door.http.get(f"/movements/{mrn}").json()).status_code == 200
    for document, path in (
        ({"corridor": "nowhere"}, "/corridor"),
        ({"destination_office": "nowhere"}, "/destination_office"),
        ({"mrn": "other"}, "/mrn"),
        ({"departed_at": "2026-11-22T08:00:00"}, "/departed_at"),
        ({"departed_at": "2026-11-22T08:00:00Z", "limit_at": "2026-11-21T08:00:00Z"}, "/limit_at"),
        ({"temp_min_c": 8, "temp_max_c": 2}, "/temp_min_c"),
        ({"limit_at": 5}, "/limit_at"),
    ):
        assert door.is_problem(door.put(f"/movements/{mrn}", document), 422)["errors"][0]["path"] == path


def test_check_digits_flag_and_never_refuse(door) -> None:
    for mrn, flags in (("26NL0004327A1B2C30", ["mrn-check-digit"]), ("old-paper-7", ["mrn-form"])):
        answer = door.put(f"/movements/{mrn}", {})
        assert answer.status_code in {200, 201}
        assert answer.json()["flags"] == flags
    body = {
        "device_id": door.name("S"),
        "equipment_id": "MSKU9070321",
        "mrn": "old-paper-7",
        "from": door.at(),
        "to": None,
    }
    assert door.http.post("/bindings", json=body).json()["flags"] == ["iso6346-check-digit"]


def test_bindings(door) -> None:
    mrn, device = door.name("M"), door.name("S")
    body = {
        "device_id": device,
        "equipment_id": "TRUCK 12/粤B",
        "mrn": mrn,
        "from": "2026-11-22T08:00:00Z",
        "to": None,
    }
    problem = door.is_problem(door.http.post("/bindings", json=body), 422)
    assert (problem["errors"][0]["path"], problem["errors"][0]["rule"]) == ("/mrn", "unknown-reference")
    door.put(f"/movements/{mrn}", {})
    made = door.http.post("/bindings", json=body, params={"by": "jo"})
    assert made.status_code == 201
    binding = made.json()
    assert (binding["by"], binding["flags"]) == ("jo", [])
    assert door.http.get(f"/devices/{device}").json()["id"] == device
    assert door.http.get(f"/bindings/{binding['id']}").json() == binding
    overlap = door.is_problem(door.http.post("/bindings", json={**body, "from": "2026-11-23T08:00:00Z"}), 409)
    assert f"binding {binding['id']}" in overlap["detail"]
    door.is_problem(door.http.post("/bindings", json={**body, "seal": "x"}), 422)
    door.is_problem(door.http.post("/bindings", json={**body, "to": "2026-11-22T07:00:00Z"}), 422)
    door.is_problem(door.http.post("/bindings", json={**body, "equipment_id": "a|b"}), 422)
    ended = door.http.patch(f"/bindings/{binding['id']}", json={"to": "2026-11-22T18:00:00Z", "by": "jo"})
    assert ended.json()["to"] == "2026-11-22T18:00:00Z"
    bulk = door.http.post(
        "/bindings", json=[{**body, "from": "2026-11-23T08:00:00Z"}, body, {**body, "mrn": "unknown"}, {}]
    ).json()
    assert (bulk["accepted"], [r["row"] for r in bulk["rejects"]]) == (1, [1, 2, 3])
    assert [r["rule"] for r in bulk["rejects"]][:2] == ["overlap", "unknown-reference"]
    door.is_problem(door.http.patch(f"/bindings/{binding['id']}", json={"to": None}), 409)
    door.is_problem(door.http.patch("/bindings/999999", json={"to": None}), 404)
    listed = door.http.get("/bindings", params={"device_id": device, "limit": 1}).json()
    assert listed["items"][0]["id"] == binding["id"]
    assert (
        len(
            door.http.get("/bindings", params={"device_id": device, "cursor": listed["next"]}).json()["items"]
        )
        == 1
    )
    door.is_problem(door.http.get("/bindings", params={"cursor": "x"}), 400)
    detail = door.http.get(f"/movements/{mrn}").json()
    assert [b["id"] for b in detail["bindings"]] == [binding["id"], bulk["ids"][0]]


def test_rules(door) -> None:
    rules = door.http.get("/rules").json()
    assert rules["defaults"]["route-deviation"]["warn_m"] == 500
    changed = door.http.put(
        "/rules", json={"defaults": {"route-deviation": {"warn_m": 800}}}, params={"by": "chief"}
    )
    assert changed.json()["defaults"]["route-deviation"]["warn_m"] == 800
    for bad in (
        {"defaults": {"route-deviaton": {"warn_m": 800}}},
        {"defaults": {"route-deviation": {"warn": 800}}},
        {"defaults": {"route-deviation": {"warn_m": "far"}}},
        {"default": {}},
        [],
    ):
        door.is_problem(door.http.put("/rules", json=bad), 422)
    last = [c for c in changes(door) if c["kind"] == "rules"][-1]
    assert (last["by"], last["after"]) == ("chief", {"defaults": {"route-deviation": {"warn_m": 800}}})
    assert door.put("/rules", {}).json() == rules


def test_device_last(door) -> None:
    mrn, device = door.bound()
    door.is_problem(door.http.get("/devices/never-heard/last"), 404)
    assert door.http.get(f"/devices/{device}/last").json()["observation"] is None
    door.observe(
        {"device_id": device, "observed_at": door.at(-5), "lat_deg": 1.5, "lon_deg": 2.5, "battery_pct": 44}
    )
    door.observe({"device_id": device, "observed_at": door.at(-9), "battery_pct": 45})
    door.settled()
    last = door.http.get(f"/devices/{device}/last").json()
    assert last["observation"]["battery_pct"] == 44
    assert last["observation"]["temp_c"] is None
    assert last["binding"]["mrn"] == mrn
    assert last["received_at"] == last["observation"]["received_at"]


def test_movement_list(door) -> None:
    alert = door.cut()
    items = door.http.get("/movements", params={"q": alert["device_id"]}).json()["items"]
    assert [m["mrn"] for m in items] == [alert["mrn"]]
    (movement,) = items
    assert movement["devices"] == [alert["device_id"]]
    assert movement["equipment"] == ["MSKU9070323"]
    assert (movement["worst"], movement["open_alerts"]) == ("critical", 1)
    assert movement["last"]["lat_deg"] == 22.5
    door.put(f"/movements/{alert['mrn']}", {"arrived_at": door.at()})
    for flag, n in (("true", 0), ("false", 1)):
        found = door.http.get("/movements", params={"q": alert["mrn"], "open": flag}).json()["items"]
        assert len([m for m in found if m["mrn"] == alert["mrn"]]) == n


def test_last_is_what_was_said_while_bound(door) -> None:
    mrn, device = door.bound(from_s=-1000)
    door.observe({"device_id": device, "observed_at": door.at(-500), "lat_deg": 1, "lon_deg": 2})
    door.settled()
    (binding,) = door.http.get("/bindings", params={"mrn": mrn}).json()["items"]
    assert door.http.get(f"/movements/{mrn}").json()["last"][0]["lat_deg"] == 1
    assert door.http.patch(f"/bindings/{binding['id']}", json={"to": door.at(-400)}).status_code == 200
    assert door.http.get(f"/movements/{mrn}").json()["last"][0]["lat_deg"] == 1
    door.observe({"device_id": device, "observed_at": door.at(-300), "lat_deg": 9, "lon_deg": 9})
    door.settled()
    assert door.http.get(f"/movements/{mrn}").json()["last"] == []
    (movement,) = door.http.get("/movements", params={"q": mrn}).json()["items"]
    assert movement["last"] is None
