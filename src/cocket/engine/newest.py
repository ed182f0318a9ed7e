"""The newest observation of every device, from history: what a lost checkpoint knew of devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from cocket.core.batch import Batch
from cocket.engine.ingest import REMARKS
from cocket.store.folder import LineHistory

_CHUNK: Final = 2_000
_TRUSTED: Final = ("device", "received")


def newest_of_each(history: LineHistory, mine: Callable[[str], bool] | None = None) -> Iterator[Batch]:
    """Batches of rows, one device or more each; remarks and times that cannot be trusted are passed over.

    ``mine``: which devices are asked for; None: all.
    """
    found = history.newest(trusted=_TRUSTED, unless=REMARKS, of=mine)
    spans = [(name, at_us, at_us + 1) for name, at_us in sorted(found.items())]
    for i in range(0, len(spans), _CHUNK):
        yield history.rows(spans[i : i + _CHUNK])
