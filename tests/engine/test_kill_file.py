"""The real server, killed while documents, events and scans come in: what it answered to is there, once, and the file holds together."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

from cocket.cli import main

LANES = 3
LIVES = 3


def _serve(data: Path) -> tuple[subprocess.Popen[str], str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "cocket", "serve", "--data", str(data), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    return child, child.stdout.readline().strip() + "/api/v1"


class Told:
    """What the server answered to; anything beyond it may or may not have happened."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.events: dict[str, list[str]] = {}
        self.accepted: list[str] = []


def _work(url: str, name: str, told: Told, codes: dict[str, str], stop: threading.Event) -> None:
    with httpx.Client(base_url=url, timeout=10) as client:
        for n in range(10_000):
            if stop.is_set():
                return
            mrn = f"{name}-{n}"
            body = f"manifest: {mrn}\nbill of lading,container,description,packages,gross mass kg\nB{mrn},MSKU9070323,tea,1,2\n"
            try:
                kept = client.post("/documents", params={"name": "m.csv"}, content=body.encode())
                assert kept.status_code == 201, kept.text
                told.documents[kept.json()["id"]] = body.encode()
                client.put(f"/movements/{mrn}", json={}).raise_for_status()
                for event in ("lodge", "accept"):
                    client.post(f"/movements/{mrn}/events", json={"event": event}).raise_for_status()
                    told.events.setdefault(mrn, []).append(event)
                code = (
                    client.post("/codes", json={"purpose": "manifest", "mrn": mrn}).raise_for_status().json()
                )
                codes[mrn] = code["text"]
                scan = (
                    client.post("/scans", json={"code": code["text"], "gate": "G"}).raise_for_status().json()
                )
                assert scan["outcome"] == "accepted", scan
                told.accepted.append(mrn)
            except httpx.TransportError:
                return  # killed: this one was not answered


def test_kill_9_while_the_file_is_written(tmp_path: Path, capsys) -> None:
    data, told, codes, rng = tmp_path / "data", Told(), {}, random.Random(11)
    for life in range(LIVES):
        child, url = _serve(data)
        stop = threading.Event()
        lanes = [
            threading.Thread(target=_work, args=(url, f"M{life}L{i}", told, codes, stop))
            for i in range(LANES)
        ]
        for lane in lanes:
            lane.start()
        enough, patience = len(told.accepted) + rng.randrange(2, 8), time.monotonic() + 60
        while len(told.accepted) < enough:
            assert time.monotonic() < patience, "nothing comes of it"
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.02))
        child.send_signal(signal.SIGKILL)
        child.wait()
        stop.set()
        for lane in lanes:
            lane.join()
    assert main(["verify", "--data", str(data)]) == 0, capsys.readouterr().out
    child, url = _serve(data)
    try:
        with httpx.Client(base_url=url, timeout=60) as client:
            for document, body in told.documents.items():
                assert client.get(f"/documents/{document}/original").content == body
            for mrn, events in told.events.items():
                kept = [e["event"] for e in client.get(f"/movements/{mrn}/events").json()["items"]]
                assert kept[: len(events)] == events, mrn
                assert len(kept) == len(set(kept)), "nothing twice"
            for mrn in told.accepted:
                again = client.post("/scans", json={"code": codes[mrn], "gate": "H"}).json()
                assert again["reasons"][0]["rule"] == "already-used", again
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()
