"""The door for observations, over a real server."""

import gzip
import json

import pyarrow as pa
import pytest

from cocket.core.errors import Busy
from cocket.observations import rules


def rows(door, n: int, **fields) -> list[dict]:
    device = door.name("D")
    return [{"device_id": device, "observed_at": door.at(i - n), "sequence": i, **fields} for i in range(n)]


def send(door, body, media="application/x-ndjson", **headers):
    return door.http.post("/observations", content=body, headers={"content-type": media, **headers})


def ndjson(items) -> bytes:
    return "\n".join(map(json.dumps, items)).encode()


def arrow(items) -> bytes:
    import datetime as dt

    table = pa.table(
        {
            "device_id": [r["device_id"] for r in items],
            "observed_at": pa.array(
                [dt.datetime.fromisoformat(r["observed_at"]) for r in items], pa.timestamp("us", "UTC")
            ),
            "sequence": [r["sequence"] for r in items],
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def test_three_ways_say_the_same(door) -> None:
    items = rows(door, 5)
    assert send(door, ndjson(items)).json() == {"accepted": 5, "duplicates": 0, "rejected": 0, "rejects": []}
    same = {"accepted": 0, "duplicates": 5, "rejected": 0, "rejects": []}
    assert send(door, json.dumps(items), "application/json; charset=utf-8").json() == same
    assert send(door, arrow(items), "application/vnd.apache.arrow.stream").json() == same
    assert send(door, gzip.compress(ndjson(items)), **{"content-encoding": "gzip"}).json() == same
    assert (
        send(
            door,
            gzip.compress(ndjson(items[:2])) + gzip.compress(b"\n" + ndjson(items[2:])),
            **{"content-encoding": "gzip"},
        ).json()
        == same
    )


def test_good_rows_of_a_bad_batch_are_kept(door) -> None:
    rules._NEAREST.clear()  # tests of noise in this process may have used up the names that hints are looked up for
    before = door.http.get("/stats").json()
    a, b, c, d = rows(door, 4)
    answer = door.observe(a, {**b, "lat_deg": 91, "lon_deg": 0}, c, {**d, "lattitude": 5}, a)
    assert (answer["accepted"], answer["duplicates"], answer["rejected"]) == (2, 1, 2)
    assert [(r["row"], r["field"], r["rule"]) for r in answer["rejects"]] == [
        (1, "lat_deg", "range"),
        (3, "lattitude", "unknown-field"),
    ]
    assert "lat_deg" in answer["rejects"][1]["detail"]
    after = door.http.get("/stats").json()
    assert [after[k] - before[k] for k in ("observations", "duplicates", "rejected")] == [2, 1, 2]


def test_odd_times_are_kept_and_marked(door) -> None:
    device = door.name("D")
    for at in ("2000-01-01T00:00:00Z", door.at(3600)):
        assert door.observe({"device_id": device, "observed_at": at})["accepted"] == 1
    door.settled()
    found = door.service.folder.history.rows([(device, -(2**62), 2**62)])
    assert {found.row(i)["time_quality"] for i in range(found.n)} == {"before-2010", "ahead"}


@pytest.mark.parametrize("media", ["", "text/plain", "application/octet-stream", "application/jsonx"])
def test_wrong_type(door, media) -> None:
    assert "application/x-ndjson" in door.is_problem(send(door, b"{}", media), 415)["detail"]


def test_wrong_encoding(door) -> None:
    door.is_problem(send(door, b"{}", **{"content-encoding": "br"}), 415)
    door.is_problem(send(door, b"{}", **{"content-encoding": "gzip"}), 400)
    door.is_problem(send(door, gzip.compress(b"{}" * 50)[:-9], **{"content-encoding": "gzip"}), 400)


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b"", "application/x-ndjson"),
        (b"hello\nworld", "application/x-ndjson"),
        (b"{}", "application/json"),
        (b"[{]", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"ARROW1", "application/vnd.apache.arrow.stream"),
        (b"", "application/vnd.apache.arrow.stream"),
    ],
)
def test_unparsable(door, body, media) -> None:
    door.is_problem(send(door, body, media), 400)


