"""The lines of a site as its doors see them: partitions, each owned by a worker somewhere.

A body is split by the device's partition and each part sent to its owner; the receipt comes when all parts are durable. An
owner that does not answer may have died before or after it wrote: the same part is sent again until somebody owns the
partition, and what was written already folds as duplicates. When the time is over the sender is told that nothing can be
promised, and sends again.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final

import numpy as np
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from cocket.core.batch import Array
from cocket.core.config import Settings
from cocket.core.doors import Decoded, Receipt
from cocket.core.errors import Busy, CocketError, Unavailable
from cocket.core.slots import SLOTS, partition_of, slot_of, slots_of
from cocket.engine.line import POLL_S, Box
from cocket.engine.live import Live
from cocket.engine.site.link import Link
from cocket.engine.site.views import Views
from cocket.engine.site.wire import MOST_ROWS, Failed, Names, answered, heard, packed, said

_ASK_S: Final = 2.0
_ANSWER_S: Final = 10.0
"""How long an owner may take to make a part durable before it is asked again."""

_LOOK_S: Final = 0.5
"""How often it is asked whether it is there, while a part waits for it."""

_PAUSE_S: Final = 0.1
_FRESH_S: Final = 0.05
"""How long an answer about all partitions is good for."""

TOLD_S: Final = 1.0
"""And where it is only told on, so that a partition without an owner is not waited for again and again."""

_EVERYTHING: Final = 2**62


class RemoteLines:
    """``Lines`` over ``link``. ``version`` gives the newest version of what is declared."""

    def __init__(
        self,
        link: Link,
        names: Names,
        partitions: int,
        settings: Settings,
        version: Callable[[], int],
    ) -> None:
        self._link = link
        self._names = names
        self._n = partitions
        self._settings = settings
        self._version = version
        self._lock = threading.Lock()
        self._rows_waiting = 0
        self._closed = False
        self._told: tuple[float, list[dict[str, Any]] | None] = (0.0, None)
        self._views = Views(partitions)

    def start(self) -> None:
        """Nothing to begin: workers are processes of their own."""

    def stop(self) -> None:
        """Take nothing more."""
        self._closed = True

    # observations

    def submit(self, decoded: Decoded) -> Future[Receipt]:
        """Send a body to the owners of its partitions; the receipt is given when all of it is durable.

        Raises ``Busy`` when too much is under way.
        """
        rows = decoded.batch.n + len(decoded.rejects)
        with self._lock:
            if self._closed:
                raise Unavailable("Cocket is shutting down; send it again when it is back")
            if self._rows_waiting and self._rows_waiting + rows > self._settings.ingest.queue_rows:
                raise Busy(
                    f"{self._rows_waiting} observations are under way; send this body again in a second"
                )
            self._rows_waiting += rows
        promise: Future[Receipt] = self._link.run(self._sent(decoded))
        promise.add_done_callback(lambda _: self._done(rows))
        return promise

    def _done(self, rows: int) -> None:
        with self._lock:
            self._rows_waiting -= rows

    async def _sent(self, decoded: Decoded) -> Receipt:
        parts = await asyncio.to_thread(lambda: [(p, packed(d)) for p, d in self._split(decoded)])
        answers = await asyncio.gather(*(self._send(p, body) for p, body in parts), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        taken = [a for a in answers if not isinstance(a, BaseException)]
        return Receipt(sum(a for a, _ in taken), sum(d for _, d in taken), decoded.rejects)

    def _split(self, decoded: Decoded) -> list[tuple[int, Decoded]]:
        """By partition, and into messages of a bearable size; the rejects go with the first."""
        batch = decoded.batch
        parts: list[tuple[int, Decoded]] = []
        devices = batch.texts("device_id")
        if devices is not None and batch.n:
            of: Array = slots_of(devices).astype(np.int64) * self._n // SLOTS
            for p in np.unique(of).tolist():
                rows = np.flatnonzero(of == p)
                parts += [
                    (
                        p,
                        Decoded(
                            batch.take(rows[i : i + MOST_ROWS]), rows, [], decoded.source, mark=decoded.mark
                        ),
                    )
                    for i in range(0, len(rows), MOST_ROWS)
                ]
        if decoded.rejects:
            if not parts:
                named = decoded.rejects[0].device_id or ""
                parts = [
                    (
                        self._partition(named),
                        Decoded(
                            batch.take(slice(0, 0)), decoded.rows[:0], [], decoded.source, mark=decoded.mark
                        ),
                    )
                ]
            parts[0][1].rejects.extend(decoded.rejects)
        return parts

    async def _send(self, partition: int, body: bytes) -> tuple[int, int]:
        end = time.monotonic() + self._settings.log.submit_s
        subject = self._names.submit(partition)
        why = "nobody owns it at the moment"
        while time.monotonic() < end and not self._closed:
            try:
                message = await self._request(partition, subject, body)
            except NoRespondersError:
                why = "nobody owns it at the moment"
            except (NatsError, TimeoutError, OSError) as error:
                why = f"its owner does not answer ({error or type(error).__name__})"
            else:
                answer = answered(message.data)
                if not isinstance(answer, Failed):
                    return answer.accepted, answer.duplicates
                if answer.retry_after_s is not None:
                    raise answer.error()
                why = answer.detail
            await asyncio.sleep(_PAUSE_S)
        raise Unavailable(
            f"partition {partition} takes nothing: {why}; whether this body was stored cannot be promised, send it again"
        )

    async def _request(self, partition: int, subject: str, body: bytes) -> Msg:
        """An owner that died with the part in its hands never answers: so it is asked beside whether it is there. ``NoRespondersError``
        when it is not, ``TimeoutError`` when it was silent for a lease's length, in which another may have taken the partition over.
        """
        asking = asyncio.ensure_future(self._link.client.request(subject, body, timeout=_ANSWER_S))
        try:
            heard_s = time.monotonic()
            while not (await asyncio.wait({asking}, timeout=_LOOK_S))[0]:
                try:
                    await self._link.client.request(self._names.ask(partition), b"", timeout=_LOOK_S)
                except TimeoutError:
                    continue
                if time.monotonic() - heard_s > self._settings.log.lease_s:
                    raise TimeoutError
                heard_s = time.monotonic()
            return asking.result()
        finally:
            asking.cancel()

    # questions

    def _partition(self, device_id: str) -> int:
        return partition_of(slot_of(device_id), self._n)

    def _ask(self, questions: Mapping[int, dict[str, Any]]) -> dict[int, Any]:
        """The answers of the owners that answered in time."""

        async def one(partition: int, question: dict[str, Any]) -> Any:
            end = time.monotonic() + _ASK_S
            while True:
                try:
                    message = await self._link.client.request(
                        self._names.ask(partition), said(question), timeout=max(0.1, end - time.monotonic())
                    )
                    return heard(message.data)
                except NoRespondersError:
                    if time.monotonic() >= end:
                        return None
                    await asyncio.sleep(_PAUSE_S)
                except (NatsError, TimeoutError, OSError):
                    return None

        async def every() -> list[Any]:
            return await asyncio.gather(*(one(p, q) for p, q in questions.items()))

        answers = self._link.run(every()).result()
        return {p: a for p, a in zip(questions, answers, strict=True) if a is not None}

    def states(self, fresh_s: float = _FRESH_S) -> list[dict[str, Any]]:
        """The state of every partition, at most so old; one that nobody answers for says so in ``failure``."""
        with self._lock:
            at, told = self._told
        if told is not None and time.monotonic() - at < fresh_s:
            return told
        answers = self._ask({p: {"ask": "state"} for p in range(self._n)})
        silent = {"lag": 1, "version": -1, "state_bytes": 0, "rows_waiting": 0, "untaken": True}
        told = [
            answers.get(p, {**silent, "failure": f"no worker answers for partition {p}"})
            for p in range(self._n)
        ]
        with self._lock:
            self._told = (time.monotonic(), told)
        return told

    def reference_changed(self) -> None:
        """Tell the workers; one that does not hear it looks by itself soon after."""
        with self._lock:
            self._told = (0.0, None)
        self._link.publish(self._names.declared, b"")

    def taken_in(self, timeout_s: float) -> None:
        """Wait until the detectors have taken in what is stored by now; ``Busy`` when the time is over first."""
        end = time.monotonic() + timeout_s
        wanted: dict[int, int] = {}
        while True:
            states = self.states()
            for p, state in enumerate(states):
                if "stored" in state:
                    wanted.setdefault(p, state["stored"])
            if len(wanted) == self._n and all(
                s.get("detected", -1) >= wanted[p] for p, s in enumerate(states)
            ):
                return
            if time.monotonic() > end:
                raise Busy(
                    f"{self.lag} observations wait for the detectors, and what is asked hangs on them; ask again later",
                    retry_after_s=5,
                )
            time.sleep(POLL_S)

    @property
    def lag(self) -> int:
        """What is stored and not yet detected, over all partitions; one that nobody answers for counts 1."""
        return sum(int(s["lag"]) for s in self.states()) + self.untaken

    @property
    def untaken(self) -> bool:
        """Whether something declared is stored that a worker has not taken in."""
        newest = self._version()
        return any(s["untaken"] or s["version"] < newest for s in self.states())

    @property
    def rows_waiting(self) -> int:
        """Observations under way to the logs."""
        return self._rows_waiting

    @property
    def failure(self) -> str | None:
        """Why detectors do not run at the moment, in words; None when all is well."""
        return "; ".join(s["failure"] for s in self.states(TOLD_S) if s.get("failure")) or None

    def try_again(self) -> None:
        """Let the detectors see again what was set aside because they failed on it."""
        self._ask({p: {"ask": "try_again"} for p in range(self._n)})

    @property
    def state_bytes(self) -> int:
        """Memory of the detectors' state, over all workers."""
        return sum(int(s["state_bytes"]) for s in self.states())

    @property
    def detected(self) -> int:
        """History shows what is detected, and nothing else."""
        return _EVERYTHING

    def unseen(self, device_ids: Sequence[str]) -> bool:
        """Whether the partitions of these devices hold what is not detected."""
        states = self.states()
        return any(states[p]["lag"] for p in {self._partition(d) for d in device_ids})

    def runs_again(self, mrn: str) -> bool:
        """Whether a journey of this movement waits to be run again, anywhere."""
        answers = self._ask({p: {"ask": "runs_again", "mrn": mrn} for p in range(self._n)})
        return len(answers) < self._n or any(answers.values())

    def brief(self, device_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The newest observation of each device in a few columns; those whose owner does not answer are left out."""
        by: dict[int, list[str]] = {}
        for device_id in device_ids:
            by.setdefault(self._partition(device_id), []).append(device_id)
        answers = self._ask({p: {"ask": "brief", "devices": ids} for p, ids in by.items()})
        return {device: row for answer in answers.values() for device, row in answer.items()}

    def live(self, bbox: Box | None, zoom: float, since: int) -> Live:
        """Where everything is, by map window, over all partitions."""
        known = self._views.known(since)
        views = self._seen(known, bbox, zoom)
        if any(v.full for v in views.values()):  # one tells everything: then so do all
            views |= self._seen({p: 0 for p, v in views.items() if not v.full}, bbox, zoom)
        return self._views.merged(views, zoom)

    def _seen(self, since: Mapping[int, int], bbox: Box | None, zoom: float) -> dict[int, Live]:
        answers = self._ask(
            {p: {"ask": "live", "bbox": bbox, "zoom": zoom, "since": at} for p, at in since.items()}
        )
        return {p: Live(**a) for p, a in answers.items()}


def failed(error: BaseException) -> Failed:
    """An error as a worker says it."""
    if isinstance(error, Busy):
        return Failed(error.detail, error.retry_after_s)
    return Failed(error.detail if isinstance(error, CocketError) else f"{type(error).__name__}: {error}")
