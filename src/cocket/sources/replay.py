"""``cocket replay``: a file of observations into a running Cocket, as fast as it takes them or paced by event time.

Every row of the file is accounted for: rows in = accepted + duplicates + rejected. What the server refuses is
counted by rule, with an example. Sending is safe to repeat, since the server folds what it already has: a
dropped connection is simply tried again. When the server is over capacity (429) it says how long to wait.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

import httpx
import pyarrow as pa

from cocket.core.errors import BadSetting, CocketError, Malformed, Unavailable
from cocket.sources.mapping import load
from cocket.sources.rows import Part, count_rows, parts, sorted_parts

ROWS_A_BODY: Final = 20_000
IN_FLIGHT: Final = 4
PATIENCE_S: Final = 120.0
DEFAULT_TO: Final = "http://127.0.0.1:8460"
ARROW: Final = "application/vnd.apache.arrow.stream"
NDJSON: Final = "application/x-ndjson"


@dataclass(slots=True)
class Cause:
    """Rejects of one rule on one field: how many, and the first of them."""

    count: int = 0
    row: int = 0
    detail: str = ""


@dataclass(slots=True)
class Tally:
    """What became of the file's rows. ``unsent`` ones never got an answer: the run failed."""

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    unsent: int = 0
    retries: int = 0
    seconds: float = 0.0
    rejects: dict[tuple[str, str], Cause] = field(default_factory=dict)
    failure: str = ""

    @property
    def balanced(self) -> bool:
        """Rows in = accepted + duplicates + rejected."""
        return self.unsent == 0 and self.rows == self.accepted + self.duplicates + self.rejected

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "rejected": self.rejected,
            "unsent": self.unsent,
            "retries": self.retries,
            "seconds": round(self.seconds, 3),
            "rejects": [
                {"field": f, "rule": r, "count": c.count, "example": {"row": c.row, "detail": c.detail}}
                for (f, r), c in sorted(self.rejects.items(), key=lambda item: -item[1].count)
            ],
            "failure": self.failure or None,
        }

    def text(self) -> str:
        """For people."""
        rate = self.rows / self.seconds if self.seconds else 0.0
        sign = "=" if self.balanced else "≠"
        lines = [
            f"{self.rows:,} rows in {sign} {self.accepted:,} accepted + {self.duplicates:,} duplicates + {self.rejected:,} rejected",
            f"  in {self.seconds:.1f} s, {rate:,.0f} rows/s",
        ]
        lines += [
            f"  {c.count:,} rejected: {f} breaks rule {r}; first in row {c.row + 1:,}: {c.detail}"
            for (f, r), c in sorted(self.rejects.items(), key=lambda item: -item[1].count)
        ]
        if self.retries:
            lines.append(f"  {self.retries:,} bodies were sent again after a lost connection or a wait")
        if self.failure:
            lines.append(f"FAILED, {self.unsent:,} rows without an answer, the rest not read: {self.failure}")
        return "\n".join(lines)