def test_too_large(small) -> None:
    assert send(small, ndjson(rows(small, 20))).status_code == 200
    assert "20 at once" in small.is_problem(send(small, ndjson(rows(small, 21))), 413)["detail"]
    small.is_problem(send(small, b" " * 10_001), 413)
    bomb = gzip.compress(b" " * 1_000_000)
    assert len(bomb) < 10_000
    small.is_problem(send(small, bomb, **{"content-encoding": "gzip"}), 413)

    def chunks():
        for _ in range(11):
            yield b" " * 1000

    small.is_problem(
        small.http.post("/observations", content=chunks(), headers={"content-type": "application/x-ndjson"}),
        413,
    )


def test_over_capacity(door, monkeypatch) -> None:
    def busy(decoded):
        raise Busy("too much waits", retry_after_s=7)

    monkeypatch.setattr(door.service, "submit", busy)
    answer = send(door, ndjson(rows(door, 1)))
    door.is_problem(answer, 429)
    assert answer.headers["retry-after"] == "7"


def test_bodies_in_flight_are_bounded(small) -> None:
    """Eight bodies' worth may be held at once; one more chunk is refused, not kept."""
    import socket

    host, port = small.url.removeprefix("http://").split(":")
    waiting = []
    head = b"POST /api/v1/observations HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 10000\r\n\r\n"
    try:
        for _ in range(8):
            sock = socket.create_connection((host, int(port)))
            sock.sendall(head + b" " * 9999)
            waiting.append(sock)
        small.until(lambda: small.intake.held == 8 * 9999)
        small.is_problem(send(small, b" " * 9000 + ndjson(rows(small, 1))), 429)
    finally:
        for sock in waiting:
            sock.close()
    small.until(lambda: small.intake.held == 0)  # what clients that left held is given back
    assert send(small, ndjson(rows(small, 1))).status_code == 200


def test_quarantine_keeps_the_bytes_and_lets_them_in_again(door) -> None:
    (row,) = rows(door, 1)
    raw = json.dumps({**row, "battery_pct": 120}, indent=None)
    door.observe({**row, "battery_pct": 120})
    (held,) = door.http.get("/quarantine", params={"rule": "range", "limit": 1}).json()["items"]
    assert (held["raw"], held["field"], held["state"]) == (raw, "battery_pct", "held")
    assert door.http.get(f"/quarantine/{held['id']}").json() == held
    path = f"/quarantine/{held['id']}/replay"
    assert door.http.post(path, json={}).json()["rejected"] == 1
    fixed = {**row, "battery_pct": 20}
    assert door.http.post(path, json={"row": fixed}).json() == {
        "accepted": 1,
        "duplicates": 0,
        "rejected": 0,
        "rejects": [],
    }
    assert door.http.get(f"/quarantine/{held['id']}").json()["state"] == "replayed"
    door.is_problem(door.http.post(path, json={"row": fixed}), 409)
    door.is_problem(door.http.get("/quarantine/999999"), 404)
    door.is_problem(door.http.get("/quarantine", params={"cursor": "x"}), 400)
    assert door.http.get("/quarantine", params={"state": "replayed"}).json()["items"][0]["id"] == held["id"]


def test_bytes_that_are_no_text_are_kept_exactly(door) -> None:
    import base64

    (row,) = rows(door, 1)
    raw = json.dumps(row).encode()[:-1] + b', "card_id": "\xff"}'
    assert send(door, raw + b"\n" + ndjson(rows(door, 1))).json()["rejects"][0]["rule"] == "invalid-utf8"
    (held,) = door.http.get("/quarantine", params={"rule": "invalid-utf8", "limit": 1}).json()["items"]
    assert base64.b64decode(held["raw_base64"]) == raw
