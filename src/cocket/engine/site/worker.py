"""A worker: takes partitions by lease, runs a line for each, and answers for it.

It beats three times a lease's length. What it takes it opens aside, so that a long recovery keeps no beat waiting;
what it has too many of it closes and lets go; what it lost it drops without a word, for every write of a lost
partition is refused already (``store.leases``).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

from cocket.core.clock import Clock
from cocket.core.config import Settings
from cocket.core.doors import Receipt
from cocket.core.errors import CocketError
from cocket.core.slots import slot_of, slots_in
from cocket.core.tracing import OFF, Tracing
from cocket.engine.declared import Declarations
from cocket.engine.figures import Figures
from cocket.engine.line import Line
from cocket.engine.site.hub import SiteHub
from cocket.engine.site.remote import failed
from cocket.engine.site.site import Site
from cocket.engine.site.wire import Names, Taken, said, unpacked
from cocket.engine.site.worker_figures import failure_of, unbooked_of
from cocket.pipeline import DETECTORS
from cocket.store.leases import Leases
from cocket.store.partition import PartitionStores

_BEATS: Final = 3
"""Beats in a lease's length."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    """A partition that this worker has. ``line`` is None while it is being opened."""

    epoch: int
    stores: PartitionStores | None = None
    line: Line | None = None
    figures: Figures | None = None
    leaves: list[Callable[[], None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Served:
    """A partition that is served: its stores, its line, and the figures that are its own."""

    partition: int
    epoch: int
    stores: PartitionStores
    line: Line
    figures: Figures

    @property
    def failure(self) -> str | None:
        """What is wrong with it, in words; None when all is well."""
        return failure_of(self.line, self.stores)


class Worker:
    """``with Worker(...)`` runs one until the block ends."""

    def __init__(
        self, site: Site, clock: Clock, settings: Settings, leases: Leases, tracing: Tracing = OFF
    ) -> None:
        self._site = site
        self._clock = clock
        self._settings = settings
        self._leases = leases
        self._tracing = tracing
        self.name = leases.worker
        self.figures = Figures()
        self._names = Names(settings.log.site)
        self._beat_s = settings.log.lease_s / _BEATS
        self._hub = SiteHub(site.alerts, lambda word: site.link.publish(self._names.alerts, word))
        self._declarations = Declarations(site.reference, DETECTORS, kept=True)
        self._knowing: Future[None] | None = None
        self._held: dict[int, _Held] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._aside = ThreadPoolExecutor(4, "cocket-partition")
        self._version = 0
        self._thread = threading.Thread(target=self._run, name="cocket-leases", daemon=True)

    def start(self) -> None:
        """Begin to take partitions."""
        link, names = self._site.link, self._names
        link.subscribe(names.declared, lambda _message: self._declared())
        link.subscribe(names.alerts, self._hub.look)
        self._hub.start()
        self._thread.start()

    def stop(self) -> None:
        """Let go of everything in order: what waits is written, checkpoints are saved, others take over at once."""
        self._stop.set()
        self._thread.join()
        self._aside.shutdown()
        with self._lock:
            held, self._held = dict(self._held), {}
        for partition, one in held.items():
            self._close(partition, one, release=True)
        self._hub.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def partitions(self) -> list[int]:
        """Those that it serves now."""
        return [one.partition for one in self.served()]

    def served(self) -> list[Served]:
        """Those that it serves now, whole."""
        with self._lock:
            held = sorted(self._held.items())
        return [
            Served(p, one.epoch, one.stores, one.line, one.figures)
            for p, one in held
            if one.stores is not None and one.line is not None and one.figures is not None
        ]

    # leases

    def _run(self) -> None:
        self._know()  # before it takes what others serve
        while True:
            began = time.monotonic()
            try:
                self._beat()
            except CocketError as error:
                log.warning("the leases were not prolonged: %s", error)
            if self._stop.wait(max(0.0, self._beat_s - (time.monotonic() - began))):
                break
        try:
            self._leases.beat({}, leaving=True)
        except CocketError as error:
            log.warning("the worker could not sign off: %s", error)

    def _beat(self) -> None:
        with self._lock:
            epochs = {p: one.epoch for p, one in self._held.items()}
        beat = self._leases.beat(epochs)
        for partition in beat.lost:
            log.warning("partition %d was lost to another worker", partition)
            self._drop(partition, release=False)
        for partition in beat.spare:
            with self._lock:
                ready = self._held[partition].line is not None
            if ready:
                log.info("partition %d is let go: others have fewer", partition)
                self._drop(partition, release=True)
        for partition, epoch in beat.taken.items():
            with self._lock:
                self._held[partition] = held = _Held(epoch)
            self._aside.submit(self._open, partition, held)
        with self._lock:
            logs = [one.stores.log for one in self._held.values() if one.stores is not None]
        for log_ in logs:
            log_.keep_booked()
        self._look_for_changes()

    def _look_for_changes(self) -> None:
        """A word about something declared may be lost; the database's version is not."""
        version = self._site.reference.version()
        if version != self._version:
            self._version = version
            self._declared()
        if version != self._declarations.version and (self._knowing is None or self._knowing.done()):
            self._knowing = self._aside.submit(self._know)

    def _declared(self) -> None:
        with self._lock:
            lines = [one.line for one in self._held.values() if one.line is not None]
        for line in lines:
            line.reference_changed()

    # partitions

    def _know(self) -> None:
        """Follow what is declared before a partition wants it: one that is taken over from a dead worker is served the sooner."""
        try:
            self._declarations.follow()
        except CocketError as error:
            log.warning("what is declared was not read: %s; it is when a partition is opened", error)

    def _open(self, partition: int, held: _Held) -> None:
        began = time.monotonic()
        try:
            stores = self._site.partition(partition, self._leases.fence(partition, held.epoch))
            mine = slots_in(partition, self._site.partitions)
            figures = self.figures.beside()
            line = Line(
                stores,
                self._clock,
                self._settings,
                self._hub,
                lambda device: slot_of(device) in mine,
                figures=figures,
                tracing=self._tracing,
                declarations=self._declarations,
            )
            line.start()
        except CocketError as error:
            log.warning("partition %d cannot be opened: %s; it is let go", partition, error)
            self._forget(partition, held)
            return
        except BaseException:
            log.exception("partition %d cannot be opened; it is let go", partition)
            self._forget(partition, held)
            raise
        subjects = (
            (self._names.submit(partition), lambda m: self._submitted(line, m)),
            (self._names.ask(partition), lambda m: self._asked(line, stores, m)),
        )
        leaves = [self._site.link.answer(subject, how) for subject, how in subjects]
        with self._lock:
            if self._held.get(partition) is held:
                held.stores, held.line, held.figures = stores, line, figures
                held.leaves = leaves
                log.info("partition %d is served after %.2f s", partition, time.monotonic() - began)
                return
        for leave in leaves:  # it was lost again while it was opened
            leave()
        line.stop()
        stores.close()

    def _forget(self, partition: int, held: _Held) -> None:
        with self._lock:
            if self._held.get(partition) is held:
                del self._held[partition]
        try:
            self._leases.release(partition, held.epoch)
        except CocketError as error:
            log.warning("partition %d could not be let go: %s", partition, error)

    def _drop(self, partition: int, *, release: bool) -> None:
        with self._lock:
            one = self._held.pop(partition, None)
        if one is not None and one.line is not None:
            self._aside.submit(self._close, partition, one, release=release)

    def _close(self, partition: int, one: _Held, *, release: bool) -> None:
        for leave in one.leaves:
            leave()
        try:
            if one.line is not None:
                one.line.stop()
            if one.stores is not None:
                one.stores.close()
        except CocketError as error:
            log.warning("partition %d was not closed in order: %s", partition, error)
        if release:
            try:
                self._leases.release(partition, one.epoch)
            except CocketError as error:
                log.warning("partition %d could not be let go: %s", partition, error)

    # answers

    async def _submitted(self, line: Line, message: bytes) -> bytes:
        try:
            decoded = await asyncio.to_thread(unpacked, message, self._tracing)
            receipt: Future[Receipt] = line.submit(decoded)
            done = await asyncio.wrap_future(receipt)
        except Exception as error:  # noqa: BLE001 - whatever it is, the door is told
            return said(failed(error))
        return said(Taken(done.accepted, done.duplicates))

    async def _asked(self, line: Line, stores: PartitionStores, message: bytes) -> bytes:
        if not message:
            return b""  # it is there
        return await asyncio.to_thread(_answer, line, stores, message)


def _answer(line: Line, stores: PartitionStores, message: bytes) -> bytes:
    import msgspec

    question: dict[str, Any] = msgspec.msgpack.decode(message)
    what = question["ask"]
    answer: Any
    if what == "state":
        answer = {
            "stored": stores.log.last_offset(),
            "detected": line.detecting.offset,
            "lag": line.lag,
            "untaken": line.untaken,
            "version": line.detecting.version,
            "rows_waiting": line.rows_waiting,
            "failure": line.failure,
            "unbooked": unbooked_of(stores),
            "state_bytes": line.state_bytes,
        }
    elif what == "runs_again":
        answer = line.runs_again(question["mrn"])
    elif what == "try_again":
        line.try_again()
        answer = True
    elif what == "brief":
        answer = line.brief(question["devices"])
    elif what == "live":
        box = question["bbox"]
        answer = asdict(line.live(None if box is None else tuple(box), question["zoom"], question["since"]))
    else:
        answer = None
    return said(answer)
