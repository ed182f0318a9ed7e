"""Appends to a JetStream log for ever, and says what was acknowledged: made to be killed, stopped and fenced."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.store.log_places import numbered

from cocket.core.errors import Unavailable
from cocket.store import tables
from cocket.store.database import Database
from cocket.store.log import Fenced
from cocket.store.log_jetstream import JetStreamLog
from cocket.store.nats_connection import NatsConnection


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(url: str, database: str, site: str, replicas: int) -> None:
    log = JetStreamLog(
        NatsConnection(url),
        Database(Path(database), "log", tables.log_metadata),
        site=site,
        replicas=replicas,
    )
    first = log.totals().observations
    while True:
        try:
            log.append(numbered(first), received_us=0)
        except Fenced as error:
            say(f"fenced {error}")
            return
        except Unavailable as error:
            say(f"unavailable {error}")
        else:
            say(f"stored {first}")
            first += 10


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))  # type: ignore[arg-type]
