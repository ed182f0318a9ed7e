"""Checkpoints: the detectors' state, saved in the same transaction as the alerts and the offset it belongs to.

A snapshot with a damaged page is not used: the state is made anew, from log and history.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from cocket.core.alerts import AlertChange
from cocket.core.config import Detect
from cocket.store.alerts import AlertEvent, SnapshotDamaged
from cocket.store.folder import LineStores

log = logging.getLogger(__name__)

_PATIENCE = 20.0
"""A checkpoint may take at most a twentieth of the time."""


class Meta(msgspec.Struct):
    """The small facts of a checkpoint."""

    journeys: int
    tick_us: int | None
    dirty: dict[int, str]


@dataclass(slots=True)
class Restored:
    """What a start goes on from. Without a checkpoint the log is read from its first entry; ``anew``: that is not
    the whole story, so every journey is run again from history. ``version`` None: nothing to catch up with. ``lost``:
    there was a checkpoint, and why it could not be used.
    """

    offset: int
    version: int | None = None
    journeys: int | None = None
    detection: bytes | None = None
    devices: bytes | None = None
    untimed: bytes | None = None
    conduct: bytes | None = None
    aside: bytes | None = None
    tick_us: int | None = None
    dirty: dict[int, str] = field(default_factory=dict)
    anew: bool = False
    lost: str = ""


class Checkpoint:
    """When to save, what to save, and what a start finds."""

    def __init__(self, folder: LineStores, settings: Detect) -> None:
        self._folder = folder
        self._settings = settings
        self._rows = 0
        self._saved_at = time.monotonic()
        self._took = 0.0

    def soon(self) -> None:
        """The next checkpoint is due at once: what was found is dear."""
        self._rows += self._settings.checkpoint_rows
        self._took = 0.0

    def count(self, rows: int) -> None:
        """So many observations more have been detected, or changes been taken in, since the last checkpoint."""
        self._rows += rows

    def due(self) -> bool:
        """Whether it is time: by rows or by age, but never so often that saving slows detecting."""
        since = time.monotonic() - self._saved_at
        if not self._rows or since < self._took * _PATIENCE:
            return False
        return self._rows >= self._settings.checkpoint_rows or since >= self._settings.checkpoint_s

    def save(
        self,
        changes: Sequence[AlertChange],
        *,
        now_us: int,
        offset: int,
        version: int,
        journeys: int,
        detection: bytes,
        devices: bytes,
        untimed: bytes,
        conduct: bytes,
        aside: bytes,
        tick_us: int | None,
        dirty: Mapping[int, str],
    ) -> list[AlertEvent]:
        """All or nothing; gives the events of ``changes``."""
        began = time.monotonic()
        meta = msgspec.json.encode(Meta(journeys, tick_us, dict(dirty)))
        events = self._folder.alerts.apply(
            changes,
            offset,
            at_us=now_us,
            pages={
                "meta": meta,
                "detection": detection,
                "devices": devices,
                "untimed": untimed,
                "conduct": conduct,
                "aside": aside,
            },
            applied_version=version,
        )
        self._rows = 0
        self._saved_at = time.monotonic()
        self._took = self._saved_at - began
        return events

    def load(self) -> Restored:
        """The last checkpoint, or where to begin without one."""
        try:
            snapshot = self._folder.alerts.load_snapshot()
        except SnapshotDamaged as error:
            log.warning("%s; the detectors' state is made anew from the log and the history", error)
            return self._without(str(error))
        if "meta" not in snapshot.pages:
            return self._without("")
        meta = msgspec.json.decode(snapshot.pages["meta"], type=Meta)
        return Restored(
            offset=snapshot.offset,
            version=snapshot.applied_version,
            journeys=meta.journeys,
            detection=snapshot.pages["detection"],
            devices=snapshot.pages["devices"],
            untimed=snapshot.pages["untimed"],
            conduct=snapshot.pages.get("conduct"),
            aside=snapshot.pages.get("aside"),
            tick_us=meta.tick_us,
            dirty=meta.dirty,
        )

    def _without(self, lost: str) -> Restored:
        first = self._folder.log.first_offset()
        return Restored(max(0, first - 1), anew=first > 1, lost=lost)
