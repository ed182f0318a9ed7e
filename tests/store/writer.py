"""Another process at the same store: made to be run beside others, and to be cut off."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import sqlalchemy as sa

from cocket.core.errors import Unavailable
from cocket.store import folder, tables
from cocket.store.database import Database
from cocket.store.tables import documents

assert folder.DataFolder is not None  # it imports every table


def opened(place: str) -> Database:
    return Database(place if place.startswith("postgresql:") else Path(place), "main", tables.main_metadata)


def count(db: Database, times: int) -> None:
    """Read a number, add one, write it: from two threads."""

    def add() -> None:
        for _ in range(times):
            with db.write() as connection:
                n = connection.execute(sa.select(documents.c.version)).scalar_one()
                connection.execute(documents.update().values(version=n + 1))

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"done {2 * times}")


def append(db: Database, name: str) -> None:
    """Write document after document, and say each when it is kept; go on when the server comes back."""
    n = 0
    while True:
        try:
            with db.write() as connection:
                row = {
                    "kind": "zone", "id": f"{name}{n:06d}", "doc": {}, "version": n, "changed_at_us": 0,
                    "changed_by": name,
                }  # fmt: skip
                connection.execute(documents.insert(), row)
        except Unavailable:
            print("lost", flush=True)
        else:
            print(f"kept {name}{n:06d}", flush=True)
        n += 1


def main(what: str, place: str, *rest: str) -> None:
    db = opened(place)
    if what == "count":
        count(db, int(rest[0]))
    elif what == "append":
        append(db, rest[0])
    else:
        print("opened")


if __name__ == "__main__":
    main(*sys.argv[1:])
