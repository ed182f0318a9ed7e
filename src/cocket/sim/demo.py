"""``cocket demo``: the whole machine at work, and at the end what it found of what was put in.

Starts ``cocket serve`` with a replay clock as a child process and is then an ordinary client: it declares the
world and sends the rows through the public HTTP door, in the order of their sending, while simulated time runs;
then it reads the alerts and compares them with the truth.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Self

import httpx
import numpy as np
import pyarrow as pa

from cocket.core.clock import US, parse_rfc3339, rfc3339
from cocket.core.errors import BadSetting, CocketError, Unavailable
from cocket.sim import transits
from cocket.sim.scan import JUMP_M, TOLD_KIND
from cocket.sim.script import LASTS_S, Script, write
from cocket.sim.seals import DAY_US
from cocket.sim.truth import SEAL_CODES, Result, score

LIFE_SPEED: Final = 60.0
"""Without ``--for``: an hour in a minute."""

DECLARE_S: Final = 3.0
SETTLE_SHARE: Final = 0.1
LEAST_SETTLE_S: Final = 3.0
LEAST_STREAM_S: Final = 5.0
START_S: Final = 300.0
SETTLE_MOST_S: Final = 60.0
ROWS_A_BODY: Final = 10_000
STEP_S: Final = 0.1
RULES: Final[dict[str, Any]] = {
    "defaults": {"zone-entered": {"kinds": [TOLD_KIND]}, "zone-left": {"kinds": [TOLD_KIND]}},
    "device_classes": {"e-seal": {"gnss-spoofing": {"min_m": JUMP_M}}},
}


@dataclass(slots=True)
class Sent:
    """What the door answered, summed."""

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    rejects: list[dict[str, Any]] = field(default_factory=list)


def run_demo(*, for_s: float | None, as_json: bool, data: Path | None, port: int) -> int:
    """Run it; with ``for_s`` it ends by itself after so many seconds, counted from when the server is ready.

    Exit code 0 if the run was complete (every row answered, every alert scored), 1 if not, 2 for bad usage.
    """
    if data is not None and data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise BadSetting(
            f"--data {data}: the demo wants an empty folder, for its world is of another day; name a new one"
        )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the child ends with us
    say = _Speaker(as_json)
    stream_s = None
    if for_s is not None:
        settle = max(LEAST_SETTLE_S, SETTLE_SHARE * for_s)
        stream_s = max(LEAST_STREAM_S, for_s - DECLARE_S - settle)
    speed = LIFE_SPEED if stream_s is None else LASTS_S / stream_s
    with tempfile.TemporaryDirectory(prefix="cocket-demo-") as scratch:
        folder = data or Path(scratch) / "data"
        with _Server(folder, _free(port), DAY_US, speed, Path(scratch) / "server.log") as server:
            say("starting the server and writing the script …")
            script = write()
            server.await_ready()
            say(
                f"Cocket is at {server.url}  ({len(script.seals)} vehicles, {speed:.0f} times faster than life)",
                loud=True,
            )
            with httpx.Client(base_url=f"{server.url}/api/v1", timeout=60.0) as client:
                result = _Run(script, client, speed, server).to_the_end()
            _report(result, as_json)
            if not result.complete:
                say(f"The run is not complete; the server's last words: {server.words()}", loud=True)
            if for_s is None:
                say(f"The tracks have ended; {server.url} stays up until Ctrl-C.", loud=True)
                with suppress(KeyboardInterrupt):
                    server.wait()
    return 0 if result.complete else 1


class _Speaker:
    """To people on standard output; with ``--json`` that is kept for the table and they read standard error."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def __call__(self, text: str, *, loud: bool = False) -> None:
        if loud or not self.as_json:
            print(text, file=sys.stderr if self.as_json else sys.stdout, flush=True)


