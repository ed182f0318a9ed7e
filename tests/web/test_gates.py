"""Gates through the public doors: what is joined before the barrier, every reason against it, one exit for two gates."""

import threading

import httpx
import pytest
from tests.web import roadside as road


def leaving(door, state: str = "released", **doc) -> tuple[str, str, str]:
    """(movement, plate, phone) of a vehicle that stands where the gates of these tests are."""
    mrn = road.movement(door, state, **doc)
    carried = road.transport(door, mrn)
    road.here(door, carried["device_id"])
    return mrn, carried["plate"], carried["device_id"]


# into a port


def test_declarations_bookings_and_pass_are_joined_before_the_barrier(door) -> None:
    mrn, paper = road.declared(door, "KAA 111A", "TGHU1234567")
    booking = road.manifest(door, "TGHU1234567", "BK-111")
    note = road.code(door, "container-pass", mrn, equipment_id="TGHU1234567")
    port = road.gate(door, "port")
    seen = road.arrive(
        door, port, "in", plate="kaa-111a", plate_confidence=0.93, container_ids=["TGHU 123456-7"]
    )
    assert (seen["decision"], seen["signal"], seen["reasons"]) == ("open", "green", [])
    assert seen["movements"] == [mrn]
    assert {d["id"] for d in seen["declarations"]} >= {paper}
    assert [b["id"] for b in seen["bookings"]] == [booking]
    assert [(p["code_id"], p["state"], p["equipment_id"]) for p in seen["passes"]] == [
        (note["id"], "used", "TGHU1234567")
    ]
    assert seen["plate"] == "kaa-111a"
    used = door.http.get(f"/codes/{note['id']}").json()
    assert used["state"] == "used"
    assert used["first_use"]["gate"] == port
    again = road.arrive(door, port, "in", plate="KAA111A", container_ids=["TGHU1234567"])
    assert (again["decision"], road.rules(again)) == ("hold", ["pass-used"])
    assert port in again["reasons"][0]["detail"]


def test_without_a_pass_it_is_held(door) -> None:
    mrn, _ = road.declared(door, "KAA 112A", "TGHU1234568")
    port = road.gate(door, "port")
    seen = road.arrive(door, port, "in", plate="KAA 112A", container_ids=["TGHU1234568"])
    assert (seen["decision"], seen["signal"], road.rules(seen)) == ("hold", "red", ["no-pass"])
    assert seen["movements"] == [mrn]
    assert seen["effects"] == []
    other, _ = road.declared(door, "KAA 113A", "TGHU1234569")
    road.code(door, "container-pass", other, equipment_id="TGHU1234569")
    one_of_two = road.arrive(door, port, "in", container_ids=["TGHU1234568", "TGHU1234569"], plate=None)
    assert {"unreadable-plate", "no-pass"} == set(road.rules(one_of_two))
    assert door.http.get("/codes", params={"mrn": other}).json()["items"][0]["state"] == "valid"


def test_a_booking_that_only_the_transport_names_is_told(door) -> None:
    carried = road.transport(door, road.movement(door, "accepted"), booking="BK-ALONE")
    road.code(door, "container-pass", carried["mrns"][0])
    seen = road.arrive(door, road.gate(door, "port"), "in", plate=carried["plate"])
    assert seen["decision"] == "open"
    assert seen["bookings"] == [{"id": None, "kind": "booking", "reference": "BK-ALONE"}]
    number = f"BK-{door.name('B')}"
    booking = road.manifest(door, "MSKU0000001", number)
    carried = road.transport(door, road.movement(door, "accepted"), booking=number)
    seen = road.arrive(door, road.gate(door, "port"), "in", plate=carried["plate"])
    assert seen["bookings"] == [{"id": booking, "kind": "manifest-csv", "reference": number}]


@pytest.mark.parametrize(
    ("read", "rule"),
    [
        ({"plate": None}, "unreadable-plate"),
        ({"plate": "---"}, "unreadable-plate"),
        ({"plate_confidence": 0.5}, "unreadable-plate"),
        ({"plate": "NOBODY 1"}, "plate-unknown"),
    ],
)
def test_a_plate_that_says_nothing_holds(door, read, rule) -> None:
    carried = road.transport(door, road.movement(door, "accepted"))
    road.code(door, "container-pass", carried["mrns"][0])
    seen = road.arrive(door, road.gate(door, "port"), "in", **{"plate": carried["plate"], **read})
    assert seen["decision"] == "hold"
    assert rule in road.rules(seen)


