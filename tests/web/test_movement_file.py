"""A movement's file through the public doors: events and what they need, seals, guarantees, evidence, the feed, the past."""

import threading
import time
from decimal import Decimal
from random import Random

import pytest

from cocket.core.clock import ReplayClock, rfc3339
from cocket.core.config import Settings
from cocket.engine.service import Service
from cocket.web.routes import movement_file

BEFORE_SEAL = ("lodge", "accept", "reserve-guarantee", "decide-control")
DAY = 86_400


def act(door, mrn: str, event: str, **details):
    return door.http.post(
        f"/movements/{mrn}/events", json={"event": event, **details}, params={"by": "amina"}
    )


def done(door, mrn: str, *events) -> dict:
    rows = [{"event": e} if isinstance(e, str) else e for e in events]
    rows = [
        r | {"waiver": "authorised"} if r["event"] == "reserve-guarantee" and "grn" not in r else r
        for r in rows
    ]
    answer = door.http.post(f"/movements/{mrn}/events", json=rows)
    assert answer.status_code == 201, answer.text
    return answer.json()


def movement(door, **doc) -> str:
    mrn = door.name("MRN")
    assert door.put(f"/movements/{mrn}", doc).status_code == 201
    return mrn


def sealed(door, seal: str | None = None, **doc) -> tuple[str, str]:
    mrn, seal = movement(door, **doc), seal or door.name("ESEAL")
    door.put(f"/devices/{seal}", {"class": "e-seal"})
    done(door, mrn, *BEFORE_SEAL, {"event": "seal", "seals": [{"id": seal, "equipment_id": "MSKU9070323"}]})
    return mrn, seal


def rules(problem: dict) -> set[str]:
    return {e["rule"] for e in problem["errors"]}


def test_an_impossible_event_names_state_event_and_what_is_allowed(door) -> None:
    mrn = movement(door)
    problem = door.is_problem(act(door, mrn, "depart"), 409)
    assert (problem["state"], problem["event"]) == ("draft", "depart")
    assert problem["allowed"] == ["lodge", "cancel", "note"]
    assert rules(problem) == {"impossible-transition"}
    assert door.http.get(f"/movements/{mrn}").json()["state"] == "draft"
    assert door.is_problem(act(door, "unknown-1", "lodge"), 404)


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({}, "/event"),
        ({"event": 3}, "/event"),
        ({"event": "lodge", "at": "yesterday"}, "/at"),
        ({"event": "lodge", "at": "2999-01-01T00:00:00Z"}, "/at"),
        ({"event": "cancel"}, "/reason"),
    ],
)
def test_what_is_no_event_is_refused_with_its_place(door, event, path) -> None:
    mrn = movement(door)
    problem = door.is_problem(door.http.post(f"/movements/{mrn}/events", json=event), 422)
    assert [e["path"] for e in problem["errors"]] == [path]


def test_many_events_are_all_or_none(door) -> None:
    mrn = movement(door)
    rows = [{"event": "lodge"}, {"event": "accept"}, {"event": "depart"}]
    problem = door.is_problem(door.http.post(f"/movements/{mrn}/events", json=rows), 409)
    assert problem["errors"][0]["path"] == "/2/event"
    assert door.http.get(f"/movements/{mrn}/events").json()["items"] == []


def test_a_sensitive_transit_leaves_only_with_an_armed_seal_or_a_waiver(door) -> None:
    before = door.http.get("/kpis").json()
    mrn = movement(door, risk="high")
    done(door, mrn, *BEFORE_SEAL, "release")
    problem = door.is_problem(act(door, mrn, "depart"), 409)
    assert rules(problem) == {"no-armed-seal"}
    assert (problem["state"], problem["event"]) == ("released", "depart")
    assert "waive-seal" in problem["allowed"]
    assert rules(door.is_problem(act(door, mrn, "depart"), 409)) == {"no-armed-seal"}
    after = door.http.get("/kpis").json()
    assert after["refused_without_seal"] == before["refused_without_seal"] + 1, (
        "one movement, however often it tries"
    )
    assert door.is_problem(act(door, mrn, "waive-seal"), 422)["errors"][0]["path"] == "/reason"
    done(door, mrn, {"event": "waive-seal", "reason": "no seal in stock; follows under escort"}, "depart")
    whole = door.http.get(f"/movements/{mrn}").json()
    assert whole["waiver"]["reason"].startswith("no seal in stock")
    assert whole["departed_at"] is not None, "the detectors know it now"
    after = door.http.get("/kpis").json()
    assert after["sensitive_departures"] == before["sensitive_departures"] + 1
    assert after["waived"] == before["waived"] + 1
    assert after["armed"] == before["armed"]