def _free(port: int) -> int:
    """The port, or 0 (any) if somebody else listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


class _Server:
    """The child process."""

    def __init__(self, data: Path, port: int, origin_us: int, speed: float, log: Path) -> None:
        self.log = log
        self.command = [
            sys.executable,
            *("-m", "cocket", "serve", "--data", str(data), "--port", str(port), "--demo"),
            *("--clock", "replay", "--origin", rfc3339(origin_us), "--speed", repr(speed)),
        ]
        self.url = ""

    def __enter__(self) -> Self:
        self._log: IO[bytes] = self.log.open("wb")
        self._process = subprocess.Popen(  # noqa: S603 - the command is ours
            self.command, stdout=subprocess.PIPE, stderr=self._log, text=True, start_new_session=True
        )
        return self

    def await_ready(self) -> None:
        """Until it listens and answers; raises ``Unavailable`` with its last words if it does not."""
        assert self._process.stdout is not None
        late = threading.Timer(START_S, self._process.kill)  # the first start compiles kernels
        late.start()
        try:
            self.url = self._process.stdout.readline().strip()
        finally:
            late.cancel()
        if not self.url.startswith("http"):
            raise Unavailable(f"the server did not start: {self.words()}")
        threading.Thread(target=self._process.stdout.read, daemon=True).start()  # never let the pipe fill
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/api/v1/health", timeout=5.0).status_code == httpx.codes.OK:
                    return
            time.sleep(0.1)
        raise Unavailable(f"the server at {self.url} does not answer: {self.words()}")

    def words(self) -> str:
        """The end of what the server wrote to its log."""
        self._log.flush()
        return self.log.read_text(errors="replace")[-2000:].strip() or "it said nothing"

    def wait(self) -> None:
        """Until it ends."""
        self._process.wait()

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


@dataclass(slots=True)
class Outcome:
    """A run, scored."""

    result: Result
    complete: bool
    facts: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"alerts": self.result.as_dict(), **self.facts}


class _Run:
    def __init__(self, script: Script, client: httpx.Client, speed: float, server: _Server) -> None:
        self.script = script
        self.client = client
        self.speed = speed
        self.server = server
        self.sent = Sent()
        self.arrived: set[str] = set()
        self.began = time.monotonic()
        self.clock: tuple[float, int] = (0.0, 0)

    def to_the_end(self) -> Outcome:
        self._declare()
        self._tell(script_done=False, table=None)
        self._read_clock()
        self._stream()
        lag = self._settle()
        result = score(self.script.truths, self._alerts("false"))
        self._tell(script_done=True, table=result.as_dict())
        return self._outcome(result, lag)

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request; waits while the server is over capacity, raises with its words if it refuses."""
        while True:
            try:
                answer = self.client.request(method, path, **more)
            except httpx.TransportError as e:
                raise Unavailable(f"the server went away ({e}): {self.server.words()}") from e
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                break
            time.sleep(float(answer.headers.get("Retry-After", "1")))
        if answer.is_error:
            raise CocketError(f"{method} {path} answered {answer.status_code}: {answer.text[:500]}")
        return answer

    # the world

    def _declare(self) -> None:
        script = self.script
        self.call("PUT", "/rules", json=RULES)
        self._bulk("/offices", transits.offices())
        self._bulk("/zones", _collection(transits.zone_features(script.zones)))
        self._bulk("/corridors", _collection(transits.corridor_features(script.corridors, script.seals)))
        self._bulk("/devices", transits.devices(script.seals))
        self._bulk("/movements", [transits.movement(s) for s in script.seals])
        self._bulk("/bindings", [transits.binding(s) for s in script.seals])

    def _bulk(self, path: str, body: Any) -> None:
        answer = self.call("POST", path, json=body).json()
        if answer["rejected"]:
            raise CocketError(f"POST {path}: {answer['rejected']} refused, first: {answer['rejects'][0]}")

    # the rows

    def _read_clock(self) -> None:
        now = parse_rfc3339(self.call("GET", "/health").json()["now"])
        self.clock = (time.monotonic(), now)

    def now_us(self) -> int:
        """The server's clock, as we reckon it: never ahead of it."""
        read_at, then_us = self.clock
        return then_us + int((time.monotonic() - read_at) * self.speed * US)

    def _stream(self) -> None:
        rows = self.script.rows["send_us"]
        at, told = 0, time.monotonic()
        while at < len(rows) or self.now_us() < self.script.ends_us:
            due = int(np.searchsorted(rows, self.now_us(), side="right"))
            while at < due:
                upto = min(due, at + ROWS_A_BODY)
                self._post(at, upto)
                at = upto
            self._arrivals()
            if time.monotonic() - told > 1.0:
                self._tell(script_done=False, table=None)
                self._read_clock()
                told = time.monotonic()
            time.sleep(STEP_S)

    def _post(self, first: int, last: int) -> None:
        record = self.script.batch(first, last).to_arrow()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, record.schema) as writer:
            writer.write_batch(record)
        answer = self.call(
            "POST",
            "/observations",
            content=sink.getvalue().to_pybytes(),
            headers={"Content-Type": "application/vnd.apache.arrow.stream"},
        ).json()
        self.sent.rows += last - first
        self.sent.accepted += answer["accepted"]
        self.sent.duplicates += answer["duplicates"]
        self.sent.rejected += answer["rejected"]
        self.sent.rejects += answer["rejects"][:3]

    def _arrivals(self) -> None:
        now = self.now_us()
        due = [s for s in self.script.seals if s.bound_to_us <= now and s.mrn not in self.arrived]
        if due:
            self._bulk("/movements", [transits.movement(s, s.bound_to_us) for s in due])
            self.arrived.update(s.mrn for s in due)

    def _settle(self) -> int:
        """Wait until everything stored is detected; returns what is still to do if that takes too long."""
        deadline = time.monotonic() + SETTLE_MOST_S
        quiet = 0
        while True:
            lag = int(self.call("GET", "/stats").json()["lag_observations"])
            health = self.call("GET", "/health").json()
            if health["status"] != "ok":
                raise Unavailable(f"the detectors stand still: {health.get('detail')}")
            quiet = quiet + 1 if lag == 0 else 0
            if quiet == 3 or time.monotonic() > deadline:
                return lag
            time.sleep(0.3)

    # the table

    def _alerts(self, superseded: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            asked: dict[str, Any] = {"limit": 500, "superseded": superseded}
            if cursor is not None:
                asked["cursor"] = cursor
            page = self.call("GET", "/alerts", params=asked).json()
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items

    def _tell(self, *, script_done: bool, table: dict[str, Any] | None) -> None:
        script = self.script
        now = self.now_us() if self.clock[1] else script.begins_us
        self.call(
            "PUT",
            "/demo",
            json={
                "real": script.real(),
                "simulated": script.simulated(),
                "speed": round(self.speed, 1),
                "started_at": rfc3339(script.begins_us),
                "ends_at": rfc3339(script.ends_us),
                "stop_at": rfc3339(script.ends_us + 60 * US),
                "progress": 1.0
                if script_done
                else round(
                    min(1.0, max(0.0, (now - script.begins_us) / (script.ends_us - script.begins_us))), 4
                ),
                "finished": script_done,
                "table": table,
                "vehicles": len(script.seals),
                "incident_vehicles": len(script.incident_vehicles()),
                "rows_sent": self.sent.rows,
                "duplicates_sent": script.sent_again,
                "incidents": [
                    t.as_dict(i)
                    for i, t in enumerate(script.truths)
                    if t.origin == "injected" and (t.at_us <= now or script_done)
                ],
            },
        )

    def _outcome(self, result: Result, lag: int) -> Outcome:
        stats = self.call("GET", "/stats").json()
        hit = {s.mrn for s in self.script.incident_vehicles()}
        sent = self.sent
        facts = {
            "observations": stats["observations"],
            "sent": sent.rows,
            "duplicates": sent.duplicates,
            "duplicates_sent": self.script.sent_again,
            "rejected": sent.rejected,
            "rejects": sent.rejects[:10],
            "vehicles": len(self.script.seals),
            "incident_vehicles": len(hit),
            "superseded": len(self._alerts("true")),
            "seal_alerts_on_vehicles_without_incidents": sum(
                a["code"] in SEAL_CODES and a["mrn"] not in hit for a in result.false
            ),
            "missed": [
                {"mrn": t.mrn, "code": t.code, "kind": t.kind, "at": rfc3339(t.at_us)} for t in result.missed
            ],
            "false": [
                {k: a[k] for k in ("mrn", "code", "began_at", "ended_at", "says")} for a in result.false
            ],
            "lag_observations": lag,
            "speed": round(self.speed, 1),
            "seconds": round(time.monotonic() - self.began, 1),
        }
        balanced = sent.rows == sent.accepted + sent.duplicates + sent.rejected == len(self.script.rows)
        return Outcome(result, balanced and lag == 0, facts)


def _collection(features: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": features}


def _report(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        print(json.dumps(outcome.as_dict()), flush=True)  # noqa: T201
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title="What was put in, and what was found", caption=_CAPTION)
    table.add_column("alert", no_wrap=True, min_width=21)
    for name in ("injected", "found", "missed", "false", "real", "real missed"):
        table.add_column(name, justify="right")
    for code, line in outcome.result.as_dict().items():
        table.add_row(code, *(str(v) for v in line.values()))
    console = Console()
    console.print(table)
    f = outcome.facts
    console.print(
        f"{f['sent']:,} rows sent = {f['observations']:,} observations + {f['duplicates']:,} duplicates "
        f"({f['duplicates_sent']:,} sent twice on purpose) + {f['rejected']:,} rejected; "
        f"{f['superseded']:,} alerts withdrew themselves when late data came"
    )


_CAPTION: Final = (
    "injected, found, missed: scripted events. false: alerts that neither the script nor the tracks explain. "
    "real: alerts that the real positions explain (jumps, dead zones on the way), and how many such events none tells of."
)
