"""Replay: every row accounted for, whatever the server and the network do."""

import io
import json
import os
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cocket.sources import replay as replay_module
from cocket.sources.replay import ARROW, replay

SHARED = Path(os.environ.get("COCKET_CONFORMANCE_DATA", "../shared/data"))


class Door:
    """A small stand-in for the observations door: folds duplicates, rejects what has no device or no number."""

    def __init__(self):
        self.seen = set()
        self.bodies = 0
        self.first = []  # what happens to the first requests: a status code, or an exception

    def __call__(self, request):
        self.bodies += 1
        if self.first:
            what = self.first.pop(0)
            if isinstance(what, Exception):
                raise what
            if what == "kept, but the answer is lost":
                self.take(request)
                raise httpx.ReadError("connection reset")
            return httpx.Response(
                what, headers={"Retry-After": "3"}, json={"title": "no", "detail": "because"}
            )
        return httpx.Response(200, json=self.take(request))

    def take(self, request):
        if request.headers["Content-Type"] == ARROW:
            table = pa.ipc.open_stream(request.content).read_all()
            rows = [{k: str(v) for k, v in row.items() if v is not None} for row in table.to_pylist()]
        else:
            rows = [json.loads(line) for line in request.content.splitlines()]
        answer = {"accepted": 0, "duplicates": 0, "rejected": 0, "rejects": []}
        for i, row in enumerate(rows):
            bad = (
                "device_id"
                if "device_id" not in row
                else "lat_deg"
                if row.get("lat_deg") == "north"
                else None
            )
            if bad:
                answer["rejected"] += 1
                answer["rejects"].append({"row": i, "field": bad, "rule": "type", "detail": f"{row}"})
            elif (key := tuple(sorted(row.items()))) in self.seen:
                answer["duplicates"] += 1
            else:
                self.seen.add(key)
                answer["accepted"] += 1
        return answer


@pytest.fixture
def door():
    return Door()


def run(file, door, **more):
    out, naps = io.StringIO(), []
    client = httpx.Client(base_url="http://cocket.test", transport=httpx.MockTransport(door))
    code = replay(file, client=client, out=out, sleep=naps.append, as_json=True, **more)
    return code, json.loads(out.getvalue() or "null"), naps


def a_csv(path, n=100, *, extra=""):
    rows = [f"d{i % 5},2026-01-01T00:{i // 60:02d}:{i % 60:02d}Z,{i % 90}" for i in range(n)]
    path.write_text("device_id,observed_at,lat_deg\n" + "\n".join(rows) + "\n" + extra)
    return path


def test_a_csv_in_the_schemas_names_needs_no_mapping(tmp_path, door):
    code, tally, _ = run(a_csv(tmp_path / "a.csv"), door)
    assert code == 0
    assert (tally["rows"], tally["accepted"]) == (100, 100)


def test_rejects_are_counted_by_rule_with_the_row_in_the_file(tmp_path, door):
    file = a_csv(
        tmp_path / "a.csv", extra="d1,2026-01-01T00:00:00Z,north\n,2026-01-01T00:00:00Z,1\nshort,row\n"
    )
    code, tally, _ = run(file, door)
    assert code == 0
    assert (tally["rows"], tally["accepted"], tally["rejected"]) == (103, 100, 3)
    assert [(r["field"], r["count"], r["example"]["row"]) for r in tally["rejects"]] == [
        ("device_id", 2, 101),
        ("lat_deg", 1, 100),
    ]


def test_sending_again_makes_duplicates(tmp_path, door):
    file = a_csv(tmp_path / "a.csv")
    run(file, door)
    code, tally, _ = run(file, door)
    assert code == 0
    assert (tally["accepted"], tally["duplicates"]) == (0, 100)


def test_429_waits_as_long_as_the_server_says(tmp_path, door):
    door.first = [429, 429]
    code, tally, naps = run(a_csv(tmp_path / "a.csv"), door)
    assert code == 0
    assert tally["accepted"] == 100
    assert naps == [3.0, 3.0]


def test_a_lost_connection_is_tried_again_with_growing_pauses(tmp_path, door):
    door.first = [
        httpx.ConnectError("refused"),
        httpx.ConnectError("refused"),
        "kept, but the answer is lost",
    ]
    code, tally, naps = run(a_csv(tmp_path / "a.csv"), door)
    assert code == 0
    assert naps == [0.5, 1.0, 2.0]
    assert (tally["rows"], tally["accepted"], tally["duplicates"], tally["retries"]) == (100, 0, 100, 3)