@pytest.mark.parametrize("read", ["А 777 ВС-77", "A777BC 77", "a777bc77"])
def test_plates_are_compared_without_signs_case_and_alphabet(door, read) -> None:
    mrn = road.movement(door, "accepted")
    road.transport(door, mrn, plate="A 777 BC 77")
    assert mrn in road.arrive(door, road.gate(door, "port"), "in", plate=read)["movements"]


@pytest.mark.parametrize(
    ("case", "rule"),
    [
        ("void", "pass-void"),
        ("early", "pass-not-yet-valid"),
        ("late", "pass-expired"),
        ("elsewhere", "wrong-gate"),
        ("unpaid", "out-of-order"),
    ],
)
def test_a_pass_that_is_not_good_holds_and_stays_unused(door, case, rule) -> None:
    carried = road.transport(door, road.movement(door, "accepted"))
    mrn, when = carried["mrns"][0], {}
    more = {"early": {"valid_from": door.at(7200)}, "elsewhere": {"gate": "ANOTHER-GATE"}}.get(case, {})
    note = road.code(door, "container-pass", mrn, **more)
    if case == "void":
        assert door.http.post(f"/codes/{note['id']}/void", json={"reason": "lost"}).status_code == 200
    if case == "late":
        note = road.code(door, "container-pass", road.movement(door), valid_to=door.at(250))
        carried, when = road.transport(door, note["mrn"]), {"at": door.at(280)}
    if case == "unpaid":
        road.code(door, "payment", mrn)
    seen = road.arrive(door, road.gate(door, "port"), "in", plate=carried["plate"], **when)
    assert (seen["decision"], road.rules(seen)) == ("hold", [rule])
    assert door.http.get(f"/codes/{note['id']}").json()["first_use"] is None


def test_of_two_passes_nobody_guesses_which_container_came(door) -> None:
    carried = road.transport(door, road.movement(door, "accepted"))
    mrn, port = carried["mrns"][0], road.gate(door, "port")
    road.code(door, "container-pass", mrn, equipment_id="CAIU1000001")
    road.code(door, "container-pass", mrn, equipment_id="CAIU1000002")
    seen = road.arrive(door, port, "in", plate=carried["plate"])
    assert (seen["decision"], road.rules(seen)) == ("hold", ["container-unread"])
    seen = road.arrive(door, port, "in", plate=carried["plate"], container_ids=["CAIU1000002"])
    assert [p["equipment_id"] for p in seen["passes"] if p["state"] == "used"] == ["CAIU1000002"]
    assert seen["decision"] == "open"


def test_a_container_of_another_declaration_goes_to_the_desk(door) -> None:
    carried = road.transport(door, road.movement(door, "accepted"))
    other = road.movement(door, "accepted")
    road.code(door, "container-pass", other, equipment_id="CAIU2000001")
    seen = road.arrive(
        door, road.gate(door, "port"), "in", plate=carried["plate"], container_ids=["CAIU2000001"]
    )
    assert (seen["decision"], road.rules(seen)) == ("desk", ["plate-and-container-disagree"])


def test_an_open_alert_sends_to_the_desk(door) -> None:
    alert = door.cut()
    carried = road.transport(door, alert["mrn"])
    road.code(door, "container-pass", alert["mrn"])
    port = road.gate(door, "port")
    seen = road.arrive(door, port, "in", plate=carried["plate"])
    assert (seen["decision"], road.rules(seen)) == ("desk", ["open-alert"])
    for step in ({"state": "acknowledged"}, {"state": "closed", "cause": "rope replaced under control"}):
        done = door.http.patch(f"/alerts/{alert['id']}", json={**step, "by": "amina"})
        assert done.status_code == 200
    assert road.arrive(door, port, "in", plate=carried["plate"])["decision"] == "open"