def test_arming_wants_a_self_test(door) -> None:
    mrn, seal = sealed(door, risk="high")
    assert rules(door.is_problem(act(door, mrn, "arm"), 409)) == {"no-report"}
    bad = {
        "device_id": seal,
        "locked": False,
        "battery_pct": 5,
        "lat_deg": 22.5,
        "lon_deg": 114.1,
        "fix_valid": False,
    }
    door.observe({**bad, "observed_at": door.at(-5)})
    door.settled()
    assert rules(door.is_problem(act(door, mrn, "arm"), 409)) == {"not-locked", "low-battery", "no-fix"}
    door.observe({**bad, "locked": True, "battery_pct": 90, "fix_valid": True, "observed_at": door.at(-1)})
    door.settled()
    answer = act(door, mrn, "arm")
    assert answer.status_code == 201, answer.text
    assert answer.json()["events"][0]["details"]["armed"] == [seal]
    done(door, mrn, "release", "depart")
    assert door.http.get(f"/seals/{seal}").json()["state"] == "armed"
    assert door.http.get(f"/devices/{seal}").json()["state"] == "armed"
    (binding,) = door.http.get("/bindings", params={"device_id": seal}).json()["items"]
    assert (binding["mrn"], binding["to"]) == (mrn, None)
    # the rope is cut: the alert puts the seal in alarm
    door.observe(
        {
            **bad,
            "locked": True,
            "battery_pct": 90,
            "fix_valid": True,
            "rope_cut": True,
            "observed_at": door.at(0),
        }
    )
    door.settled()
    door.until(lambda: door.http.get(f"/seals/{seal}").json()["state"] == "alarm")
    done(door, mrn, "arrive", {"event": "verify-seals", "result": "broken"}, "unseal")
    assert door.http.get(f"/seals/{seal}").json()["state"] == "disarmed"
    (binding,) = door.http.get("/bindings", params={"device_id": seal}).json()["items"]
    assert binding["to"] is not None


