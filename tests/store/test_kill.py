"""kill -9 at any point: what was acknowledged is there, nothing is there twice, and the folder opens as ever."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

from cocket.store.doctor import verify
from cocket.store.folder import DataFolder

CHILD = Path(__file__).with_name("appender.py")
EVER = 2**62


def test_killed_at_random_points(tmp_path):
    chance = random.Random(20261122)
    total_stored = total_detected = 0
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, str(CHILD), str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        told = {"stored": total_stored, "detected": total_detected}
        limit = threading.Timer(60, child.kill)
        limit.start()
        stop_after = chance.randrange(20, 200)
        lines = 0
        for line in child.stdout:
            word, number = line.split()
            if word in told:
                told[word] = max(told[word], int(number))
            lines += 1
            if lines == stop_after:
                child.kill()
        child.wait()
        limit.cancel()
        assert lines >= stop_after, "the child ended by itself"

        folder = DataFolder.open(tmp_path)
        sums = folder.log.totals()
        found = folder.history.find([(d, -EVER, EVER) for d in "abc"])
        assert told["stored"] <= sums.observations
        assert sorted(found.batch.array("sequence").tolist()) == list(range(sums.observations))
        assert sums.duplicates == sums.rejected == sums.observations // 20
        assert len(folder.log.quarantined(10**6)[0]) == sums.rejected

        offset = folder.alerts.offset()
        assert told["detected"] <= offset <= folder.log.last_offset()
        ids = {f"alert-{n}" for n in range(1, offset + 1)}
        events = folder.alerts.events_after(0, 10**6)
        assert {e.alert["id"] for e in events} == ids
        assert len(events) == len(ids) == folder.alerts.counts().total
        snapshot = folder.alerts.load_snapshot()
        assert snapshot.offset == offset // 3 * 3
        assert snapshot.pages == ({"state": str(snapshot.offset).encode()} if snapshot.offset else {})
        assert folder.log.first_offset() <= snapshot.offset + 1
        folder.close()
        assert [f for f in verify(tmp_path) if f.level != "note"] == []
        total_stored, total_detected = sums.observations, offset