def test_papers_of_trips_that_are_over_do_not_count(door) -> None:
    truck = f"KCC {door.name('P')}"
    old, old_paper = road.declared(door, truck, "CAIU3000001")
    road.act(door, old, {"event": "cancel", "reason": "not shipped"})
    new = road.movement(door, "accepted")
    road.code(door, "container-pass", new, equipment_id="CAIU3000002")
    seen = road.arrive(door, road.gate(door, "port"), "in", plate=truck, container_ids=["CAIU3000002"])
    assert (seen["decision"], seen["reasons"], seen["movements"]) == ("open", [], [new])
    assert old_paper not in {d["id"] for d in seen["declarations"]}
    seen = road.arrive(door, road.gate(door, "border"), "out", plate=truck)
    assert "already-left" in road.rules(seen)


# out


def test_plate_and_position_together_are_green_and_the_exit_read_releases_the_goods(door) -> None:
    mrn, plate, phone = leaving(door, "control-decided")
    border = road.gate(door, "border")
    seen = road.arrive(door, border, "out", plate=plate, device_id=phone)
    assert (seen["decision"], seen["signal"], seen["reasons"]) == ("open", "green", [])
    assert [e["event"] for e in seen["effects"]] == ["release", "depart"]
    assert seen["position"]["device_id"] == phone
    assert seen["position"]["distance_m"] < 1
    assert road.state(door, mrn) == "departed"
    read = road.events(door, mrn)[-1]
    assert read["details"]["exit_read"]["gate"] == border
    assert read["details"]["exit_read"]["arrival"] == seen["id"]
    assert door.http.get(f"/movements/{mrn}").json()["departed_at"] == read["at"]


def test_an_arrival_that_is_told_later_leaves_at_its_own_time(door) -> None:
    mrn, plate, _ = leaving(door)
    at = door.at()
    seen = road.arrive(door, road.gate(door, "border"), "out", plate=plate, at=at)
    assert seen["at"] == at
    assert seen["recorded_at"] > at
    assert road.events(door, mrn)[-1]["at"] == at


@pytest.mark.parametrize(
    ("read", "where", "rule"),
    [
        ({"plate": None}, {}, "unreadable-plate"),
        ({"plate_confidence": 0.79}, {}, "unreadable-plate"),
        ({"plate": "NOBODY 2"}, {}, "plate-unknown"),
        ({}, {"lat": 50.003}, "plate-and-position-disagree"),
        ({"device_id": "PHONE-OF-SOMEBODY"}, {}, "plate-and-position-disagree"),
        ({}, {"seconds": -121}, "no-position"),
        ({}, {"fix_valid": False}, "no-position"),
    ],
)
def test_unreadable_or_apart_is_red_and_nothing_is_recorded(door, read, where, rule) -> None:
    mrn = road.movement(door)
    carried = road.transport(door, mrn)
    road.here(door, carried["device_id"], **where)
    before = road.events(door, mrn)
    seen = road.arrive(door, road.gate(door, "border"), "out", **{"plate": carried["plate"], **read})
    assert (seen["decision"], seen["signal"]) == ("desk", "red")
    assert rule in road.rules(seen)
    assert seen["effects"] == []
    assert road.events(door, mrn) == before


def test_a_position_that_came_a_moment_ago_counts_before_the_detectors_saw_it(door) -> None:
    _, plate, phone = leaving(door)
    road.here(door, phone, lat=50.0100, seconds=-0.2)
    seen = road.arrive(door, road.gate(door, "border"), "out", plate=plate)
    assert road.rules(seen) == ["plate-and-position-disagree"]
    assert "1112 m" in seen["reasons"][0]["detail"]  # a hundredth of a degree of the meridian at 50°


def test_two_devices_must_not_be_in_two_places(door) -> None:
    mrn, plate, _ = leaving(door)
    seal = door.name("SEAL")
    binding = {"device_id": seal, "equipment_id": "MSKU9070323", "mrn": mrn, "from": door.at(-600)}
    assert door.http.post("/bindings", json=binding).status_code == 201
    border = road.gate(door, "border")
    road.here(door, seal, lat=50.003, seconds=-60)
    assert road.rules(road.arrive(door, border, "out", plate=plate)) == ["plate-and-position-disagree"]
    road.here(door, seal, seconds=-0.1)
    assert road.arrive(door, border, "out", plate=plate)["decision"] == "open"


