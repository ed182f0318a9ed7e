"""Frames over HTTP: as ``cocket decode`` reads them, into the pipeline; and the quarantine behind them."""

from __future__ import annotations

import base64
import json

import pytest
from tests.gateway.conftest import seal_frame

TEXT = {"content-type": "text/plain"}


@pytest.fixture
def seal(door) -> str:
    """A registered seal of its own name."""
    name = str(8_100_000_000 + int(door.name("x").partition("-")[2]))
    assert door.put(f"/devices/{name}", {"class": "e-seal"}).status_code == 201
    return name


def lines(*frames: bytes) -> str:
    return "\n".join(f.hex() for f in frames)


def test_frames_as_hexadecimal_lines(door, seal) -> None:
    body = lines(seal_frame(seal, 1), b"\x24\x01") + "\nzz\n\n"
    answer = door.http.post("/frames/jt701", content=body, headers=TEXT)
    assert answer.status_code == 200, answer.text
    got = answer.json()
    assert (got["accepted"], got["rejected"]) == (1, 3)
    assert [f["frame"] for f in got["frames"]] == [0, 1, 2, 3]
    assert got["frames"][0]["observations"][0]["device_id"] == seal
    assert got["frames"][0]["replies"] == [b"(P69,0,1)".hex()]
    assert [f["reject"] and f["reject"]["rule"] for f in got["frames"]] == [
        None,
        "truncated",
        "not-hex",
        "empty",
    ]
    assert [(r["row"], r["rule"]) for r in got["rejects"]] == [(1, "truncated"), (2, "not-hex"), (3, "empty")]


def test_a_stream_and_text_lines(door, seal) -> None:
    stream = seal_frame(seal, 1) + seal_frame(seal, 2, rope_cut=True)
    answer = door.http.post(
        "/frames/jt701", content=stream, headers={"content-type": "application/octet-stream"}
    ).json()
    assert (answer["accepted"], len(answer["frames"])) == (2, 2)
    text = f"({seal},P45,290322,132412,25.28217,S,57.54683,W,A,0,0,5,0,0000000000,0,0,9)"
    answer = door.http.post("/frames/jt701?text=true", content=text, headers=TEXT).json()
    assert answer["accepted"] == 1


def test_the_same_again_folds(door, seal) -> None:
    frame = seal_frame(seal, 1)
    assert door.http.post("/frames/jt701", content=lines(frame), headers=TEXT).json()["accepted"] == 1
    assert door.http.post("/frames/jt701", content=lines(frame), headers=TEXT).json()["duplicates"] == 1


def test_an_unregistered_device_waits_in_quarantine_until_it_is_registered(door) -> None:
    name = str(8_200_000_000 + int(door.name("x").partition("-")[2]))
    answer = door.http.post("/frames/jt701", content=lines(seal_frame(name)), headers=TEXT).json()
    assert [r["rule"] for r in answer["rejects"]] == ["unregistered-device"]
    held = door.http.get("/quarantine", params={"device_id": name}).json()["items"]
    assert len(held) == 1
    assert held[0]["protocol"] == "jt701"
    assert base64.b64decode(held[0]["raw_base64"])[:1] == b"$"
    path = f"/quarantine/{held[0]['id']}/replay"
    assert door.http.post(path, json={}).json()["rejected"] == 1
    door.put(f"/devices/{name}", {})
    assert door.http.post(path, json={}).json()["accepted"] == 1
    door.is_problem(door.http.post(path, json={}), 409)
    assert door.http.get("/quarantine", params={"device_id": name, "state": "held"}).json()["items"] == []


def test_refusals(door) -> None:
    problem = door.is_problem(door.http.post("/frames/jt70", content="00", headers=TEXT), 404)
    assert "did you mean 'jt701'" in problem["detail"]
    door.is_problem(door.http.post("/frames/jt701", content=b"x", headers={"content-type": "video/mp4"}), 415)
    door.is_problem(door.http.post("/frames/jt701", content=b"", headers=TEXT), 400)
    door.is_problem(door.http.post("/frames/jt701?txt=1", content="00", headers=TEXT), 422)
    door.is_problem(door.http.get("/frames/jt701?x=1"), 404)


def test_a_phone_that_reports_in_the_address(door) -> None:
    name = door.name("phone")
    door.put(f"/devices/{name}", {})
    query = {"id": name, "lat": "22.5", "lon": "114.1", "timestamp": "1790000000", "speed": "10"}
    assert door.http.get("/frames/osmand", params=query).json()["accepted"] == 1
    assert (
        door.http.post("/frames/osmand", params={**query, "timestamp": "1790000005"}).json()["accepted"] == 1
    )
    forwarded = {
        "device": {"uniqueId": name},
        "position": {
            "fixTime": "2026-09-21T16:13:30Z",
            "latitude": 22.5,
            "longitude": 114.1,
            "speed": 10,
            "valid": True,
        },
    }
    answer = door.http.post("/frames/traccar", json=forwarded).json()
    assert answer["frames"][0]["observations"][0]["speed_mps"] == pytest.approx(5.1444, abs=1e-3)
    assert answer["accepted"] == 1


def test_protocols_and_figures(door, seal) -> None:
    items = {p["name"]: p for p in door.http.get("/protocols").json()["items"]}
    assert items["jt701"]["family"] == "seal"
    assert items["jt701"]["commands"]["unlock"]["two_persons"]
    assert not items["jt701"]["commands"]["interval"]["two_persons"]
    assert items["jt808"]["commands"]["passthrough"]["two_persons"], "a lock could be opened with it"
    door.http.post("/frames/jt701", content=lines(seal_frame(seal)), headers=TEXT)
    assert door.http.get("/gateway").json()["frames"]["jt701"]["observed"] >= 1
    assert 'cocket_frames_total{outcome="observed",protocol="jt701"}' in door.http.get("/metrics").text


def test_a_secret_is_kept_as_its_hash(door, seal) -> None:
    answer = door.put(
        f"/devices/{seal}", {"secret": "s3cret", "networks": ["10.1.2.3/16"], "state": "armed"}
    ).json()
    assert "s3cret" not in json.dumps(answer)
    assert len(answer["secret_sha256"]) == 64
    assert answer["networks"] == ["10.1.0.0/16"]
    assert door.put(f"/devices/{seal}", answer).json()["secret_sha256"] == answer["secret_sha256"]
    door.is_problem(door.put(f"/devices/{seal}", {"networks": ["here"]}), 422)
    door.is_problem(door.put(f"/devices/{seal}", {"state": "asleep"}), 422)


def test_commands(door) -> None:
    name = str(8_300_000_000 + int(door.name("x").partition("-")[2]))
    door.put(f"/devices/{name}", {"protocol": "jt701"})
    body = {"command": "unlock", "parameters": {"password": "888888"}, "reason": "arrived"}
    answer = door.http.post(f"/devices/{name}/commands?by=amina", json=body)
    assert answer.status_code == 201, answer.text
    number = answer.json()["id"]
    door.is_problem(door.http.post(f"/commands/{number}/approve?by=amina", json={}), 409)
    assert door.http.post(f"/commands/{number}/approve?by=b", json={}).json()["state"] == "queued"
    assert door.http.post(f"/commands/{number}/cancel?by=b", json={}).json()["state"] == "cancelled"
    assert door.http.get("/commands", params={"device_id": name}).json()["items"][0]["id"] == number
    problem = door.is_problem(door.http.post(f"/devices/{name}/commands", json={"command": "unlock"}), 422)
    assert problem["errors"][0]["path"] == "/reason"
    door.is_problem(door.http.get("/commands/999999"), 404)
