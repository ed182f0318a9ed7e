"""The stage: a real ``cocket serve`` on free ports over a folder of its own, and the ways in and out of it that scenarios have.

A scenario knows the server by HTTP and by the gateway's sockets only. Names are new for each play, so that a scenario and its
twins share one server without sharing facts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

from cocket.core.clock import US, WallClock, rfc3339
from cocket.core.ids import iso6346_check_digit
from cocket.scenarios.story import Unmet
from cocket.sim.server import Server

SEAL_PROTOCOL: Final = "jt701"
WAIT_S: Final = 30.0
MINUTE: Final = 60

T = TypeVar("T")


class Stage:
    """A running server and a client of it. ``seal_door``: where e-seals call."""

    def __init__(self, url: str, seal_door: tuple[str, int], client: httpx.Client) -> None:
        self.url = url
        self.seal_door = seal_door
        self.client = client
        self._clock = WallClock()
        self._numbers = count(self._clock.now_us() // US % 10**7 * 100)

    # HTTP

    def answer(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request to the API, whatever is answered."""
        return self.client.request(method, path, **more)

    def call(
        self, method: str, path: str, json: Any = None, *, status: int | None = None, **more: Any
    ) -> Any:
        """One request; gives the JSON of its answer, else its bytes. ``Unmet`` if it is not answered with ``status`` (None: any success)."""
        answer = self.answer(method, path, json=json, **more)
        wanted = answer.is_success if status is None else answer.status_code == status
        if not wanted:
            raise Unmet(
                f"{method} {path} is answered",
                "a success" if status is None else status,
                f"{answer.status_code}: {answer.text}",
            )
        kind = answer.headers.get("content-type", "").partition(";")[0]
        return answer.json() if kind.endswith(("/json", "+json")) else answer.content

    def get(self, path: str, *, status: int | None = None, **params: Any) -> Any:
        """As ``call`` with GET."""
        return self.call("GET", path, status=status, params=params or None)

    def post(self, path: str, json: Any = None, *, status: int | None = None, **more: Any) -> Any:
        """As ``call`` with POST."""
        return self.call("POST", path, json, status=status, **more)

    def put(self, path: str, json: Any) -> Any:
        """As ``call`` with PUT."""
        return self.call("PUT", path, json)

    def document(
        self, body: str, kind: str, *, media_type: str = "application/xml", by: str = "system"
    ) -> Any:
        """Send a document; it has to be taken as this kind."""
        answer = self.call(
            "POST",
            "/documents",
            content=body.encode(),
            headers={"content-type": media_type},
            params={"by": by},
        )
        if answer["kind"] != kind:
            raise Unmet("the document is recognised", kind, answer["kind"])
        return answer

    def event(
        self, mrn: str, event: str, *, at: int | None = None, status: int | None = 201, **details: Any
    ) -> Any:
        """One event of a movement; ``at`` in microseconds, None for now."""
        moment = {} if at is None else {"at": rfc3339(at)}
        return self.post(f"/movements/{mrn}/events", {"event": event, **moment, **details}, status=status)

    def events(self, mrn: str, *events: dict[str, Any]) -> Any:
        """Several, all or none."""
        return self.post(f"/movements/{mrn}/events", list(events), status=201)

    def amended(self, mrn: str, **values: Any) -> Any:
        """Complete a movement's declaration by hand: what it says stays, but for ``values``."""
        path = f"/movements/{mrn}"
        fields = (
            "corridor",
            "departure_office",
            "destination_office",
            "departed_at",
            "arrived_at",
            "limit_at",
            "risk",
            "goods",
            "report_interval_s",
            "holder",
            "countries",
            "consignments",
        )
        known = self.get(path)
        return self.put(path, {**{k: known[k] for k in fields if known.get(k) is not None}, **values})

    # waiting

    def until(self, text: str, ask: Callable[[], T | None], *, most_s: float = WAIT_S) -> T:
        """What ``ask`` gives, as soon as that is something; ``Unmet`` if it is nothing for too long."""
        end = time.monotonic() + most_s
        while True:
            found = ask()
            if found:
                return found
            if time.monotonic() > end:
                raise Unmet(text, "something", f"{found!r} after {most_s:g} s")
            time.sleep(0.02)

    def settled(self) -> None:
        """Until the detectors have worked through everything that is stored."""
        self.until("everything stored is detected", lambda: self.get("/stats")["lag_observations"] == 0)

    def alerts(self, mrn: str) -> list[dict[str, Any]]:
        """A movement's alerts that hold."""
        items: list[dict[str, Any]] = self.get("/alerts", mrn=mrn, superseded="false", limit=100)["items"]
        return items

    # times and names

    def now(self) -> int:
        """The whole second that it is, in UTC microseconds: devices know no finer time."""
        return self._clock.now_us() // US * US

    def exactly(self) -> int:
        """The time to the microsecond."""
        return self._clock.now_us()

    def ago(self, seconds: float) -> int:
        """So long ago."""
        return self.now() - int(seconds) * US

    def number(self) -> int:
        """A number of nine digits that nobody else has."""
        return next(self._numbers)

    def mrn(self, country: str) -> str:
        """A new movement reference number, with its check digit."""
        head = f"26{country}{self.number():012d}J"
        return f"{head}{iso6346_check_digit(head)}"

    def grn(self, country: str) -> str:
        """A new guarantee reference number, with its check digit."""
        head = f"26{country}{self.number():012d}"
        return f"{head}{iso6346_check_digit(head)}"

    def container(self) -> str:
        """A new container number, with its check digit."""
        head = f"CKTU{self.number() % 10**6:06d}"
        return f"{head}{iso6346_check_digit(head)}"

    def plate(self, series: str) -> str:
        """A new number plate as ``KBX 4711C``."""
        n = self.number()
        return f"{series} {n % 10**6:06d}{chr(65 + n % 26)}"

    def name(self, kind: str) -> str:
        """A new name of something."""
        return f"{kind}-{self.number()}"


@contextmanager
def staged(folder: Path, log: Path, settings: Path | None = None) -> Iterator[tuple[Stage, Server]]:
    """A stage over a new data folder, until the block ends."""
    arguments = ["--data", str(folder), "--port", "0", "--listen", f"tcp:0={SEAL_PROTOCOL}"]
    if settings is not None:
        arguments += ["--settings", str(settings)]
    with Server(arguments, log) as server:
        server.await_ready()
        host, _, port = server.doors[0].split()[2].rpartition(":")
        with httpx.Client(base_url=f"{server.url}/api/v1", timeout=60.0) as client:
            yield Stage(server.url, (host, int(port)), client), server