def test_a_gate_without_a_place_is_where_its_offices_zone_is(door) -> None:
    office = door.name("OFFICE")
    door.put(f"/offices/{office}", {"name": "Corridor"})
    box = [[8.9, 51.9], [9.1, 51.9], [9.1, 52.1], [8.9, 52.1], [8.9, 51.9]]
    zone = {
        "type": "Feature",
        "properties": {"kind": "office", "office": office},
        "geometry": {"type": "Polygon", "coordinates": [box]},
    }
    assert door.put(f"/zones/{door.name('ZONE')}", zone).status_code == 201
    gate = road.gate(door, "border", office=office, lat_deg=None, lon_deg=None)
    for lat, decision in ((52.2, "desk"), (52.0, "open")):
        carried = road.transport(door, road.movement(door))
        road.here(door, carried["device_id"], lat=lat, lon=9.0)
        assert road.arrive(door, gate, "out", plate=carried["plate"])["decision"] == decision


@pytest.mark.parametrize(
    ("state", "control", "rule"),
    [
        ("accepted", "none", "movement-not-released"),
        ("control-decided", "documents", "movement-not-released"),
        ("control-decided", "examination", "control-ordered"),
        ("released", "scan", "control-ordered"),
        ("incident", "none", "open-incident"),
    ],
)
def test_what_is_not_cleared_does_not_leave(door, state, control, rule) -> None:
    mrn, plate, _ = leaving(door, state, control=control)
    seen = road.arrive(door, road.gate(door, "border"), "out", plate=plate)
    assert seen["decision"] == "desk"
    assert rule in road.rules(seen)
    assert road.state(door, mrn) == state


def test_a_control_with_a_satisfactory_result_no_longer_stops(door) -> None:
    mrn, plate, _ = leaving(door, "control-decided", control="examination")
    road.act(door, mrn, {"event": "release", "result": "satisfactory"})
    assert road.arrive(door, road.gate(door, "border"), "out", plate=plate)["decision"] == "open"


def test_an_open_seal_alert_stops_on_the_way_out(door) -> None:
    alert = door.cut()
    carried = road.transport(door, alert["mrn"])
    road.here(door, carried["device_id"])
    seen = road.arrive(door, road.gate(door, "exit"), "out", plate=carried["plate"])
    assert (seen["decision"], road.rules(seen)) == (
        "desk",
        ["open-alert", "plate-and-position-disagree"],
    )  # the seal is in Hong Kong, the phone is here


@pytest.mark.parametrize(
    ("report", "code", "stops"),
    [({"casing_open": True}, "casing-opened", True), ({"motor_stuck": True}, "motor-fault", False)],
)
def test_what_ended_stops_no_more_unless_it_is_a_seals(door, report, code, stops) -> None:
    mrn, device = door.bound()
    back = {"casing_open": False, "motor_stuck": False}
    for seconds, told in ((-3500, report), (-2, back)):
        road.here(door, device, seconds=seconds, **told)
    door.settled()
    (alert,) = door.http.get("/alerts", params={"mrn": mrn, "code": code}).json()["items"]
    assert alert["ended_at"] is not None
    assert alert["severity"] in {"high", "critical"}
    carried = road.transport(door, mrn)
    road.here(door, carried["device_id"])
    seen = road.arrive(door, road.gate(door, "border"), "out", plate=carried["plate"])
    assert any(code in r["detail"] for r in seen["reasons"]) is stops, seen["reasons"]


def test_a_sensitive_movement_without_an_armed_seal_is_refused_and_counted(door) -> None:
    before = door.http.get("/kpis").json()["refused_without_seal"]
    mrn, plate, _ = leaving(door, "released", risk="high")
    gate = road.gate(door, "border")
    seen = road.arrive(door, gate, "out", plate=plate)
    assert (seen["decision"], road.rules(seen)) == ("desk", ["no-armed-seal"])
    assert seen["effects"] == []
    assert road.state(door, mrn) == "released"
    assert door.http.get("/kpis").json()["refused_without_seal"] == before + 1
    road.act(door, mrn, {"event": "waive-seal", "reason": "no e-seal in stock", "office": "X"})
    assert road.arrive(door, gate, "out", plate=plate)["decision"] == "open"


def test_all_movements_of_a_vehicle_leave_or_none(door) -> None:
    good, bad = road.movement(door), road.movement(door, "accepted")
    carried = road.transport(door, good, bad)
    road.here(door, carried["device_id"])
    border = road.gate(door, "border")
    seen = road.arrive(door, border, "out", plate=carried["plate"])
    assert road.rules(seen) == ["movement-not-released"]
    assert [road.state(door, m) for m in (good, bad)] == ["released", "accepted"]
    more = [
        {"event": "reserve-guarantee", "waiver": "x"},
        {"event": "decide-control", "control": "none"},
    ]
    road.act(door, bad, *more)
    seen = road.arrive(door, border, "out", plate=carried["plate"])
    assert seen["decision"] == "open"
    assert [road.state(door, m) for m in (good, bad)] == ["departed", "departed"]