def test_a_seal_outside_the_departure_zone_is_not_armed(fresh) -> None:
    ring = [[10, 10], [10.1, 10], [10.1, 10.1], [10, 10.1], [10, 10]]
    zone = {
        "type": "Feature",
        "properties": {"kind": "departure"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    assert fresh.put("/zones/yard", zone).status_code == 201
    mrn, seal = sealed(fresh)
    row = {"device_id": seal, "locked": True, "battery_pct": 80, "fix_valid": True, "lon_deg": 10.05}
    fresh.observe({**row, "observed_at": fresh.at(-5), "lat_deg": 11.0})
    fresh.settled()
    assert rules(fresh.is_problem(act(fresh, mrn, "arm"), 409)) == {"outside-departure"}
    fresh.observe({**row, "observed_at": fresh.at(-1), "lat_deg": 10.05})
    fresh.settled()
    assert act(fresh, mrn, "arm").status_code == 201


def test_arming_counts_a_report_that_was_just_answered(fresh, monkeypatch) -> None:
    """The detectors lag behind the disk: what a seal was answered for counts all the same, or is not said to be missing."""
    mrn, seal = sealed(fresh)
    detecting = fresh.service.lines.detecting
    step, free = detecting.step, threading.Event()
    monkeypatch.setattr(detecting, "step", lambda entries: free.wait(30) and step(entries))
    row = {"device_id": seal, "locked": True, "battery_pct": 80, "fix_valid": True, "lon_deg": 10.05}
    fresh.observe({**row, "observed_at": fresh.at(-1), "lat_deg": 10.05})
    monkeypatch.setattr(movement_file, "_SELF_TEST_WAIT_S", 0.1)
    problem = fresh.is_problem(act(fresh, mrn, "arm"), 429)
    assert "wait for the detectors" in problem["detail"]
    monkeypatch.setattr(movement_file, "_SELF_TEST_WAIT_S", 30.0)
    threading.Timer(0.5, free.set).start()
    assert act(fresh, mrn, "arm").status_code == 201


def test_a_seal_is_on_one_open_movement_at_a_time(door) -> None:
    first, seal = sealed(door)
    second = movement(door)
    done(door, second, *BEFORE_SEAL)
    fitting = {"seals": [{"id": seal, "equipment_id": "TGHU1234560"}]}
    problem = door.is_problem(act(door, second, "seal", **fitting), 409)
    assert rules(problem) == {"seal-bound"}
    assert first in problem["detail"]
    assert door.http.get(f"/movements/{second}").json()["state"] == "control-decided"
    done(door, first, {"event": "cancel", "reason": "not needed"})
    assert act(door, second, "seal", **fitting).status_code == 201
    quarantined = door.name("MECH")
    door.put(f"/seals/{quarantined}", {"kind": "mechanical"})
    third = movement(door)
    done(door, third, *BEFORE_SEAL)
    problem = door.is_problem(act(door, third, "seal", seals=[{"id": quarantined, "equipment_id": "A"}]), 409)
    assert rules(problem) == {"seal-not-free"}, "in stock, and not type-approved"


def test_two_gates_cannot_both_have_a_seal(door) -> None:
    """Many movements want one seal at once: exactly one gets it."""
    seal = door.name("ONE")
    door.put(f"/seals/{seal}", {"kind": "mechanical", "type_approval": "ISO 17712 H"})
    mrns = [movement(door) for _ in range(6)]
    for mrn in mrns:
        done(door, mrn, *BEFORE_SEAL)
    gate, found = threading.Barrier(len(mrns)), []

    def fit(mrn: str) -> None:
        gate.wait()
        found.append(act(door, mrn, "seal", seals=[{"id": seal, "equipment_id": "A"}]).status_code)

    threads = [threading.Thread(target=fit, args=(mrn,)) for mrn in mrns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [201] + [409] * 5


def test_an_event_told_late_takes_its_place_if_everything_after_it_stays_possible(door) -> None:
    mrn = movement(door)
    at = [door.at(s) for s in (-600, -500, -400, -300, -250, -200, -100)]
    line = [*BEFORE_SEAL, "release", "depart", "arrive"]
    done(door, mrn, *({"event": e, "at": t} for e, t in zip(line, at, strict=True)))
    between = door.at(-150)
    answer = act(door, mrn, "report-incident", reason="flat tyre", at=between)
    assert answer.status_code == 201, (
        "an incident between departure and arrival can be told after the arrival"
    )
    assert answer.json()["events"][0]["from_state"] == "departed"
    events = door.http.get(f"/movements/{mrn}/events").json()["items"]
    assert [e["event"] for e in events][-3:] == ["depart", "report-incident", "arrive"]
    problem = door.is_problem(act(door, mrn, "discharge", at=between, reason="x"), 409)
    assert "discharge" in problem["detail"]
    problem = door.is_problem(act(door, mrn, "cancel", reason="no", at=door.at(-225)), 409)
    assert problem["state"] == "released"
    assert "would not be possible" in problem["detail"]


def test_the_past_is_shown_as_it_was_known(door) -> None:
    mrn = movement(door, risk="low")
    done(door, mrn, *BEFORE_SEAL)
    then = door.at(0)
    door.put(f"/movements/{mrn}", {"risk": "high"})
    done(door, mrn, {"event": "seal", "seals": [{"id": door.name("S"), "equipment_id": "A"}]}, "release")
    now = door.http.get(f"/movements/{mrn}").json()
    past = door.http.get(f"/movements/{mrn}", params={"as_known_at": then}).json()
    assert (now["state"], now["risk"], len(now["seals"])) == ("released", "high", 1)
    assert (past["state"], past["risk"], past["seals"]) == ("control-decided", "low", [])
    assert len(door.http.get(f"/movements/{mrn}/events", params={"as_known_at": then}).json()["items"]) == 4
    assert door.is_problem(
        door.http.get(f"/movements/{mrn}", params={"as_known_at": "2020-01-01T00:00:00Z"}), 404
    )


def test_incidents_custody_and_the_feed_of_each_country(door) -> None:
    mrn = movement(door, countries=["AR", "CL"])
    begin = door.http.get("/feed", params={"limit": 1000, "after": 0}).json()["next"]
    done(door, mrn, *BEFORE_SEAL, "release", "depart", "proceed")
    done(
        door,
        mrn,
        {"event": "report-incident", "kind": "accident", "reason": "collision at km 12", "office": "AR001"},
        {"event": "answer", "reason": "tractor replaced within the hour", "by": "carrier's agent"},
        {"event": "resolve-incident"},
        {"event": "hand-over", "country": "CL", "authority": "Aduanas", "to": "CL010"},
    )
    whole = door.http.get(f"/movements/{mrn}").json()
    (incident,) = whole["incidents"]
    assert (incident["kind"], incident["open"]) == ("accident", False)
    assert incident["answers"][0]["by"] == "carrier's agent"
    assert whole["custody"] | {"since": None} == {
        "office": "CL010", "country": "CL", "authority": "Aduanas", "since": None
    }  # fmt: skip
    for country, heard in (("AR", True), ("CL", True), ("BR", False)):
        events = door.http.get("/feed", params={"after": begin, "country": country, "limit": 1000}).json()[
            "items"
        ]
        assert (mrn in {e["mrn"] for e in events}) == heard
    moved = door.http.get("/feed", params={"after": begin, "mrn": mrn}).json()["items"]
    assert ("en-route", "report-incident", "incident") in {
        (e["from_state"], e["event"], e["to_state"]) for e in moved
    }
    seqs = [e["seq"] for e in moved]
    assert seqs == sorted(seqs)
    assert len(seqs) == 11


def test_evidence_is_kept_byte_for_byte(door) -> None:
    mrn = movement(door)
    picture = b"\xff\xd8\xff" + bytes(range(256))
    answer = door.http.post(
        f"/movements/{mrn}/evidence", content=picture, headers={"content-type": "image/jpeg"}
    )
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert door.http.get(f"/movements/{mrn}/evidence/{found['id']}").content == picture
    assert [e["id"] for e in door.http.get(f"/movements/{mrn}/evidence").json()["items"]] == [found["id"]]
    wrong = door.http.post(
        f"/movements/{mrn}/evidence", content=b"GIF89a", headers={"content-type": "image/png"}
    )
    door.is_problem(wrong, 400)
    door.is_problem(
        door.http.post(f"/movements/{mrn}/evidence", content=b"x", headers={"content-type": "text/html"}), 415
    )


def test_no_discharge_without_its_ground(door) -> None:
    mrn = movement(door)
    done(door, mrn, *BEFORE_SEAL, "release", "depart", "arrive")
    problem = door.is_problem(act(door, mrn, "discharge"), 409)
    assert problem["errors"], "the reasons why the trip is not clean"
    assert "examine" in problem["detail"]
    done(door, mrn, {"event": "examine", "result": "discrepancies"})
    door.is_problem(act(door, mrn, "discharge"), 409)
    done(door, mrn, {"event": "examine", "result": "satisfactory"})
    before = door.http.get("/kpis").json()
    ended = done(door, mrn, "discharge")
    assert ended["events"][0]["details"]["ground"] == "examination"
    after = door.http.get("/kpis").json()
    assert after["discharged"] == before["discharged"] + 1
    assert after["discharged_automatically"] == before["discharged_automatically"], "a person had to look"
    assert ended["allowed"] == ["note"]


def test_a_declared_departure_is_where_the_file_begins(door) -> None:
    mrn = movement(door, departed_at=door.at(-3600))
    assert door.http.get(f"/movements/{mrn}").json()["state"] == "departed"
    listed = door.http.get("/movements", params={"state": "departed", "q": mrn}).json()["items"]
    assert [m["mrn"] for m in listed] == [mrn]
    done(door, mrn, "arrive")
    events = door.http.get(f"/movements/{mrn}/events").json()["items"]
    assert [e["event"] for e in events][-2:] == ["depart", "arrive"]
    assert events[0]["details"] == {"implied": True}
    assert door.http.get("/movements", params={"state": "departed", "q": mrn}).json()["items"] == []


# guarantees


def test_a_guarantee_is_exact_and_speaks_the_movements_currency(door) -> None:
    grn, mrn = door.name("GRN"), movement(door)
    assert door.put(f"/guarantees/{grn}", {"amount": "1000.00", "currency": "EUR"}).status_code == 201
    done(door, mrn, "lodge", "accept")
    for bad, path in (
        ({"grn": grn, "amount": "0.1"[:1], "currency": "EUR"}, "/amount"),
        ({"grn": grn, "amount": "1.005", "currency": "EUR"}, "/amount"),
        ({"grn": grn, "amount": 5, "currency": "EUR"}, "/amount"),
        ({"grn": grn, "amount": "100", "currency": "KES"}, "/rate"),
        ({"grn": "nobody", "amount": "100", "currency": "EUR"}, "/grn"),
        ({}, "/grn"),
    ):
        problem = door.is_problem(act(door, mrn, "reserve-guarantee", **bad), 422)
        assert [e["path"] for e in problem["errors"]] == [path]
    answer = act(door, mrn, "reserve-guarantee", grn=grn, amount="100000", currency="KES", rate="0.00677331")
    assert answer.status_code == 201, answer.text
    shown = door.http.get(f"/guarantees/{grn}").json()
    assert shown["reserved"] == "677.34", "rounded up: the whole is covered"
    assert shown["available"] == "322.66"
    assert shown["entries"][0] | {"since": ""} == {
        "mrn": mrn, "state": "reserved", "amount": "677.34", "currency": "EUR", "asked": "100000.00",
        "asked_currency": "KES", "rate": "0.00677331", "since": "",
    }  # fmt: skip
    assert door.http.get(f"/movements/{mrn}").json()["guarantee"]["amount"] == "677.34"
    door.is_problem(door.put(f"/guarantees/{grn}", {"amount": "600.00", "currency": "EUR"}), 409)
    door.is_problem(door.put(f"/guarantees/{grn}", {"amount": "6000", "currency": "USD"}), 409)
    called = {"event": "call", "mrn": mrn, "amount": "77.34"}
    entry = door.http.post(f"/guarantees/{grn}/events", json=called)
    assert entry.json()["state"] == "called"
    shown = door.http.get(f"/guarantees/{grn}").json()
    assert (shown["reserved"], shown["called"], shown["available"]) == ("0.00", "77.34", "922.66")
    again = door.is_problem(door.http.post(f"/guarantees/{grn}/events", json=called), 409)
    assert again["state"] == "called"


@pytest.mark.parametrize("seed", [1, 2])
def test_no_guarantee_is_ever_over_reserved_whoever_comes_at_once(door, seed) -> None:
    """Eight desks reserve, release and call at random; at every moment the sums hold, and the end is what a plain ledger says."""
    random = Random(seed)
    grn, total = door.name("GRN"), Decimal("100.00")
    door.put(f"/guarantees/{grn}", {"amount": str(total), "currency": "EUR"})
    mrns = [movement(door) for _ in range(24)]
    amounts = {m: Decimal(random.randint(1, 3000)) / 100 for m in mrns}
    results: dict[str, list[str]] = {m: [] for m in mrns}
    seen: list[dict] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.append(door.http.get(f"/guarantees/{grn}").json())

    def desk(mine: list[str], rng: Random) -> None:
        for mrn in mine:
            body = {"event": "reserve", "mrn": mrn, "amount": f"{amounts[mrn]:.2f}", "currency": "EUR"}
            if door.http.post(f"/guarantees/{grn}/events", json=body).status_code == 201:
                results[mrn].append("reserved")
                following = rng.choice(["release", "call", None])
                if (
                    following
                    and door.http.post(
                        f"/guarantees/{grn}/events", json={"event": following, "mrn": mrn}
                    ).status_code
                    == 201
                ):
                    results[mrn].append(following)

    watcher = threading.Thread(target=watch)
    desks = [threading.Thread(target=desk, args=(mrns[i::8], Random(seed * 10 + i))) for i in range(8)]
    watcher.start()
    for thread in desks:
        thread.start()
    for thread in desks:
        thread.join()
    stop.set()
    watcher.join()
    for view in [*seen, door.http.get(f"/guarantees/{grn}").json()]:
        reserved, called, available = (Decimal(view[k]) for k in ("reserved", "called", "available"))
        assert reserved + called + available == total
        assert available >= 0
    last = door.http.get(f"/guarantees/{grn}").json()
    ends = {m: r[-1] for m, r in results.items() if r}
    assert Decimal(last["reserved"]) == sum(
        (amounts[m] for m, r in ends.items() if r == "reserved"), Decimal(0)
    )
    assert Decimal(last["called"]) == sum((amounts[m] for m, r in ends.items() if r == "call"), Decimal(0))
    assert {e["mrn"] for e in last["entries"]} == set(ends)
    refused = [m for m in mrns if m not in ends]
    assert refused, "there was more wanted than there is"


# the clock


def test_terms_run_out_across_a_restart(tmp_path) -> None:
    """Overdue, enquiry, debt: each recorded as of the moment when it fell due, though nobody was there then."""
    t0 = 1_790_000_000_000_000
    clock = ReplayClock(t0, 1.0, held=True)
    with Service.open(tmp_path / "d", clock, Settings()) as service:
        desk = service.file.transit
        limit = rfc3339(t0 + 3600 * 1_000_000)
        service.reference.put("movement", "M1", {"limit_at": limit, "holder": "Dupont SA"}, by="t")
        rows = [{"event": e} for e in (*BEFORE_SEAL, "release", "depart")]
        rows[2]["waiver"] = "x"
        desk.act("M1", [desk.wanted(r, by="t") for r in rows])
        assert service.file.view.whole("M1")["deadlines"] == [{"event": "fall-overdue", "due_at": limit}]
    for days, wanted in (
        (1, ["fall-overdue"]),
        (9, ["fall-overdue", "open-enquiry"]),
        (300, ["fall-overdue", "open-enquiry", "establish-debt"]),
    ):
        clock = ReplayClock(t0 + days * DAY * 1_000_000, 1.0, held=True)
        with Service.open(tmp_path / "d", clock, Settings()) as service:
            told: list[dict] = []
            patience = time.monotonic() + 30
            while [e["event"] for e in told] != wanted:
                assert time.monotonic() < patience, told
                time.sleep(0.02)
                told = [e for e in service.file.view.events("M1") if e["by"] == "clock"]
            assert told[0]["at"] == limit
            assert [e["mrn"] for e in service.file.view.enquiries(None, 10, None)[0]] == ["M1"]
    due_us = [t0 + (3600 + 7 * DAY) * 1_000_000, t0 + (3600 + 210 * DAY) * 1_000_000]
    assert [e["at"] for e in told[1:]] == [rfc3339(u) for u in due_us]


def test_an_arrival_told_after_its_limit_passed_makes_the_overdue_one_that_never_was(tmp_path) -> None:
    t0 = 1_790_000_000_000_000
    hour = 3600 * 1_000_000
    clock = ReplayClock(t0 + 10 * hour, 1.0, held=True)
    with Service.open(tmp_path / "d", clock, Settings()) as service:
        desk = service.file.transit
        service.reference.put("movement", "M1", {"limit_at": rfc3339(t0 + 5 * hour)}, by="t")
        rows = [{"event": e, "at": rfc3339(t0)} for e in (*BEFORE_SEAL, "release", "depart")]
        rows[2]["waiver"] = "x"
        desk.act("M1", [desk.wanted(r, by="t") for r in rows])
        desk.fall_due()
        known = service.clock.now_us()
        assert service.file.view.whole("M1")["state"] == "overdue"
        clock.origin_us += hour
        desk.act("M1", [desk.wanted({"event": "arrive", "at": rfc3339(t0 + 4 * hour)}, by="t")])
        now = service.file.view.whole("M1")
        assert (now["state"], now["deadlines"]) == ("arrived", [])
        events = service.file.view.events("M1")
        assert [(e["event"], e["passed_over"]) for e in events[-2:]] == [
            ("arrive", False),
            ("fall-overdue", True),
        ]
        assert service.file.view.whole("M1", known)["state"] == "overdue", "so it was known then"
        late = desk.act("M1", [desk.wanted({"event": "examine", "result": "satisfactory"}, by="t")])
        assert late[0].from_state == "arrived"
