"""Phones in cabs: what is kept of them and what is not, declarations that bind, green and red."""

import math
import sqlite3
import struct
import threading
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from tests.web import roadside as road

EAST = iter(range(10, 1000))


def zones(door) -> dict[str, tuple[float, float]]:
    """Fresh ground: a tracking zone around an activation and a confirmation zone; a point in each, and one outside."""
    lon = next(EAST) / 10
    ground = {
        "tracking": (-0.04, 0.04, 0.03),
        "activation": (-0.02, -0.01, 0.01),
        "confirmation": (0.01, 0.02, 0.01),
    }
    for kind, (west, east, high) in ground.items():
        ring = [
            [lon + west, -high],
            [lon + east, -high],
            [lon + east, high],
            [lon + west, high],
            [lon + west, -high],
        ]
        feature = {
            "type": "Feature",
            "properties": {"kind": kind},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        answer = door.put(f"/zones/{kind}-{lon}", feature)
        assert answer.status_code == 201, answer.text
    return {
        "outside": (0.0, lon + 0.05),
        "tracking": (0.02, lon),
        "activation": (0.0, lon - 0.015),
        "confirmation": (0.0, lon + 0.015),
    }


def tell(door, transport: str, place: tuple[float, float], **more) -> dict:
    body = {"lat_deg": place[0], "lon_deg": place[1], **more}
    answer = door.http.post(f"/transports/{transport}/positions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def notes(door, mrn: str, stage: str) -> list[dict]:
    return [e for e in road.events(door, mrn) if stage in e["details"]]


def test_in_the_activation_zone_declarations_bind_and_the_cab_is_shown_green(door) -> None:
    at = zones(door)
    mrns = [road.movement(door), road.movement(door, "en-route")]
    carried = road.transport(door, *mrns)
    moment = door.at(-30)
    seen = tell(door, carried["id"], at["activation"], at=moment)
    assert (seen["zone_kind"], seen["signal"], seen["stored"]) == ("activation", "green", True)
    assert seen["activated"] == mrns
    for mrn in mrns:
        (note,) = notes(door, mrn, "activation")
        assert note["at"] == moment
        assert note["event"] == "note"
        assert note["details"]["activation"]["transport"] == carried["id"]
    door.settled()
    last = door.http.get(f"/devices/{carried['device_id']}/last").json()["observation"]
    assert (last["lat_deg"], last["lon_deg"], last["observed_at"]) == (*at["activation"], moment)
    passages = door.http.get(f"/transports/{carried['id']}").json()["passages"]
    assert [(p["mrn"], p["stage"], p["at"], p["signal"]) for p in passages] == [
        (m, "activation", moment, "green") for m in mrns
    ]


def test_it_is_activated_once(door) -> None:
    at = zones(door)
    mrn = road.movement(door)
    carried = road.transport(door, mrn)
    answers = [tell(door, carried["id"], at["activation"], at=door.at(-30 + i)) for i in range(3)]
    assert {(a["signal"], tuple(a["activated"])) for a in answers} == {("green", (mrn,))}
    assert len(notes(door, mrn, "activation")) == 1


def test_of_many_positions_at_once_one_activates(door) -> None:
    at = zones(door)
    mrn = road.movement(door)
    carried = road.transport(door, mrn)
    answers: list[dict] = []
    barrier = threading.Barrier(6)

    def one() -> None:
        with httpx.Client(base_url=f"{door.url}/api/v1", timeout=60) as client:
            barrier.wait()
            body = dict(zip(("lat_deg", "lon_deg"), at["activation"], strict=True))
            answers.append(client.post(f"/transports/{carried['id']}/positions", json=body).json())

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(a["signal"], tuple(a["activated"])) for a in answers} == {("green", (mrn,))}
    assert len(notes(door, mrn, "activation")) == 1


@pytest.mark.parametrize("case", ["unknown", "without movements"])
def test_an_unlinked_journey_is_directed_to_the_desk(door, case) -> None:
    at = zones(door)
    transport = road.transport(door)["id"] if case == "without movements" else door.name("T")
    assert tell(door, transport, at["tracking"])["signal"] is None
    seen = tell(door, transport, at["activation"])
    assert (seen["signal"], seen["activated"]) == ("red", [])
    assert "desk" in seen["says"]
    assert seen["stored"] is (case == "without movements")
    assert "desk" in tell(door, transport, at["confirmation"])["says"]


@pytest.mark.parametrize(
    ("state", "control", "rule", "binds"),
    [
        ("draft", "none", "movement-not-released", False),
        ("accepted", "none", "movement-not-released", True),
        ("released", "examination", "control-ordered", True),
        ("incident", "none", "open-incident", True),
    ],
)
def test_red_tells_the_driver_to_come_and_the_officer_why(door, state, control, rule, binds) -> None:
    at = zones(door)
    good, bad = road.movement(door), road.movement(door, state, control=control)
    carried = road.transport(door, good, bad)
    seen = tell(door, carried["id"], at["activation"])
    assert seen["signal"] == "red"
    assert seen["activated"] == ([good, bad] if binds else [good])
    assert rule not in str(seen)
    reasons = {
        p["mrn"]: [r["rule"] for r in p["reasons"]]
        for p in door.http.get(f"/transports/{carried['id']}").json()["passages"]
    }
    assert reasons == {good: [], bad: [rule]} if binds else reasons == {good: []}


def test_an_open_seal_alert_is_red_and_not_told(door) -> None:
    at = zones(door)
    alert = door.cut()
    carried = road.transport(door, alert["mrn"])
    seen = tell(door, carried["id"], at["activation"])
    assert seen["signal"] == "red"
    assert "alert" not in str(seen)
    (passage,) = door.http.get(f"/transports/{carried['id']}").json()["passages"]
    assert [r["rule"] for r in passage["reasons"]] == ["open-alert"]


def test_a_movement_that_nobody_knows_is_flagged_and_red_until_it_is(door) -> None:
    at = zones(door)
    mrn = door.name("LATER")
    carried = road.transport(door, mrn)
    assert carried["flags"] == [f"movement-unknown:{mrn}"]
    assert tell(door, carried["id"], at["activation"])["signal"] == "red"
    door.put(f"/movements/{mrn}", {})
    more = {"reserve-guarantee": {"waiver": "x"}, "decide-control": {"control": "none"}}
    road.act(door, mrn, *({"event": e, **more.get(e, {})} for e in road.WAY["released"]))
    seen = tell(door, carried["id"], at["activation"])
    assert (seen["signal"], seen["activated"]) == ("green", [mrn])
    assert door.http.get(f"/transports/{carried['id']}").json()["flags"] == []


def test_a_passage_is_confirmed_only_after_activation(door) -> None:
    at = zones(door)
    mrn = road.movement(door)
    carried = road.transport(door, mrn)
    assert tell(door, carried["id"], at["confirmation"])["signal"] == "red"
    assert notes(door, mrn, "confirmation") == []
    assert tell(door, carried["id"], at["activation"])["signal"] == "green"
    for _ in range(2):
        assert tell(door, carried["id"], at["confirmation"])["signal"] == "green"
    assert len(notes(door, mrn, "confirmation")) == 1


def test_in_a_tracking_zone_the_position_is_kept_and_nothing_else_happens(door) -> None:
    at = zones(door)
    mrn = road.movement(door)
    carried = road.transport(door, mrn)
    before = road.events(door, mrn)
    seen = tell(door, carried["id"], at["tracking"])
    assert (seen["zone_kind"], seen["signal"], seen["stored"]) == ("tracking", None, True)
    assert road.events(door, mrn) == before
    door.settled()
    assert door.http.get(f"/devices/{carried['device_id']}/last").json()["observation"] is not None


def traces(folder: Path, values: tuple[float, ...]) -> set[str]:
    """Files of a data folder that hold one of these numbers: as eight bytes, or as text, also inside compressed columns."""
    wanted = [struct.pack("<d", v) for v in values] + [repr(v).encode() for v in values]
    found = set()
    for file in (f for f in folder.rglob("*") if f.is_file()):
        if any(w in file.read_bytes() for w in wanted):
            found.add(file.name)
    with sqlite3.connect(f"file:{folder / 'log.sqlite'}?mode=ro", uri=True) as log:
        for blob, size in log.execute("SELECT blob, size FROM entries WHERE size > 0"):
            plain = pa.decompress(blob, size, "zstd", asbytes=True)
            batch = pa.ipc.open_stream(plain).read_all()
            for name in ("lat_deg", "lon_deg"):
                if name in batch.column_names and set(batch[name].to_pylist()) & set(values):
                    found.add("log.sqlite")
    return found


def test_outside_the_zones_a_position_is_answered_and_kept_nowhere(fresh, caplog) -> None:
    """Every file of the data folder is searched for the numbers; that the search finds what is there, a kept position shows."""
    at = zones(fresh)
    mrn = road.movement(fresh)
    carried = road.transport(fresh, mrn)
    outside, inside = (0.123456789, 77.987654321), (0.0199887766, at["tracking"][1])
    with caplog.at_level(0):
        seen = tell(fresh, carried["id"], outside)
        tell(fresh, "NOBODY", outside)
        late = {"lat_deg": outside[0], "lon_deg": outside[1], "at": "2999-01-01T00:00:00Z"}
        fresh.is_problem(fresh.http.post(f"/transports/{carried['id']}/positions", json=late), 422)
        assert tell(fresh, carried["id"], inside)["stored"] is True
    assert (seen["zone"], seen["signal"], seen["stored"], seen["activated"]) == (None, None, False, [])
    fresh.settled()
    folder = fresh.service.folder.path
    assert "log.sqlite" in traces(folder, (inside[0],))
    assert traces(folder, outside) == set()
    assert not any(str(v) in record.getMessage() for record in caplog.records for v in outside)
    assert fresh.http.get("/stats").json()["observations"] == 1
    assert fresh.http.get("/quarantine").json()["items"] == []


def test_a_zone_that_is_taken_away_no_longer_listens(door) -> None:
    at = zones(door)
    carried = road.transport(door)
    assert tell(door, carried["id"], at["tracking"])["stored"] is True
    lon = round(at["tracking"][1], 1)
    assert door.http.delete(f"/zones/tracking-{lon}").status_code == 204
    assert tell(door, carried["id"], at["tracking"])["stored"] is False


def test_the_edge_belongs_to_the_zone(door) -> None:
    at = zones(door)
    carried = road.transport(door)
    lat, lon = at["outside"][0], at["tracking"][1] + 0.04
    assert tell(door, carried["id"], (lat, lon))["zone_kind"] == "tracking"
    assert tell(door, carried["id"], (lat, math.nextafter(lon, 180)))["zone_kind"] is None


def test_what_is_no_position_or_transport_is_refused(door) -> None:
    for body in ({}, {"lat_deg": 91, "lon_deg": 0}, {"lat_deg": 1}, {"lat_deg": "1", "lon_deg": 2}):
        problem = door.is_problem(door.http.post("/transports/T-1/positions", json=body), 422)
        assert problem["errors"]
    for body in ({"mrns": "x"}, {"plate": ""}, {"device_id": "a b"}, {"mrns": [None]}):
        door.is_problem(door.put("/transports/T-1", body), 422)
    door.is_problem(door.http.get("/transports/T-NONE"), 404)
