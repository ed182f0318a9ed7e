"""The log shows an entry before its writer has told of it: the detectors may have read it by then, and take it once."""

from __future__ import annotations

from pathlib import Path

from tests.engine import feed
from tests.faults.machine import until

from cocket.engine.ingest import Committed
from cocket.engine.service import Service


def test_an_entry_that_was_read_before_it_was_told(tmp_path: Path) -> None:
    expected = feed.oracle(tmp_path / "oracle")
    with Service.open(tmp_path / "data", feed.FixedClock(), feed.SETTINGS) as service:
        feed.declare(service)
        runner, detecting, ingest = service.lines._runner, service.lines.detecting, service.lines._ingest  # type: ignore[attr-defined]
        tell, steps = ingest._committed, []
        step = detecting.step
        detecting.step = lambda entries: (steps.extend(e.offset for e in entries), step(entries))  # type: ignore[method-assign]

        def late(entry: Committed) -> None:
            with runner._wake:
                runner._from_log = True
                runner._wake.notify()
            until(lambda: detecting.offset >= entry.offset, "the detectors have read it")
            until(lambda: not runner._from_log, "and found the end of the log")
            tell(entry)

        ingest._committed = late
        for body in feed.bodies(size=120):
            feed.send(service, body)
        assert feed.final(service) == expected
        assert len(steps) == len(set(steps)), "an entry was taken twice"
        assert service.lag == 0
