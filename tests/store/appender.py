"""Appends for ever, compacts, detects and snapshots beside it, and says what was acknowledged: made to be killed."""

from __future__ import annotations

import sys
import threading

import numpy as np

from cocket.core.alerts import AlertChange
from cocket.core.batch import Batch, Texts
from cocket.store import history
from cocket.store.folder import DataFolder
from cocket.store.log import Quarantined

T0 = 1_790_000_000_000_000
N = 20


def main(path: str) -> None:
    history._FAN = 3
    folder = DataFolder.open(path)
    said = threading.Lock()

    def say(line: str) -> None:
        with said:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def compact() -> None:
        pause = threading.Event()
        while not pause.wait(0.01):
            folder.history.compact(folder.log.last_offset())
            folder.history.merge()
            folder.log.trim(min(folder.history.compacted_offset, folder.alerts.snapshot_offset()))

    def detect() -> None:
        while True:
            for entry in folder.log.read(folder.alerts.offset(), max_rows=1):
                change = AlertChange(
                    id=f"alert-{entry.offset}", code="seal-cut", severity="critical", journey="j", mrn="m",
                    equipment_id="e", device_id="d", subject=None, began_us=1, ended_us=None, raised_event_us=1,
                    last_us=1, raised_us=1, count=entry.offset, lat_deg=None, lon_deg=None, value=None, peak=None,
                    peak_us=1, threshold=None, unit="", corridor=None, began_key=1, raised_key=1, last_key=1,
                    peak_key=1, says="",
                )  # fmt: skip
                pages = {"state": str(entry.offset).encode()} if entry.offset % 3 == 0 else None
                folder.alerts.apply([change], entry.offset, at_us=1, pages=pages)
                say(f"detected {entry.offset}")

    say(f"open {folder.log.totals().observations}")
    for work in (compact, detect):
        threading.Thread(target=work, daemon=True).start()
    while True:
        first = folder.log.totals().observations
        batch = Batch(
            N,
            {
                "device_id": Texts(np.arange(N, dtype=np.int32) % 3, ["a", "b", "c"]),
                "observed_us": np.full(N, T0),
                "sequence": np.arange(first, first + N),
            },
        )
        reject = Quarantined(0, "test", 0, "f", "rule", "detail", b"raw")
        folder.log.append(batch, received_us=0, duplicates=1, rejects=[reject])
        say(f"stored {first + N}")


if __name__ == "__main__":
    main(sys.argv[1])