@pytest.mark.parametrize(
    ("state", "kind", "after", "events"),
    [
        ("released", "port", "departed", ["depart"]),
        ("en-route", "border", "border-handover", ["hand-over"]),
        ("en-route", "exit", "arrived", ["arrive"]),
        ("arrived", "exit", "arrived", ["note"]),
    ],
)
def test_what_an_exit_read_records(door, state, kind, after, events) -> None:
    mrn, plate, _ = leaving(door, state)
    seen = road.arrive(door, road.gate(door, kind), "out", plate=plate)
    assert (seen["decision"], [e["event"] for e in seen["effects"]]) == ("open", events)
    assert road.state(door, mrn) == after


def test_an_exit_gate_that_is_not_the_destination_hands_over(door) -> None:
    offices = [door.name("OFFICE"), door.name("OFFICE")]
    for office in offices:
        door.put(f"/offices/{office}", {"name": office})
    mrn, plate, _ = leaving(door, "en-route", destination_office=offices[0])
    gate = road.gate(door, "exit", office=offices[1])
    assert road.arrive(door, gate, "out", plate=plate)["decision"] == "open"
    assert door.http.get(f"/movements/{mrn}").json()["custody"]["office"] == offices[1]


def test_a_port_lets_out_only_what_is_released(door) -> None:
    mrn, plate, _ = leaving(door, "arrived")
    seen = road.arrive(door, road.gate(door, "port"), "out", plate=plate)
    assert (seen["decision"], road.rules(seen)) == ("desk", ["movement-not-released"])
    assert road.state(door, mrn) == "arrived"


def test_the_exit_read_is_what_acquittal_asks_for(door) -> None:
    """The departure is none: the movement must have been read on its way out of the territory."""
    mrn, plate, phone = leaving(door)
    note = road.code(door, "transit", mrn)

    def refused() -> set[str]:
        scan = door.http.post("/scans", json={"code": note["short"], "by": "amina"}).json()
        return {r["rule"] for r in scan["reasons"]}

    road.arrive(door, road.gate(door, "border"), "out", plate=plate)
    road.act(door, mrn, {"event": "proceed"}, {"event": "arrive"})
    assert "no-exit-read" in refused()
    road.here(door, phone, seconds=-0.1)
    assert road.arrive(door, road.gate(door, "exit"), "out", plate=plate)["decision"] == "open"
    assert "no-exit-read" not in refused()


def test_an_exit_code_is_used_up_and_serves_once(door) -> None:
    mrn, plate, _ = leaving(door)
    note = road.code(door, "exit", mrn)
    border = road.gate(door, "border")
    seen = road.arrive(door, border, "out", plate=plate)
    assert (seen["decision"], [e["event"] for e in seen["effects"]]) == ("open", ["depart"])
    assert door.http.get(f"/codes/{note['id']}").json()["first_use"]["gate"] == border
    scan = door.http.post("/scans", json={"code": note["short"], "gate": "OTHER", "by": "b"}).json()
    assert [r["rule"] for r in scan["reasons"]] == ["already-used"]


def test_it_leaves_once(door) -> None:
    mrn, plate, _ = leaving(door)
    first, second = road.gate(door, "border"), road.gate(door, "border")
    assert road.arrive(door, first, "out", plate=plate)["decision"] == "open"
    for gate in (first, second):
        again = road.arrive(door, gate, "out", plate=plate)
        assert (again["decision"], road.rules(again)) == ("desk", ["already-left"])
        assert first in again["reasons"][0]["detail"]
    assert [e["event"] for e in road.events(door, mrn)].count("depart") == 1