class Sender:
    """Posts bodies and keeps the tally. ``post`` may be called from several threads at once."""

    def __init__(
        self, client: httpx.Client, tally: Tally, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.client = client
        self.tally = tally
        self.sleep = sleep
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def post(self, part: Part) -> int:
        """Send one part until it is answered; returns its number of rows. Raises what cannot be mended."""
        content_type = ARROW if part.batch is not None else NDJSON
        body = _arrow_body(part.batch) if part.batch is not None else b"\n".join(part.lines) + b"\n"
        answer = self._answer(body, content_type)
        if answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE and part.n > 1:
            return sum(self.post(half) for half in part.halves())
        if answer.status_code != httpx.codes.OK:
            raise Malformed(f"{answer.request.url} answered {answer.status_code}: {_problem(answer)}")
        self._book(part, answer.json())
        return part.n

    def _answer(self, body: bytes, content_type: str) -> httpx.Response:
        waited = 0.0
        pause = 0.5
        while True:
            if self._stop.is_set():
                raise Unavailable("stopped because another body failed")
            try:
                answer = self.client.post(
                    "/api/v1/observations", content=body, headers={"Content-Type": content_type}
                )
            except httpx.TransportError as e:
                if waited >= PATIENCE_S:
                    raise Unavailable(
                        f"no connection to {self.client.base_url} for {PATIENCE_S:.0f} s ({e or type(e).__name__}); "
                        f"start it with `cocket serve`, or name it with --to; what was sent may be sent again"
                    ) from e
                delay, pause = pause, min(pause * 2, 10.0)
                waited += delay
            else:
                busy = answer.status_code in (
                    httpx.codes.TOO_MANY_REQUESTS,
                    httpx.codes.SERVICE_UNAVAILABLE,
                )
                if not busy:
                    return answer
                delay = _retry_after(answer)
                if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                    waited += delay
                    if waited >= PATIENCE_S:
                        return answer
            with self._lock:
                self.tally.retries += 1
            self.sleep(delay)

    def _book(self, part: Part, answer: dict[str, Any]) -> None:
        with self._lock:
            self.tally.accepted += answer["accepted"]
            self.tally.duplicates += answer["duplicates"]
            self.tally.rejected += answer["rejected"]
            for reject in answer["rejects"]:
                cause = self.tally.rejects.setdefault((reject.get("field") or "row", reject["rule"]), Cause())
                if cause.count == 0:
                    cause.row = part.row(reject["row"])
                    cause.detail = reject.get("detail") or ""
                cause.count += 1

    def stop(self) -> None:
        """Let waiting posts give up: another one failed for good."""
        self._stop.set()


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("Retry-After", "1")
    return float(text) if text.replace(".", "", 1).isdigit() else 1.0


def _problem(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
    except ValueError:
        return answer.text[:200]
    return str(problem.get("detail") or problem.get("title") or problem) if isinstance(problem, dict) else ""


def _arrow_body(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    body: bytes = sink.getvalue().to_pybytes()
    return body


def replay(
    file: Path,
    *,
    mapping: str | Path | None = None,
    to: str = DEFAULT_TO,
    speed: float | None = None,
    as_json: bool = False,
    client: httpx.Client | None = None,
    out: TextIO | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Send ``file`` and print the tally. Exit code: 0 every row accounted for, 1 rows left unsent, 2 bad usage.

    ``speed`` (event-time seconds a second) paces the rows in order of event time, which reads the whole file
    first; without it they go as fast as the server takes them, in the file's order. Where people sign in, ``COCKET_TOKEN``
    in the environment holds the API token to send with.
    """
    out = out or sys.stdout
    try:
        source = _source(file, mapping, speed)
        first = next(source, None)  # a file that does not fit its mapping is refused before anything is sent
    except BadSetting as e:
        print(f"cocket replay: {e}", file=sys.stderr)  # noqa: T201
        return 2

    tally = Tally()
    began = time.monotonic()
    own = client is None
    token = os.environ.get("COCKET_TOKEN", "")
    client = client or httpx.Client(
        base_url=to,
        timeout=60.0,
        limits=httpx.Limits(max_connections=IN_FLIGHT),
        headers={"authorization": f"Bearer {token}"} if token else {},
    )
    try:
        if first is not None:
            _send_all(first, source, Sender(client, tally, sleep), tally, count_rows(file), sleep)
    except CocketError as e:
        tally.failure = e.detail
    finally:
        if own:
            client.close()
    tally.unsent = tally.rows - tally.accepted - tally.duplicates - tally.rejected
    tally.seconds = time.monotonic() - began
    print(json.dumps(tally.as_dict(), ensure_ascii=False) if as_json else tally.text(), file=out)
    return 0 if tally.balanced and not tally.failure else 1


def _source(file: Path, mapping: str | Path | None, speed: float | None) -> Iterator[tuple[float, Part]]:
    if speed is not None and not speed > 0:
        raise BadSetting(f"--speed {speed}: it must be above 0")
    if not file.is_file():
        raise BadSetting(f"{file} is no file")
    checked = None if mapping is None else load(mapping)
    if speed is not None:
        return sorted_parts(file, checked, ROWS_A_BODY, speed)
    return ((0.0, part) for part in parts(file, checked, ROWS_A_BODY))


def _send_all(
    first: tuple[float, Part],
    rest: Iterator[tuple[float, Part]],
    sender: Sender,
    tally: Tally,
    total: int | None,
    sleep: Callable[[float], None],
) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    def chained() -> Iterator[tuple[float, Part]]:
        yield first
        yield from rest

    console = Console(stderr=True)
    columns = (
        TextColumn("replay"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeRemainingColumn(),
    )
    began = time.monotonic()
    pending: set[Future[int]] = set()
    with (
        Progress(*columns, console=console, disable=not console.is_terminal) as bar,
        ThreadPoolExecutor(IN_FLIGHT) as pool,
    ):
        task = bar.add_task("rows", total=total)
        try:
            for due_s, part in chained():
                ahead = due_s - (time.monotonic() - began)
                if ahead > 0:
                    sleep(ahead)
                tally.rows += part.n
                pending.add(pool.submit(sender.post, part))
                if len(pending) >= IN_FLIGHT:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    bar.advance(task, sum(f.result() for f in done))
            for future in pending:
                bar.advance(task, future.result())
        except BaseException:
            sender.stop()
            raise
