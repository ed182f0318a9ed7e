"""Another process at the same store: made to be run beside others, and to be cut off."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from cocket.core.alerts import AlertChange
from cocket.core.errors import Unavailable, Unsure
from cocket.store import postgresql, tables
from cocket.store.alerts import AlertStore
from cocket.store.codes import CodeStore
from cocket.store.database import Database
from cocket.store.guarantees import GuaranteeStore
from cocket.store.tables import documents

STEP = Decimal("7.01")


def opened(place: str) -> Database:
    return Database(place if place.startswith("postgresql:") else Path(place), "main", tables.main_metadata)


def count(db: Database, times: int) -> str:
    """Read a number, add one, write it."""
    for _ in range(times):
        with db.write() as connection:
            n = connection.execute(sa.select(documents.c.version)).scalar_one()
            connection.execute(documents.update().values(version=n + 1))
    return f"counted {times}"


def scan(db: Database, times: int) -> str:
    """Scan codes 1, 2, … as a gate does: the first scan of each uses it up."""
    store = CodeStore(db)
    first = 0
    for code_id in range(1, times + 1):
        with store.writing() as connection:
            row = {
                "text": "", "code_id": code_id, "by": "g", "at_us": 1, "recorded_us": 1, "outcome": "", "reasons": [],
                "effects": [],
            }  # fmt: skip
            number = store.add_scan(connection, row)
            code = store.code(connection, code_id)
            assert code is not None
            if code["use_id"] is None:
                store.use(connection, code_id, number)
                first += 1
    return f"used {first}"


def reserve(db: Database, times: int) -> str:
    """Take from one guarantee what is still there."""
    store = GuaranteeStore(db)
    taken = 0
    for _ in range(times):
        with db.write() as connection:
            head = store.get(connection, "G")
            assert head is not None
            if head.available >= STEP:
                store.put(connection, replace(head, reserved=head.reserved + STEP))
                taken += 1
    return f"reserved {taken}"


def alert(alert_id: str, **other: object) -> AlertChange:
    fields: dict[str, object] = {
        "id": alert_id, "code": "seal-cut", "severity": "critical", "journey": "j", "mrn": "m", "equipment_id": "e",
        "device_id": "d", "subject": None, "began_us": 1, "ended_us": None, "raised_event_us": 1, "last_us": 1,
        "raised_us": 1, "count": 1, "lat_deg": None, "lon_deg": None, "value": None, "peak": None, "peak_us": 1,
        "threshold": None, "unit": "", "corridor": None, "began_key": 1, "raised_key": 1, "last_key": 1,
        "peak_key": 1, "says": "",
    }  # fmt: skip
    return AlertChange(**{**fields, **other})


def detect(db: Database, partition: int, times: int) -> str:
    """Raise new alerts as the detectors of one partition do, two at a time; people act on some."""
    store = AlertStore(db, partition)
    for n in range(1, times + 1):
        mine = [f"{partition}-{n}-{i}" for i in range(2)]
        store.apply([alert(i) for i in mine], n, at_us=n)
        if n % 5 == 0:
            store.act(mine[0], expected_version=1, by="ana", at_us=n, to="acknowledged")
    return f"detected {store.offset()}"


def together(db: Database, partition: int, times: int) -> None:
    """All of it, each in a thread of its own."""
    tasks: list[Callable[[], str]] = [
        lambda: count(db, times),
        lambda: count(db, times),
        lambda: scan(db, times),
        lambda: reserve(db, times),
        lambda: detect(db, partition, times),
    ]
    said: list[str] = []
    threads = [threading.Thread(target=lambda task=task: said.append(task())) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("\n".join(said))


def append(db: Database, name: str) -> None:
    """Write document after document, two rows each, and say what came of each; go on when the server is back."""
    n = 0
    while True:
        doc_id = f"{name}{n:06d}"
        row = {"kind": "zone", "id": doc_id, "doc": {}, "version": n, "changed_at_us": 0, "changed_by": name}
        try:
            with db.write() as connection:
                connection.execute(documents.insert(), row)
                connection.execute(documents.insert(), {**row, "kind": "office"})
        except Unsure:
            print(f"unsure {doc_id}", flush=True)
        except Unavailable:
            print(f"lost {doc_id}", flush=True)
        else:
            print(f"kept {doc_id}", flush=True)
        n += 1


def hold(db: Database) -> None:
    """Begin a write, say so, and end it when told to."""
    postgresql.IDLE_S = 1
    try:
        with db.write() as connection:
            row = {
                "kind": "zone",
                "id": "held",
                "doc": {},
                "version": 1,
                "changed_at_us": 0,
                "changed_by": "",
            }
            connection.execute(documents.insert(), row)
            print("holding", flush=True)
            sys.stdin.readline()
        print("kept", flush=True)
    except Unavailable as error:
        print(error, flush=True)


def main(what: str, place: str, *rest: str) -> None:
    db = opened(place)
    if what == "together":
        together(db, *map(int, rest))
    elif what == "append":
        append(db, rest[0])
    elif what == "hold":
        hold(db)
    else:
        print("opened")


if __name__ == "__main__":
    main(*sys.argv[1:])