def test_a_server_that_stays_away_is_a_failure_that_counts_the_rows(tmp_path, door, monkeypatch):
    monkeypatch.setattr(replay_module, "PATIENCE_S", 5.0)
    door.first = [httpx.ConnectError("refused")] * 99
    code, tally, _ = run(a_csv(tmp_path / "a.csv"), door)
    assert code == 1
    assert tally["unsent"] == 100
    assert "cocket serve" in tally["failure"]


def test_a_refused_body_is_a_failure_with_the_servers_words(tmp_path, door):
    door.first = [415]
    code, tally, _ = run(a_csv(tmp_path / "a.csv"), door)
    assert code == 1
    assert "because" in tally["failure"]


def test_a_body_that_is_too_large_is_halved(tmp_path, door):
    door.first = [413, 413]
    code, tally, _ = run(a_csv(tmp_path / "a.csv"), door)
    assert code == 0
    assert tally["accepted"] == 100
    assert door.bodies == 5


@pytest.mark.parametrize("speed", [None, 1e6])
def test_ndjson_and_parquet_give_the_same_rows(tmp_path, door, speed):
    rows = [{"device_id": "a", "observed_at": f"2026-01-01T00:00:{s:02d}Z", "lat_deg": s} for s in (9, 3, 7)]
    nd = tmp_path / "a.ndjson"
    nd.write_text("\n".join(map(json.dumps, rows)))
    code, tally, _ = run(nd, door, speed=speed)
    assert (code, tally["accepted"]) == (0, 3)
    table = pa.table(
        {
            "device_id": pa.array(["a"] * 3).dictionary_encode(),
            "observed_us": pa.array(np.array([1, 2, 3]) * 1_000_000, pa.timestamp("us", "UTC")),
            "locked": [True, None, False],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    code, tally, _ = run(tmp_path / "a.parquet", door, speed=speed)
    assert (code, tally["accepted"]) == (0, 3)


def test_pacing_goes_by_event_time_in_order(tmp_path, monkeypatch):
    times = []

    class Watching(Door):
        def take(self, request):
            table = pa.ipc.open_stream(request.content).read_all()
            times.append(table.column("observed_us").cast(pa.int64()).to_pylist())
            return super().take(request)

    monkeypatch.setattr(replay_module, "IN_FLIGHT", 1)
    code, tally, naps = run(a_csv(tmp_path / "a.csv"), Watching(), speed=10)
    assert code == 0
    assert tally["accepted"] == 100
    flat = [t for body in times for t in body]
    assert flat == sorted(flat)
    assert max(naps) == pytest.approx(9.9, abs=0.2)  # 99 s of event time at ten times life


@pytest.mark.parametrize(
    ("name", "text", "more", "words"),
    [
        ("a.csv", "x,y\n1,2\n", {}, "device_id"),
        ("a.csv", "x,y\n1,2\n", {"mapping": "nyharbor-ais"}, "no column BaseDateTime"),
        ("a.csv", "x\n", {"mapping": "no-such"}, "no mapping file"),
        ("a.xyz", "x\n", {}, "ending"),
        ("a.csv", "x\n", {"speed": 0}, "--speed"),
        ("a.parquet", "x\n", {}, "a.parquet"),
    ],
)
def test_bad_usage_is_2_and_sends_nothing(tmp_path, door, capsys, name, text, more, words):
    (tmp_path / name).write_text(text)
    code, tally, _ = run(tmp_path / name, door, **more)
    assert (code, tally, door.bodies) == (2, None, 0)
    assert words in capsys.readouterr().err


def test_a_missing_file_is_bad_usage(tmp_path, door):
    assert run(tmp_path / "none.csv", door)[0] == 2


def test_an_empty_file_is_no_rows(tmp_path, door):
    (tmp_path / "a.csv").write_text("device_id,observed_at\n")
    code, tally, _ = run(tmp_path / "a.csv", door)
    assert (code, tally["rows"]) == (0, 0)


@pytest.mark.parametrize(
    ("file", "mapping", "n"),
    [
        ("gps/shenzhen-taxis.csv", "shenzhen-taxis", 544_999),
        ("ais/nyharbor-2020-06-30-first-hour.csv", "nyharbor-ais", 8_689),
    ],
)
def test_the_outside_files_are_read_to_the_last_row(file, mapping, n):
    if not (SHARED / file).is_file():
        pytest.skip(f"{SHARED / file} is absent: set COCKET_CONFORMANCE_DATA")
    from cocket.sources.mapping import load
    from cocket.sources.rows import parts

    read = list(parts(SHARED / file, load(mapping), 20_000))
    assert sum(p.n for p in read) == n
    assert all(p.batch is not None for p in read)