def _at_once(door, calls: list[tuple[str, dict]]) -> list[dict]:
    """Posts at the same moment, each from a client of its own."""
    answers: list[dict] = []
    barrier = threading.Barrier(len(calls))

    def one(gate: str, read: dict) -> None:
        with httpx.Client(base_url=f"{door.url}/api/v1", timeout=60) as client:
            barrier.wait()
            answers.append(client.post(f"/gates/{gate}/arrivals", json=read).json())

    threads = [threading.Thread(target=one, args=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_of_many_gates_at_once_one_lets_it_out(door) -> None:
    for _ in range(3):
        mrn, plate, _ = leaving(door)
        gates = [road.gate(door, "border") for _ in range(2)]
        seen = _at_once(door, [(g, {"direction": "out", "plate": plate}) for g in gates * 4])
        assert sorted(s["decision"] for s in seen) == ["desk"] * 7 + ["open"]
        assert {r for s in seen for r in road.rules(s)} == {"already-left"}
        assert [e["event"] for e in road.events(door, mrn)].count("depart") == 1


def test_of_many_port_gates_at_once_one_takes_the_pass(door) -> None:
    carried = road.transport(door, road.movement(door, "accepted"))
    note = road.code(door, "container-pass", carried["mrns"][0])
    gates = [road.gate(door, "port") for _ in range(2)]
    seen = _at_once(door, [(g, {"direction": "in", "plate": carried["plate"]}) for g in gates * 4])
    assert sorted(s["decision"] for s in seen) == ["hold"] * 7 + ["open"]
    assert {r for s in seen for r in road.rules(s)} == {"pass-used"}
    scans = door.http.get("/scans", params={"code_id": note["id"]}).json()["items"]
    assert [s["outcome"] for s in scans] == ["accepted"]


# gates themselves


def test_arrivals_are_kept_as_they_were_decided(door) -> None:
    carried = road.transport(door, road.movement(door, "accepted"))
    port = road.gate(door, "port")
    first = road.arrive(door, port, "in", plate=carried["plate"])
    road.code(door, "container-pass", carried["mrns"][0])
    second = road.arrive(door, port, "in", plate=carried["plate"])
    page = door.http.get(f"/gates/{port}/arrivals").json()
    assert page["items"] == [second, first]
    assert (first["decision"], second["decision"]) == ("hold", "open")
    held = door.http.get(f"/gates/{port}/arrivals", params={"decision": "hold"}).json()["items"]
    assert held == [first]
    part = door.http.get(f"/gates/{port}/arrivals", params={"limit": 1}).json()
    rest = door.http.get(f"/gates/{port}/arrivals", params={"cursor": part["next"]}).json()
    assert part["items"] + rest["items"] == [second, first]


def test_gates_are_kept_shown_and_their_changes_recorded(door) -> None:
    gate = road.gate(door, "border")
    assert door.http.get(f"/gates/{gate}").json()["radius_m"] == 200
    body = {"name": "moved", "kind": "exit"}
    assert door.http.put(f"/gates/{gate}", json=body, params={"by": "amina"}).status_code == 200
    assert gate in {g["id"] for g in door.http.get("/gates", params={"limit": 1000}).json()["items"]}
    changes = [
        c for c in door.http.get("/changes", params={"limit": 1000}).json()["items"] if c["id"] == gate
    ]
    assert [(c["kind"], (c["before"] or {}).get("kind"), c["after"]["kind"]) for c in changes] == [
        ("gate", None, "border"),
        ("gate", "border", "exit"),
    ]


def test_what_is_no_gate_or_no_arrival_is_refused(door) -> None:
    port = road.gate(door, "port")
    door.is_problem(door.http.post("/gates/NOWHERE/arrivals", json={"direction": "in"}), 404)
    door.is_problem(door.http.get("/gates/NOWHERE/arrivals"), 404)
    for body, path in (
        ({}, "/direction"),
        ({"direction": "up"}, "/direction"),
        ({"direction": "in", "plate_confidence": 2}, "/plate_confidence"),
        ({"direction": "in", "at": "2999-01-01T00:00:00Z"}, "/at"),
        ({"direction": "in", "container_ids": [""]}, "/container_ids/0"),
    ):
        problem = door.is_problem(door.http.post(f"/gates/{port}/arrivals", json=body), 422)
        assert [e["path"] for e in problem["errors"]] == [path]
    for body in (
        {"name": "x", "kind": "port", "lat_deg": 1},
        {"name": "x", "kind": "port", "office": "NONE"},
    ):
        door.is_problem(door.put(f"/gates/{door.name('GATE')}", body), 422)
    assert door.http.get(f"/gates/{port}/arrivals").json()["items"] == []
